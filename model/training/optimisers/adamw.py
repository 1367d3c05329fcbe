"""AdamW (arXiv 1711.05101): decoupled decay, bias correction, epsilon outside the square root."""

from collections.abc import Mapping

import torch


def make(groups: list[dict], section: Mapping) -> torch.optim.Optimizer:
    """AdamW over the groups; fused, so that a step is one kernel and never waits."""
    return torch.optim.AdamW(
        groups,
        lr=section["learning_rate"],
        betas=(float(section["beta1"]), float(section["beta2"])),  # a recipe writes 0, not 0.0
        eps=section["eps"],
        fused=True,
    )
