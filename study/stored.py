"""Runs on disk, to be deleted: what belongs to one, how large it is, and whether it is at work.

A run is its directory `<key>/` and what lies beside it: its manifest `<key>.json`, and for a
fine-tuning the runs of its seeds with theirs, `seed-<n>.json`.
"""

import json
import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from study.errors import StudyError
from study.file_locks import lock_files, try_lock
from study.identity import key_of, seed_recipe
from study.jobs import Job
from study.manifest import MANIFEST_NAME
from study.run import LOCK_NAME, RECIPE_NAME

KEY = re.compile(r"[0-9a-f]{12}")
SEED = re.compile(r"seed-\d+")


@dataclass(frozen=True)
class StoredRun:
    """A run by the folder that it lies in and its key; `manifests` are those that lie beside it."""

    folder: Path
    key: str
    manifests: tuple[Path, ...]

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.folder / self.key

    @property
    def files(self) -> list[Path]:
        """All its files."""
        inside = [path for path in self.directory.rglob("*") if not path.is_dir()]
        return [*inside, *self.manifests]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.lstat().st_size for path in self.files)

    def at_work(self) -> str | None:
        """Who holds the lock of its directory; None where nobody does."""
        path = self.directory / LOCK_NAME
        if not path.is_file():
            return None
        with path.open("r+") as file:
            return None if try_lock(file) else file.read() or "another process"

    def delete(self) -> None:
        """Delete it; first what says that it is finished: a half of it is never adopted."""
        for manifest in (*self.manifests, self.directory / MANIFEST_NAME):
            manifest.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            raise StudyError(f"{self.directory}: cannot be deleted")
        folder = self.folder
        while not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def stored_run(folder: Path, key: str) -> StoredRun | None:
    """The run with this key in a folder; None where nothing of it is there."""
    manifests = tuple(path for path in sorted(folder.glob("*.json")) if key_in(path) == key)
    return StoredRun(folder, key, manifests) if manifests or (folder / key).is_dir() else None


def key_in(manifest: Path) -> str | None:
    """The key of the run that a manifest is of: its name, and that of a seed holds it."""
    if KEY.fullmatch(manifest.stem):
        return manifest.stem
    try:
        key = json.loads(manifest.read_text())["key"] if SEED.fullmatch(manifest.stem) else ""
        return key if KEY.fullmatch(key) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def runs_of(job: Job) -> list[StoredRun]:
    """What is there of a job: its run, and of a fine-tuning those of its seeds."""
    seeds = job.recipe["seeds"] if job.stage == "finetune" else ()
    keys = [job.key, *(key_of(seed_recipe(job.recipe, seed)) for seed in seeds)]
    return [run for key in keys if (run := stored_run(Path(job.path).parent, key))]


def all_runs(root: str | Path) -> list[StoredRun]:
    """All runs under a folder, in the order of their paths."""
    runs = []
    for parent, folders, files in os.walk(root):
        folder = Path(parent)
        directories = {
            name
            for name in folders
            if KEY.fullmatch(name) and (folder / name / RECIPE_NAME).is_file()
        }
        folders[:] = sorted(set(folders) - directories)
        beside = [key_in(folder / name) for name in files if name.endswith(".json")]
        keys = directories.union(key for key in beside if key)
        runs += [run for key in sorted(keys) if (run := stored_run(folder, key))]
    return runs


def dispose(runs: list[StoredRun], notes: list[str], otherwise: str | None) -> None:
    """List runs and `notes` and delete the runs, or say `otherwise` what would become of them.

    The sum is what the disk gets back: no file with a name in a run that stays.

    Raises StudyError, with nothing deleted, where somebody works with one of them.
    """
    sizes, freed = {run.directory: run.size for run in runs}, bytes_freed(runs)
    lines = [f"{size_text(size):>9}  {directory}" for directory, size in sizes.items()]
    for line in (*lines, *notes):
        print(line)
    if otherwise is None:
        _delete_all(runs)
    word = "run" if len(runs) == 1 else "runs"
    print(f"{len(runs)} {word}, {size_text(freed)} {otherwise or 'deleted'}")


def bytes_freed(runs: list[StoredRun]) -> int:
    """Bytes that the disk gets back with these runs: a store's tokens are its shards' too, and stay
    until both are gone.
    """
    links: Counter[tuple[int, int]] = Counter()
    total = 0
    for path in chain.from_iterable(run.files for run in runs):
        state = path.lstat()
        links[state.st_dev, state.st_ino] += 1
        if links[state.st_dev, state.st_ino] == state.st_nlink:
            total += state.st_size
    return total


def size_text(count: int) -> str:
    """`812 B`, `3.4 MB`, `12.1 GB`."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _delete_all(runs: list[StoredRun]) -> None:
    manifests = [path for run in runs for path in (Path(f"{run.directory}.json"), *run.manifests)]
    with lock_files(map(os.path.relpath, manifests), ()):
        for run in runs:
            if holder := run.at_work():
                raise StudyError(
                    f"{run.directory}: at work ({holder}); stop it first, or wait until it is done"
                )
        for run in runs:
            run.delete()
