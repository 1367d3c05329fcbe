"""Pre-training speed of this project and of transformers, in one run.

    python -m benchmarks.pretraining                               # laptop model, all CPU cores
    python -m benchmarks.pretraining --device cuda --model base    # one GPU

All train the same network on the same random tokens in the same precision: ours through the
engine's own step, transformers' RobertaForMaskedLM through a plain loop with our optimiser and
through its Trainer, each eager and, on a GPU, compiled, each in a process of its own. The arms take
turns, update by update; medians are printed, and the median of the ratios of turns.
Utilisation counts the objective's own arithmetic (`model.network.sizes`) for every arm, as a share
of a matrix product measured here.
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    PrinterCallback,
    RobertaConfig,
    RobertaForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

from benchmarks.turns import Arm, Pause, Turn
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
WARM_UP = 3  # turns; the first one makes the arm, too
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


@dataclass(frozen=True)
class Ids:
    """Size and special ids of the random vocabulary."""

    size: int
    start: int = 0
    pad: int = 1
    separator: int = 2


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
        "keys": torch.randint(-(2**63), 2**63 - 1, shape, generator=generator),
    }


def train_ours(pause: Pause, work: Workload, execution: TrainingExecution) -> None:
    """Updates by the engine, packed on a GPU as there in a study."""
    micro = make_micro(work)
    targets = micro["weights"].numel()
    if execution.device == "cuda":
        micro = pack(micro, Shape.of_rows(micro), Ids.pad)
    update = Update([micro], {"mlm": targets})
    with tempfile.TemporaryDirectory() as folder:
        training = Training(our_model(work), [update], OPTIMISER, folder, execution)
        while True:
            training.backward(update)
            training.optimiser.step(1, training.precision)
            pause()


def train_transformers(pause: Pause, work: Workload, execution: TrainingExecution) -> None:
    """A plain loop over transformers' model: labels everywhere, its own mean loss."""
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    micro = {name: tensor.to(device) for name, tensor in their_micro(work).items()}
    module = their_model(work).to(device).train()
    precision = Precision(execution.precision, device)
    optimiser = ScheduledOptimiser(module, OPTIMISER, 1)
    if execution.compile:
        module.compile(dynamic=False)
    while True:
        module.zero_grad(set_to_none=True)
        with precision.autocast():
            loss = module(**micro).loss
        precision.scaled(loss).backward()
        optimiser.step(1, precision)
        pause()


