"""Runs on disk, to be deleted: what belongs to one, how large it is, and whether it is at work.

A run is its directory `<key>/` and what lies beside it: its manifest `<key>.json`, and for a
fine-tuning the runs of its seeds with theirs, `seed-<n>.json`.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError
from study.file_locks import lock_files, try_lock
from study.identity import key_of, seed_recipe
from study.manifest import MANIFEST_NAME
from study.run import LOCK_NAME, RECIPE_NAME

KEY = re.compile(r"[0-9a-f]{12}")
MANIFEST = re.compile(rf"({KEY.pattern}|seed-\d+)\.json")


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
    def size(self) -> int:
        """Bytes of all its files."""
        inside = [
            Path(parent, name) for parent, _, names in os.walk(self.directory) for name in names
        ]
        return sum(path.lstat().st_size for path in (*inside, *self.manifests))

    def at_work(self) -> str | None:
        """Who holds the lock of its directory; None where nobody does."""
        path = self.directory / LOCK_NAME
        if not path.is_file():
            return None
        with path.open("r+") as file:
            return None if try_lock(file) else file.read() or "another process"

    def delete(self) -> None:
        """Delete it; first what says that it is finished: a half of it is never adopted."""
        for manifest in self.manifests:
            manifest.unlink(missing_ok=True)
        (self.directory / MANIFEST_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            raise StudyError(f"{self.directory}: cannot be deleted")
        folder = self.folder
        while not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def stored_run(folder: Path, key: str) -> StoredRun | None:
    """The run with this key in a folder; None where nothing of it is there."""
    own = folder / f"{key}.json"
    manifests = [path for path in (own, *sorted(folder.glob("seed-*.json"))) if key_in(path) == key]
    if not manifests and not (folder / key).is_dir():
        return None
    return StoredRun(folder, key, tuple(manifests))


def key_in(manifest: Path) -> str | None:
    """The key of the run that a manifest is of: its name, and that of a seed holds it."""
    try:
        text = manifest.read_text()
        key = manifest.stem if KEY.fullmatch(manifest.stem) else json.loads(text)["key"]
        return key if KEY.fullmatch(key) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keys_of(recipe: dict) -> list[str]:
    """The keys of a job's runs: its own, and of a fine-tuning those of its seeds."""
    seeds = recipe["seeds"] if recipe["stage"] == "finetune" else ()
    return [key_of(recipe), *(key_of(seed_recipe(recipe, seed)) for seed in seeds)]


def runs_of(path: str | Path, recipe: dict) -> list[StoredRun]:
    """What is there of the job whose manifest is at `path`: its run, and those of its seeds."""
    folder = Path(path).parent
    return [run for key in keys_of(recipe) if (run := stored_run(folder, key))]


def all_runs(root: str | Path) -> list[StoredRun]:
    """All runs under a folder, in the order of their paths."""
    runs = []
    for parent, folders, files in os.walk(root):
        folder = Path(parent)
        keys = {name for name in folders if is_run(folder / name)}
        folders[:] = sorted(set(folders) - keys)
        keys |= {key_in(folder / name) for name in files if MANIFEST.fullmatch(name)} - {None}
        runs += [run for key in sorted(keys) if (run := stored_run(folder, key))]
    return runs


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory: called by a key, with a recipe inside."""
    return bool(KEY.fullmatch(folder.name)) and (folder / RECIPE_NAME).is_file()


def listing(runs: list[StoredRun]) -> list[str]:
    """A line per run: its size and its directory."""
    return [f"{size_text(run.size):>9}  {run.directory}" for run in runs]


def size_text(count: int) -> str:
    """`812 B`, `3.4 MB`, `12.1 GB`."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def totals(runs: list[StoredRun]) -> str:
    """`16 runs, 236.1 kB`."""
    word = "run" if len(runs) == 1 else "runs"
    return f"{len(runs)} {word}, {size_text(sum(run.size for run in runs))}"


def delete_all(runs: list[StoredRun]) -> None:
    """Delete runs; StudyError, with nothing deleted, where somebody works with one of them."""
    manifests = [path for run in runs for path in (Path(f"{run.directory}.json"), *run.manifests)]
    with lock_files(map(os.path.relpath, manifests), ()):
        for run in runs:
            if holder := run.at_work():
                raise StudyError(
                    f"{run.directory}: at work ({holder}); stop it first, or wait until it is done"
                )
        for run in runs:
            run.delete()
