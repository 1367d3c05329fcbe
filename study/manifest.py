"""Manifests: the small files that are the edges of the graph.

A stage publishes `<key>.json` (declared to Snakemake) beside its run directory `<key>/` (not
declared, so it survives failures). The manifest holds the recipe, its key, the digests of the big
files and the figures worth reading. It holds nothing that differs between two equal runs (no
times, hosts or absolute paths; those go to `provenance.json` in the run directory), so a run
repeated bit for bit changes no manifest and re-runs nothing downstream.
"""

import contextlib
import glob
import json
import math
import os
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from study.digests import MEMORY, file_digest, file_digests
from study.errors import StudyError, kind_text, value_text
from study.file_locks import try_lock
from study.identity import canonical_value, key_of

MANIFEST_NAME = "manifest.json"
FIELDS = {"stage": str, "key": str, "recipe": dict, "files": dict, "figures": dict}
NUMBER = (int, float)
MAYBE_NUMBER = (int, float, type(None))
TEMPORARY = "[a-z0-9_]" * 8  # the end of `.model.safetensors.x7_k2p0q`, as tempfile makes it


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new one, also after a crash.

    Raises StudyError where something lies that is no file, and OSError where there is no room.
    """
    check_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_temporaries(path.parent, path.name)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(StudyError):
                    try_lock(file)
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:  # a person knows `path`, and not the temporary file
        raise OSError(error.errno, error.strerror, str(path)) from error
    with contextlib.suppress(OSError):  # not every file system has names written out when asked
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_place(path: Path) -> None:
    """Raise StudyError where a file cannot be put: a folder lies there, a device or a pipe.

    A file that takes a name's place would take that of a device too, as /dev/null.
    """
    if path.is_dir():
        raise StudyError(f"{path}: a folder lies where this file belongs")
    if path.exists() and not path.is_file():
        raise StudyError(f"{path}: expected the name of a file, found that of a device or pipe")


def forget_temporaries(folder: Path, name: str = "*") -> None:
    """Delete what a killed process left of `write_atomic` in `folder`, of files called `name`.

    A live writer holds a lock on its temporary file; the lock of a dead one is free.
    """
    pattern = name if name == "*" else glob.escape(name)
    for left in folder.glob(f".{pattern}.{TEMPORARY}"):
        with contextlib.suppress(OSError, StudyError), left.open("rb+") as file:
            if try_lock(file):
                left.unlink()


@dataclass(frozen=True)
class Manifest:
    """A published result: where it lies, what it is, what it holds."""

    path: Path
    stage: str
    key: str
    recipe: dict
    files: dict[str, dict]
    figures: dict[str, Any]
    gathered_in: tuple[Path, ...] = ()  # of a part of a run: what was made from it

    @property
    def run_directory(self) -> Path:
        """The directory of the big files, in which a copy of the manifest lies."""
        inner = self.path.name == MANIFEST_NAME and self.path.parent.name == self.key
        return self.path.parent if inner else self.path.parent / self.key

    def file(self, name: str) -> Path:
        """Path of one of its files, after a check that it has the bytes that were published.

        They are read the first time and when the file changed since (`study.digests`). Raises
        StudyError when the file is not listed, gone, of another size or of other bytes.
        """
        if name not in self.files:
            raise StudyError(f"{self.path}: lists no file {name}; {self.rebuild_hint}")
        path, expected = self.run_directory / name, self.files[name]
        if not path.is_file():
            raise StudyError(f"{path}: missing, though {self.path} lists it; {self.rebuild_hint}")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise StudyError(
                f"{path}: {size} bytes, expected {expected['bytes']}; {self.rebuild_hint}"
            )
        if file_digest(path, name, self.run_directory / MEMORY) != expected["sha256"]:
            raise StudyError(f"{path}: SHA-256 differs from {self.path}; {self.rebuild_hint}")
        return path

    def figure(self, *names: str, kind: type | tuple[type, ...] = dict) -> Any:
        """The figure at `names`, each inside the one before; a mapping unless `kind` says else.

        Raises StudyError naming the first that is missing or of another kind.
        """
        value: Any = self.figures
        for depth, name in enumerate(names, 1):
            where = f"{self.path}: field {'.'.join(('figures', *names[:depth]))}"
            if name not in value:
                raise StudyError(f"{where}: missing; {self.rebuild_hint}")
            value = value[name]
            if not _is_a(value, kind if depth == len(names) else dict):
                raise StudyError(f"{where}: cannot be {value_text(value):.40}; {self.rebuild_hint}")
        return value

    @property
    def rebuild_hint(self) -> str:
        """The command that makes this result anew."""
        inside = self.path.parent == self.run_directory
        own = [self.run_directory] if inside else [self.path, self.run_directory]
        return rebuild_hint(*own, *self.gathered_in)


def _is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether a figure is of a kind; true, infinite and undefined numbers are of none."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) and not (isinstance(value, float) and not math.isfinite(value))


def seed_run(tuned: Manifest, seed: str) -> Manifest:
    """The run of one seed of a fine-tuning, from the copy of its manifest in its run directory.

    Raises StudyError when the fine-tuning has no such seed, or the run is not there.
    """
    key = tuned.figure("seeds", seed, "key", kind=str)
    run = load_manifest(tuned.path.parent / key / MANIFEST_NAME, key=key)
    return replace(run, gathered_in=(tuned.path, tuned.run_directory))


def rebuild_hint(*paths: Path) -> str:
    """How to make results anew: a run directory is adopted while it is there, so it goes too."""
    named = " ".join(shlex.quote(str(path)) for path in paths)
    return f"to make it anew: rm -r {named}; then the same snakemake command"


def _misshapen(data: Any) -> str | None:
    """What is wrong with the content of a manifest's file, naming the field; None if nothing is."""
    if not isinstance(data, dict):
        return f"expected an object, found {kind_text(type(data))}"
    for name, kind in FIELDS.items():
        if name not in data:
            return f"field {name}: missing"
        if not isinstance(data[name], kind):
            return f"field {name}: expected {kind_text(kind)}, found {kind_text(type(data[name]))}"
    for name, entry in data["files"].items():
        listed = entry if isinstance(entry, dict) else {}
        if not (isinstance(listed.get("bytes"), int) and isinstance(listed.get("sha256"), str)):
            return f"field files.{name}: expected bytes and sha256"
    return None


