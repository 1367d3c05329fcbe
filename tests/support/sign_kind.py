"""A toy kind of task as the module that a new kind would be: yes or no, by a logistic loss."""

import numpy as np
from torch.nn import functional

from model.network.finetuning import HeadModel
from model.tasks.columns import Examples
from model.tasks.features import Rows, add_texts
from model.tasks.kind import Average, Kind
from model.tasks.scoring import in_order, score_columns


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


AVERAGE = Average("score", lambda mean, columns: (mean > 0).astype(np.int64))
KIND = Kind(read, build, HeadModel, targets, loss, score, AVERAGE)
