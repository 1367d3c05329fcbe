"""What a person asks of a run with `--config key=value`: typed, with the text that was typed.

Snakemake turns the values into numbers, truth values, lists and mappings before the Snakefile
sees them: a folder 007 would be 7. What was typed counts.
"""

import argparse
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from study.errors import StudyError, value_text
from study.fields import MOST_SEEDS
from study.messages import hint
from study.read import STUDY_FILE

DEFAULT_SCALE = "demo"


@dataclass(frozen=True)
class Options:
    """A scale, a study file, a mirror, a number of replicates, the FLOP/s of a device."""

    scale: str = DEFAULT_SCALE
    study: str = STUDY_FILE
    mirror: str | None = None
    replicates: int | None = None
    flops: float | None = None


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
    replicates = "pre-training seeds 0..N-1 (default: the scale's)"
    parser.add_argument("--replicates", type=int, metavar="N", help=replicates)


def read_options(typed: Iterable[str], config: Mapping[str, Any]) -> Options:
    """Options from `key=value` as typed, and from `config` where a file set them.

    Raises StudyError for a key that is not known and for a value of another kind.
    """
    texts = dict(entry.partition("=")[::2] for entry in typed)
    known = [field.name for field in fields(Options)]
    values: dict[str, Any] = {}
    for key, value in config.items():
        if key not in known:
            raise StudyError(f"--config {key}: unknown key{hint(key, known)}")
        word = texts.get(key, value)
        if isinstance(word, bool) or not isinstance(word, (str, int, float)):
            raise StudyError(f"--config {key}: expected one word, found {value_text(word)}")
        text = str(word)
        if not text.strip() or any(letter < " " for letter in text):
            raise StudyError(f"--config {key}: expected a value, found {text!r}")
        values[key] = NUMBERS[key](text) if key in NUMBERS else text
    return Options(**values)


def _replicates(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= MOST_SEEDS:
        raise StudyError(f"replicates: expected a number from 1 to {MOST_SEEDS}, found {text}")
    return int(text)


def _flops(text: str) -> float:
    try:
        flops = float(text)
    except ValueError:
        flops = math.nan
    if not 0 < flops < math.inf:
        raise StudyError(f"flops: expected a number above 0, like 3.5e14, found {text}")
    return flops


NUMBERS = {"replicates": _replicates, "flops": _flops}  # how their texts are read


def check_cores(cores: int | None) -> None:
    """StudyError for a number of cores on which nothing can run; None leaves it to a cluster."""
    if cores is not None and cores < 1:
        raise StudyError(f"--cores: expected at least 1, found {cores}")
