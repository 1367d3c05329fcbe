"""A study of one's own that is like another one, and overrides for one call."""

from pathlib import Path

import pytest

from study.errors import StudyError
from study.graph import Study
from study.read import load_study_file

OWN = """
like: config/study.yaml
base: {model: {dropout: 0.2}}
cells:
  rate-30: {like: full-sentences, masking: {rate: 0.3}}
  rate-60: {like: full-sentences, masking: {rate: 0.6}, steps: 7}
tables:
  rates:
    caption: How much to mask
    baseline: rate_15
    columns: [{task: sst2, metric: accuracy, label: SST-2}]
    rows:
      - {id: rate_15, label: 15 %, cell: full-sentences}
      - {id: rate_30, label: 30 %, cell: rate-30}
seeds: {pretraining: [0, 1, 2], finetuning: own}
claims:
  more-is-better:
    statement: It is.
    where: my question
    kind: direction
    table: rates
    rows: [rate_30, rate_15]
    columns: [sst2.accuracy]
"""


def error_of(study="my.yaml", scale="smoke", overrides=()) -> str:
    with pytest.raises(StudyError) as error:
        load_study_file(scale, study, overrides=overrides)
    return str(error.value)


@pytest.mark.parametrize("path", ["my.yaml", "config/my.yaml", "elsewhere/deep/my.yaml"])
def test_a_study_that_is_like_another_one_says_only_what_is_new(edit, path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(OWN)
    study, own = load_study_file("smoke"), load_study_file("smoke", path)
    assert own.tables.keys() - study.tables.keys() == {"rates"}
    assert own.claims.keys() - study.claims.keys() == {"more-is-better"}
    assert own.cells["rate-30"].masking.rate == 0.3
    # The scale's size for the one, its own for the other.
    assert (own.cells["rate-30"].steps, own.cells["rate-60"].steps) == (20, 7)
    assert own.cells["doc-sentences"].model.dropout == 0.2
    assert load_study_file("paper", path).cells["rate-30"].steps == 1_000_000


def test_cells_that_are_shared_keep_their_runs(edit):
    Path("my.yaml").write_text(OWN.replace("base: {model: {dropout: 0.2}}", ""))
    study, own = Study("smoke"), Study("smoke", "my.yaml")
    assert own.result_jobs("rates")[0] == own.jobs.finetune("full-sentences", 0, "sst2", "")
    for job in study.pretrain_jobs(["full-sentences", "batch-2k"]):
        assert own.jobs[job.path].key == job.key
    assert own.identity("table9") == study.identity("table9")


def test_what_it_says_holds_at_every_scale(edit):
    Path("my.yaml").write_text(OWN)
    for scale in ("demo", "smoke", "night", "paper"):
        seeds = load_study_file(scale, "my.yaml").seeds
        assert (seeds.pretraining, seeds.finetuning) == ([0, 1, 2], "own")
    assert load_study_file("demo", "my.yaml", replicates=2).seeds.pretraining == [0, 1]


def test_a_scale_gives_what_it_adds_a_size(edit):
    Path("my.yaml").write_text(OWN)
    Path("config/scales/mine.yaml").write_text(
        "like: smoke\ncells: {rate-30: {steps: 9}, rate-60: {steps: 9}}\n"
    )
    cells = load_study_file("mine", "my.yaml").cells
    assert (cells["rate-30"].steps, cells["rate-60"].steps) == (9, 7)
    assert error_of("config/study.yaml", "mine").startswith(
        "config/scales/mine.yaml: cells.rate-30: not in the study file, where a scale adds nothing"
    )


def test_one_may_be_like_another_and_include_files(edit):
    Path("my.yaml").write_text(OWN)
    Path("parts").mkdir()
    Path("parts/cells.yaml").write_text("cells: {rate-90: {like: rate-30, masking: {rate: 0.9}}}\n")
    Path("next.yaml").write_text("like: my.yaml\ninclude: [parts/cells.yaml]\nbase: {steps: 9}\n")
    cell = load_study_file("smoke", "next.yaml").cells["rate-90"]
    assert (cell.masking.rate, cell.model.dropout, cell.steps) == (0.9, 0.2, 9)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "like: config/stud.yaml",
            "my.yaml: like: config/stud.yaml: no such file beside this one or here",
        ),
        (
            "like: laptop",
            "my.yaml: like: laptop: no such file beside this one or here, and a scale is chosen by "
            "scale=",
        ),
        ("like: [config/study.yaml]", "my.yaml: like: expected a study file, found ['config/"),
        ("like:", "my.yaml: like: expected a study file, found null"),
        ("like: my.yaml", "my.yaml: like: my.yaml is like my.yaml itself"),
        ("like: other.yaml", "other.yaml: like: my.yaml is like my.yaml itself"),
        (
            "like: config/study.yaml\nbase: {stepz: 1}",
            "my.yaml: base.stepz: unknown key, did you mean steps?",
        ),
        (
            "like: config/study.yaml\ncells: {mine: {like: full-sentence}}",
            "my.yaml: cells.mine.like: full-sentence is not in cells, did you mean full-sentences?",
        ),
        (
            "like: config/study.yaml\ncells: {mine: {like: full-sentences}}",
            "my.yaml: cells.mine: the same recipe as cells.full-sentences; use that name",
        ),
        (
            "like: config/study.yaml\nbase: {steps: {x: 1}}",
            "my.yaml: base.steps: a mapping, where the study has 1000000",
        ),
        ("like: config/study.yaml\nseeds: 3", "my.yaml: seeds: expected a mapping, found 3"),
        (
            "like: config/study.yaml\ncells: {batch-2k: null}",
            "my.yaml: cells.batch-2k: expected a mapping, found null",
        ),
        ("like: config/study.yaml\ncells: 3", "my.yaml: cells: expected a mapping, found 3"),
        (
            "like: config/study.yaml\nfinetuning: {all: 3}",
            "my.yaml: finetuning.all: expected a mapping, found 3",
        ),
        (
            "base: {steps: 5}",
            "my.yaml: no folder scales beside it; a file that says only what is new begins with "
            "like: config/study.yaml",
        ),
        # What its model says wrong stands there.
        ("like: wrong.yaml", "wrong.yaml: base.steps: input should be a valid integer"),
    ],
)
def test_what_is_wrong_in_it_is_one_line(edit, text, line):
    Path("my.yaml").write_text(f"{text}\n")
    Path("other.yaml").write_text("like: my.yaml\n")
    Path("wrong.yaml").write_text("like: config/study.yaml\nbase: {steps: many}\n")
    assert error_of().startswith(line)


