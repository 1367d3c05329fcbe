"""SHA-256 of files, each computed once while its file stays as it is.

A *memory* is a small JSON file: name -> [inode, bytes, mtime, ctime, links, SHA-256]. A file that
is still as it was then is not read again, so that a corpus is not hashed by every job that opens
it. It is a help and no record: lost, broken or in a folder that cannot be written, it costs
hashing.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from study.errors import StudyError

MEMORY = "verified.json"
# A file system's clock is coarse: what was written this recently may change unseen.
SETTLED_NS = 1_000_000_000
# Worth waiting for, so that whoever reads it next need not read it twice.
LARGE = 1 << 26


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; StudyError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from None


def remembered_digests(paths: Mapping[str, Path], memories: Iterable[Path]) -> dict[str, str]:
    """By name the digests that one of the memories holds, of files that are as they were then.

    Of a file that has more or fewer links since, the memory gets the present state. Raises
    StudyError for a file that is gone. A memory is read once, however many names there are.
    """
    states = {name: _state(path) for name, path in paths.items()}
    found: dict[str, str] = {}
    for memory in memories:
        known, other = _read(memory), {}
        for name in states.keys() - found.keys():
            state, entry = states[name], known.get(name)
            if not (isinstance(entry, list) and len(entry) == len(state) + 1):
                continue
            if isinstance(entry[-1], str) and _stayed(entry, state):
                found[name] = entry[-1]
                if entry[:-1] != state:
                    other[name] = [*state, entry[-1]]
        _add(memory, other)
    return found


def remembered_names(memory: Path) -> list[str]:
    """The names of all files whose digests a memory holds."""
    return list(_read(memory))


def file_digest(path: Path, name: str, memory: Path) -> str:
    """SHA-256 of `path`: the one that `memory` holds for `name`, else computed and remembered.

    Raises StudyError when the file cannot be read.
    """
    return file_digests({name: path}, memory)[name]


def file_digests(paths: Mapping[str, Path], memory: Path) -> dict[str, str]:
    """The same of files by name."""
    known = remembered_digests(paths, [memory])
    return known | digest_files({name: paths[name] for name in paths if name not in known}, memory)


def digest_files(paths: Mapping[str, Path], memory: Path) -> dict[str, str]:
    """SHA-256 of files by name, all computed and remembered; StudyError for an unreadable one."""
    digests, settled = {}, {}
    for name, path in paths.items():
        before = _state(path)
        _, size, modified, changed, _ = before
        digests[name] = sha256_file(path)
        left = SETTLED_NS - (time.time_ns() - max(modified, changed))
        if size >= LARGE and 0 <= left <= SETTLED_NS:
            time.sleep((left + 1) / 1e9)
            left = -1
        if _state(path) == before and left < 0:
            settled[name] = [*before, digests[name]]
    _add(memory, settled)
    return digests


def inherit_digests(folder: Path, names: dict[str, str], memory: Path, other: Path) -> None:
    """Remember in `memory` the digests of files that are links to others.

    `names` has the name of each in `folder`, and that of the other, of which the memory `other` may
    hold the digest; where it does not, or the file is a copy, nothing is remembered.
    """
    linked = {known_as: folder / own for own, known_as in names.items()}
    known = remembered_digests(linked, [other])
    _add(
        memory,
        {
            own: [*_state(folder / own), known[known_as]]
            for own, known_as in names.items()
            if known_as in known
        },
    )


def _state(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from None
    times = (state.st_mtime_ns, state.st_ctime_ns)
    return [state.st_ino, state.st_size, *times, state.st_nlink]


def _stayed(then: list, now: list) -> bool:
    """Whether a file is the same. Its ctime may be another where its links are more or fewer: to
    make or delete one changes it.
    """
    return then[:3] == now[:3] and (then[3] == now[3] or then[4] != now[4])


def _add(memory: Path, entries: dict) -> None:
    """Put entries into a memory, where it can be written."""
    if entries:
        with contextlib.suppress(OSError):
            _write(memory, {**_read(memory), **entries})


def _read(memory: Path) -> dict:
    try:
        entries = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _write(memory: Path, entries: dict) -> None:
    """Replace a memory in one step: several processes may do so, the last one stays."""
    descriptor, temporary = tempfile.mkstemp(dir=memory.parent, prefix=f".{memory.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(entries, file, indent=0)
        Path(temporary).replace(memory)
    finally:
        Path(temporary).unlink(missing_ok=True)
