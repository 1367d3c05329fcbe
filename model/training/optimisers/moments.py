"""What AdamW and LAMB share: two moments per parameter, and the loss scaler's way to skip updates.

No `torch.optim.Optimizer`: to construct one, or its first step, imports torch._dynamo and all that
compiles, which costs a second of every job and is of no use to an optimiser of fused kernels.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from study.cells import Optimiser

STATE = ("step", "exp_avg", "exp_avg_sq")  # by parameter, as torch's AdamW names them


@dataclass(frozen=True)
class Layers:
    """Parameters that have a gradient, of one group, and what is kept of each."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    steps: list[Tensor]  # fp32 scalars: updates done
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
        self.state = {
            parameter: {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            for group in groups
            for parameter in group["params"]
        }

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient, unless the loss scaler found it infinite."""
        scale, found = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                kept = [[self.state[p][name] for p in parameters] for name in STATE]
                layers = Layers(parameters, [p.grad for p in parameters], *kept)
                self.update(group, layers, scale, found)

    @abstractmethod
    def update(
        self, group: dict, layers: Layers, scale: Tensor | None, found: Tensor | None
    ) -> None:
        """Update the layers of a group.

        `scale` is what their gradients are still to be divided by, `found` is 1 where one of all is
        infinite and nothing may change; None stands for 1 and for 0.
        """
