"""Every line that a rule prints is understood by its command, for one process and for several.

A dry run prints the lines; they are run as printed in an empty folder, where a command can say
that its files are missing and nothing else.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_study
import smoke

TARGETS = ["all", "results/submission/glue.zip", "results/submission/squad20.json"]
TARGETS += ["results/plan.csv", "results/cells/doc-sentences.csv", "results/pretraining_effect.csv"]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def printed_lines(project: Path) -> dict[str, str]:
    """The longest line of each rule: the one with most options."""
    command = ["snakemake", "-n", "-p", "--config", "scale=smoke", "mirror=a mirror's {folder}"]
    result = subprocess.run(
        [*command, "replicates=2", "--", *TARGETS],
        cwd=project,
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines: dict[str, str] = {}
    rule = ""
    for line in (result.stdout + result.stderr).splitlines():
        if found := re.match(r"(?:local)?rule (\w+):", line):
            rule = found[1]
        elif line.startswith("Shell command: python "):
            line = line.removeprefix("Shell command: ")
            lines[rule] = max(lines.get(rule, ""), line, key=len)
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_printed_line_is_understood(tmp_path, processes):
    project = smoke.copy_project(tmp_path / "project")
    smoke.write_hub(project / "a mirror's {folder}")
    small_study.change_execution(project, processes=processes)
    lines = printed_lines(project)
    assert len(lines) > 18
    assert ("model.launch 2 model.stages.pretrain" in lines["pretrain"]) == (processes == 2)
    assert "python -m model.stages.minimal_pairs" in lines["minimal_pairs"]
    several = ("pretrain", "finetune", "minimal_pairs")
    chosen = lines if processes == 1 else {rule: lines[rule] for rule in several}
    environment = {**os.environ, "PATH": PATH, "PYTHONPATH": str(project), "SLURM_JOB_ID": "1"}
    for rule, line in chosen.items():
        (tmp_path / rule).mkdir()
        result = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path / rule,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = f"{rule}: {line}\n{result.stderr}"
        assert result.returncode in (0, 2), told
        assert "--help shows all" not in result.stderr, told
        assert result.stderr.count("\n") <= 1, told
