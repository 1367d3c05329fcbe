"""The kernels of packed attention against the plain reference, on a GPU or interpreted.

Without a GPU: TRITON_INTERPRET=1 in an environment that has Triton.
"""

import os

import pytest
import torch

from model.network.attention import Packed

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() and not INTERPRETED, reason="needs a GPU"
)
DEVICE = "cpu" if INTERPRETED else "cuda"


def samples(sizes: list[int], heads: int, width: int) -> dict:
    generator = torch.Generator().manual_seed(0)
    tokens = sum(sizes)
    return {
        "qkv": torch.randn(tokens, 3 * heads * width, generator=generator),
        "grad": torch.randn(tokens, heads * width, generator=generator),
        "keys": torch.randint(-(2**63), 2**63 - 1, (tokens,), generator=generator),
        "offsets": torch.tensor([0, *torch.tensor(sizes).cumsum(0).tolist()], dtype=torch.int32),
    }


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("width", [12, 64])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.bfloat16, 1e-2), (torch.float16, 1e-3)],
)
def test_values_and_gradients_are_those_of_the_plain_reference(dtype, tolerance, width, rate):
    if INTERPRETED and dtype != torch.float32:
        pytest.skip("the interpreter computes in fp32")
    from model.network.packed_attention import mixed_values

    heads, longest = 2, 200
    one = samples([longest, 1, 130, 64, 33, 0, 0], heads, width)
    expected_in = one["qkv"].to(dtype).double().requires_grad_()
    expected = Packed(one["offsets"], one["keys"], longest).attend(expected_in, heads, rate, 5)
    expected.backward(one["grad"].to(dtype).double())
    found_in = one["qkv"].to(DEVICE, dtype).requires_grad_()
    found = mixed_values(
        found_in.view(-1, 3, heads, width),
        one["offsets"].to(DEVICE),
        one["keys"].to(DEVICE),
        longest,
        5,
        rate,
    )
    found.flatten(1).backward(one["grad"].to(DEVICE, dtype))
    for got, wanted in ((found.flatten(1), expected), (found_in.grad, expected_in.grad)):
        error = (got.double().cpu() - wanted).norm() / wanted.norm()
        assert error < tolerance
