"""AdamW and its learning rate, as the recipe's `optimiser` section says.

Paper: RoBERTa (arXiv 1907.11692) sections 2.4 and 3.1, table 9: decoupled decay, bias correction,
epsilon outside the square root, linear warm-up to the peak and linear decay to 0, no clipping.
"""

from collections.abc import Mapping

import torch
from torch import nn

from study.errors import StudyError

FIELDS = (
    "learning_rate",
    "beta1",
    "beta2",
    "eps",
    "weight_decay",
    "decay_all",
    "clip_norm",
    "warmup",
    "schedule",
)


def check_optimiser(optimiser: Mapping) -> None:
    """StudyError unless the section has exactly the known fields and a known schedule."""
    for name in optimiser:
        if name not in FIELDS:
            raise StudyError(f"recipe: field optimiser.{name}: unknown")
    for name in FIELDS:
        if name not in optimiser:
            raise StudyError(f"recipe: field optimiser.{name}: missing")
    if optimiser["schedule"] != "linear":
        raise StudyError(
            f"recipe: field optimiser.schedule: expected linear, found {optimiser['schedule']!r}"
        )


def learning_rate(step: int, steps: int, optimiser: Mapping) -> float:
    """Learning rate of update `step` (1 .. `steps`): a pure function, so it survives a resume.

    It rises linearly over the first round(warmup * steps) updates, reaches the peak at the last of
    them, and falls linearly to 0 at the last update. An only update has the peak: at 0 it would
    train nothing.
    """
    peak = optimiser["learning_rate"]
    warmup = round(optimiser["warmup"] * steps)
    if step <= warmup:
        return peak * step / warmup
    if steps == 1:
        return peak
    return peak * (steps - step) / (steps - warmup)


def parameter_groups(module: nn.Module, weight_decay: float, decay_all: bool) -> list[dict]:
    """Two groups of trainable parameters: decayed, and biases and LayerNorms, which are not.

    A tied parameter is in one group, once. With `decay_all` (fairseq) everything is decayed.
    """
    decayed, exempt, seen = [], [], set()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter in seen or not parameter.requires_grad:
                continue
            seen.add(parameter)
            spared = name == "bias" or isinstance(owner, nn.LayerNorm)
            (exempt if spared and not decay_all else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_adamw(module: nn.Module, optimiser: Mapping) -> torch.optim.AdamW:
    """AdamW over the module's parameters; fused, so that a step is one kernel and never waits."""
    check_optimiser(optimiser)
    return torch.optim.AdamW(
        parameter_groups(module, optimiser["weight_decay"], optimiser["decay_all"]),
        lr=optimiser["learning_rate"],
        betas=(float(optimiser["beta1"]), float(optimiser["beta2"])),  # a recipe writes 0, not 0.0
        eps=optimiser["eps"],
        fused=True,
    )


def set_learning_rate(adamw: torch.optim.AdamW, value: float) -> None:
    """Give every group the learning rate of the coming update."""
    for group in adamw.param_groups:
        group["lr"] = value