def train_trainer(pause: Pause, work: Workload, execution: TrainingExecution) -> None:
    """transformers' Trainer with its own optimiser; nothing is saved or drawn on the terminal."""
    torch.set_num_threads(execution.threads)
    micro, on_gpu = their_micro(work), execution.device == "cuda"
    names = tuple(micro)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*micro.values(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=work.batch,
            max_steps=1_000_000,
            learning_rate=OPTIMISER.learning_rate,
            weight_decay=OPTIMISER.weight_decay,
            max_grad_norm=OPTIMISER.clip_norm,
            bf16=execution.precision == "bf16",
            torch_compile=execution.compile,
            use_cpu=not on_gpu,
            dataloader_pin_memory=on_gpu,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            log_level="error",
        )
        trainer = Trainer(
            model=their_model(work),
            args=arguments,
            train_dataset=rows * 1000,  # updates of an epoch
            callbacks=[PauseCallback(pause)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


class PauseCallback(TrainerCallback):
    """Pauses after every update."""

    def __init__(self, pause: Pause):
        self.pause = pause

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """After an update."""
        self.pause()


ARMS = {"ours": train_ours, "transformers": train_transformers, "Trainer": train_trainer}


def our_model(work: Workload) -> PretrainingModel:
    """Our network; all arms start from the same weights."""
    torch.manual_seed(0)
    return PretrainingModel(work.network, work.vocabulary)


def their_model(work: Workload) -> RobertaForMaskedLM:
    """The same network of transformers."""
    logging.set_verbosity_error()
    ours = our_model(work)
    state = ours.state_dict()
    name, ids = RobertaForMaskedLM.__name__, Ids(work.vocabulary)
    theirs = RobertaForMaskedLM(
        RobertaConfig(**transformers_config(ours.encoder.config, state, ids, name))
    )
    theirs.load_state_dict(to_transformers(state, ids, name), strict=False)
    theirs.tie_weights()
    return theirs


def their_micro(work: Workload) -> dict[str, Tensor]:
    """The micro-batch as transformers takes it."""
    micro = make_micro(work)
    labels = torch.full_like(micro["ids"], IGNORED)
    labels.scatter_(1, micro["positions"], micro["labels"])
    return {"input_ids": micro["ids"], "labels": labels}


def measure(arms: dict[str, Arm], turns: int) -> dict[str, list[Turn]]:
    """Every turn by arm, after the warm-up; an arm that fails is left out."""
    found: dict[str, list[Turn]] = {name: [] for name in arms}
    for _ in range(WARM_UP + turns):
        for name in list(found):
            try:
                found[name].append(arms[name].turn())
            except RuntimeError as error:
                print(f"left out: {name}: {error}")
                del found[name]
    return {name: values[WARM_UP:] for name, values in found.items()}


def report(turns: dict[str, list[Turn]], works: dict[str, Workload], peak: float) -> None:
    """Print a line per arm, with our advantage over those of the same kind."""
    work = works["ours"]
    useful = flops_per_token(work.network, work.length, work.vocabulary, work.slots / work.length)
    print(f"{useful / 1e6:.2f} MFLOP per token; measured matrix product {peak / 1e9:.0f} GFLOP/s")
    print(
        f"{'':24}{'ms/update':>11}{'CPU ms':>9}{'tokens/s':>10}{'of peak':>9}"
        f"{'ours faster by':>16}{'in CPU time':>13}"
    )
    for name, values in turns.items():
        who = name.split()[0]
        seconds = statistics.median(turn.seconds for turn in values)
        cpu = statistics.median(turn.cpu_seconds for turn in values)
        pace = works[who].tokens / seconds
        line = f"{name:24}{1000 * seconds:11.1f}{1000 * cpu:9.1f}{pace:10.0f}"
        line += f"{100 * useful * pace / peak:8.1f}%"
        ours = turns.get(name.replace(who, "ours"))
        if who != "ours" and ours:
            pairs = [*zip(values, ours, strict=True)]
            tokens = work.tokens / works[who].tokens
            faster = statistics.median(theirs.seconds / own.seconds for theirs, own in pairs)
            cheaper = statistics.median(
                theirs.cpu_seconds / own.cpu_seconds for theirs, own in pairs
            )
            line += f"{faster * tokens:15.2f}x{cheaper * tokens:12.2f}x"
        print(line)


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = command_parser(
        "benchmarks.pretraining",
        "Pre-training speed: ours and transformers'.",
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
    device = torch.device(args.device)
    precision = args.precision or ("bf16" if args.device == "cuda" else "fp32")
    works = dict.fromkeys(ARMS, workload(args.model, args.transformers_batch or args.batch))
    works["ours"] = workload(args.model, args.batch)
    place = device_name(device) or f"{args.threads} CPU threads"
    work = works["ours"]
    print(f"{args.model} model, {work.batch} x {work.length} tokens, {precision}, {place}")
    arms = {}
    for compiled in (False,) if args.eager or args.device == "cpu" else (False, True):
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
        for name, train in ARMS.items():
            arms[f"{name}{' compiled' * compiled}"] = Arm(train, works[name], execution)
    try:
        turns = measure(arms, args.turns)
    finally:
        for arm in arms.values():
            arm.end()
    report(turns, works, matrix_peak(device, Precision(precision, device).dtype))


if __name__ == "__main__":
    run_command(main)
