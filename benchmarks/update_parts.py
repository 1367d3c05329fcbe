"""What an update costs besides the network: exact sums and the optimiser, ours and plain torch.

    python -m benchmarks.update_parts                   # a network as small as that of scale demo
    python -m benchmarks.update_parts --model laptop

Sums of one micro-batch and of two: ours, and every parameter by itself. AdamW: ours, and
torch.optim's with the same kernel. Before each turn the network makes its forward and backward
pass, which leaves the caches as a training does. The arms take turns; medians of processor time are
printed. In the last lines the processor time of a process that imports the engine and makes one
step of either AdamW: torch.optim's loads the compiler.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.pretraining import COMMON, OPTIMISER, Workload, make_micro, workload
from model.network.pretraining import PretrainingModel
from model.training.distributed import Ranks
from model.training.gradients import UNIT, ExactGradients
from model.training.hardware import keep_freed_memory
from model.training.optimiser import ScheduledOptimiser, parameter_groups
from model.training.precision import Precision
from study.cells import Model
from study.command import command_parser, run_command

CPU = torch.device("cpu")
IMPORTS = {  # beside the engine's own
    "ours": """
from model.training.optimiser import ScheduledOptimiser
from model.training.precision import Precision
from study.cells import Optimiser

section = Optimiser.usual(learning_rate=1e-4, warmup=0.0)
ScheduledOptimiser(module, section, 9).step(1, Precision("fp32", torch.device("cpu")))
""",
    "torch.optim": "torch.optim.AdamW(module.parameters(), fused=True).step()",
}
BEFORE = """
import torch, model.training.engine

module = torch.nn.Linear(1, 1)
module.weight.grad = torch.ones(1, 1)
"""


def demo() -> Workload:
    """The network and about the batch of scale demo."""
    network = Model(layers=2, hidden=64, heads=4, ffn=128, positions=48, **COMMON)
    return Workload(network, vocabulary=1500, length=32, batch=30)


def exact_sums(module: torch.nn.Module, parts: int) -> Callable[[list], None]:
    """Sum gradients as an update of `parts` micro-batches does."""
    gradients = ExactGradients(module, 1, Ranks(CPU), Precision("fp32", CPU))
    parameters, losses = list(module.parameters()), torch.ones(1)

    def add_all(given: list[list[torch.Tensor]]) -> None:
        gradients.begin(parts)
        for part in given:
            for parameter, gradient in zip(parameters, part, strict=True):
                parameter.grad = gradient
            gradients.add(losses)
        gradients.finish()

    return add_all


def plain_sums(given: list[list[torch.Tensor]]) -> None:
    """The same bits, parameter by parameter."""
    for pieces in zip(*given, strict=True):
        if len(pieces) == 1:
            pieces[0].mul_(UNIT).round_().mul_(1 / UNIT).add_(0.0)
        else:
            total = torch.zeros(pieces[0].shape, dtype=torch.int64)
            for piece in pieces:
                total += (piece * UNIT).round_().long()
            total.float().mul_(1 / UNIT)
        sum(torch.dot(piece.view(-1), piece.view(-1)) for piece in pieces).item()


def measure(work: Workload, turns: int) -> dict[str, list[float]]:
    """Microseconds of processor time of every turn, by arm."""
    torch.set_num_threads(1)
    keep_freed_memory()
    module, micro = PretrainingModel(work.network, work.vocabulary), make_micro(work)
    optimiser, precision = ScheduledOptimiser(module, OPTIMISER, 9), Precision("fp32", CPU)
    groups = [
        {name: value for name, value in group.items() if name != "exempt"}
        for group in parameter_groups(module, OPTIMISER.weight_decay, decay_all=False)
    ]
    plain_adamw = torch.optim.AdamW(groups, lr=1e-4, fused=True)
    arms = {
        "sums, 1 micro-batch, ours": (1, exact_sums(module, 1)),
        "sums, 1 micro-batch, plain": (1, plain_sums),
        "sums, 2 micro-batches, ours": (2, exact_sums(module, 2)),
        "sums, 2 micro-batches, plain": (2, plain_sums),
        "AdamW, ours": (1, lambda given: optimiser.step(1, precision)),
        "AdamW, torch.optim": (1, lambda given: plain_adamw.step()),
    }
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(turns):
        for name, (parts, run) in arms.items():
            module.zero_grad()
            module(micro)["mlm"].backward()
            given = [[p.grad.clone() for p in module.parameters()] for _ in range(parts)]
            began = time.process_time_ns()
            run(given)
            taken[name].append((time.process_time_ns() - began) / 1000)
    return taken


def import_seconds(code: str) -> float:
    """Processor seconds of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", BEFORE + code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = command_parser(
        "benchmarks.update_parts",
        "What sums and optimiser cost: ours and plain torch.",
        "python -m benchmarks.update_parts --turns 50",
    )
    parser.add_argument("--model", choices=("demo", "laptop", "base"), default="demo")
    parser.add_argument("--turns", type=int, default=200)
    args = parser.parse_args(argv)
    work = demo() if args.model == "demo" else workload(args.model, None)
    for name, taken in measure(work, args.turns).items():
        print(f"{name:32}{statistics.median(taken):10.0f} us")
    for name, code in IMPORTS.items():
        print(f"{f'start to first step, {name}':32}{import_seconds(code):10.2f} s")


if __name__ == "__main__":
    run_command(main)
