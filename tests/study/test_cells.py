"""Cells written out from deltas, and the cells that a family of learning rates adds."""

import pytest
from project import ROOT

from study.errors import StudyError
from study.graph import Study
from study.read import load_study_file

SCALES = sorted(path.stem for path in (ROOT / "config/scales").glob("*.yaml"))


def test_a_cell_is_a_delta_on_base_or_on_another_cell(monkeypatch):
    monkeypatch.chdir(ROOT)
    cells = load_study_file("paper").cells
    assert cells["static-segment-pair"].masking.policy == "static"
    assert cells["static-segment-pair"].masking.rate == 0.15
    longest = cells["large-160gb-500k"]
    assert (longest.model.layers, longest.batch.sequences, longest.steps) == (24, 8192, 500_000)
    assert longest.data == ["books", "wiki", "news", "web", "stories"]
    base = cells["base-160gb-500k"]
    assert (base.model.layers, base.optimiser.learning_rate, base.steps) == (12, 6e-4, 500_000)


def test_a_family_adds_one_cell_per_rate_and_shares_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study("paper")
    assert study.config.families["batch-256"].members == {
        1e-4: "full-sentences",
        2e-4: "full-sentences-lr-0.0002",
        4e-4: "full-sentences-lr-0.0004",
    }
    grid = study.config.cells["full-sentences-lr-0.0004"]
    assert grid.optimiser.learning_rate == 4e-4
    same = grid.model_copy(update={"optimiser": study.config.cells["full-sentences"].optimiser})
    assert same == study.config.cells["full-sentences"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "families.batch-2k.learning_rates",
            [1e-3],
            "families.batch-2k.learning_rates: [0.001] lacks 0.0007, the rate of cell batch-2k",
        ),
        ("families.batch-2k.cell", "none", "families.batch-2k.cell: none is no cell; known: "),
        (
            "tasks.rte_from_mnli.like",
            "none",
            "tasks.rte_from_mnli.like: none is not in tasks; known",
        ),
        ("cells.batch-8k.like", "none", "cells.batch-8k.like: none is not in cells; known: "),
        ("cells.batch-2k.like", "batch-8k", "is like batch-"),
        ("cells.batch-2k", "text", "config/study/cells.yaml: cells.batch-2k: "),
        ("families.batch-2k.learning_rates", [], "families.batch-2k.learning_rates: [] lacks"),
        ("families.batch-2k.rates", [1e-3], "families.batch-2k.rates: unknown key"),
        (
            "tables.table3.rows",
            [{"id": "a", "label": "a", "family": "none"}],
            "none is not defined",
        ),
        (
            "tables.table3.rows",
            [{"id": "a", "label": "a", "family": "batch-2k", "cell": "batch-2k"}],
            "expected cell or family, not both",
        ),
        (
            "tables.table3.columns",
            [{"label": "a", "value": "batch", "task": "mnli"}],
            "expected either task and metric, or value",
        ),
        (
            "hyperparameter_tables.table9.columns",
            [{"id": "a", "label": "a", "cell": "no"}],
            "no is",
        ),
    ],
)
def test_mistakes_end_in_one_line(edit, key, value, message):
    edit("study.yaml", key, value)
    with pytest.raises(StudyError) as error:
        Study("paper")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scale", SCALES)
