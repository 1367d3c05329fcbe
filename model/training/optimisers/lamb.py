"""LAMB (You et al., arXiv 1904.00962v5, algorithm 2): AdamW whose step is as long as its layer.

The direction of a layer, r + decay * x with Adam's r = m / (sqrt(v) + eps), is given the length of
the layer's parameters x before the learning rate is applied. A layer is a tensor of parameters. Of
the variants this is the authors' own (tensorflow_addons): m and v are corrected for their bias as
in the algorithm's final version, phi(|x|) is |x|, a length of 0 leaves the direction as it is, and
so are those of biases and LayerNorms, which are not decayed either (`decay_all` adapts all).
Gradients are clipped as for every optimiser, by `clip_norm` alone.
"""

import torch
from torch import Tensor

from study.cells import Optimiser


def make(groups: list[dict], section: Optimiser) -> torch.optim.Optimizer:
    """LAMB over the groups; those that are `exempt` take the steps of AdamW."""
    return Lamb(groups, section.learning_rate, (section.beta1, section.beta2), section.eps)


class Lamb(torch.optim.Optimizer):
    """One step is some kernels over all tensors at once; nothing in it waits for the device."""

    # The loss scaler then leaves `grad_scale` and `found_inf` here, and does not look at them.
    _step_supports_amp_scaling = True

    def __init__(self, groups: list[dict], lr: float, betas: tuple[float, float], eps: float):
        # To torch `capturable` says that the number of steps lies on the parameters' device.
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "capturable": True})

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient, unless the loss scaler found it infinite."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step_group(group, parameters)

    def _step_group(self, group: dict, parameters: list[Tensor]) -> None:
        (beta1, beta2), eps = group["betas"], group["eps"]
        gradients, kept = self._unscaled([p.grad for p in parameters])
        states = [self._state_of(p) for p in parameters]
        steps, means, squares = (
            [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        torch._foreach_add_(steps, kept, alpha=1)  # without alpha, torch would read `kept`
        torch._foreach_mul_(means, 1 - (1 - beta1) * kept)
        torch._foreach_add_(means, gradients, alpha=1 - beta1)
        torch._foreach_mul_(squares, 1 - (1 - beta2) * kept)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)

        # An update that was skipped before any other has nothing to correct: step 0 counts as 1.
        steps_N = torch.stack(steps).clamp(min=1).double()
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, _each((1 - beta2**steps_N).sqrt()))
        torch._foreach_add_(roots, eps)
        directions = torch._foreach_div(means, roots)
        torch._foreach_div_(directions, _each(1 - beta1**steps_N))
        if group["weight_decay"]:
            torch._foreach_add_(directions, parameters, alpha=group["weight_decay"])

        rates_N = -group["lr"] * kept * torch.ones_like(steps_N)
        if not group["exempt"]:
            wanted_N = torch.stack(torch._foreach_norm(parameters))
            lengths_N = torch.stack(torch._foreach_norm(directions))
            adapted_N = (wanted_N > 0) & (lengths_N > 0)
            rates_N *= torch.where(adapted_N, wanted_N / lengths_N, 1.0)
        torch._foreach_mul_(directions, _each(rates_N))
        torch._foreach_add_(parameters, directions)

    def _unscaled(self, gradients: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Gradients of the unscaled loss, and 1; where one was found infinite, zeros and 0."""
        found, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found is None:
            return gradients, torch.ones((), device=gradients[0].device)
        kept = 1 - found.squeeze()
        factor = kept if scale is None else kept / scale.squeeze()
        # Infinity times 0 would be no number.
        finite = [gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in gradients]
        torch._foreach_mul_(finite, factor)
        return finite, kept

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


def _each(numbers_N: Tensor) -> list[Tensor]:
    """N numbers as fp32 tensors of no dimension, a factor or divisor of a tensor each."""
    return list(numbers_N.float().unbind())
