"""AdamW (arXiv 1711.05101): decoupled decay, bias correction, epsilon outside the square root."""

import torch

from study.cells import Optimiser


def make(groups: list[dict], section: Optimiser) -> torch.optim.Optimizer:
    """AdamW over the groups; fused, so that a step is one kernel and never waits."""
    return torch.optim.AdamW(
        groups,
        lr=section.learning_rate,
        betas=(section.beta1, section.beta2),
        eps=section.eps,
        fused=True,
    )
