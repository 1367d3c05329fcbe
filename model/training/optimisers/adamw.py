"""AdamW (arXiv 1711.05101): decoupled decay, bias correction, epsilon outside the square root."""

import torch
from torch import Tensor

from model.training.optimisers.moments import Layers, MomentOptimiser


class Algorithm(MomentOptimiser):
    """The steps of torch.optim.AdamW(fused=True), bit for bit; none waits for the device."""

    def update(
        self, group: dict, layers: Layers, scale: Tensor | None, found: Tensor | None
    ) -> None:
        """One kernel over all layers."""
        section = self.section
        torch._fused_adamw_(
            layers.parameters,
            layers.gradients,
            layers.means,
            layers.squares,
            [],
            layers.steps,
            lr=self.learning_rate,
            beta1=section.beta1,
            beta2=section.beta2,
            weight_decay=group["weight_decay"],
            eps=section.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=scale,
            found_inf=found,
        )
