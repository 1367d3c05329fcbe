"""A kind of task is one object and its line in the study's table: a new one runs through."""

import finetune_toy
import numpy as np
import pyarrow.parquet as pq
from torch.nn import functional

from model.network.finetuning import HeadModel
from model.tasks.columns import Examples
from model.tasks.features import Rows, add_texts
from model.tasks.kind import Average, Kind
from model.tasks.kinds import KINDS
from model.tasks.scoring import in_order, score_columns
from study.kinds import KIND_FACTS, KindFacts
from study.recipes import RecipeTask


def read(split, task, labelled):
    return Examples(split.ids, [split.texts("first")], split.classes("label", 2))


def build(examples, vocabulary, task, length, train):
    rows = Rows(vocabulary, task, length)
    add_texts(rows, examples.columns)
    return rows.finish(examples, {"positive": int(examples.labels.sum())})


def targets(features, task, units):
    signs = 2.0 * features.arrays["labels"][units] - 1
    return {"sign": len(units)}, {"signs": signs.astype(np.float32)}


def loss(task, predicted, micro):
    margins = predicted["logits"][:, 0] * micro["signs"]
    return {"sign": -(functional.logsigmoid(margins) * micro["weights"]).sum()}


def score(features, task, batches):
    scores = in_order(batches, "logits")[:, 0]
    columns = {"prediction": (scores > 0).astype(np.int64), "score": scores}
    return score_columns(features, task, columns, bool(np.isfinite(scores).all()))


SIGN = Kind(
    read=read,
    build=build,
    network=HeadModel,
    targets=targets,
    loss=loss,
    score=score,
    average=Average("score", lambda mean, columns: (mean > 0).astype(np.int64)),
)


def rows(draw, count):
    """The text is about a dog or not."""
    made = finetune_toy.pair_rows(draw, count)
    return {"first": made["second"], "label": made["label"], "idx": made["idx"]}


def test_a_new_kind_needs_nothing_but_its_object(tmp_path, monkeypatch):
    monkeypatch.setitem(KIND_FACTS, "sign", KindFacts(metrics=("accuracy", "f1")))
    monkeypatch.setitem(KINDS, "sign", SIGN)
    task = {"kind": "sign", "metrics": ["accuracy", "f1"]}
    monkeypatch.setitem(finetune_toy.TASKS, "signs", (rows, task))
    study = finetune_toy.Study(tmp_path, "signs", splits=[("more_dev", "other", "other")])
    result = study.finetune()["0"]
    assert result["metrics"]["accuracy"] > 95
    assert RecipeTask(**study.recipe["task"]).reported_metrics == tuple(result["metrics"])
    found = pq.read_table(study.seed_files(0)["predictions.parquet"])
    assert found.column_names == ["id", "label", "prediction", "score"]
