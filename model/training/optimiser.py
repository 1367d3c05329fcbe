"""The optimiser of a recipe's `optimiser` section, and what all share: groups, schedule, clipping.

RoBERTa (arXiv 1907.11692) sections 2.4 and 3.1, table 9: decay of all but biases and LayerNorms,
linear warm-up to the peak and linear decay to 0, no clipping.
"""

from collections.abc import Mapping
from importlib import import_module

from torch import Tensor, nn

from model.training.optimisers.moments import MomentOptimiser
from model.training.precision import Precision
from study.cells import Optimiser


class ScheduledOptimiser:
    """The optimiser of one training of `steps` updates over a module's trainable parameters."""

    def __init__(self, module: nn.Module, section: Optimiser, steps: int):
        self.section, self.steps = section, steps
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        groups = parameter_groups(module, section.weight_decay, section.decay_all)
        algorithm = import_module(f"model.training.optimisers.{section.name}")
        self.algorithm: MomentOptimiser = algorithm.Algorithm(groups, section)

    def step(self, step: int, precision: Precision) -> float:
        """Apply the gradients in `.grad` as update `step` (from 1); its learning rate."""
        current = self.algorithm.learning_rate = learning_rate(step, self.steps, self.section)
        precision.step(self.algorithm, self.parameters, self.section.clip_norm)
        return current

    def tensors(self) -> dict[str, Tensor]:
        """What it keeps between updates, as "adamw.0.exp_avg"."""
        return {
            f"{self.section.name}.{index}.{moment}": tensor
            for index, moments in enumerate(self.algorithm.state())
            for moment, tensor in moments.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` gave."""
        own = self.tensors()
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def learning_rate(step: int, steps: int, section: Optimiser) -> float:
    """Learning rate of update `step` (1 .. `steps`): a pure function, so it survives a resume.

    It rises linearly over the first round(warmup * steps) updates, reaches the peak at the last of
    them, and falls linearly to 0 at the last update. An only update has the peak: at 0 it would
    train nothing.
    """
    peak = section.learning_rate
    warmup = round(section.warmup * steps)
    if step <= warmup:
        return peak * step / warmup
    if steps == 1:
        return peak
    return peak * (steps - step) / (steps - warmup)


def parameter_groups(module: nn.Module, weight_decay: float, decay_all: bool) -> list[dict]:
    """Two groups of trainable parameters: decayed, and biases and LayerNorms, which are not.

    These are marked `exempt`. A tied parameter is in one group, once. With `decay_all` (fairseq)
    everything is decayed.
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
        {"params": decayed, "weight_decay": weight_decay, "exempt": False},
        {"params": exempt, "weight_decay": 0.0, "exempt": True},
    ]
    return [group for group in groups if group["params"]]
