"""Dropout and attention on a CPU: what a training does, and the other ways, in one run.

    python -m benchmarks.dropout

Processor time of a forward and backward pass, medians of paired turns, at the sizes of the laptop
and the demo scale. Dropout: ours, keyed (the keys' numbers of the place are at hand, as in a
training), the same with a generator's 16 bits for each element, and the library's. Attention
without dropout: explicit products against the library's kernel, which a training takes in fp32.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from model.network.attention import Padded
from model.network.chance import site_factors
from model.network.dropout import dropout
from model.training.hardware import keep_freed_memory
from study.command import command_parser, run_command

RATE, SIXTEEN_BITS = 0.1, 2**16
HIDDEN = {"laptop": (32, 128, 128), "demo": (16, 32, 64)}
HEADS = {"laptop": (32, 128, 2, 64), "demo": (16, 32, 4, 16)}  # rows, tokens, heads, width


def from_generator(x: Tensor) -> Tensor:
    """Dropout by a stream: one draw of 64 bits decides four elements."""
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    last_dropped = round(SIXTEEN_BITS * RATE) - SIXTEEN_BITS // 2 - 1
    mask = bits.view(torch.int16)[: x.numel()].clamp_(last_dropped, last_dropped + 1)
    return x * mask.sub_(last_dropped).view(x.shape).to(x.dtype) * (1 / (1 - RATE))


def dropout_arms(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Ways to drop elements of a tensor of that shape."""
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    keys = torch.randint(-(2**63), 2**63 - 1, shape[:-1])
    factors = site_factors(0)[:, 0]
    return {
        "keyed": lambda: dropout(x, keys, factors, RATE),
        "generator": lambda: from_generator(x),
        "library": lambda: functional.dropout(x, RATE),
    }


def attention_arms(
    shape: tuple[int, int, int, int], dtype: torch.dtype
) -> dict[str, Callable[[], Tensor]]:
    """Ways to attend without dropout."""
    rows, tokens, heads, width = shape
    qkv = torch.randn(rows, tokens, 3 * heads * width, dtype=dtype, requires_grad=True)
    layout = Padded.of(torch.full((rows,), tokens), tokens, None)

    def parts() -> tuple[Tensor, ...]:
        return qkv.view(rows, tokens, 3, heads, width).permute(2, 0, 3, 1, 4).unbind()

    def products() -> Tensor:
        q, k, v = parts()
        return functional.softmax((q * width**-0.5) @ k.transpose(-1, -2), -1) @ v

    return {
        "ours": lambda: layout.attend(qkv, heads, 0.0, 0),
        "products": products,
        "library": lambda: functional.scaled_dot_product_attention(*parts()),
    }


def measure(arms: dict[str, Callable[[], Tensor]], turns: int) -> dict[str, float]:
    """Median milliseconds of processor time of a forward and backward pass, by arm."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(turns + 2):
        for name, arm in arms.items():
            began = time.process_time()
            out = arm()
            out.backward(out.detach())
            if turn >= 2:
                found[name].append(1000 * (time.process_time() - began))
    return {name: statistics.median(values) for name, values in found.items()}


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = command_parser(
        "benchmarks.dropout",
        "Dropout and attention on a CPU: ours and other ways.",
        "python -m benchmarks.dropout --turns 11",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=41)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = arguments_of(argv)
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    for what, shapes, arms_of in (
        ("dropout", HIDDEN, dropout_arms),
        (
            "dropout of attention",
            {k: (b, n, t, t) for k, (b, t, n, _) in HEADS.items()},
            dropout_arms,
        ),
        ("attention without dropout", HEADS, attention_arms),
    ):
        for scale, shape in shapes.items():
            for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
                found = measure(arms_of(shape, dtype), args.turns)
                times = "  ".join(f"{arm} {value:.3f} ms" for arm, value in found.items())
                print(f"{what:26}{scale:7} {name}  {times}")


if __name__ == "__main__":
    run_command(main)
