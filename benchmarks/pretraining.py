"""Pre-training speed of this project and of transformers, in one run.

    python -m benchmarks.pretraining                               # laptop model, all CPU cores
    python -m benchmarks.pretraining --device cuda --model base    # one GPU

Both train the same network on the same random tokens with the same optimiser and precision: ours
through the engine's own step (fixed target slots, fused AdamW), transformers' RobertaForMaskedLM
through a plain loop, each eager and compiled. The arms take turns, step by step, so that whatever
else the machine does hits all alike; medians are printed, and the median of the ratios of turns.
Utilisation counts the objective's own arithmetic (`model.network.sizes`) for every arm, as a share
of a matrix product measured here.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import RobertaConfig, RobertaForMaskedLM
from transformers.utils import logging

from model.network.huggingface import to_transformers, transformers_config
from model.network.pretraining import PretrainingModel
from model.network.sizes import flops_per_token
from model.samples.packed import Shape, pack
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.hardware import device_name, matrix_peak
from model.training.optimiser import ScheduledOptimiser
from model.training.precision import Precision
from model.training.update import Update
from study.cells import Model, Optimiser
from study.command import command_parser, run_command
from study.execution import TrainingExecution

OPTIMISER = Optimiser.usual(learning_rate=1e-4, warmup=0.0)
COMMON = {
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "layer_norm_eps": 1e-5,
    "init_std": 0.02,
    "vocabulary_multiple": 64,
}
IGNORED = -100  # transformers' label for a position that is not predicted


@dataclass(frozen=True)
class Workload:
    """A network and the shape of its batches."""

    network: Model
    vocabulary: int
    length: int
    batch: int

    @property
    def tokens(self) -> int:
        """Tokens of one update."""
        return self.batch * self.length

    @property
    def slots(self) -> int:
        """Target positions per row: 15 % of what is not a special token."""
        return round(0.15 * (self.length - 2))


def workload(name: str, batch: int | None) -> Workload:
    """The named model with its usual batch, or another one."""
    if name == "laptop":
        sizes, vocabulary, length, usual = (2, 128, 2, 512), 8192, 128, 32
    else:
        sizes, vocabulary, length, usual = (12, 768, 12, 3072), 50_265, 512, 256
    network = dict(zip(("layers", "hidden", "heads", "ffn"), sizes, strict=True))
    network = Model(**network, positions=length, **COMMON)
    return Workload(network, vocabulary, length, batch or usual)


class Ids:
    """Special ids of the random vocabulary."""

    start, pad, separator = 0, 1, 2


def make_micro(work: Workload) -> dict[str, Tensor]:
    """One micro-batch of full rows of random tokens, with distinct targets in every row."""
    generator = torch.Generator().manual_seed(0)
    shape = (work.batch, work.length)
    ids = torch.randint(4, work.vocabulary, shape, generator=generator)
    order = torch.rand(work.batch, work.length - 2, generator=generator).argsort(dim=1)
    positions = order[:, : work.slots] + 1
    return {
        "ids": ids,
        "positions": positions,
        "labels": ids.gather(1, positions),
        "weights": torch.ones(positions.shape),
        "keys": torch.randint(-(2**31), 2**31, shape, generator=generator, dtype=torch.int32),
    }


def our_step(
    module: PretrainingModel, work: Workload, execution: TrainingExecution, folder: str
) -> Callable[[], None]:
    """One update by the engine, packed on a GPU as there in a study."""
    micro = make_micro(work)
    targets = micro["weights"].numel()
    if execution.device == "cuda":
        micro = pack(micro, Shape.of_rows(micro), Ids.pad)
    update = Update([micro], {"mlm": targets})
    training = Training(module, [update], OPTIMISER, folder, execution)

    def step() -> None:
        training.backward(update)
        training.optimiser.step(1, training.precision)

    return step


def their_step(module: RobertaForMaskedLM, work: Workload, execution: TrainingExecution):
    """One update of transformers' model: labels everywhere, its own mean loss."""
    device = torch.device(execution.device)
    micro = {name: tensor.to(device) for name, tensor in make_micro(work).items()}
    labels = torch.full_like(micro["ids"], IGNORED)
    labels.scatter_(1, micro["positions"], micro["labels"])
    module.to(device).train()
    precision = Precision(execution.precision, device)
    optimiser = ScheduledOptimiser(module, OPTIMISER, 1)
    if execution.compile:
        module.compile(dynamic=False)

    def step() -> None:
        module.zero_grad(set_to_none=True)
        with precision.autocast():
            loss = module(input_ids=micro["ids"], labels=labels).loss
        precision.scaled(loss).backward()
        optimiser.step(1, precision)

    return step


