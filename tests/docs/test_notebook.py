"""docs/how-to/notebook.md as a reader follows it; its notebook is run by test_ablation."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import how_to
import nbformat
import pytest
from project import ROOT

NOTEBOOK = ROOT / "examples/results.ipynb"
SWAPS = {
    "make table2": "make table2 SCALE=smoke MIRROR=hub",
    # What it needs is there; nothing is downloaded.
    "pip install -e .": "python -m pip install -q --no-deps --no-build-isolation -e .",
    "--scale demo": "--scale smoke",
}
ELSEWHERE = """
import analysis, language, model, roberta_ablations, study
print(roberta_ablations.__file__)
print(len(roberta_ablations.Study("smoke").scores("doc-sentences")))
"""


@pytest.fixture
def installed(project) -> Path:
    """The finished project with an environment of its own, which sees the packages of the tests."""
    how_to.set_up(project)
    shutil.rmtree(project / ".venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    (packages,) = (project / ".venv/lib").glob("*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    (project / ".venv/installed").touch()
    return project


def test_a_reader_has_frames_and_commands_from_anywhere(installed, tmp_path):
    printed = how_to.follow("notebook", installed, SWAPS)
    assert "  run         make a result, or all, and show how far it is" in printed
    assert "table2, doc_sentences, sst2.accuracy: 50" in printed
    told = subprocess.run(
        [installed / ".venv/bin/python", "-c", ELSEWHERE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    file, scores = told.stdout.splitlines()
    assert Path(file).is_relative_to(installed)
    assert int(scores) > 10
    there = subprocess.run(
        [installed / ".venv/bin/roberta-ablations", "forget", "--scale", "smoke"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.returncode == 2
    assert there.stderr.splitlines() == [
        f"in {installed}",
        "error: expected a CELL, --task or --source to forget",
    ]


def test_what_the_notebook_shows_was_run_in_order():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell.outputs
        assert not [one for one in cell.outputs if one.get("name") == "stderr"]
    assert str(Path.home()) not in NOTEBOOK.read_text()
