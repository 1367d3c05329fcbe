"""The report comes last of what is asked for, trains nothing, and stands beside Snakemake's own."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import results_toy
import smoke

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
REPORT = "results/report.html"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose runs are all finished, by hand; its results are not made."""
    toy = tmp_path_factory.mktemp("toy")
    results_toy.finish_study(toy, replicates=2)
    project = smoke.copy_project(tmp_path_factory.mktemp("report") / "project")
    (toy / "runs").rename(project / "runs")
    return project


def snakemake(project, *words, before=()):
    command = ["snakemake", "--cores", "1", *before, "--config", "scale=smoke", "replicates=2"]
    result = subprocess.run(
        [*command, "--", *words],
        cwd=project,
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    told = result.stdout + result.stderr
    assert result.returncode == 0, told
    return told


def rule_block(told, rule):
    """What Snakemake says of the job of a rule: its inputs, outputs, reason."""
    return re.search(rf"rule {rule}:\n((?: +.*\n)*)", told)[1]


def test_asked_for_alone_it_waits_for_nothing_and_with_others_it_comes_last(project):
    alone = snakemake(project, REPORT, before=["-n"])
    assert "input:" not in rule_block(alone, "report")
    assert "rule table" not in alone and "rule pretrain" not in alone
    everything = rule_block(snakemake(project, "all", before=["-n"]), "report")
    for name in ("results/table2.csv", "results/scores.csv", "results/figures/curves.png"):
        assert name in everything.split("output:")[0]
    asked = ("results/table1.md", "results/table9.csv", REPORT)
    snakemake(project, *asked)
    text = (project / REPORT).read_text()
    assert "Static and dynamic masking (Table 1, section 4.1)" in text
    assert "Nothing to be done" in snakemake(project, *asked, before=["-n"])
    # Snakemake's own report of the same results: its pages are the tables.
    snakemake(project, *asked, before=["--report", "own.zip"])
    with zipfile.ZipFile(project / "own.zip") as own:
        names = own.namelist()
        (page,) = [name for name in names if name.endswith("report.html") and name.count("/") == 1]
        told = own.read(page).decode()
    assert any(name.endswith("table1.csv") for name in names)
    assert "A line for each row of the table" in told and "analysis.table table1" in told
