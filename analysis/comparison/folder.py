"""What a results folder says of its numbers and their runs: the files of `analysis.provenance`.

They hold all that a comparison needs, so that a folder, or one such file, can come from anywhere:
every number with its replicates, the names and recipes of all runs behind it, code, machine,
package versions.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel

from study.archive import is_archive, read_archive
from study.errors import StudyError
from study.fields import given
from study.messages import parse_option

WHOLE, PARTS = "provenance.json", "provenance"
TO_MAKE = f"ask snakemake for results/{WHOLE}, or results/{PARTS}/<table>.json for single tables"
COMPUTED = ("code", "device", "precision", "threads", "processes")
Place = tuple[str, str, str]  # table, row, column


class Entry(BaseModel):
    """One number: what is shown of it, the keys of its runs, its replicates by their last run's."""

    cell: str | None
    shown: dict[str, float | str | None]
    pretraining: list[str] = []
    finetuning: list[str] = []
    minimal_pairs: list[str] = []
    selection: list[str] = []
    setting: str = ""
    left_out: list | None = None  # only of ensembles
    replicates: dict[str, float | None] = {}

    @property
    def last(self) -> tuple[str, ...]:
        """The runs that the number comes from, one per pre-training seed."""
        return tuple(self.finetuning or self.minimal_pairs or self.pretraining)

    @property
    def number(self) -> float | None:
        """What the table shows: the median, or the value."""
        number = self.shown.get("median", self.shown.get("value"))
        return None if isinstance(number, str) else number


class Run(BaseModel):
    """One run; that of a fine-tuning seed tells no recipe, for its fine-tuning does."""

    stage: str
    names: dict[str, Any]
    inputs: dict[str, list[str]]
    environment: str | None
    recipe: dict[str, Any] = {}
    seed: int | None = None
    code: str | None = None
    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    processes: int | None = None


class Environment(BaseModel):
    """What runs were computed with."""

    processor: str | None
    cores: int | None
    versions: dict[str, str | None] | None


class Record(BaseModel):
    """One file of `analysis.provenance`."""

    scale: str
    tables: dict[str, dict[str, dict[str, Entry]]]
    runs: dict[str, Run]
    environments: dict[str, Environment]


@dataclass(frozen=True)
class Folder:
    """All records of a results folder together."""

    path: Path
    records: list[Record]

    @property
    def scale(self) -> str:
        """The scale of its study."""
        return self.records[0].scale

    @cached_property
    def tables(self) -> dict[str, dict[str, dict[str, Entry]]]:
        """Table -> row -> column -> entry."""
        return {name: rows for record in self.records for name, rows in record.tables.items()}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Runs by key."""
        return {key: run for record in self.records for key, run in record.runs.items()}

    @cached_property
    def numbers(self) -> dict[Place, Entry]:
        """The numbers of ours, without those that are quoted."""
        return {
            (table, row, column): entry
            for table, rows in self.tables.items()
            for row, entries in rows.items()
            for column, entry in entries.items()
            if entry.cell
        }

    def facts(self) -> dict[str, str]:
        """What its runs were made with, by what that is called."""
        found: dict[str, set[str]] = {}
        for name, value in chain.from_iterable(map(told, self.records)):
            found.setdefault(name, set()).update([] if value is None else [str(value)])
        return {name: ", ".join(sorted(values)) or "unknown" for name, values in found.items()}

    def seeds(self) -> str:
        """The pre-training seeds of its numbers."""
        keys = chain.from_iterable(entry.pretraining for entry in self.numbers.values())
        return ", ".join(map(str, sorted({given(self.runs[key].seed) for key in set(keys)})))


def told(record: Record) -> Iterator[tuple[str, Any]]:
    """Everything that the runs of a record tell of code, machine and versions."""
    for run in record.runs.values():
        yield from ((name, getattr(run, name)) for name in COMPUTED)
    for environment in record.environments.values():
        yield from (("processor", environment.processor), ("cores", environment.cores))
        yield from (environment.versions or {}).items()


def read_folder(path: Path) -> Folder:
    """The provenance of all tables, or where it is not there those of single tables.

    `path` is a folder, an archive of one or of a study, or one such file. Raises StudyError for
    what is not there, no such record, or of several scales.
    """
    contents = archived(path) if is_archive(path) else provenance_files(path)
    records = {file: read_record(file, content) for file, content in contents.items()}
    first, *_ = records.items()
    for file, record in records.items():
        if record.scale != first[1].scale:
            scales = f"scale {record.scale}, {Path(first[0]).name} of scale {first[1].scale}"
            raise StudyError(f"{file}: of {scales}; name a folder of one scale, or one file")
    return Folder(path, [*records.values()])


def provenance_files(path: Path) -> dict[str, bytes]:
    """What is read of a folder, or of its `results/`; StudyError tells what makes it."""
    if path.is_file():
        return {str(path): content_of(path)}
    if not path.is_dir():
        raise StudyError(f"{path}: no such file or folder")
    for folder in (path, path / "results"):
        whole = folder / WHOLE
        files = [whole] if whole.is_file() else sorted((folder / PARTS).glob("*.json"))
        if files:
            return {str(file): content_of(file) for file in files}
    raise StudyError(f"{path}: no {WHOLE}; {TO_MAKE}")


def archived(path: Path) -> dict[str, bytes]:
    """The same of an archive: those that lie least deep. Runs have files of that name as well."""

    def is_record(name: PurePosixPath) -> bool:
        part = name.parent.name == PARTS and name.suffix == ".json"
        return (name.name == WHOLE or part) and not {"runs", "scales"} & {*name.parts}

    found = read_archive(path, is_record)
    if not found:
        raise StudyError(f"{path}: no {WHOLE} in it; {TO_MAKE}")
    wholes = [name for name in found if PurePosixPath(name).name == WHOLE]
    best = [min(wholes, key=lambda name: name.count("/"))] if wholes else sorted(found)
    return {f"{path}/{name}": found[name] for name in best}


def content_of(file: Path) -> bytes:
    """The bytes of a file; StudyError where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file}: {error.strerror}") from None


def read_record(file: str, content: bytes) -> Record:
    """One record; StudyError names the field that it lacks, or a run that it does not tell of."""
    try:
        values = json.loads(content)
    except ValueError as error:
        raise StudyError(f"{file}: not JSON ({error})") from None
    record = parse_option(values, Record, file)
    for key in keys_in(record):
        if key not in record.runs:
            raise StudyError(f"{file}: runs: no {key}, which others read")
    return record


def keys_in(record: Record) -> Iterable[str]:
    """The keys of all runs that numbers or other runs come from."""
    for rows in record.tables.values():
        for entry in chain.from_iterable(entries.values() for entries in rows.values()):
            yield from (*entry.last, *entry.pretraining, *entry.selection, *entry.replicates)
    for run in record.runs.values():
        yield from chain.from_iterable(run.inputs.values())
