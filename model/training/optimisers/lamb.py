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

from model.training.optimisers.moments import Layers, MomentOptimiser


class Algorithm(MomentOptimiser):
    """One step is some kernels over all tensors at once; nothing in it waits for the device.

    Groups that are `exempt` take the steps of AdamW.
    """

    def update(
        self, group: dict, layers: Layers, scale: Tensor | None, found: Tensor | None
    ) -> None:
        """All layers of the group, each by its own length."""
        beta1, beta2, eps = self.section.beta1, self.section.beta2, self.section.eps
        parameters, means, squares = layers.parameters, layers.means, layers.squares
        gradients, kept = _unscaled(layers.gradients, scale, found)
        torch._foreach_mul_(means, 1 - (1 - beta1) * kept)
        torch._foreach_add_(means, gradients, alpha=1 - beta1)
        torch._foreach_mul_(squares, 1 - (1 - beta2) * kept)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)

        steps_N = torch.stack(layers.steps).double()
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, _each((1 - beta2**steps_N).sqrt()))
        torch._foreach_add_(roots, eps)
        directions = torch._foreach_div(means, roots)
        torch._foreach_div_(directions, _each(1 - beta1**steps_N))
        if group["weight_decay"]:
            torch._foreach_add_(directions, parameters, alpha=group["weight_decay"])

        rates_N = -self.learning_rate * kept * torch.ones_like(steps_N)
        if not group["exempt"]:
            wanted_N = torch.stack(torch._foreach_norm(parameters))
            lengths_N = torch.stack(torch._foreach_norm(directions))
            adapted_N = (wanted_N > 0) & (lengths_N > 0)
            rates_N *= torch.where(adapted_N, wanted_N / lengths_N, 1.0)
        torch._foreach_mul_(directions, _each(rates_N))
        torch._foreach_add_(parameters, directions)


def _unscaled(
    gradients: list[Tensor], scale: Tensor | None, found: Tensor | None
) -> tuple[list[Tensor], Tensor]:
    """Gradients of the unscaled loss, and 1; where one was found infinite, zeros and 0."""
    if found is None:
        return gradients, torch.ones((), device=gradients[0].device)
    kept = 1 - found.squeeze()
    factor = kept if scale is None else kept / scale.squeeze()
    # Infinity times 0 would be no number.
    finite = [gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in gradients]
    torch._foreach_mul_(finite, factor)
    return finite, kept


def _each(numbers_N: Tensor) -> list[Tensor]:
    """N numbers as fp32 tensors of no dimension, a factor or divisor of a tensor each."""
    return list(numbers_N.float().unbind())
