"""`roberta-ablations`: what it lists, hands on and refuses, and where it works."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from study.console import COMMANDS

SCRIPT = "from study.console import main; main()"


def call(*words, folder=ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_it_lists_its_commands_with_a_line_each(words):
    told = call(*words)
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert lines[0] == "usage: roberta-ablations COMMAND ..."
    assert [line.split()[0] for line in lines[3 : 3 + len(COMMANDS)]] == list(COMMANDS)
    assert all(len(line) <= 100 for line in lines)


def test_every_command_is_a_module_with_a_main():
    for name, command in COMMANDS.items():
        spec = importlib.util.find_spec(command.module)
        defined = ast.parse(Path(spec.origin).read_text()).body
        assert "main" in {one.name for one in defined if isinstance(one, ast.FunctionDef)}, name


def test_a_command_takes_what_its_module_takes_and_is_called_by_its_name():
    told = call("run", "--help")
    assert told.returncode == 0
    assert told.stdout.startswith("usage: roberta-ablations run [-h]")
    assert "example:\n  python -m study.watch results/table2.csv --scale demo" in told.stdout
    told = call("forget", "byte-leve", "--scale", "smoke")
    assert told.returncode == 2
    assert told.stderr.startswith("error: byte-leve: not among the cells of config/study.yaml, did")


def test_a_command_that_is_not_there_is_one_line():
    told = call("prun", "--scale", "smoke")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "error: prun: no such command, did you mean prune?\n"


def test_it_works_in_the_project_above_or_else_in_its_own_checkout(tmp_path):
    project = tmp_path / "mine"
    shutil.copytree(ROOT / "config", project / "config")
    (project / "Snakefile").touch()
    (project / "deep/er").mkdir(parents=True)
    wrong = ["forget", "no-such-cell", "--scale", "smoke"]
    inside, below, elsewhere = (
        call(*wrong, folder=folder) for folder in (project, project / "deep/er", tmp_path)
    )
    line = inside.stderr
    assert line.startswith("error: no-such-cell: not among the cells of config/study.yaml")
    assert below.stderr == f"in {project}\n{line}"
    assert elsewhere.stderr == f"in {ROOT}\n{line}"