def make_step(
    name: str, work: Workload, execution: TrainingExecution, folder: str
) -> Callable[[], None]:
    """A step of "ours" or "transformers", warmed up; both start from the same weights."""
    torch.manual_seed(0)
    ours = PretrainingModel(work.network, work.vocabulary)
    if name == "ours":
        step = our_step(ours, work, execution, folder)
    else:
        state = ours.state_dict()
        values = transformers_config(ours.encoder.config, state, Ids)
        theirs = RobertaForMaskedLM(RobertaConfig(**values))
        theirs.load_state_dict(to_transformers(state, Ids.pad), strict=False)
        theirs.tie_weights()
        step = their_step(theirs, work, execution)
    for _ in range(3):
        step()
    return step


def timed(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of one step."""
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def measure(arms: dict[str, Callable[[], None]], device: torch.device, turns: int) -> dict:
    """Seconds of every turn by arm; the arms take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(turns):
        for name, step in arms.items():
            seconds[name].append(timed(step, device))
    return seconds


def report(seconds: dict[str, list[float]], works: dict[str, Workload], peak: float) -> None:
    """Print a line per arm, with our advantage over transformers' arm of the same kind."""
    work = works["ours"]
    useful = flops_per_token(work.network, work.length, work.vocabulary, work.slots / work.length)
    print(f"{useful / 1e6:.2f} MFLOP per token; measured matrix product {peak / 1e9:.0f} GFLOP/s")
    print(f"{'':24}{'ms/update':>11}{'tokens/s':>10}{'of peak':>9}{'ours faster by':>16}")
    for name, values in seconds.items():
        who = name.split()[0]
        pace = works[who].tokens / statistics.median(values)
        line = f"{name:24}{1000 * statistics.median(values):11.1f}{pace:10.0f}"
        line += f"{100 * useful * pace / peak:8.1f}%"
        ours = seconds.get(name.replace("transformers", "ours"))
        if who == "transformers" and ours:
            ratios = [theirs / own for theirs, own in zip(values, ours, strict=True)]
            ratio = statistics.median(ratios) * work.tokens / works[who].tokens
            line += f"{ratio:15.2f}x"
        print(line)


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = command_parser(
        "benchmarks.pretraining",
        "Pre-training speed: ours and transformers' RobertaForMaskedLM.",
        "python -m benchmarks.pretraining --turns 3",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", choices=("laptop", "base"), default="laptop")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: fp32, GPU bf16")
    parser.add_argument("--batch", type=int, help="rows of an update; default 32, base 256")
    parser.add_argument(
        "--transformers-batch", type=int, help="rows for transformers, whose logits need memory"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--eager", action="store_true", help="leave the compiled arms out")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = arguments_of(argv)
    logging.set_verbosity_error()
    device = torch.device(args.device)
    precision = args.precision or ("bf16" if args.device == "cuda" else "fp32")
    batches = {"ours": args.batch, "transformers": args.transformers_batch or args.batch}
    works = {name: workload(args.model, batch) for name, batch in batches.items()}
    place = device_name(device) or f"{args.threads} CPU threads"
    work = works["ours"]
    print(f"{args.model} model, {work.batch} x {work.length} tokens, {precision}, {place}")
    arms = {}
    with tempfile.TemporaryDirectory() as folder:
        for compiled in (False,) if args.eager else (False, True):
            execution = parse_execution(
                {
                    "device": args.device,
                    "precision": precision,
                    "threads": args.threads,
                    "compile": compiled,
                    "mode": "fast",
                    "tensorboard": False,
                }
            )
            for name in works:
                try:
                    step = make_step(name, works[name], execution, folder)
                except (RuntimeError, torch.OutOfMemoryError) as error:
                    reason = str(error).strip().splitlines()[0]
                    print(f"left out: {name}{' compiled' * compiled}: {reason}")
                else:
                    arms[f"{name}{' compiled' * compiled}"] = step
        seconds = measure(arms, device, args.turns)
    report(seconds, works, matrix_peak(device, Precision(precision, device).dtype))


if __name__ == "__main__":
    run_command(main)
