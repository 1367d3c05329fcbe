"""What the configuration says once: passes, common tasks, shared settings, executions, files."""

from pathlib import Path

import pytest

from study.errors import StudyError
from study.read import load_study_file

CELLS, TASKS = "config/study/cells.yaml", "config/study/tasks.yaml"
PAPER, SMOKE = "config/scales/paper.yaml", "config/scales/smoke.yaml"


def error_of(scale: str = "paper", study: str = "config/study.yaml") -> str:
    with pytest.raises(StudyError) as error:
        load_study_file(scale, study)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "cell", "steps"),
    [
        ({}, "batch-2k", 125_000),
        ({"cells.batch-2k.passes": 0.3}, "batch-2k", 37_500),
        # 31,250 and 4 x that; what is like a cell has its passes, not its rounded steps.
        ({"cells.batch-2k.passes": 0.3}, "batch-8k-128-epochs", 37_500),
        ({"base.steps": 1000}, "batch-8k", 31),
        ({"base.steps": 1000}, "batch-8k-128-epochs", 125),
        # An update of the cell sees twice the tokens.
        (
            {"cells.batch-2k.length": 1024, "cells.batch-2k.model.positions": 1024},
            "batch-2k",
            62_500,
        ),
        ({"cells.batch-2k.passes": None, "cells.batch-2k.steps": 7}, "batch-2k-64-epochs", 14),
        ({"cells.base-160gb-500k.batch.sequences": 256}, "base-160gb-500k", 500_000),
    ],
)
def test_passes_give_steps(edit, changes, cell, steps):
    for keys, value in changes.items():
        edit("study.yaml", keys, value)
    assert load_study_file("paper").cells[cell].steps == steps


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (
            "study.yaml",
            {"cells.batch-2k.steps": 9},
            f"{CELLS}: cells.batch-2k.passes: steps are there as well; one of them says how long "
            "it trains",
        ),
        (
            "scales/paper.yaml",
            {"cells.batch-2k.passes": "2"},
            f"{PAPER}: cells.batch-2k.passes: expected a number above 0, found '2'",
        ),
        (
            "study.yaml",
            {"cells.batch-2k.passes": 0},
            f"{CELLS}: cells.batch-2k.passes: expected a number above 0, found 0",
        ),
        (
            "study.yaml",
            {"cells.batch-2k.data": ["wiki"]},
            f"{CELLS}: cells.batch-2k.passes: counts those of base, which has another data; write "
            "steps",
        ),
        (
            "study.yaml",
            {"cells.batch-8k.vocabulary": "byte-50k"},
            f"{CELLS}: cells.batch-8k.passes: counts those of batch-2k, which has another "
            "vocabulary; write steps",
        ),
        (
            "study.yaml",
            {"cells.batch-2k.batch.unit": "sequences"},
            f"{CELLS}: cells.batch-2k.passes: counts those of base, which has another batch.unit; "
            "write steps",
        ),
        (
            "study.yaml",
            {"base.batch.sequences": "many"},
            f"{CELLS}: base.batch.sequences: input should be a valid integer, found 'many'",
        ),
        (
            "study.yaml",
            {"base.passes": 2},
            f"{CELLS}: base.passes: those of cells count its own; write steps",
        ),
        (
            "study.yaml",
            {"cells.batch-2k.pases": 2},
            f"{CELLS}: cells.batch-2k.pases: unknown key, did you mean passes?",
        ),
        (
            "scales/paper.yaml",
            {"include": ["study/cells.yaml"]},
            f"{PAPER}: include: unknown key",
        ),
        (
            "study.yaml",
            {"cells.batch-2k.passes": 1e-9},
            f"{CELLS}: cells.batch-2k.passes: less than one update",
        ),
        (
            "study.yaml",
            {"task_bases.glue.kind": "tagging"},
            f"{TASKS}: task_bases.glue.kind: input should be 'classification', ",
        ),
        (
            "study.yaml",
            {"task_bases.glue-pair.like": "glu"},
            f"{TASKS}: task_bases.glue-pair.like: glu is not in tasks, did you mean glue?",
        ),
        (
            "study.yaml",
            {"execution.like": "tpu"},
            "config/study.yaml: execution.like: tpu is not in executions, did you mean",
        ),
        (
            "study.yaml",
            {"executions.gpu.training.precision": "fp8"},
            "config/study.yaml: executions.gpu.training.precision: input should be 'fp32', ",
        ),
        (
            "scales/paper.yaml",
            {"executions": {"tpu": {}}},
            f"{PAPER}: executions.tpu: not in the study file, where a scale adds nothing, did you "
            "mean gpu?",
        ),
        (
            "scales/paper.yaml",
            {"finetuning.all.default.dropout": 1.0},
            f"{PAPER}: finetuning.all.default.dropout: input should be less than 1, found 1.0",
        ),
        (
            "study.yaml",
            {"finetuning.all": [1]},
            "config/study/finetuning.yaml: finetuning.all: expected a mapping, found [1]",
        ),
    ],
)
def test_mistakes_name_the_file_and_the_key_that_say_it(edit, file, changes, message):
    for keys, value in changes.items():
        edit(file, keys, value)
    assert error_of().startswith(message)


