"""The code that a GPU runs, compiled for an H100 without one: kernels of our own, and torch's."""

import re
from types import SimpleNamespace

import pytest
import torch

from model.network.chance import site_factors
from model.network.dropout import Dropout

triton = pytest.importorskip("triton", reason="Triton is for Linux")
pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="other tests run this code"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # of torch's own compiler
]
SHARED_BYTES = 232_448  # that an H100 has for one block


@pytest.fixture(autouse=True)
def h100(monkeypatch, tmp_path):
    """Triton compiles for an H100, and starts nothing."""
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    driver = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", 90, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device: 0,
    )
    monkeypatch.setattr(triton.runtime.driver, "_active", driver)


@pytest.fixture
def compiled(monkeypatch) -> list:
    """What is compiled of kernels that are called."""
    from triton.runtime.jit import JITFunction

    run, kernels = JITFunction.run, []

    def compile_only(kernel, *arguments, grid, warmup, **more):
        kernels.append(run(kernel, *arguments, grid=grid, warmup=True, **more))

    monkeypatch.setattr(JITFunction, "run", compile_only)
    return kernels


@pytest.mark.parametrize(
    ("dtype", "width", "rate"),
    [(torch.bfloat16, 64, 0.1), (torch.float16, 32, 0.0), (torch.float32, 12, 0.1)],
)
def test_kernels_of_attention_compile(compiled, dtype, width, rate):
    from model.network.packed_attention import mixed_values

    qkv = torch.zeros(48, 3, 2, width, dtype=dtype, requires_grad=True)
    offsets, keys = torch.tensor([0, 20, 48], dtype=torch.int32), torch.zeros(48, dtype=torch.int64)
    mixed_values(qkv, offsets, keys, 64, 5, rate).sum().backward()
    names = [kernel.metadata.name for kernel in compiled]
    assert names == ["_forward", "_backward_queries", "_backward_keys"]
    assert max(kernel.metadata.shared for kernel in compiled) <= SHARED_BYTES


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_kernel_of_dropout_compiles(compiled, dtype):
    from model.network.dropout_kernel import Dropped

    x = torch.zeros(3, 7, 768, dtype=dtype, requires_grad=True)
    keys, factors = torch.zeros(3, 7, dtype=torch.int64), site_factors(7)[:, 0]
    Dropped.apply(x, keys, factors, 0.1).sum().backward()
    assert [kernel.metadata.name for kernel in compiled] == ["_kernel", "_kernel"]


class Written(Exception):
    """The compiler has written its code."""


def test_what_torch_makes_of_dropout_has_no_number_beyond_32_bits(monkeypatch):
    """Triton takes none in the sums of int32 that decide what is dropped."""
    from torch._inductor import config  # which takes seconds to load
    from torch._inductor.graph import GraphLowering

    codes = []

    def stop(code: str) -> None:
        codes.append(code)
        raise Written

    monkeypatch.setattr(GraphLowering, "save_output_code", staticmethod(stop))
    layer = torch.compile(Dropout(0.3, 2), dynamic=False)
    with (
        config.patch(cpu_backend="triton", fx_graph_cache=False),
        pytest.raises(Exception, match="Written"),
    ):
        layer(torch.ones(5, 768), torch.zeros(5, dtype=torch.int64))
    (code,) = codes
    assert "@triton.jit" in code
    lines = [line for line in code.splitlines() if line.startswith("    tmp")]
    numbers = [int(number) for line in lines for number in re.findall(r"\b\d+\b", line)]
    assert 858_993_459 in numbers  # 2^31 less 0.3 x 2^32, below which words are dropped
    assert max(numbers) < 2**31
