"""Results of several scales lie side by side: what is shown is the asked scale's, none is lost."""

import json
import shutil
from pathlib import Path

import pytest
from project import ROOT

from study.graph import Study
from study.record import current_file, recorded

CSV, MARKDOWN = Path("results/table9.csv"), Path("results/table9.md")
KEPT = Path("results/scales/demo/table9.csv")


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """Two scales of a study in the current directory; its hyperparameters need no runs."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Study("demo"), Study("laptop")


def make(study, text, output=CSV):
    """Whether the command of the table had to make it, and not only to copy it."""
    files = (output, output.with_suffix(".md"))
    with recorded(study, "table9", *files) as due:
        for file in files if due else ():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}{file.suffix}")
    return due


def test_going_back_to_a_scale_copies_its_last_result(studies):
    demo, laptop = studies
    assert make(demo, "demo's")
    assert make(laptop, "laptop's")
    assert CSV.read_text() == "laptop's.csv"
    assert current_file(laptop, "table9") == CSV
    assert current_file(demo, "table9") == KEPT
    assert not make(demo, "never written")
    assert (CSV.read_text(), MARKDOWN.read_text()) == ("demo's.csv", "demo's.md")
    assert current_file(demo, "table9") == CSV
    assert current_file(laptop, "table9") == Path("results/scales/laptop/table9.csv")
    assert Path("results/scales/laptop/table9.md").read_text() == "laptop's.md"


def test_what_is_shown_is_made_anew_when_it_is_asked_for_once_more(studies):
    demo, laptop = studies
    make(demo, "first")
    assert make(demo, "second")
    CSV.unlink()  # as snakemake does with what it makes again
    assert make(demo, "third")
    make(laptop, "laptop's")
    assert not make(demo, "never written")
    assert CSV.read_text() == "third.csv"


@pytest.mark.parametrize("how", ["its Markdown", "its record", "the configuration"])
def test_a_kept_result_that_is_not_what_is_asked_for_is_made_anew(studies, how):
    demo, laptop = studies
    make(demo, "demo's")
    make(laptop, "laptop's")
    if how == "its Markdown":
        KEPT.with_suffix(".md").write_text("edited by hand")
    elif how == "its record":
        Path(f"runs/identity/{KEPT}.json").unlink()
    else:
        scale = Path("config/scales/demo.yaml")
        scale.write_text(scale.read_text().replace("about: ", "about: another ", 1))
        demo = Study("demo")
    assert current_file(demo, "table9") is None
    assert make(demo, "anew")
    assert CSV.read_text() == KEPT.read_text() == "anew.csv"


def test_a_command_that_is_stopped_leaves_the_last_result_of_every_scale(studies):
    demo, laptop = studies
    make(demo, "demo's")
    make(laptop, "laptop's")
    make(demo, "")
    with pytest.raises(KeyboardInterrupt), recorded(laptop, "table9", CSV, MARKDOWN) as due:
        assert not due
        raise KeyboardInterrupt
    assert not Path(f"runs/identity/{CSV}.json").exists()
    for study in (demo, laptop):
        kept = Path("results/scales", study.scale, "table9.csv")
        record = json.loads(Path(f"runs/identity/{kept}.json").read_text())
        assert kept.read_text() == f"{study.scale}'s.csv"
        assert list(record["files"]) == [str(kept), str(kept.with_suffix(".md"))]
    assert make(demo, "anew")  # nothing says what is shown


def test_only_what_the_workflow_shows_is_kept(studies):
    demo, _ = studies
    make(demo, "mine", Path("results/mine.csv"))
    make(demo, "mine", Path("elsewhere/table9.csv"))
    assert not Path("results/scales").exists()