def test_a_source_is_a_delta_unless_it_is_another_one(edit):
    glue = load_study_file("paper").tasks["mnli"].source
    assert (glue.repo, glue.config, glue.revision[:6]) == ("nyu-mll/glue", "mnli", "bcdcba")
    edit("scales/paper.yaml", "task_bases.glue.source", {"revision": "main"})
    edit("scales/paper.yaml", "tasks.rte.source", {"folder": "/data/rte"})
    edit("scales/paper.yaml", "tasks.cola.source", {"repo": "own/cola", "config": "all"})
    edit("scales/paper.yaml", "tasks.qqp.source", {"generated": "qqp", "seed": 1, "sizes": {}})
    sizes = {"train": 9, "validation": 5, "test": 5}
    edit("scales/paper.yaml", "tasks.qqp.source.sizes", sizes)
    tasks = load_study_file("paper").tasks
    dumped = {name: task.source.model_dump(exclude_none=True) for name, task in tasks.items()}
    assert dumped["mnli"] == {"repo": "nyu-mll/glue", "config": "mnli", "revision": "main"}
    assert dumped["rte"] == dumped["rte_from_mnli"] == {"folder": "/data/rte"}
    assert dumped["cola"] == {"repo": "own/cola", "config": "all"}
    assert dumped["qqp"] == {"generated": "qqp", "seed": 1, "sizes": sizes}


def test_the_splits_that_a_task_names_are_all_that_it_has(edit):
    edit("study.yaml", "tasks.rte.test", {"other": "test"})
    tasks = load_study_file("paper").tasks
    assert (tasks["rte"].test, tasks["mrpc"].test) == ({"other": "test"}, {"test": "test"})
    assert list(tasks["mnli"].test) == ["matched", "mismatched", "ax"]


def test_what_a_scale_says_of_all_recipes_counts_before_what_the_study_says_of_one(edit):
    edit("scales/paper.yaml", "finetuning.all", {"race": {"batch": 4}, "default": {"epochs": 1}})
    edit("scales/paper.yaml", "finetuning.bert", {"race": {"batch": 2}})
    recipes = load_study_file("paper").finetuning
    assert (recipes["bert"]["race"].batch, recipes["roberta"]["race"].batch) == (2, 4)
    assert (recipes["bert"]["rte"].epochs, recipes["roberta"]["rte"].epochs) == (1, 1)
    assert recipes["roberta"]["race"].epochs == 4  # of one task, before what is said of all


def test_an_execution_is_like_a_named_one(edit):
    edit("scales/paper.yaml", "execution.training", {"precision": "fp16", "processes": 2})
    edit("scales/paper.yaml", "execution.finetune", {"processes": 1})
    plan = load_study_file("paper").execution
    assert (plan.pretrain.processes, plan.finetune.processes) == (2, 1)
    assert (plan.pretrain.precision, plan.finetune.precision) == ("fp16", "fp16")
    assert (plan.pretrain.compile, plan.finetune.compile) == (True, False)
    edit("scales/paper.yaml", "execution", {"like": "cpu"})
    plan = load_study_file("paper").execution
    assert plan.pretrain == plan.finetune and plan.pretrain.device == "cpu"