def test_batches_of_table_3_see_the_data_equally_often(scale, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_study_file(scale)
    passes, registers = {}, ["books", "wiki"]
    if scale == "babylm":
        registers += ["news", "web", "stories"]
    for name in ("batch-256", "batch-2k", "batch-8k"):
        cell = config.cells[config.families[name].cell]
        passes[name] = cell.steps * cell.batch.sequences * cell.length
        assert cell.data == registers
    assert max(passes.values()) <= 1.01 * min(passes.values())


@pytest.mark.parametrize("scale", SCALES)
def test_cells_of_a_contrast_differ_in_one_thing(scale, monkeypatch):
    monkeypatch.chdir(ROOT)
    cells = load_study_file(scale).cells

    def differing(one, other):
        one, other = cells[one].model_dump(), cells[other].model_dump()
        return {key for key in one if one[key] != other[key]}

    static, dynamic = cells["static-segment-pair"], cells["segment-pair"]
    assert differing("static-segment-pair", "segment-pair") == {"masking"}
    copies = {"policy": "static", "copies": static.masking.copies}
    assert dynamic.masking.model_copy(update=copies) == static.masking
    assert differing("byte-level", "full-sentences") == {"vocabulary"}
    assert differing("large-160gb-100k", "large-16gb-100k") == {"data"}
    assert differing("large-160gb-300k", "large-160gb-100k") == {"steps"}
    assert differing("large-160gb-500k", "large-160gb-100k") == {"steps"}
    assert differing("batch-2k", "full-sentences") == {"batch", "steps", "optimiser"}


def test_a_cell_may_have_seeds_of_its_own_which_are_all_that_tells_it_from_its_model(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study("demo", replicates=3)
    seeds = {cell: study.config.pretraining_seeds(cell) for cell in study.config.cells}
    assert seeds["full-sentences"] == seeds["doc-sentences"] == [0, 1, 2]
    assert seeds["full-sentences-again"] == [100, 101, 102]
    again = [job.recipe for job in study.pretrain_jobs(["full-sentences-again"])]
    first = [job.recipe for job in study.pretrain_jobs(["full-sentences"])]
    assert again == [{**recipe, "seed": recipe["seed"] + 100} for recipe in first]
    tuned = study.score_jobs(["full-sentences-again"], ["mnli"])
    assert [job.recipe["seeds"] for job in tuned] == [[100], [101], [102]]
    tuned = Study("demo", finetuning_seeds=2).score_jobs(["full-sentences-again"], ["mnli"])
    assert [job.recipe["seeds"] for job in tuned] == [[0, 1]] * 5


def test_two_cells_of_one_recipe_have_no_seed_in_common(edit):
    edit("study.yaml", "cells.full-sentences-again.first_seed", 3)
    assert len(Study("demo", replicates=3).pretrain_jobs(["full-sentences-again"])) == 3
    message = (
        "config/study/cells.yaml: cells.full-sentences-again.first_seed: the same recipe as "
        "cells.full-sentences, and its seed 3"
    )
    with pytest.raises(StudyError) as error:
        Study("demo", replicates=4)
    assert str(error.value) == message
    edit("study.yaml", "cells.full-sentences-again.first_seed", 2**32 - 1)
    with pytest.raises(StudyError, match=r"first_seed: with it seeds go beyond 4294967295$"):
        Study("demo")


def test_shared_cells_are_one_job(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study("paper")
    dynamic = {job.path for job in study.table_jobs("table1")}
    formats = {job.path for job in study.table_jobs("table2")}
    assert len(dynamic & formats) == 3  # segment-pair on three tasks
    assert study.table_cells("table3")[0] == "full-sentences"
    assert "full-sentences" in study.table_cells("table_encoding")


def test_one_grid_point_changes_its_cell_its_selection_and_what_shows_it(edit, monkeypatch):
    before = Study("paper")
    edit("study.yaml", "families.batch-2k.learning_rates", [5e-4, 7e-4, 1e-3])
    after = Study("paper")
    jobs = [job for path, job in after.jobs.items() if path not in before.jobs]
    new = {f"{job.stage} {job.names.get('cell') or job.names['family']}" for job in jobs}
    assert new == {
        "pretrain batch-2k-lr-0.0005",
        "finetune batch-2k-lr-0.0005",
        "minimal_pairs batch-2k-lr-0.0005",
        "selection batch-2k",
    }
    changed = {
        table for table in before.config.tables if before.identity(table) != after.identity(table)
    }
    assert changed == {"table3", "table3_extended", "table_grammar", "table_heldout"}


def test_versions_of_a_part_of_a_stage_leave_the_other_keys(monkeypatch):
    """What changed for pairs, or spans does not train anything else again."""
    monkeypatch.chdir(ROOT)
    study = Study("paper")
    jobs = study.jobs
    assert jobs.samples("doc-sentences", 0).recipe["version"] == 1
    assert jobs.samples("sentence-pair", 0).recipe["version"] == 2
    assert jobs.features("sst2", "doc-sentences").recipe["version"] == 1
    assert jobs.features("squad20", "doc-sentences").recipe["version"] == 2
