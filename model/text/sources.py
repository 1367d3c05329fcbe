"""Sources of documents: the hub, an offline mirror, a folder of files, or the generator.

In: a source recipe and, for a mirror, its folder. Out: per split the files with rows, bytes and
SHA-256 (the source manifest's `figures`), the place where they lie (`location.json` in the run
directory: a place is execution, not recipe), and the documents, streamed.

Their layout is that of `study.places`. A .txt file is one document (UTF-8), a line of .jsonl one, a
row of .parquet one.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from study.digests import MEMORY, file_digest, sha256_file
from study.errors import StudyError
from study.manifest import Manifest, write_atomic
from study.places import local_root, source_entries, split_files, split_pattern

LOCATION = "location.json"
ROWS_PER_READ = 64


def hub_patterns(recipe: dict) -> list[str]:
    """Glob patterns of the recipe's files inside the repository: those of its splits only."""
    return [split_pattern(recipe, split) for split in recipe["splits"]]


def download(recipe: dict, target: Path) -> Path:
    """Download the recipe's files at its pinned revision; returns the snapshot's root.

    Raises StudyError when the hub cannot be reached or has no such repository or revision.
    """
    if "revision" not in recipe:
        raise StudyError(
            f"{recipe['repo']}: not on the hub (its source has no revision): give a mirror that "
            "has it (--config mirror=DIR), or name your copy as source.folder in config/study.yaml"
        )
    # imported here: a mirror or a folder needs neither the hub's client nor its start-up time
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        root = snapshot_download(
            recipe["repo"],
            repo_type="dataset",
            revision=recipe["revision"],
            allow_patterns=hub_patterns(recipe),
            local_dir=target,
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyError(
            f"{recipe['repo']} at revision {recipe['revision']}: cannot download ({reason}); "
            "without internet name an offline mirror"
        ) from None
    return Path(root)


def generate(recipe: dict, target: Path) -> Path:
    """Generate the recipe's corpus or task into `target`; returns `target`."""
    # imported here: real text does not need it
    from language.write import write_source

    write_source(recipe["generated"], target, seed=recipe["seed"], sizes=recipe["sizes"])
    return target


def locate(recipe: dict, mirror: Path | None, target: Path) -> tuple[Path, dict[str, list[Path]]]:
    """Find (or download or generate into `target`) the files of a source recipe.

    Returns the root they lie under and, per split, their paths in order. Raises StudyError when
    the mirror, the folder, a split or one of a split's numbered parts is missing.
    """
    root = local_root(recipe, mirror)
    if root is None:
        root = (generate if "generated" in recipe else download)(recipe, target)
    return root, {split: split_files(recipe, root, split) for split in recipe["splits"]}


def describe(root: Path, files: dict[str, list[Path]]) -> dict[str, list[dict]]:
    """Per split and file: name relative to `root`, rows, bytes, SHA-256."""
    return {
        split: [
            {
                "name": path.relative_to(root).as_posix(),
                "rows": count_rows(path),
                "bytes": path.stat().st_size,
                "sha256": sha256_file(path),
            }
            for path in paths
        ]
        for split, paths in files.items()
    }


def write_location(run_directory: Path, root: Path) -> None:
    """Note where the files lie; inside the run directory as a relative path, so it can move."""
    root, run_directory = root.resolve(), run_directory.resolve()
    inside = root.is_relative_to(run_directory)
    place = root.relative_to(run_directory).as_posix() if inside else str(root)
    write_atomic(run_directory / LOCATION, json.dumps({"root": place}) + "\n")


def source_files(manifest: Manifest, split: str, mirror: Path | None = None) -> list[Path]:
    """The files of a split of a published source, in order: in `mirror`, or where they were.

    Raises StudyError when the split is unknown or a file is gone or has other bytes than it had.
    """
    root = local_root(manifest.recipe, mirror) or _noted_place(manifest)
    paths = []
    for entry in source_entries(manifest, split):
        path = root / entry["name"]
        if not path.is_file():
            raise StudyError(
                f"{path}: missing, though {manifest.path} lists it; if the files were moved, name "
                "their place: --config mirror=DIR"
            )
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise StudyError(
                f"{path}: {size} bytes, expected {entry['bytes']}; {manifest.rebuild_hint}"
            )
        memory = manifest.run_directory / MEMORY
        if file_digest(path, str(path.absolute()), memory) != entry["sha256"]:
            raise StudyError(
                f"{path}: SHA-256 differs from {manifest.path}; {manifest.rebuild_hint}"
            )
        paths.append(path)
    return paths


def _noted_place(manifest: Manifest) -> Path:
    """The root that the source's files lay under when they were fetched."""
    location = manifest.run_directory / LOCATION
    try:
        noted = json.loads(location.read_text())
    except OSError as error:
        raise StudyError(f"{location}: {error.strerror}; {manifest.rebuild_hint}") from None
    except ValueError:
        noted = None
    if not isinstance(noted, dict) or not isinstance(noted.get("root"), str):
        raise StudyError(f"{location}: field root: no path; {manifest.rebuild_hint}")
    return manifest.run_directory / noted["root"]


def add_mirror_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--mirror`: where a source's files lie, if not where they were fetched from."""
    parser.add_argument(
        "--mirror", type=Path, metavar="DIR", help="offline mirror: DIR/<repo>/<config>/<split>-*"
    )


def count_rows(path: Path) -> int:
    """Documents in a file; StudyError when a parquet file cannot be read."""
    if path.suffix == ".txt":
        return 1
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    with open_parquet(path) as parquet:
        return parquet.metadata.num_rows


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file; StudyError when it is truncated or none."""
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{path}: not a whole parquet file ({_first_line(error)})") from None


def read_texts(path: Path, column: str, start: int = 0, stop: int | None = None) -> Iterator[str]:
    """Yield the texts of documents start..stop-1 of a file, without holding the others.

    Raises StudyError naming file and column (or line) when the text is missing.
    """
    readers: dict[str, Callable] = {".txt": _read_txt, ".jsonl": _read_jsonl}
    stop = count_rows(path) if stop is None else stop
    if start < stop:
        yield from readers.get(path.suffix, _read_parquet)(path, column, start, stop)


def read_range(
    paths: list[Path], rows: list[int], column: str, start: int, stop: int
) -> Iterator[str]:
    """Yield documents start..stop-1 of several files counted as one, given their rows."""
    first = 0
    for path, count in zip(paths, rows, strict=True):
        lower, upper = max(start - first, 0), min(stop - first, count)
        if lower < upper:
            yield from read_texts(path, column, lower, upper)
        first += count


def _read_txt(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    try:
        yield path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text ({error.reason} at {error.start})") from None


def _read_jsonl(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    row = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if row >= stop:
                return
            if row >= start:
                yield _jsonl_text(line, column, f"{path}: line {number}")
            row += 1


def _jsonl_text(line: bytes, column: str, where: str) -> str:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict) or not isinstance(value.get(column), str):
        found = ", ".join(value) if isinstance(value, dict) else type(value).__name__
        raise StudyError(f"{where}: no text in column {column}; found {found}")
    return value[column]


def _read_parquet(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    with open_parquet(path) as parquet:
        names = parquet.schema_arrow.names
        if column not in names:
            raise StudyError(f"{path}: no column {column}; found {', '.join(names)}")
        kind = parquet.schema_arrow.field(column).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise StudyError(f"{path}: column {column}: expected text, found {kind}")
        first = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            lower, upper = max(start - first, 0), min(stop - first, count)
            if lower < upper:
                yield from _read_group(parquet, path, column, group, lower, upper)
            first += count


def _read_group(
    parquet: pq.ParquetFile, path: Path, column: str, group: int, lower: int, upper: int
) -> Iterator[str]:
    """Yield rows lower..upper-1 of a row group, a few at a time; a null text is an empty one."""
    row = 0
    try:
        for batch in parquet.iter_batches(ROWS_PER_READ, row_groups=[group], columns=[column]):
            texts = batch.column(0)[max(lower - row, 0) : max(upper - row, 0)]
            yield from (text or "" for text in texts.to_pylist())
            row += batch.num_rows
            if row >= upper:
                return
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{path}: cannot be read to its end ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
