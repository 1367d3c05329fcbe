"""Sources of documents: the hub, an offline mirror, a folder of files, or the generator.

In: a source recipe and, for a mirror, its folder. Out: per split the files with rows, bytes and
SHA-256 (the source manifest's `figures`), the place where they lie (`location.json` in the run
directory: a place is execution, not recipe), and the documents, streamed.

Their layout is that of `study.parts`. A line of .jsonl is a document, a row of .parquet, .csv or
.tsv is one. A .txt file (UTF-8) is one, or what its `boundary` says: `blank-line`, documents end
with a blank line, as in BERT's input; `line`, each line is one; `none`, the text has no documents,
and pieces of some PIECE characters, which end with a paragraph, stand for them. What ends in .gz or
.zst is decompressed as it is read; no file is held as a whole but a .txt file that is one document.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, groupby, islice
from math import inf
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from model.text.cells import DELIMITERS, read_cells, row_count
from model.text.hub import download
from model.text.opened import open_bytes
from study.digests import digest_files
from study.errors import StudyError, first_line, kind_text
from study.identity import read_json_argument
from study.manifest import Manifest, write_atomic
from study.parts import suffix_of
from study.places import LOCATION, Places, check_files, source_entries, split_files

ROWS_PER_READ = 64
PIECE = 10_000  # characters: some five pages
NOWHERE = Places()


@dataclass(frozen=True)
class Located:
    """The files of a source by split, in order, and the root they lie under.

    Of what was downloaded also the commit, and the number of all parts of the splits of which not
    all were needed.
    """

    root: Path
    files: dict[str, list[Path]]
    commit: str | None = None
    of: dict[str, int] = field(default_factory=dict)


def locate(recipe: dict, places: Places, target: Path, documents: float = inf) -> Located:
    """Find (or download or generate into `target`) the files of a source recipe.

    No more parts are downloaded than hold so many documents. Raises StudyError when the mirror, the
    folder, a split or one of a split's numbered parts is missing.
    """
    root = places.root(recipe)
    if root is None and "files" in recipe:
        raise StudyError("--places: no folder for the recipe's files")
    if root is None and "repo" in recipe:
        target.mkdir(parents=True, exist_ok=True)
        files, parts, commit = download(recipe, target, count_rows, documents)
        of = {split: count for split, count in parts.items() if len(files[split]) < count}
        return Located(target, files, commit, of)
    if root is None:
        # imported here: real text does not need it
        from language.write import write_source

        write_source(recipe["generated"], target, seed=recipe["seed"], sizes=recipe["sizes"])
        root = target
    return Located(root, {split: split_files(recipe, root, split) for split in recipe["splits"]})


def describe(located: Located, memory: Path, boundary: str = "file") -> dict[str, list[dict]]:
    """Per split and file: name under the root, rows, bytes, SHA-256 (remembered in `memory`)."""
    every = {str(path.absolute()): path for paths in located.files.values() for path in paths}
    digests = digest_files(every, memory)
    return {
        split: [
            {
                "name": path.relative_to(located.root).as_posix(),
                "rows": count_rows(path, boundary),
                "bytes": path.stat().st_size,
                "sha256": digests[str(path.absolute())],
            }
            for path in paths
        ]
        for split, paths in located.files.items()
    }


def write_location(run_directory: Path, root: Path) -> None:
    """Note where the files lie; inside the run directory as a relative path, so it can move."""
    root, run_directory = root.resolve(), run_directory.resolve()
    if root.is_relative_to(run_directory):
        root = root.relative_to(run_directory)
    write_atomic(run_directory / LOCATION, json.dumps({"root": root.as_posix()}) + "\n")


def source_files(manifest: Manifest, split: str, places: Places = NOWHERE) -> list[Path]:
    """The files of a split of a published source, in order: in `places`, or where they were.

    They are those with the published bytes, whatever they are called now. Raises StudyError when
    the split is unknown or a file is gone or has other bytes than it had.
    """
    entries, root = source_entries(manifest, split), places.root(manifest.recipe)
    root = _noted_place(manifest) if root is None else root
    paths = [root / entry["name"] for entry in entries]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        if not root.is_dir():
            raise StudyError(
                f"{missing}: missing, though {manifest.path} lists it; if the files were moved, "
                "name their place (--config mirror=DIR, or source.folder in the study file)"
            )
        paths = split_files(manifest.recipe, root, split)[: len(entries)]
    check_files(manifest, root, split, paths)
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


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--mirror` and `--places`: where files lie, if not where they were before."""
    parser.add_argument(
        "--mirror", type=Path, metavar="DIR", help="offline mirror: DIR/<repo>/<config>/<split>-*"
    )
    parser.add_argument(
        "--places",
        default="{}",
        metavar="JSON",
        help="where files of your own lie: paths by the key of the source or vocabulary",
    )


def places_of(arguments: argparse.Namespace) -> Places:
    """The places that a command line names; StudyError where one is no path."""
    by_key = read_json_argument(arguments.places, "--places")
    for key, path in by_key.items():
        if not isinstance(path, str):
            raise StudyError(f"--places: {key}: expected a path, found {path!r}")
    return Places(arguments.mirror, by_key)


