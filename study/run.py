"""A run of one stage: its directory, its lock, adoption of a finished result, provenance.

The trainer owns its run directory through a lock that dies with the process. A second start waits,
says who holds it, and then adopts the finished result or resumes: it never fights.
"""

import errno
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from study.command import Resumable
from study.errors import StudyError
from study.file_locks import try_lock
from study.identity import canonical_json, key_of
from study.manifest import (
    MANIFEST_NAME,
    Manifest,
    check_place,
    forget_temporaries,
    load_manifest,
    publish_manifest,
    write_atomic,
)

RECIPE_NAME, LOCK_NAME = "recipe.json", "lock"
PACKAGES = ("torch", "tokenizers", "numpy", "pyarrow", "sentencex", "safetensors", "snakemake")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NUMPY_NO_ROOM = re.compile(r"requested and \d+ written|enough free space")


@dataclass
class Run:
    """An open run directory that this process owns."""

    manifest_path: Path
    recipe: dict
    started: float = field(default_factory=time.time)

    @property
    def key(self) -> str:
        """The recipe's key."""
        return key_of(self.recipe)

    @property
    def directory(self) -> Path:
        """`<manifest's folder>/<key>/`; survives failures, retries and requeues."""
        return self.manifest_path.parent / self.key

    def adopt(self) -> Manifest | None:
        """Publish again what an earlier process finished here; None if there is nothing whole."""
        inner = self.directory / MANIFEST_NAME
        if not inner.is_file():
            return None
        try:
            finished = load_manifest(inner, key=self.key)
            for name in finished.files:
                finished.file(name)
        except StudyError:
            inner.unlink()
            return None
        content = inner.read_bytes()
        if not self.manifest_path.exists() or self.manifest_path.read_bytes() != content:
            write_atomic(self.manifest_path, content)
        return load_manifest(self.manifest_path)

    def publish(
        self, files: list[str], figures: dict[str, Any], provenance: dict[str, Any] | None = None
    ) -> Manifest:
        """Write `provenance.json` (what differs between equal runs), then the manifest."""
        record = {**gather_provenance(self.started), **(provenance or {})}
        write_atomic(self.directory / "provenance.json", json.dumps(record, indent=1) + "\n")
        return publish_manifest(self.manifest_path, self.recipe, files=files, figures=figures)


def gather_provenance(started: float) -> dict[str, Any]:
    """Code version, package versions, host, processor and wall-clock seconds since `started`.

    What this machine does not tell is None.
    """
    return {
        "code": if_known(code_version),
        "versions": {
            "python": platform.python_version(),
            **{package: if_known(version, package) for package in PACKAGES},
        },
        "host": if_known(socket.gethostname),
        "processor": if_known(processor_name),
        "cores": available_cores(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": round(time.time() - started, 3),
        "cpu_seconds": round(sum(os.times()[:4]), 3),  # of this process, and of those it waited for
    }


def if_known(fact: Callable[..., Any], *arguments: Any) -> Any:
    """What `fact` returns; None whatever goes wrong, for no record may cost a finished job."""
    try:
        return fact(*arguments)
    except Exception:
        return None


def available_cores() -> int:
    """Processor cores that this process may use; all of the machine where nothing tells (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def code_version() -> str:
    """`git describe` of the checkout that this file lies in; `unknown` outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    told = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, timeout=60)
    return told.stdout.decode().strip() or "unknown"


def processor_name() -> str:
    """The processor's marketing name where Linux or macOS tells it, else its kind."""
    cpuinfo = if_known(Path("/proc/cpuinfo").read_text) or ""
    named = re.search(r"^model name\s*:(.*)", cpuinfo, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


@contextmanager
def open_run(
    manifest_path: str | Path, recipe: dict, stop: Callable[[], str | None] = lambda: None
) -> Iterator[Run]:
    """Lock the run directory of `recipe` and yield its Run; waits while another process holds it.

    The lock is an `fcntl` lock on `<run>/lock`: the kernel drops it when the process ends, however
    it ends, so nothing stale ever has to be cleaned by hand; what a killed process left half
    written is deleted. Raises Resumable when `stop` gives a reason to wait no longer, StudyError
    where there is no folder to work in, no place for the manifest or no lock to have.
    """
    run = Run(Path(manifest_path), recipe)
    check_place(run.manifest_path)
    try:
        run.directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StudyError(f"{error.filename}: expected a folder; remove what lies there") from None
    with (run.directory / LOCK_NAME).open("ab+", buffering=0) as lock:
        _acquire(lock, stop)
        forget_temporaries(run.manifest_path.parent, run.manifest_path.name)
        for folder, _, _ in os.walk(run.directory):
            forget_temporaries(Path(folder))
        lock.seek(0)
        lock.truncate()
        owner = {"host": if_known(socket.gethostname), "pid": os.getpid()}
        if "SLURM_JOB_ID" in os.environ:
            owner["slurm_job"] = os.environ["SLURM_JOB_ID"]
        try:
            lock.write(json.dumps(owner).encode())
            run.started = time.time()
            write_atomic(run.directory / RECIPE_NAME, canonical_json(recipe) + "\n")
            yield run
        except OSError as error:
            reason = error.strerror or str(error)
            if error.filename is None and (error.errno in NO_ROOM or NUMPY_NO_ROOM.search(reason)):
                # Who writes through numpy or Arrow is not told for which file there was no room.
                raise StudyError(f"{run.directory}: no room to write ({reason})") from error
            raise


def _acquire(lock: BinaryIO, stop: Callable[[], str | None]) -> None:
    """Take the lock, telling on stderr who holds it while waiting."""
    holder = ""
    while not try_lock(lock):
        if not holder:
            lock.seek(0)
            holder = lock.read().decode(errors="replace") or "another process"
            print(f"waiting for {lock.name}, held by {holder}", file=sys.stderr)
        if reason := stop():
            raise Resumable(f"{reason}, while waiting for {lock.name}")
        time.sleep(0.5)
