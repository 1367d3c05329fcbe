"""Execution: how fast, never what. Read from the `--execution` argument of a training command."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch

from study.errors import StudyError, kind_text, value_text
from study.identity import key_of, read_json_argument

CHOICES = {
    "device": ("cpu", "cuda"),
    "precision": ("fp32", "bf16", "fp16"),
    "mode": ("exact", "fast"),
}
SMALLEST = {"micro_batch_tokens": 1, "threads": 1, "workers": 0, "checkpoint_minutes": 0}


@dataclass(frozen=True)
class Execution:
    """The execution section of a scale; every field has a default."""

    device: str = "cpu"
    precision: str = "fp32"  # of matrix products and activations; weights and sums stay fp32
    micro_batch_tokens: int = 4096  # padded tokens in one forward pass, at most
    threads: int = 1  # of one process; in exact mode bits hold for equal threads
    workers: int = 0  # processes per rank that make batches; 0 = the training process itself
    compile: bool = False
    mode: str = "exact"  # exact: same bits on 1, 2 and 4 processes; fast: DDP
    checkpoint_minutes: float = 5.0  # 0 = after every update
    tensorboard: bool = True

    @classmethod
    def from_json(cls, values: Mapping) -> "Execution":
        """Check a JSON object; StudyError names the first field that is unknown or wrong."""
        types = {field.name: field.type for field in fields(cls)}
        for name, value in values.items():
            where = f"--execution: field {name}"
            if name not in types:
                raise StudyError(f"{where}: unknown; known: {', '.join(types)}")
            if not _is_a(value, types[name]):
                raise StudyError(
                    f"{where}: expected {kind_text(types[name])}, found {value_text(value)}"
                )
            if name in CHOICES and value not in CHOICES[name]:
                expected = ", ".join(CHOICES[name])
                raise StudyError(f"{where}: expected one of {expected}; found {value!r}")
            if name in SMALLEST and value < SMALLEST[name]:
                raise StudyError(f"{where}: expected {SMALLEST[name]} or more, found {value!r}")
        execution = cls(**values)
        if execution.device == "cuda" and not torch.cuda.is_available():
            raise StudyError("--execution: field device: cuda, but torch sees no GPU here")
        return execution


def _is_a(value, expected: type) -> bool:
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is expected


def add_execution_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--execution`, `--time-budget` and `--label` to a training command's parser."""
    parser.add_argument(
        "--execution",
        default="{}",
        metavar="JSON",
        help="how to compute it: JSON, or @FILE; fields left out keep their defaults",
    )
    parser.add_argument(
        "--time-budget",
        type=float,
        metavar="MINUTES",
        help="save and stop with exit code 75 shortly before this much time has passed",
    )
    parser.add_argument(
        "--label",
        nargs="+",
        default=[],
        metavar="WORD",
        help="what progress lines call this run (default: its recipe's key)",
    )


def execution_argument(arguments: argparse.Namespace) -> Execution:
    """The execution named on the command line."""
    return Execution.from_json(read_json_argument(arguments.execution, "--execution"))


def label_argument(arguments: argparse.Namespace, recipe: dict) -> str:
    """What progress lines call the run of `recipe`."""
    return " ".join(arguments.label) or key_of(recipe)
