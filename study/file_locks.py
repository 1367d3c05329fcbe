"""Locks on files that the kernel drops when their process ends, however it ends.

`try_lock` is the one way in which this project asks for a lock. `lock_files` keeps
a second snakemake's hands off what a running one makes and reads: a record under
`.snakemake/files/` that its snakemake keeps locked while it lives. That of a dead one binds nobody
and is removed by the next. Snakemake's own locks outlive a killed snakemake and say not whose they
are, so profiles/default turns them off.
"""

import contextlib
import fcntl
import json
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from study.errors import StudyError

RECORDS = Path(".snakemake/files")


def try_lock(file: IO, wait: bool = False) -> bool:
    """Whether this process now holds the lock of an open file; False where another one does.

    With `wait`, that one is waited for. Raises StudyError where the file system has no locks.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        raise StudyError(
            f"{file.name}: no lock to be had ({error.strerror}); this folder must lie on a file "
            "system with locks (NFS: mounted with them)"
        ) from None
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file; asked without taking it, so nobody is kept off.

    False where there is no such file, or none that this process may read.
    """
    # `struct flock`: whole file, for writing; what comes back says what stands against it.
    layout, place = ("qqihh", 3) if sys.platform == "darwin" else ("hhqqi", 0)
    wanted = [0] * 5
    wanted[place] = fcntl.F_WRLCK
    try:
        with path.open("rb") as file:
            told = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(layout, *wanted))
    except OSError:
        return False
    return struct.unpack(layout, told)[place] != fcntl.F_UNLCK


def living_snakemakes(folder: Path = RECORDS) -> list[dict[str, Any]]:
    """The records of all that are at work here: host, pid, what they make and read, since when."""
    found = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            if is_locked(path):
                found.append({**json.loads(path.read_text()), "since": path.stat().st_mtime})
    return sorted(found, key=lambda record: record["since"])


def lock_files(outputs: Iterable[str], inputs: Iterable[str], folder: Path = RECORDS) -> IO[str]:
    """Lock files to make and to read, for as long as the returned record stays open.

    Raises StudyError, naming the holder, where a living snakemake makes or reads one of `outputs`
    or makes one of `inputs`, and where files cannot be locked at all.
    """
    wanted = {"makes": sorted(set(outputs)), "reads": sorted(set(inputs))}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "entry").open("w") as entry:
        try_lock(entry, wait=True)  # one at a time, for milliseconds
        for path in sorted(folder.glob("*.json")):
            _check(path, wanted)
        record = NamedTemporaryFile("w", dir=folder, suffix=".json")  # noqa: SIM115 (kept open)
        try_lock(record)
        json.dump({"host": platform.node(), "pid": os.getpid(), **wanted}, record)
        record.flush()
    return record


def _check(path: Path, wanted: dict[str, list[str]]) -> None:
    """Remove the record of a dead snakemake; StudyError where a living one's meets `wanted`."""
    with path.open("r+") as file:
        if try_lock(file):
            path.unlink()
            return
        theirs = json.load(file)
    makes = set(theirs["makes"])
    shared = makes.intersection(wanted["makes"] + wanted["reads"])
    shared |= set(theirs["reads"]).intersection(wanted["makes"])
    if shared:
        word = "makes" if shared & makes else "reads"
        raise StudyError(
            f"snakemake is at work here already (process {theirs['pid']} on {theirs['host']}) and "
            f"{word} {min(shared)}; wait until it has ended, or stop it"
        )


def check_folders(paths: Iterable[str]) -> None:
    """StudyError naming the first folder in which one of these files cannot be written."""
    for folder in sorted({Path(path).parent for path in paths}):
        nearest = folder
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        if not nearest.is_dir():
            raise StudyError(f"{nearest}: expected a folder; remove what lies there")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise StudyError(f"{nearest}: cannot be written, and new files belong there")
