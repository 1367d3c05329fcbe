"""Mixed precision: what runs in bf16 or fp16, the scale of fp16 losses, and deterministic kernels.

Weights, gradients, optimiser state and loss sums are fp32 in every mode; autocast decides the type
of matrix products and activations.
"""

import os
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from model.training.optimisers.moments import MomentOptimiser

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LEAST_SCALE = 2.0**-40  # gradients that overflow at so small a scale are no matter of the scale


class Precision:
    """Autocast, and the loss scale where the type is fp16 (elsewhere it does nothing)."""

    def __init__(self, name: str, device: torch.device):
        self.dtype = DTYPES[name]
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")
        if device.type == "cuda":
            # For deterministic kernels; read once in a process, at its first matrix product.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

    def autocast(self):
        """Context for forward passes."""
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to call backward on."""
        return self.scaler.scale(loss)

    @property
    def scale(self) -> float:
        """The factor on the gradients at present (a power of two); waits for the device."""
        return self.scaler.get_scale()

    @property
    def skips_overflow(self) -> bool:
        """Whether an overflowing gradient means a skipped update rather than divergence."""
        return self.scaler.is_enabled() and self.scale > LEAST_SCALE

    def sound(self, parameters: list[Tensor]) -> bool:
        """Whether all weights are finite and, in fp16, updates are not skipped for good."""
        stuck = self.scaler.is_enabled() and not self.skips_overflow
        return not stuck and all(bool(p.isfinite().all()) for p in parameters)

    def step(self, optimiser: MomentOptimiser, parameters: list[Tensor], clip_norm: float):
        """Apply the gradients, clipped to `clip_norm` unless 0.

        In fp16 an update whose gradients overflowed is skipped and the scale is halved; whether it
        did stays on the device, so that nothing waits.
        """
        if clip_norm > 0:
            self.scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
        self.scaler.step(optimiser)
        self.scaler.update()


@contextmanager
def deterministic_kernels(wanted: bool, compiled: bool = False):
    """Kernels that give the same bits every time, where `wanted`; restores what was set before."""
    if not wanted:
        yield
        return
    switch = torch.use_deterministic_algorithms if compiled else _switch_kernels
    before = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    switch(True)
    # Filling memory that is about to be overwritten costs time and changes no bit.
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        # A compiler chooses by timing otherwise, each time anew.
        with torch._inductor.config.patch(deterministic=True) if compiled else nullcontext():
            yield
    finally:
        switch(before)
        torch.utils.deterministic.fill_uninitialized_memory = fills


def _switch_kernels(deterministic: bool) -> None:
    """torch.use_deterministic_algorithms without the compiler, whose import takes a second."""
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
