"""What every command of the analysis takes and does: the study, its result, the files it writes."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from study import options
from study.command import command_parser
from study.errors import StudyError
from study.graph import Study
from study.manifest import check_place, write_atomic
from study.record import recorded


def add_study_arguments(
    parser: argparse.ArgumentParser, writes: str = "CSV", required: bool = True
) -> None:
    """Declare what every analysis command takes: the study, the scale, the file it writes."""
    options.add_study_arguments(parser)
    parser.add_argument(
        "--output", required=required, type=Path, metavar=writes, help="file to write"
    )


def study_of(parsed: argparse.Namespace) -> Study:
    """The study that the arguments name."""
    return Study(parsed.scale, parsed.study, parsed.replicates)


def beside(output: Path, *endings: str) -> list[Path]:
    """The files that are written beside a CSV, checked before anything is.

    StudyError unless `output` ends in .csv, and where no file can be put in a place.
    """
    if output.suffix != ".csv":
        raise StudyError(f"--output {output}: expected a name that ends in .csv")
    paths = [output.with_suffix(ending) for ending in endings]
    for path in (output, *paths):
        check_place(path)
    return paths


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a data frame as CSV, atomically."""
    write_atomic(path, frame.to_csv(index=False, lineterminator="\n"))


def check_known(what: str, noun: str, name: str, known: Iterable[str]) -> None:
    """StudyError that begins with `what` and lists what there is, unless `name` is known."""
    if name not in known:
        raise StudyError(f"{what}: no such {noun}; known: {', '.join(known)}")


def csv_command(
    arguments: list[str] | None, result: str, purpose: str, read: Callable[[Study], pd.DataFrame]
) -> None:
    """The whole command `analysis.<result>`, which writes `results/<result>.csv`."""
    example = f"python -m analysis.{result} --scale laptop --output results/{result}.csv"
    parser = command_parser(f"analysis.{result}", purpose, example)
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = study_of(parsed)
    with recorded(study, result, parsed.output):
        write_csv(read(study), parsed.output)