def test_a_study_of_ones_own_includes_the_files_that_it_shares(edit):
    text = Path("config/study.yaml").read_text()
    own = Path("config/own.yaml")
    own.write_text(f"{text}cells: {{heavy-mask: {{masking: {{rate: 0.5}}}}}}\n")
    assert load_study_file("paper", own).cells["heavy-mask"].masking.rate == 0.5
    own.write_text(f"{text}cells: {{batch-2k: {{steps: 3}}}}\n")
    assert error_of(study="config/own.yaml") == (
        "config/own.yaml: cells.batch-2k: another file of the study has it too"
    )
    own.write_text(text.replace("study/tasks.yaml", "study/task.yaml"))
    assert error_of(study="config/own.yaml") == "config/study/task.yaml: No such file or directory"
    own.write_text(text.replace("include: [", "include: [1, "))
    assert error_of(study="config/own.yaml").startswith(
        "config/own.yaml: include: expected a list of files, found [1, "
    )


MINE = Path("config/scales/mine.yaml")


def test_a_scale_is_a_delta_on_the_scale_that_it_is_like(edit):
    MINE.write_text(
        "like: smoke\n"
        "about: my own\n"
        "base: {steps: 40, model: {layers: 3}}\n"
        "cells: {batch-2k: {batch: {sequences: 24}}}\n"
        "families: {batch-2k: {learning_rates: [2e-3, 3e-3]}}\n"
        "finetuning: {all: {default: {epochs: 2}}}\n"
        "seeds: {pretraining: [0, 1]}\n"
    )
    Path("config/scales/wider.yaml").write_text("like: mine\nbase: {model: {hidden: 48}}\n")
    smoke, mine, wider = map(load_study_file, ("smoke", "mine", "wider"))
    base = mine.cells["full-sentences"]
    assert (base.steps, base.model.layers, base.model.hidden) == (40, 3, 32)
    assert mine.cells["batch-2k"].batch.sequences == 24
    assert mine.cells["batch-8k"] == smoke.cells["batch-8k"].model_copy(
        update={
            "steps": 10,  # equal passes over the data: a quarter of 40
            "model": base.model,
        }
    )
    assert list(mine.families["batch-2k"].members) == [2e-3, 3e-3]
    assert mine.families["batch-8k"] == smoke.families["batch-8k"]
    assert mine.finetuning["bert"]["mnli"].epochs == 2
    assert mine.finetuning["bert"]["mnli"].learning_rate == 1e-3
    assert (mine.seeds.pretraining, mine.seeds.finetuning) == ([0, 1], [0, 1])
    model = wider.cells["full-sentences"].model
    assert (model.layers, model.hidden, wider.about) == (3, 48, "my own")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("like: smok", "config/scales/mine.yaml: like: smok is not in scales, did you mean smoke?"),
        ("like: [smoke]", "config/scales/mine.yaml: like: expected a name, found ['smoke']"),
        ("like:", "config/scales/mine.yaml: like: expected a name, found null"),
        ("like: mine", "config/scales/mine.yaml: like: mine is like mine itself"),
        ("like: other", "config/scales/other.yaml: like: mine is like other itself"),
        # What is wrong stands where it was written.
        (
            "like: smoke\nbase: {stepz: 1}",
            "config/scales/mine.yaml: base.stepz: unknown key, did you mean steps?",
        ),
        (
            "like: smoke\nbase: {model: {heads: 3}}",
            "config/scales/mine.yaml: base.model: hidden 32",
        ),
        (
            "like: smoke\ncells: {batch-2k: {batch: 3}}",
            "config/scales/mine.yaml: cells.batch-2k.batch: expected a mapping, found 3",
        ),
        ("like: smoke\ntables: {}", "config/scales/mine.yaml: tables: a scale changes sizes;"),
        ("like: wrong", "config/scales/wrong.yaml: base.steps: input should be a valid integer"),
    ],
)
def test_what_a_scale_is_like_and_says_is_refused_in_its_own_file(edit, text, line):
    MINE.write_text(f"{text}\n")
    Path("config/scales/other.yaml").write_text("like: mine\n")
    Path("config/scales/wrong.yaml").write_text("like: smoke\nbase: {steps: many}\n")
    assert error_of("mine").startswith(line)
