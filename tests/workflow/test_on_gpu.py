"""The GPU script, rehearsed on a CPU: all its parts run, and what is done is not run again."""

import subprocess
import sys

PARTS = ("facts", "correctness", "pretraining", "formats", "finetuning-sst2", "finetuning-mnli")


def rehearse(folder, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["benchmarks/on_gpu.sh", folder, "--device", "cpu", "--quick", *more],
        capture_output=True,
        text=True,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        check=False,
    )


def test_all_parts_run_and_a_second_call_goes_on(tmp_path):
    first = rehearse(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert [line.split(":")[0] for line in first.stdout.splitlines()] == list(PARTS)
    assert "tokens/s" in (tmp_path / "pretraining.txt").read_text()
    assert "sentence-pair" in (tmp_path / "formats.txt").read_text()
    assert "ours" in (tmp_path / "finetuning-mnli.txt").read_text()
    (tmp_path / "facts.txt").write_text("torn\nexit status 1 in 2 s\n")
    second = rehearse(tmp_path)
    assert second.returncode == 0
    lines = second.stdout.splitlines()
    assert lines[0].startswith("facts: done in") and all(
        "done before" in line for line in lines[1:]
    )


def test_parts_without_time_are_said(tmp_path):
    done = rehearse(tmp_path, "--minutes", "0.01")
    assert done.returncode == 1
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"{part}: no time left" for part in PARTS
    ]
