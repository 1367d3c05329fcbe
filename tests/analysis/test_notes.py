"""What stands under tables: every choice on the reported set, and what else the rows differ in."""

import shutil
from pathlib import Path

import pytest
import smoke
from project import ROOT

from analysis.notes import choice_notes, difference_notes
from study.graph import Study


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """A function that makes a study at a scale, after `edit` of the merged study file's data."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def make(scale, edit=None):
        if edit:
            smoke.edit(Path(), "study.yaml", edit)
        return Study(scale)

    return make


def started(notes, start):
    """The only note that starts so."""
    (found,) = [note for note in notes if note.startswith(start)]
    return found


def test_table5_tells_of_every_choice_that_was_made_on_its_development_sets(configured):
    notes = choice_notes(configured("paper"), "table5")
    tasks = "MNLI-m, MNLI-mm, QNLI, QQP, RTE, SST, MRPC, CoLA, STS, WNLI as a pair"
    assert started(notes, "Fine-tuning settings") == (
        f"Fine-tuning settings ({tasks}): per cell and task the point of the grid with the best "
        "median, chosen on these development sets; results/settings.csv has all of them."
    )
    assert started(notes, "Scored epoch") == (
        f"Scored epoch ({tasks}): of every fine-tuning the one that is best by the task's first "
        "metric, chosen on these development sets."
    )
    assert started(notes, "Ensembles: ") == (
        "Ensembles: RTE, MRPC, STS start from the model of the same pre-training that was tuned on "
        "mnli, at its best setting and epoch on mnli's development set, which is reported too."
    )
    assert started(notes, "Ensembles answer") == (
        "Ensembles answer QNLI by qnli_ranking, RTE by rte_from_mnli, MRPC by mrpc_from_mnli, "
        "STS by stsb_from_mnli; single models the column's own task."
    )
    assert started(notes, "QNLI as a ranking")
    assert started(notes, "Ensembles average the predictions of all seeds")


def test_notes_follow_the_recipes(configured):
    def edit(data):
        recipe = data["finetuning"]["roberta"]["default"]
        recipe["early_stopping"] = False
        recipe["grid"] = None

    notes = choice_notes(configured("paper", edit), "table5")
    assert not [note for note in notes if note.startswith(("Scored epoch", "Fine-tuning"))]
    assert started(notes, "Ensembles: ") == (
        "Ensembles: RTE, MRPC, STS start from the model of the same pre-training that was tuned on "
        "mnli."
    )


def test_a_choice_behind_all_columns_names_none(configured):
    notes = choice_notes(configured("paper"), "table8")
    assert started(notes, "Scored epoch: of every fine-tuning the one")
    assert started(notes, "Fine-tuning settings: per cell")


def test_table6_tells_that_its_best_threshold_was_chosen_on_the_set_it_shows(configured):
    assert choice_notes(configured("paper"), "table6") == [
        "F1 at the best threshold: at the no-answer threshold that is best on this development "
        "set; all other columns at 0."
    ]


def test_families_tell_of_the_choice_of_their_rate(configured):
    notes = choice_notes(configured("paper"), "table3_extended")
    assert notes == [
        "Learning rate (256, 2K, 8K): the one of the grid with the lowest held-out perplexity "
        "(median over replicates), chosen on the runs that are shown; results/learning_rates.csv "
        "has all of them."
    ]
    assert choice_notes(configured("paper"), "table2") == []


def differences(study, name):
    table = study.config.tables[name]
    cells = {row.id: study.config.row_cells(row)[0] for row in table.rows if row.ours}
    return list(difference_notes(study, table, cells))


def test_what_else_the_rows_differ_in_is_read_off_their_recipes(configured):
    study = configured("paper")
    assert differences(study, "table3") == [
        "The rows' recipes differ besides the columns in: optimiser.beta2 0.999 (256), 0.98 (2K, "
        "8K); optimiser.warmup 0.01 (256), 0.06 (2K, 8K)."
    ]
    assert differences(study, "table3_extended") == [
        "The rows' recipes differ besides the columns in: optimiser.beta2 0.999 (256), 0.98 (the "
        "others); optimiser.warmup 0.01 (256), 0.06 (the others)."
    ]
    assert differences(study, "table1") == [
        "The rows' recipes differ in: masking.policy static (static), dynamic (dynamic); "
        "masking.copies 10 (static), – (dynamic)."
    ]
    assert differences(study, "table_encoding") == []
    assert differences(study, "table6") == []

    def edit(data):
        data["cells"]["byte-level"]["model"] = {"dropout": 0.0}

    assert differences(configured("paper", edit), "table_encoding") == [
        "The rows' recipes differ besides the columns in: model.dropout 0.1 (character-level 30K), "
        "0 (byte-level 50K)."
    ]
