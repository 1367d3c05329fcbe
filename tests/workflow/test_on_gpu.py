"""The GPU script, rehearsed on a CPU: all its parts run, and what is done is not run again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from signals import heed_signals, processes_in

from benchmarks.on_gpu import run_part
from study.stopping import StopRequest

PARTS = ("facts", "correctness", "pretraining", "formats", "finetuning-sst2", "finetuning-mnli")
PARTS += ("table2-smoke", "tables-h200")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
# Waits for a process that is deaf to what should stop it, as one that hangs on a GPU is.
DEAF = """
import subprocess, sys
child = '''
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf:", os.getpid(), flush=True)
time.sleep(1000)
'''
subprocess.run([sys.executable, "-c", child])
"""


def start(folder, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        ["benchmarks/on_gpu.sh", folder, "--device", "cpu", "--quick", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        preexec_fn=heed_signals,
    )


def rehearse(folder, *more: str) -> tuple[int, list[str]]:
    """Exit status and lines of a call that runs to its end."""
    call = start(folder, *more)
    output, _ = call.communicate()
    return call.returncode, output.splitlines()


@LINUX
def test_all_parts_run_and_a_second_call_goes_on(tmp_path):
    """The first call is stopped while Table 2 is made."""
    smoke = tmp_path / "smoke"
    first = start(tmp_path)
    while not list(smoke.glob("runs/smoke/logs/pretrain/*/*/*.log")) and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate()
    assert processes_in(smoke) == []
    assert first.returncode == 1, output
    lines = output.splitlines()
    assert [line.split(":")[0] for line in lines] == list(PARTS)
    assert all(": done in " in line for line in lines[:-2]), output
    assert all(": no time left " in line for line in lines[-2:]), output
    assert not (smoke / "results/table2.csv").exists()
    assert "tokens/s" in (tmp_path / "pretraining.txt").read_text()
    assert "sentence-pair" in (tmp_path / "formats.txt").read_text()
    assert "ours" in (tmp_path / "finetuning-mnli.txt").read_text()
    (tmp_path / "facts.txt").write_text("torn\nexit status 1 in 2 s\n")
    status, lines = rehearse(tmp_path)
    assert status == 0, lines
    assert [line.split(":")[1].split(" in ")[0] for line in lines] == [
        " done",
        *(f" done before ({tmp_path}/{part}.txt)" for part in PARTS[1:-2]),
        " done",
        " done",
    ]
    assert "| DOC-SENTENCES |" in (smoke / "results/table2.md").read_text()


def test_parts_without_time_are_said(tmp_path):
    status, lines = rehearse(tmp_path, "--minutes", "0")
    assert status == 1
    assert [line.split(" (")[0] for line in lines] == [f"{part}: no time left" for part in PARTS]


@LINUX
def test_a_part_whose_time_is_up_leaves_no_process_behind(tmp_path, monkeypatch):
    (tmp_path / "deaf.py").write_text(DEAF)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    output, seconds = tmp_path / "part.txt", 1.0
    while "deaf: " not in (output.read_text() if output.exists() else ""):
        with StopRequest(seconds / 60) as stop:
            outcome = run_part(["deaf"], output, stop)
        seconds *= 2
    assert outcome.startswith("no time left in ")
    last = output.read_text().splitlines()[-1]
    assert last == outcome
    (pid,) = [line.split()[1] for line in output.read_text().splitlines() if "deaf:" in line]
    while is_running(pid):
        time.sleep(0.05)


def is_running(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