def load_manifest(
    path: str | Path, *, key: str | None = None, stage: str | None = None
) -> Manifest:
    """Read a manifest and check that it is whole and, if given, of this key and stage.

    Raises StudyError naming the file, the field and the command that rebuilds it.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; snakemake makes it") from None
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: not a manifest ({error}); {rebuild_hint(path)}") from None
    problem = _misshapen(data)
    if problem:
        raise StudyError(f"{path}: not a manifest ({problem}); {rebuild_hint(path)}")
    manifest = Manifest(path=path, **{name: data[name] for name in FIELDS})
    own, problem = key_of(manifest.recipe), None
    if own != manifest.key:
        problem = f"{manifest.key} is not the key of its recipe ({own})"
    elif key not in (None, own):
        problem = f"made from recipe {own}, the study now asks for {key}"
    if problem:
        raise StudyError(f"{path}: field key: {problem}; {rebuild_hint(path)}")
    if stage not in (None, manifest.stage):
        raise StudyError(f"{path}: field stage: expected {stage}, found {manifest.stage}")
    return manifest


def publish_manifest(
    path: str | Path, recipe: dict, *, files: list[str], figures: dict[str, Any]
) -> Manifest:
    """Publish the result of `recipe` whose `files` already lie in its run directory.

    The copy inside the run directory comes first and marks the run as finished; the declared
    manifest comes last. Both are written atomically.
    """
    path = Path(path)
    key = key_of(recipe)
    run_directory = path.parent / key
    paths = {name: run_directory / name for name in sorted(files)}
    digests = file_digests(paths, run_directory / MEMORY)
    listed = {
        name: {"bytes": path.stat().st_size, "sha256": digests[name]}
        for name, path in paths.items()
    }
    data = {
        "stage": recipe["stage"],
        "key": key,
        "recipe": canonical_value(recipe),
        "files": listed,
        "figures": canonical_value(figures, "figures"),
    }
    text = json.dumps(data, indent=1) + "\n"
    write_atomic(run_directory / MANIFEST_NAME, text)
    write_atomic(path, text)
    return Manifest(path=path, **data)
