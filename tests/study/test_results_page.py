"""results/README.md lists every result and is what the table of results says."""

import re
import subprocess

import pytest
from project import ROOT

from study.graph import Study
from study.results import RESULTS
from study.results_page import results_page

PAGE = ROOT / "results/README.md"


def test_the_page_is_as_the_table_of_results_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = results_page(Study("demo"))
    assert PAGE.read_text() == made, "python -m study.results_page > results/README.md"


def test_every_result_and_table_is_listed_with_a_command_that_is_a_target(monkeypatch):
    monkeypatch.chdir(ROOT)
    study, page = Study("demo"), PAGE.read_text()
    commands = re.findall(r"`snakemake --cores all -- (\S+)`", page)
    tables = [*study.config.tables, *study.config.hyperparameter_tables]
    assert commands[: len(tables)] == [f"results/{table}.csv" for table in tables]
    made = {study.result(study.result_files()[target])[0].rule for target in commands}
    assert made == {entry.rule for entry in RESULTS}
    assert "| `results/claims.csv, .md` | verdicts on all claims" in page


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout")
def test_git_keeps_the_page_and_nothing_else_of_the_folder():
    def ignored(path):
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    assert not ignored("results/README.md")
    assert all(map(ignored, ("results/table2.csv", "results/scales/demo/table2.csv", "runs/x")))
