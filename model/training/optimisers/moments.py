"""What AdamW and LAMB share: two moments per parameter, and the loss scaler's way to skip updates.

No `torch.optim.Optimizer`: to construct one, or its first step, imports torch._dynamo and all that
compiles, which costs a second of every job and is of no use to an optimiser of fused kernels.
"""

from abc import ABC, abstractmethod
from itertools import compress
from typing import NamedTuple

import torch
from torch import Tensor

from study.cells import Optimiser


class Layers(NamedTuple):
    """Parameters of one group with their gradients, and what is kept of each between updates."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    steps: list[Tensor]  # fp32 scalars: updates, this one included
    means: list[Tensor]
    squares: list[Tensor]


class MomentOptimiser(ABC):
    """An optimiser of groups of parameters, {"params", "weight_decay", "exempt"}.

    A parameter without a gradient is left as it is, and so are its moments and its count of steps.
    """

    # The loss scaler then leaves `grad_scale` and `found_inf` here, and does not look at them.
    _step_supports_amp_scaling = True

    def __init__(self, groups: list[dict], section: Optimiser):
        self.param_groups, self.section = groups, section  # the first named as the scaler asks
        self.learning_rate = section.learning_rate  # of the next step
        # Counts (N,) of a group's parameters; of each its count, a view, and its two moments.
        self.counts = [
            torch.zeros(len(group["params"]), device=group["params"][0].device) for group in groups
        ]
        self.kept = [
            (
                list(counts.unbind()),
                [torch.zeros_like(p) for p in group["params"]],
                [torch.zeros_like(p) for p in group["params"]],
            )
            for group, counts in zip(groups, self.counts, strict=True)
        ]

    def state(self) -> list[dict[str, Tensor]]:
        """What is kept of each parameter, group by group, by the names of torch's AdamW."""
        return [
            {"step": step, "exp_avg": mean, "exp_avg_sq": square}
            for group in self.kept
            for step, mean, square in zip(*group, strict=True)
        ]

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient, unless the loss scaler found it infinite."""
        scale, found = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        for group, counts, kept in zip(self.param_groups, self.counts, self.kept, strict=True):
            gradients = [p.grad for p in group["params"]]
            layers, done = Layers(group["params"], gradients, *kept), 1
            there = [gradient is not None for gradient in gradients]
            if not all(there):
                layers = Layers(*(list(compress(part, there)) for part in layers))
                done = torch.tensor(there, device=counts.device)
            if any(there):
                counts += done
                self.update(group, layers, scale, found)
                if found is not None:
                    counts -= found * done

    @abstractmethod
    def update(
        self, group: dict, layers: Layers, scale: Tensor | None, found: Tensor | None
    ) -> None:
        """Update the layers of a group.

        `scale` is what their gradients are still to be divided by, `found` is 1 where one of all is
        infinite and nothing may change; None stands for 1 and for 0.
        """
