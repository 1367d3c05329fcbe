"""The kernel of dropout against the CPU's, on a GPU or interpreted.

Without a GPU: TRITON_INTERPRET=1 in an environment that has Triton.
"""

import os

import pytest
import torch

from model.network.chance import site_factors
from model.network.dropout import dropout

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() and not INTERPRETED, reason="needs a GPU"
)
DEVICE = "cpu" if INTERPRETED else "cuda"


@pytest.mark.parametrize("shape", [(3, 70, 768), (5, 12), (1, 1), (200, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_the_cpu_s(shape, dtype):
    from model.network.dropout_kernel import Dropped

    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, generator=generator).to(dtype) for _ in range(2))
    keys = torch.randint(-(2**63), 2**63 - 1, shape[:-1], generator=generator)
    factors = site_factors(7)[:, 0]
    results = []
    for device, drop in (("cpu", dropout), (DEVICE, Dropped.apply)):
        own = x.to(device).requires_grad_()
        dropped = drop(own, keys.to(device), factors.to(device), 0.1)
        dropped.backward(grad.to(device))
        results.append((dropped.detach().cpu(), own.grad.cpu()))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one == 0, other == 0)
        torch.testing.assert_close(
            one, other, rtol=1e-6 if dtype == torch.float32 else 8e-3, atol=0
        )
