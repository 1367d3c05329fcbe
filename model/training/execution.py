"""Execution: how fast, never what. Read from the `--execution` argument of a training command."""

import argparse

import torch

from study.errors import StudyError
from study.execution import TrainingExecution
from study.identity import key_of, read_json_argument
from study.messages import parse_option

DEFAULTS = {
    "device": "cpu",
    "precision": "fp32",
    "mode": "exact",
    "compile": False,
    "micro_batch_tokens": 4096,
    "threads": 1,
    "workers": 0,
    "checkpoint_minutes": 5.0,
    "tensorboard": True,
    "trackers": [],
}


def parse_execution(values: dict) -> TrainingExecution:
    """An execution of DEFAULTS and `values`; StudyError names the field that cannot be."""
    execution = parse_option({**DEFAULTS, **values}, TrainingExecution, "--execution")
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise StudyError("--execution: field device: cuda, but torch sees no GPU here")
    return execution


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


def execution_argument(arguments: argparse.Namespace) -> TrainingExecution:
    """The execution named on the command line."""
    return parse_execution(read_json_argument(arguments.execution, "--execution"))


def label_argument(arguments: argparse.Namespace, recipe: dict) -> str:
    """What progress lines call the run of `recipe`."""
    return " ".join(arguments.label) or key_of(recipe)
