"""Units of several rows that are compared with each other: pronouns and questions (section 5.1).

In: `groups` int64 (U + 1,), the first row of each unit and the end, and the scores of all rows
float64 (R,); in training the scores of a micro-batch as a tensor. Out: each row's share of its
unit, and the losses. Legend: R rows, U units, C rows of the largest unit.
"""

import numpy as np
import torch
from torch import Tensor

from model.network.cross_entropy import weighted_cross_entropy
from model.tasks.features import Features

# Finite, so that an absent row times 0 is 0.
ABSENT = -1e9


def shares(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Softmax of every row (R,) within its unit."""
    sizes = np.diff(groups)
    best = np.repeat(np.maximum.reduceat(scores, groups[:-1]), sizes)
    powers = np.exp(scores - best)
    return powers / np.repeat(np.add.reduceat(powers, groups[:-1]), sizes)


def members_of(features: Features, units: np.ndarray) -> np.ndarray:
    """Rows of units that follow each other: int64 (U, C), -1 where a unit has fewer than C rows."""
    groups = features.arrays["groups"]
    sizes = np.asarray(groups[units + 1] - groups[units])
    places = np.arange(sizes.max())
    rows = (np.cumsum(sizes) - sizes)[:, None] + places
    return np.where(places < sizes[:, None], rows, -1)


def by_unit(scores_R: Tensor, members_UC: Tensor) -> Tensor:
    """Scores (R,) as (U, C), -1e9 where a unit has no row."""
    # index_select has a deterministic backward pass on every device.
    scores_UC = scores_R.index_select(0, members_UC.clamp(min=0).flatten()).view(members_UC.shape)
    return scores_UC.masked_fill(members_UC < 0, ABSENT)


def first_of_unit_loss(scores_UC: Tensor, weights_U: Tensor) -> Tensor:
    """Weighted sum of softmax cross-entropies of every unit's first row against all of its rows.

    With two rows it is the logistic loss of the difference of their scores.
    """
    first_U = torch.zeros(len(scores_UC), dtype=torch.int64, device=scores_UC.device)
    return weighted_cross_entropy(scores_UC, first_U, weights_U)
