"""Which files are a split: the layouts of the hub, of a mirror, and of a folder of one's own.

hub and mirror  `<config>/<split>-0000i-of-0000n.parquet`, with or without a hash behind the numbers
                `data/<split>-0000i-of-0000n.parquet` where there is no folder `<config>`, or the
                same at the repository's root where there is no `data` either
                `<config>/<split>/000i.parquet`, the hub's branch of converted files
                a split of another config of the repository is `<config>/<split>` in all of them
folder          files of `<folder>/<split>/`, or else `<split>.*` and `<split>-<number>.*`, or else
                (split train only) all files of the folder; those whose names begin with a dot
                do not count, .csv and .tsv only where there are no others
file            the only split that is read, whatever it is called

Every number of a set is there once, and a name that nearly fits is an error: half a corpus or
another split must not pass for the whole.
"""

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from study.errors import StudyError

# Of files of one's own; what lies beside text as .csv mostly says something about it.
TEXTS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet", ".txt", ".txt.gz", ".txt.zst")
TABLES = (".csv", ".csv.gz", ".csv.zst", ".tsv", ".tsv.gz", ".tsv.zst")
KINDS = ".jsonl, .parquet, .txt, .csv or .tsv"
NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<hash>-[0-9a-f]+)?")


def suffix_of(path: str | Path) -> str:
    """What a file of one's own is, by its name: `.jsonl`, `.csv.gz`; "" for anything else.

    Capital letters are as good (`NOTES.TXT`), or half a folder would be left out.
    """
    name = Path(path).name.lower()
    return next((suffix for suffix in (*TEXTS, *TABLES) if name.endswith(suffix)), "")


def _stem(name: str) -> str:
    """A file's name without what says its kind."""
    return name[: len(name) - len(suffix_of(name))]


def layout_folders(config: str | None, split: str) -> tuple[list[str], str]:
    """The folders of a repository in which a split may lie, and the split's bare name."""
    if config is None and "/" not in split:
        return ["."], split
    other, _, bare = split.rpartition("/")
    home = other or config or "."
    # data/ or the root is the home of a repository's only config, so of no other one.
    return [home, f"{home}/{bare}", *([] if other else ["data", "."])], bare


def repository_parts(names: Iterable[str], config: str | None, split: str, where: str) -> list[str]:
    """The parts of a split among the `names` of a repository's files, in order.

    Raises StudyError, beginning with `where`, for a set that is missing, incomplete or ambiguous.
    """
    (home, *others), bare = layout_folders(config, split)
    by_folder: dict[str, list[str]] = {}
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        by_folder.setdefault(folder or ".", []).append(file)
    if "data" in others and not any(f"{name}/".startswith(f"{home}/") for name in by_folder):
        if "data" in by_folder:
            home = "data"
        elif _numbered(by_folder.get(".", []), bare, where):
            home = "."
    numbered = _numbered(by_folder.get(home, []), bare, f"{where}/{home}")
    converted = _converted(by_folder.get(f"{home}/{bare}", []), f"{where}/{home}/{bare}")
    if numbered and converted:
        raise StudyError(f"{where}/{home}: split {bare} twice: {numbered[0]} and the folder {bare}")
    if not numbered and not converted:
        raise StudyError(f"{where}: no files {home}/{bare}-*.parquet")
    folder = home if numbered else f"{home}/{bare}"
    return [file if folder == "." else f"{folder}/{file}" for file in numbered or converted]


def _numbered(files: list[str], split: str, where: str) -> list[str]:
    """The complete set `<split>-0000i-of-0000n.parquet` among a folder's files; empty without."""
    parts = []
    for file in files:
        if not (file.startswith(f"{split}-") and file.endswith(".parquet")):
            continue
        match = _numbers(file)
        if match is None:
            raise StudyError(f"{where}/{file}: expected {split}-0000i-of-0000n.parquet")
        if match["stem"] == split:  # the rest are other splits, as `train-clean`
            parts.append(file)
    return complete_set(parts, where) if parts else []


def _numbers(file: str) -> re.Match | None:
    """What the name of a numbered part says; None for another name."""
    return NUMBERED.fullmatch(_stem(file))