def count_rows(path: Path, boundary: str = "file") -> int:
    """Documents in a file; StudyError when it cannot be read."""
    kind = suffix_of(path).split(".")[1]
    if kind == "parquet":
        with open_parquet(path) as parquet:
            return parquet.metadata.num_rows
    if kind in DELIMITERS:
        return row_count(path)
    if kind == "txt" and boundary == "file":
        return 1
    return sum(1 for _ in (_documents(path, boundary) if kind == "txt" else read_lines(path)))


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file; StudyError when it is truncated or none."""
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{path}: not a whole parquet file ({first_line(error)})") from None


def read_texts(
    path: Path, column: str, start: int = 0, stop: int | None = None, boundary: str = "file"
) -> Iterator[str]:
    """Yield the texts of documents start..stop-1 of a file (None: all), without holding the others.

    Raises StudyError naming file and column (or line) when the text is missing.
    """
    readers: dict[str, Callable] = {"jsonl": _read_jsonl, "parquet": _read_parquet}
    readers |= dict.fromkeys(DELIMITERS, _read_csv)
    kind = suffix_of(path).split(".")[1]
    stop = sys.maxsize if stop is None else stop
    if start < stop and kind == "txt":
        yield from islice(_documents(path, boundary), start, stop)
    elif start < stop:
        yield from readers[kind](path, column, start, stop)


def read_range(
    paths: list[Path], rows: list[int], column: str, start: int, stop: int, boundary: str = "file"
) -> Iterator[str]:
    """Yield documents start..stop-1 of several files counted as one, given their rows."""
    first = 0
    for path, count in zip(paths, rows, strict=True):
        lower, upper = max(start - first, 0), min(stop - first, count)
        if lower < upper:
            yield from read_texts(path, column, lower, upper, boundary)
        first += count


def _documents(path: Path, boundary: str) -> Iterator[str]:
    """The documents of a .txt file."""
    whole = boundary == "file"
    try:
        with open_bytes(path) as file:
            # A byte order mark has ever been the first letter of a file that is one document.
            text = io.TextIOWrapper(file, encoding="utf-8" if whole else "utf-8-sig")
            if whole:
                yield text.read()
            elif boundary == "none":
                yield from _pieces(text)
            elif boundary == "line":
                yield from filter(str.strip, text)
            else:
                for blank, lines in groupby(text, lambda line: not line.strip()):
                    if not blank:
                        yield "".join(lines)
    except UnicodeDecodeError as error:
        place = f" at {error.start}" if whole else ""
        where = path if whole else f"{path}: line {_undecodable_line(path)}"
        raise StudyError(f"{where}: not UTF-8 text ({error.reason}{place})") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _pieces(text: TextIO) -> Iterator[str]:
    """A text in pieces of PIECE characters or a little more: each ends with a paragraph, or with a
    line or a word where none ends before twice as many.
    """
    rest = ""
    while part := text.read(2 * PIECE - len(rest)):
        rest += part
        while len(rest) >= 2 * PIECE:
            ends = (rest.find(end, PIECE) for end in ("\n\n", "\n", " "))
            cut = next((end for end in ends if end >= 0), PIECE)
            yield rest[:cut]
            rest = rest[cut:]
    if rest.strip():
        yield rest


def _undecodable_line(path: Path) -> int:
    """Number of the first line, from 1, that is not UTF-8."""
    for number, line in read_lines(path):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    raise AssertionError(f"{path}: is UTF-8")


def _unreadable(path: Path, error: OSError) -> StudyError:
    return StudyError(f"{path}: cannot be read ({error.strerror or first_line(error)})")


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    try:
        with open_bytes(path) as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise _unreadable(path, error) from None


def _read_jsonl(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    for number, line in islice(read_lines(path), start, stop):
        where = f"{path}: line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StudyError(f"{where}: not JSON ({error})") from None
        if not isinstance(value, dict) or not isinstance(value.get(column), str):
            columns = ", ".join(value) if isinstance(value, dict) else kind_text(type(value))
            raise StudyError(f"{where}: no text in column {column}; found {columns}")
        yield value[column]


def _read_csv(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    row = 0
    for batch in read_cells(path, column):
        begin = max(start - row, 0)
        yield from _decode(
            batch[begin : max(stop - row, 0)], f"{path}: column {column}", row + begin
        )
        row += len(batch)
        if row >= stop:
            return


def _read_parquet(path: Path, column: str, start: int, stop: int) -> Iterator[str]:
    with open_parquet(path) as parquet:
        names = parquet.schema_arrow.names
        if names.count(column) != 1:
            many = f"{names.count(column)} columns" if column in names else "no column"
            raise StudyError(f"{path}: {many} {column}; found {', '.join(names)}")
        kind = parquet.schema_arrow.field(column).type
        if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise StudyError(f"{path}: column {column}: expected text, found {kind}")
        sizes = [parquet.metadata.row_group(g).num_rows for g in range(parquet.num_row_groups)]
        # Groups that hold some of the documents, and the first row of the first of them.
        ends = list(accumulate(sizes))
        groups = [g for g, end in enumerate(ends) if start < end and end - sizes[g] < stop]
        row = sum(sizes[: min(groups, default=0)])
        try:
            for batch in parquet.iter_batches(ROWS_PER_READ, row_groups=groups, columns=[column]):
                begin = max(start - row, 0)
                # By its name: of `a.b` parquet reads what is called b inside of a as well.
                texts = batch.column(column)[begin : max(stop - row, 0)]
                yield from _decode(texts, f"{path}: column {column}", row + begin)
                row += batch.num_rows
                if row >= stop:
                    return
        except (pa.ArrowException, OSError) as error:
            reason = first_line(error)
            raise StudyError(f"{path}: cannot be read to its end ({reason})") from None


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _decode(texts: pa.Array, where: str, first: int) -> list[str]:
    """Texts, the first of which is row `first` of its file; a null is an empty text."""
    decoded = []
    for row, text in enumerate(texts, first):
        try:
            decoded.append(text.as_py() or "")
        except UnicodeDecodeError as error:
            raise StudyError(
                f"{where}: row {row}: not UTF-8 text ({error.reason} at {error.start})"
            ) from None
    return decoded
