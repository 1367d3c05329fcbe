"""The stages features and finetune on the kinds that compare rows: wsc and ranking."""

import json

import finetune_toy
import numpy as np
import pyarrow.parquet as pq
import pytest

from language.write import task_table
from model.stages import finetune
from model.tasks.kinds.ranking import decide_ranking
from model.tasks.kinds.wsc import decide_pronouns
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest

NAMES = ["the cat", "the dog", "a mat"]


def schema_rows(draw, count):
    """The cat sits, the dog is in, a mat is on: what follows the pronoun tells the referent."""
    rows = []
    for _ in range(count):
        right, other = draw.sample(NAMES, 2)
        label = draw.randrange(2)
        first, second = draw.sample([right, other], 2)
        said = {"the cat": "sat", "the dog": "in", "a mat": "on"}[right]
        query = right if label else other
        text = f"{first} , {second} . it {said} ."
        rows.append((text, query, text.split().index(query.split()[0]), "it", 6, label))
    names = ("text", "span1_text", "span1_index", "span2_text", "span2_index", "label")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def question_rows(draw, count):
    """Of the two or three sentences of a question the one with the cat answers; every eighth
    question has none."""
    rows = []
    for number in range(count // 3):
        labels = [1, 1] if number % 8 == 7 else [0, 1, 1][: 2 + number % 2]
        for label in draw.sample(labels, len(labels)):
            about = draw.choice(["dog", "mat"]) if label else "cat"
            sentence = " ".join([*finetune_toy.words(draw, 3), about])
            rows.append((f"who {number} ?", sentence, label))
    questions, sentences, labels = (list(column) for column in zip(*rows, strict=True))
    return {"question": questions, "sentence": sentences, "label": labels}


WSC = {
    "kind": "wsc", "candidates": "rules", "loss": "cross-entropy", "metrics": ["accuracy"]
}  # fmt: skip
TASKS = {
    "wsc": (schema_rows, WSC),
    "wsc_margin": (schema_rows, WSC | {"loss": "margin", "alpha": 1.0, "beta": 0.0}),
    "ranking": (
        question_rows,
        {
            "kind": "ranking",
            "texts": ["question", "sentence"],
            "label": "label",
            "mined": 1,
            "metrics": ["accuracy"],
        },
    ),
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Function that makes the study of a task, with changed settings."""
    for name, task in TASKS.items():
        monkeypatch.setitem(finetune_toy.TASKS, name, task)
    return lambda name, **changes: finetune_toy.Study(tmp_path, name, **changes)


def predictions(study):
    return {
        name: np.array(values)
        for name, values in pq.read_table(study.seed_files(0)["predictions.parquet"])
        .to_pydict()
        .items()
    }


@pytest.mark.parametrize("name", ["wsc", "wsc_margin"])
def test_referents_are_learned(study, name, tmp_path):
    made = study(name, segments=name == "wsc", epochs=12)
    result = made.finetune()["0"]
    assert result["metrics"]["accuracy"] > 95
    assert result["fresh_tensors"] == []
    found = predictions(made)
    assert list(found) == ["id", "label", "prediction", "margin", "probability"]
    assert np.array_equal(decide_pronouns(found["margin"]), found["prediction"])
    right = np.mean(found["label"] == found["prediction"])
    assert 100 * right == pytest.approx(result["metrics"]["accuracy"])
    figures = load_manifest(made.path("features"), key=key_of(made.features)).figures
    assert figures["dev"]["majority"] < 70
    assert figures["train"]["candidates_from"] == "rules"
    assert load_manifest(made.path("finetune")).figures["majority"] == figures["dev"]["majority"]


def test_answers_are_learned_and_decided_within_the_question(study):
    made = study("ranking")
    result = made.finetune()["0"]
    # Four of the 76 rows are the best of a question without an answer.
    assert result["metrics"]["accuracy"] == pytest.approx(100 * 72 / 76)
    found = predictions(made)
    assert list(found) == ["id", "label", "prediction", "question", "score", "probability"]
    assert found["id"].tolist() == [str(row) for row in range(len(found["id"]))]
    decided = decide_ranking(found["probability"], found["question"])
    assert np.array_equal(decided, found["prediction"])
    figures = load_manifest(made.path("features"), key=key_of(made.features)).figures
    assert figures["train"]["questions"] == 85
    assert figures["train"]["left_out"] == {
        "no_answer": 10,
        "several_answers": 0,
        "no_other_sentence": 0,
    }


def test_seeds_share_a_process_and_micro_batches_change_nothing(study):
    made = study("wsc", epochs=1)
    first = made.finetune(seeds=[0, 1])
    assert set(first) == {"0", "1"}
    kept = predictions(made)["margin"]
    made.path("finetune").unlink()
    (made.folder / "finetune" / "seed-0.json").unlink()
    execution = json.dumps({"tensorboard": False, "micro_batch_tokens": 64})
    recipe = made.recipe | {"seeds": [0]}
    stages = {name: name for name in ("pretrain", "features", "vocabulary")}
    for path in (made.folder / "finetune").iterdir():
        path.rename(made.folder / f"old-{path.name}")
    made.run(finetune, recipe, "--execution", execution, **stages)
    assert predictions(made)["margin"] == pytest.approx(kept, abs=2e-4)


def test_generated_schemas_have_their_two_things_as_candidates(study, monkeypatch):
    """Every generated example names two things: one is asked for, the other competes."""

    def generated(draw, count):
        return task_table("wsc", 0, "train", count).to_pydict()

    monkeypatch.setitem(finetune_toy.TASKS, "wsc", (generated, WSC))
    made = study("wsc")
    figures = load_manifest(made.path("features"), key=key_of(made.features)).figures
    assert figures["dev"]["without_candidates"] == figures["dev"]["pronouns_moved"] == 0
    assert figures["train"]["rows"] > 2 * 128


@pytest.mark.parametrize("name", ["wsc", "ranking"])
def test_a_split_without_labels_is_predicted(study, name):
    made = study(name, splits=[("test", "hidden", "test")], epochs=1)
    result = made.finetune()["0"]
    assert list(result["metrics"]) == ["accuracy"]
    rows = pq.read_table(made.seed_files(0)["predictions-test-hidden.parquet"]).to_pydict()
    assert "label" not in rows and set(rows["prediction"]) <= {0, 1}


@pytest.mark.parametrize("column", ["span2_index", "span1_text"])
def test_missing_columns_are_one_line(study, monkeypatch, column):
    def without(draw, count):
        return {name: row for name, row in schema_rows(draw, count).items() if name != column}

    monkeypatch.setitem(finetune_toy.TASKS, "wsc", (without, WSC))
    with pytest.raises(StudyError, match=f"no column {column}; it has"):
        study("wsc")


def test_a_ranking_needs_two_texts(study, monkeypatch):
    one = TASKS["ranking"][1] | {"texts": ["question"]}
    monkeypatch.setitem(finetune_toy.TASKS, "ranking", (question_rows, one))
    with pytest.raises(StudyError, match="field task: kind ranking needs 2 texts, found 1"):
        study("ranking")
