"""What jobs will take follows from what their like took."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.jobs import Job
from study.pace import Paces, work_of

MODEL = {"layers": 2, "hidden": 8, "ffn": 16}
PER_TOKEN = 2 * (4 * 8 * 8 + 2 * 8 * 16)


def vocabulary():
    return Job("vocabulary", {"vocabulary": "v"}, {"size": 100}, {}, "v", "v.json")


def pretrain(cell="a", seed=0, steps=10):
    recipe = {
        "steps": steps,
        "batch": {"sequences": 4},
        "format": {"length": 16},
        "masking": {"rate": 0.25},
        "model": MODEL,
    }
    return Job(
        "pretrain",
        {"cell": cell, "seed": seed},
        recipe,
        {"vocabulary": [vocabulary()]},
        "p",
        f"{cell}-{seed}.json",
    )


def finetune(tmp_path, task="sst2", cell="a", seed=0, tokens=1000, rows=100):
    path = tmp_path / f"{task}.json"
    path.write_text(json.dumps({"figures": {"train": {"tokens": tokens, "rows": rows}}}))
    features = Job("features", {"task": task, "cell": "a"}, {}, {}, "f", str(path))
    return Job(
        "finetune",
        {"cell": cell, "seed": seed, "task": task, "setting": ""},
        {
            "seeds": [0, 1],
            "settings": {"epochs": 3, "batch": 5},
            "task": {
                **{"kind": "classification", "name": task, "texts": ["text"], "label": "label"},
                **{"labels": 2, "metrics": ["accuracy"], "separators": 1},
            },
        },
        {"pretrain": [pretrain(cell, seed)], "features": [features]},
        "t",
        f"{cell}-{seed}-{task}.json",
    )


def test_work_is_the_arithmetic_and_the_updates_of_all_epochs_and_seeds(tmp_path):
    assert work_of(pretrain()) == (10 * 4 * 16 * (PER_TOKEN + 0.25 * 8 * 100), 10)
    assert work_of(finetune(tmp_path)) == (2 * 3 * 1000 * PER_TOKEN, 2 * 3 * 100 / 5)
    assert work_of(vocabulary()) is None


def test_without_features_nothing_tells_the_work_of_a_finetuning(tmp_path):
    job = finetune(tmp_path)
    (tmp_path / "sst2.json").unlink()
    assert work_of(job) is None
    paces = Paces()
    paces.add(pretrain(), 10.0)
    assert paces.expected(job) is None


def test_nothing_is_expected_while_nothing_is_measured():
    paces = Paces()
    assert paces.expected(pretrain()) is None
    paces.add(vocabulary(), 5.0)
    assert paces.expected(pretrain()) is None
    assert paces.expected(vocabulary()) == 5.0


def test_the_same_cell_tells_first_then_equal_work_then_arithmetic(tmp_path):
    paces = Paces()
    paces.add(pretrain("slow", 0), 30.0)
    paces.add(pretrain("fast", 0), 10.0)
    assert paces.expected(pretrain("slow", 1)) == 30.0
    assert paces.expected(pretrain("other", 0)) == 20.0
    # Relative errors count: 15 s are half of 30 s too few and of 10 s too many.
    assert paces.expected(pretrain("long", 0, steps=50)) == pytest.approx(5 * 12.0)
    paces.add(finetune(tmp_path, "sst2"), 4.0)
    assert paces.expected(finetune(tmp_path, "sst2", seed=1)) == 4.0


@given(product=st.floats(1e-9, 1e-5), update=st.floats(1e-4, 1.0))
def test_what_a_product_and_an_update_cost_is_found_from_two_trainings(
    tmp_path_factory, product, update
):
    """Whichever they are: a third one, of other rows, takes what it must."""
    folder, paces = tmp_path_factory.mktemp("pace"), Paces()

    def takes(job):
        products, updates = work_of(job)
        return product * products + update * updates

    for job in (pretrain(), finetune(folder, "sst2")):
        paces.add(job, takes(job))
    other = finetune(folder, "mnli", tokens=9000, rows=300)
    assert paces.expected(other) == pytest.approx(takes(other), rel=1e-3)


def test_what_is_added_to_a_copy_is_not_added_to_the_first():
    paces = Paces()
    paces.copy().add(pretrain(), 10.0)
    assert paces.expected(pretrain()) is None
