"""What every command of the analysis takes and does: the study, its result, the files it writes."""

import argparse
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from study import options
from study.command import command_parser
from study.errors import StudyError
from study.graph import Study
from study.manifest import check_place, write_atomic
from study.options import study_of, study_options
from study.record import recorded
from study.results import FIGURE, RESULTS, WILDCARD


def add_study_arguments(
    parser: argparse.ArgumentParser, writes: str = "CSV", required: bool = True
) -> None:
    """Declare what every analysis command takes: the study, the scale, the file it writes."""
    options.add_study_arguments(parser)
    parser.add_argument(
        "--output", required=required, type=Path, metavar=writes, help="file to write"
    )


def option_words(study: Study) -> list[str]:
    """What names a study to a command of ours: `--scale demo --replicates 2`."""
    options = [(name.replace("_", "-"), value) for name, value in study_options(study)]
    return [word for name, value in options for word in (f"--{name}", value)]


def snakemake_command(study: Study, *results: str | Path) -> str:
    """The command that makes these results; with a mirror to fill in where data are read."""
    told = [f"{name}={value}" for name, value in study_options(study)]
    if any("generated" not in recipe for recipe in study.source_recipes().values()):
        told.append("mirror=DIR")
    words = ["snakemake", "--cores", "all", "--config", *told, "--", *map(str, results)]
    return shlex.join(words)


def output_files(output: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a result by the name of one, checked before anything is written.

    StudyError unless `output` ends as the first of `endings` does (a figure: as either), and where
    no file can be put in a place.
    """
    accepted = [f".{ending}" for ending in (endings if endings == FIGURE else endings[:1])]
    if output.suffix not in accepted:
        raise StudyError(f"--output {output}: expected a name that ends in {' or '.join(accepted)}")
    paths = [output.with_suffix(f".{ending}") for ending in endings]
    for path in paths:
        check_place(path)
    return paths


def csv_text(frame: pd.DataFrame) -> str:
    """A data frame as CSV."""
    return frame.to_csv(index=False, lineterminator="\n")


def check_known(what: str, noun: str, name: str, known: Iterable[str]) -> None:
    """StudyError that begins with `what` and lists what there is, unless `name` is known."""
    if name not in known:
        raise StudyError(f"{what}: no such {noun}; known: {', '.join(known)}")


def result_command(
    arguments: list[str] | None,
    rule: str,
    make: Callable[[Study, str], Iterable[str | bytes]],
    noun: str = "table",
    whole: str | None = None,
) -> None:
    """The whole command of the result of `study.results` that this rule makes.

    `make(study, name)` gives the contents of its files in the order of their endings; `name` is
    that of a `noun` of the study file, or empty where the result is one of all the study: that of
    the rule `whole`, if the command makes both.
    """
    rules = {entry.rule: entry for entry in RESULTS}
    entry = rules[rule]
    module, *named = WILDCARD.sub("TABLE", entry.command).split()
    example = f"{WILDCARD.sub('TABLE', entry.pattern)}.{entry.endings[0]}"
    parser = command_parser(
        module,
        f"Write {entry.files}: {entry.about}.",
        f"python -m {' '.join([module, *named])} --scale laptop --output results/{example}",
    )
    if named:
        about = f"a {noun} of config/study/tables.yaml"
        if whole:
            parser.add_argument("table", nargs="?", help=f"{about} (default: all)")
        else:
            parser.add_argument("table", help=about)
    add_study_arguments(parser, entry.endings[0].upper())
    parsed = parser.parse_args(arguments)
    files = output_files(parsed.output, entry.endings)
    study = study_of(parsed)
    name = (parsed.table or "") if named else ""
    entry = rules[whole] if whole and not name else entry
    check_known(name, noun, name, entry.names(study.config))
    with recorded(study, entry.named(name), *files) as due:
        contents = make(study, name) if due else ()
        for path, content in zip(files, contents, strict=due):
            write_atomic(path, content)
