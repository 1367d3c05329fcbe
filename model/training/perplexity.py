"""Held-out losses, perplexity and next-sentence accuracy, with fixed masks and pairs.

In: the module and, per corpus, held-out updates of one micro-batch each. Out: the mean over targets
of each measure (nats, or percent), over all corpora and for each. The same bits on any number of
ranks: every micro-batch is summed on one of them, and the sums are added in one order. RoBERTa
(arXiv 1907.11692) prints the perplexity in its table 3.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from model.training.distributed import Ranks
from model.training.precision import Precision


def heldout_means(
    module: nn.Module,
    corpora: Mapping[str, Sequence],
    measures: Mapping[str, str],
    ranks: Ranks,
    precision: Precision,
) -> dict[str, float]:
    """{measure: mean per target, "measure/corpus": that of one corpus}; NaN without targets.

    `measures` are what `module` sums, each with the loss term whose targets it sums over;
    `corpora[name][i]` is an update as the engine takes it. Every rank gets the same figures.
    """
    # Every micro-batch, by the name of its corpus and its number there.
    parts = [(name, number) for name, updates in corpora.items() for number in range(len(updates))]
    # (micro-batches, measures, 2): sums and numbers of targets; other ranks' rows stay 0 here.
    table = torch.zeros(len(parts), len(measures), 2, dtype=torch.float64, device=ranks.device)
    for row in ranks.dealt(len(parts)):
        name, number = parts[row]
        update = corpora[name][number]
        (micro,) = update.micro_batches
        with torch.no_grad(), precision.autocast():
            sums = module({key: tensor.to(ranks.device) for key, tensor in micro.items()})
        for column, (measure, term) in enumerate(measures.items()):
            table[row, column, 0] = sums[measure]
            table[row, column, 1] = update.counts[term]
    table = ranks.sum(table).cpu()
    means = {}
    for corpus in (None, *corpora):
        rows = [row for row, (name, _) in enumerate(parts) if corpus in (None, name)]
        for measure, (total, count) in zip(measures, table[rows].sum(0).tolist(), strict=True):
            key = measure if corpus is None else f"{measure}/{corpus}"
            means[key] = total / count if count else math.nan
    return means


def perplexity(loss: float) -> float:
    """exp of nats per target; infinite where a float cannot hold it."""
    return math.exp(loss) if loss < 700 else math.inf
