"""Held-out loss and perplexity with fixed masks (RoBERTa, arXiv 1907.11692, table 3).

In: the module and, per corpus, held-out updates of one micro-batch each. Out: nats per target of
each loss term, over all corpora and for each. The same bits on any number of ranks: every
micro-batch is summed on one of them, and the sums are added in one order.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from model.training.distributed import Ranks
from model.training.precision import Precision


def heldout_losses(
    module: nn.Module,
    corpora: Mapping[str, Sequence],
    terms: Sequence[str],
    ranks: Ranks,
    precision: Precision,
) -> dict[str, float]:
    """{term: nats per target, "term/corpus": the same for one corpus}; NaN without targets.

    `corpora[name][i]` is an update as the engine takes it. Every rank gets the same figures.
    """
    # Every micro-batch, by the name of its corpus and its number there.
    parts = [(name, number) for name, updates in corpora.items() for number in range(len(updates))]
    # (micro-batches, terms, 2): sums and numbers of targets; other ranks' rows stay 0 here.
    table = torch.zeros(len(parts), len(terms), 2, dtype=torch.float64, device=ranks.device)
    for row in ranks.dealt(len(parts)):
        name, number = parts[row]
        update = corpora[name][number]
        (micro,) = update.micro_batches
        with torch.no_grad(), precision.autocast():
            sums = module({key: tensor.to(ranks.device) for key, tensor in micro.items()})
        for column, term in enumerate(terms):
            table[row, column, 0] = sums[term]
            table[row, column, 1] = update.counts[term]
    table = ranks.sum(table).cpu()
    losses = {}
    for corpus in (None, *corpora):
        rows = [row for row, (name, _) in enumerate(parts) if corpus in (None, name)]
        for term, (total, count) in zip(terms, table[rows].sum(0).tolist(), strict=True):
            key = term if corpus is None else f"{term}/{corpus}"
            losses[key] = total / count if count else math.nan
    return losses


def perplexity(loss: float) -> float:
    """exp of nats per target; infinite where a float cannot hold it."""
    return math.exp(loss) if loss < 700 else math.inf
