"""What is typed after `make` arrives at the commands as it was typed, and nothing of it is run."""

import json
import shutil
import subprocess
import sys

import pytest
from project import ROOT

RECORDER = f"""#!{sys.executable}
import json, sys
with open("calls.jsonl", "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
"""
TEXTS = [
    *("it's", 'a "quoted" one', "x; touch ran", "$(touch ran)", "`touch ran`", "$HOME", "a b"),
    *("$(shell touch ran)", "&& touch ran", "a\\b", "*", "#x", "$$x", "-x", "{a}", "ä"),
]


@pytest.fixture
def project(tmp_path):
    """The Makefile beside an interpreter that only notes what it is called with."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER)
    python.chmod(0o755)
    (tmp_path / ".venv/installed").touch()
    (tmp_path / "results").mkdir()
    for name in ("table2.md", "plan.md"):
        (tmp_path / "results" / name).touch()
    return tmp_path


def make(project, target, *variables, options=()):
    """Run make; the arguments of the one command that it called."""
    result = subprocess.run(
        ["make", *options, target, *variables],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not (project / "ran").exists()
    calls = project / "calls.jsonl"
    return json.loads(calls.read_text()) if calls.exists() else None


@pytest.mark.parametrize("text", TEXTS)
def test_values_arrive_as_they_were_typed(project, text):
    names = ("SCALE", "STUDY", "SET", "CORES", "MIRROR", "REPLICATES", "FINETUNING_SEEDS", "FLOPS")
    typed = [f"{name}={text}" for name in names]
    assert make(project, "table2", *typed, options=["-n"]) is None
    for target, file in (("table2", "table2.csv"), ("results/mine.csv", "mine.csv")):
        assert make(project, target, *typed) == [
            *("-m", "study.watch", f"results/{file}", f"--scale={text}"),
            *(f"--study={text}", f"--set={text}", f"--mirror={text}", f"--cores={text}"),
            *(f"--finetuning-seeds={text}", f"--replicates={text}"),
        ]
        (project / "calls.jsonl").unlink()
    assert make(project, "plan", *typed) == [
        *("-m", "snakemake", "--quiet", "all", "--cores", text, "--config"),
        *(f"scale={text}", f"study={text}", f"set={text}", f"mirror={text}"),
        f"replicates={text}",
        *(f"finetuning_seeds={text}", f"flops={text}"),
        *("--", "results/plan.csv"),
    ]


def test_the_environment_counts_and_what_is_not_given_is_left_out(project, monkeypatch):
    assert make(project, "table2") == ["-m", "study.watch", "results/table2.csv", "--scale=demo"]
    (project / "calls.jsonl").unlink()
    monkeypatch.setenv("MIRROR", "a$b 'c'")
    assert make(project, "study", "SCALE=laptop") == [
        *("-m", "study.watch", "all", "--scale=laptop", "--mirror=a$b 'c'", "--replicates=5"),
    ]