def complete_set(files: list[str], where: str) -> list[str]:
    """Files of one numbered set by number; StudyError unless every number is there once."""
    parts: dict[int, str] = {}
    matches = [match for match in map(_numbers, files) if match]
    first = matches[0]
    for file, match in zip(files, matches, strict=True):
        if (match["total"], bool(match["hash"])) != (first["total"], bool(first["hash"])):
            raise StudyError(f"{where}/{file}: of another set than {files[0]}")
        number = int(match["number"])
        if number in parts:
            raise StudyError(f"{where}/{file}: the same part as {parts[number]}")
        if number >= int(match["total"]):
            raise StudyError(f"{where}/{file}: expected a number below {match['total']}")
        parts[number] = file
    for number in range(int(first["total"])):
        if number not in parts:
            problem = f"part {number:05} of {first['total']} is missing beside {files[0]}"
            raise StudyError(f"{where}: {problem}")
    return [parts[number] for number in sorted(parts)]


def _converted(files: list[str], where: str) -> list[str]:
    """The files 0000.parquet, 0001.parquet, ... of the hub's converted branch."""
    parquet = sorted(file for file in files if file.endswith(".parquet"))
    for number, file in enumerate(parquet):
        if file != f"{number:04}.parquet":
            raise StudyError(f"{where}/{file}: expected {number:04}.parquet")
    return parquet


def list_folder(folder: Path) -> list[str]:
    """Sorted names in a folder, none where there is no folder; StudyError if it is unreadable."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StudyError(f"{folder}: cannot be read ({error.strerror})") from None


def whole_file(path: Path) -> Path:
    """`path`; StudyError for a broken link, a folder in a file's place, an empty file, or a name
    that is not UTF-8, which no manifest could hold.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise StudyError(f"{str(path)!a}: a name that is not UTF-8; rename the file")
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from None
    if size is None:
        raise StudyError(f"{path}: {'a broken link' if path.is_symlink() else 'not a file'}")
    if size == 0:
        raise StudyError(f"{path}: an empty file")
    return path


def local_parts(root: Path, config: str | None, split: str) -> list[Path]:
    """The parts of a split under a mirror's repository or of generated files, in order."""
    folders, _ = layout_folders(config, split)
    names = [
        name if folder == "." else f"{folder}/{name}"
        for folder in folders
        for name in list_folder(root / folder)
    ]
    return [whole_file(root / name) for name in repository_parts(names, config, split, str(root))]


def own_files(place: Path, split: str) -> list[Path]:
    """The files of a split in a folder of one's own, in order, or the file that `place` is.

    Those of the split `ax/test` lie in `ax/`. Raises StudyError where there are none.
    """
    if place.is_dir():
        return _folder_files(place, split)
    if not suffix_of(place):
        raise StudyError(f"{place}: expected a file of {KINDS}")
    return [whole_file(place)]


def _folder_files(folder: Path, split: str) -> list[Path]:
    if "/" in split:
        other, split = split.split("/", 1)
        folder = folder / other
    inside, beside = _by_kind(folder / split), _by_kind(folder)
    named = ([path for path in paths if _is_named(path, split)] for paths in beside)
    paths = next(filter(None, chain(inside, named, beside if split == "train" else ())), [])
    if not paths:
        raise StudyError(f"{folder}: no {KINDS} files for split {split}")
    _check_sets(paths)
    return [whole_file(path) for path in paths]


def _by_kind(folder: Path) -> list[list[Path]]:
    """The files of a folder that are texts, and those that are tables."""
    names = [name for name in list_folder(folder) if not name.startswith(".")]
    by_kind = [[folder / n for n in names if suffix_of(n) in kinds] for kinds in (TEXTS, TABLES)]
    return [[path for path in paths if not path.is_dir()] for paths in by_kind]


def _is_named(path: Path, split: str) -> bool:
    """Whether a file is `<split>.*` or a numbered part of it; StudyError for what nearly is."""
    suffix = suffix_of(path)
    stem = _stem(path.name)
    if stem == split or not stem.startswith(f"{split}-"):
        return stem == split
    if numbers := _numbers(path.name):
        return numbers["stem"] == split
    if not stem.removeprefix(f"{split}-").isdecimal():
        raise StudyError(
            f"{path}: expected {split}{suffix} or {split}-<number>{suffix}; files of other names "
            f"of split {split} belong into a folder {split}/"
        )
    return True


def _check_sets(paths: list[Path]) -> None:
    """Raise StudyError unless the numbered sets among a folder's files are complete."""
    sets: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        if numbers := _numbers(path.name):
            sets.setdefault((numbers["stem"], suffix_of(path)), []).append(path.name)
    for files in sets.values():
        complete_set(files, str(paths[0].parent))
