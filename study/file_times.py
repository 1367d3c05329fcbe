"""Dates of files, which Snakemake compares and nothing else believes.

Whether a result is still what is asked for is told by keys and digests (docs/what-runs-again.md). A
copy without its dates, or a clock that was set back, must not start jobs all the same: what they
were made from may be gone by then.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from study.jobs import Job


def end_future(paths: Iterable[str]) -> None:
    """Give files that are dated later than now, by a clock that was set back since, today's date.

    Snakemake refuses, and deletes, what is older than the files that it was made from.
    """
    for path in map(Path, paths):
        if path.exists() and path.stat().st_mtime > time.time():
            os.utime(path)


def order_dates(jobs: Iterable[Job]) -> None:
    """Date the manifests of jobs, each of which stands behind its inputs, no earlier than these."""
    for job in jobs:
        date_behind([job.path], [path for paths in job.input_paths.values() for path in paths])


def date_behind(files: Iterable[str | Path], read: Iterable[str | Path]) -> None:
    """Date `files` no earlier than those that they were made from, of both those that are there.

    Where a date cannot be changed Snakemake makes the file again.
    """
    newest = max((at for path in read if (at := modified(path)) is not None), default=0)
    for path in files:
        own = modified(path)
        if own is not None and own < newest:
            with contextlib.suppress(OSError):
                os.utime(path, ns=(newest, newest))


def modified(path: str | Path) -> int | None:
    """When a file was changed last, in nanoseconds; None where it is not there."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None
