"""What a person asks of a run with `--config key=value`: typed, with the text that was typed.

Snakemake turns the values into numbers, truth values, lists and mappings before the Snakefile
sees them: a folder 007 would be 7. What was typed counts.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from study.errors import StudyError, value_text
from study.fields import MOST_SEEDS
from study.graph import Study
from study.messages import hint
from study.read import STUDY_FILE

DEFAULT_SCALE = "demo"


@dataclass(frozen=True)
class Options:
    """A scale, a study file, a mirror, numbers of seeds, the FLOP/s of a device, overrides."""

    scale: str = DEFAULT_SCALE
    study: str = STUDY_FILE
    mirror: str | None = None
    replicates: int | None = None
    finetuning_seeds: int | None = None
    flops: float | None = None
    set: tuple[str, ...] = ()


def add_study_arguments(parser: argparse.ArgumentParser, scale: str | None = None) -> None:
    """Declare what names a study to a command; `scale` is the default, None asks for one."""
    parser.add_argument(
        "--study", default=STUDY_FILE, metavar="FILE", help=f"study file (default: {STUDY_FILE})"
    )
    parser.add_argument(
        "--scale",
        default=scale,
        required=scale is None,
        metavar="NAME",
        help="file of config/scales/" + (f" (default: {scale})" if scale else ""),
    )
    for option, seeds in (
        ("--replicates", "pre-training seeds 0..N-1"),
        ("--finetuning-seeds", "fine-tuning seeds 0..N-1 of each pre-training"),
    ):
        about = f"{seeds} (default: the scale's)"
        parser.add_argument(option, type=int, metavar="N", help=about)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the study for this call, like base.masking.rate=0.4; once or more",
    )


def study_of(asked: argparse.Namespace | Options) -> Study:
    """The study that parsed arguments or options name."""
    return Study(asked.scale, asked.study, asked.replicates, asked.finetuning_seeds, asked.set)


def study_options(study: Study) -> list[tuple[str, str]]:
    """What names a study to a command: its scale, and what is not the default."""
    options = [("scale", study.scale)]
    if study.study_path != STUDY_FILE:
        options.append(("study", study.study_path))
    seeds = {"replicates": study.replicates, "finetuning_seeds": study.finetuning_seeds}
    options += [(name, str(number)) for name, number in seeds.items() if number is not None]
    return [*options, *(("set", override) for override in study.overrides)]


def read_options(typed: Iterable[str], config: Mapping[str, Any]) -> Options:
    """Options from `key=value` as typed, and from `config` where a file set them.

    Raises StudyError for a key that is not known and for a value of another kind.
    """
    pairs = [entry.partition("=")[::2] for entry in typed]
    texts = dict(pairs)
    known = [field.name for field in fields(Options)]
    values: dict[str, Any] = {}
    for key, value in config.items():
        if key not in known:
            raise StudyError(f"--config {key}: unknown key{hint(key, known)}")
        if key == "set":  # the one that may be given more than once
            words = [text for name, text in pairs if name == key] or value
            values[key] = _overrides(words if isinstance(words, list) else [words])
            continue
        word = texts.get(key, value)
        if isinstance(word, bool) or not isinstance(word, (str, int, float)):
            raise StudyError(f"--config {key}: expected one word, found {value_text(word)}")
        text = str(word)
        if not text.strip() or any(letter < " " for letter in text):
            raise StudyError(f"--config {key}: expected a value, found {text!r}")
        values[key] = NUMBERS[key](text) if key in NUMBERS else text
    return Options(**values)


def _overrides(words: list) -> tuple[str, ...]:
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise StudyError(f"--config set: expected KEY=VALUE, found {value_text(word)}")
    return tuple(words)


def _seeds(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= MOST_SEEDS:
        raise StudyError(f"{name}: expected a number from 1 to {MOST_SEEDS}, found {text}")
    return int(text)


def _flops(text: str) -> float:
    try:
        flops = float(text)
    except ValueError:
        flops = math.nan
    if not 0 < flops < math.inf:
        raise StudyError(f"flops: expected a number above 0, like 3.5e14, found {text}")
    return flops


NUMBERS: dict[str, Callable[[str], Any]] = {  # how their texts are read
    **{name: partial(_seeds, name) for name in ("replicates", "finetuning_seeds")},
    "flops": _flops,
}


def check_cores(cores: int | None) -> None:
    """StudyError for a number of cores on which nothing can run; None leaves it to a cluster."""
    if cores is not None and cores < 1:
        raise StudyError(f"--cores: expected at least 1, found {cores}")


def check_folder(folder: str) -> None:
    """StudyError for a project folder that snakemake cannot work in: to it, braces hold names."""
    if set(folder) & set("{}"):
        raise StudyError(f"{folder}: braces in the project's path, which snakemake cannot read")