def test_cells_that_a_common_change_makes_equal_are_accepted(edit):
    Path("my.yaml").write_text("like: config/study.yaml\nbase: {masking: {rate: 0.4}}\n")
    cells = load_study_file("smoke", "my.yaml").cells
    assert cells["mask-15"] == cells["mask-40"]
    cells = load_study_file("smoke", overrides=["base.masking.rate=0.4"]).cells
    assert cells["mask-15"] == cells["mask-40"]


def test_overrides_land_in_the_recipe_and_win(edit):
    plain = Study("smoke")
    changed = Study("smoke", overrides=["base.masking.rate=0.4", " base.steps=9"])
    cell = changed.config.cells["doc-sentences"]
    assert (cell.masking.rate, cell.steps) == (0.4, 9)
    recipe = changed.jobs.pretrain("doc-sentences", 0).recipe
    assert (recipe["masking"]["rate"], recipe["steps"]) == (0.4, 9)
    assert changed.config.about == f"{plain.config.about}, with base.masking.rate=0.4, base.steps=9"
    assert changed.identity("table2") != plain.identity("table2")
    same = Study("smoke", overrides=["base.steps=20"])  # no recipe changes
    assert same.jobs.keys() == plain.jobs.keys()  # each names its key
    assert same.identity("table2") != plain.identity("table2")


@pytest.mark.parametrize(
    ("override", "section", "value"),
    [
        ("seeds.pretraining=[3, 4]", ["seeds", "pretraining"], [3, 4]),
        ("seeds.finetuning=own", ["seeds", "finetuning"], "own"),
        ("base.batch={sequences: 4}", ["cells", "doc-sentences", "batch", "sequences"], 4),
        ("base.steps=0x10", ["cells", "doc-sentences", "steps"], 16),
        ("base.optimiser.decay_all=true", ["cells", "blocks", "optimiser", "decay_all"], True),
        ("tables.table2.baseline=doc_sentences", ["tables", "table2", "baseline"], "doc_sentences"),
        ("finetuning.all.default.epochs=3", ["finetuning", "bert", "sst2", "epochs"], 3),
        ("finetuning.bert.sst2.epochs=3", ["finetuning", "bert", "sst2", "epochs"], 3),
        (
            "base.steps=5 families.batch-256.learning_rates=[1e-3, 4e-3] base.length=32",
            ["families", "batch-256", "learning_rates"],
            [1e-3, 4e-3],
        ),
    ],
)
def test_overrides_are_typed_as_in_the_files(edit, override, section, value):
    found = load_study_file("smoke", overrides=[override])
    for part in section:
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("base.masking.rat=0.4", "base.masking.rat: unknown key, did you mean rate?"),
        ("bas.steps=4", "bas: unknown key, did you mean base?"),
        (
            "cells.full-sentence.steps=4",
            "cells.full-sentence: not in the study, where an override adds nothing, did you mean "
            "full-sentences?",
        ),
        ("base.steps=many", "base.steps: input should be a valid integer, found 'many'"),
        ("base.steps=", "base.steps: input should be a valid integer, found null"),
        ("base.steps.x=1", "base.steps: a mapping, where the study has 20"),
        ("base.masking=1", "base.masking: expected a mapping, found 1"),
        ("base.steps", "expected KEY=VALUE, like base.masking.rate=0.4, found 'base.steps'"),
        ("=4", "expected KEY=VALUE, like base.masking.rate=0.4, found '=4'"),
        ("base..steps=4", "expected KEY=VALUE, like base.masking.rate=0.4, found 'base..steps=4'"),
        ("", "expected KEY=VALUE, like base.masking.rate=0.4, found ''"),
    ],
)
def test_a_wrong_override_is_one_line(edit, override, line):
    assert error_of("config/study.yaml", overrides=[override]) == f"--set: {line}"


def test_of_an_override_that_is_no_yaml_the_line_names_the_key(edit):
    assert error_of("config/study.yaml", overrides=["base.steps=["]).startswith(
        "--set base.steps: line 1: "
    )
