"""Manifests: the small files that are the edges of the graph.

A stage publishes `<key>.json` (declared to Snakemake) beside its run directory `<key>/` (not
declared, so it survives failures). The manifest holds the recipe, its key, the digests of the big
files and the figures worth reading. It holds nothing that differs between two equal runs (no
times, hosts or absolute paths; those go to `provenance.json` in the run directory), so a run
repeated bit for bit changes no manifest and re-runs nothing downstream.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.identity import canonical_value, key_of

MANIFEST_NAME = "manifest.json"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, str):
        data = data.encode()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@dataclass(frozen=True)
class Manifest:
    """A published result: where it lies, what it is, what it holds."""

    path: Path
    stage: str
    key: str
    recipe: dict
    files: dict[str, dict]
    figures: dict[str, Any]

    @property
    def run_directory(self) -> Path:
        """The directory of the big files."""
        return self.path.parent / self.key

    def file(self, name: str, *, verify: bool = False) -> Path:
        """Path of one of its files, after a check of its size (and of its digest on `verify`).

        Raises StudyError when the file is not listed, gone, of another size or of other bytes.
        """
        if name not in self.files:
            raise StudyError(f"{self.path}: lists no file {name}")
        path, expected = self.run_directory / name, self.files[name]
        if not path.is_file():
            raise StudyError(f"{path}: missing, though {self.path} lists it; {self.rebuild_hint}")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise StudyError(
                f"{path}: {size} bytes, expected {expected['bytes']}; {self.rebuild_hint}"
            )
        if verify and sha256_file(path) != expected["sha256"]:
            raise StudyError(f"{path}: SHA-256 differs from {self.path}; {self.rebuild_hint}")
        return path

    @property
    def rebuild_hint(self) -> str:
        """The command that makes this result anew."""
        return rebuild_hint(self.path, self.run_directory)

    def is_whole(self) -> bool:
        """Whether all its files are there with the bytes that it lists."""
        try:
            for name in self.files:
                self.file(name, verify=True)
        except StudyError:
            return False
        return True


def rebuild_hint(*paths: Path) -> str:
    """How to make results anew: a run directory is adopted while it is there, so it goes too."""
    return f"to make it anew: rm -r {' '.join(map(str, paths))}; then the same snakemake command"


def label_of(path: str | Path, stage: str) -> str:
    """What a progress line calls a job: the names between its stage and its key.

    `runs/laptop/finetune/doc-sentences/seed-0/mnli/<key>.json` is `doc-sentences seed-0 mnli`.
    """
    names = Path(path).parent.parts
    if stage in names:
        names = names[len(names) - names[::-1].index(stage) :]
    return " ".join(names[-3:])


def load_manifest(
    path: str | Path, *, key: str | None = None, stage: str | None = None
) -> Manifest:
    """Read a manifest and check that it is whole and, if given, of this key and stage.

    Raises StudyError naming the file, the field and the command that rebuilds it.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text())
        found = Manifest(
            path=path,
            **{name: data[name] for name in ("stage", "key", "recipe", "files", "figures")},
        )
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; snakemake makes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{path}: not a manifest ({type(error).__name__}: {error}); {rebuild_hint(path)}"
        ) from None
    if key_of(found.recipe) != found.key:
        raise StudyError(
            f"{path}: field key: {found.key} is not the key of its recipe "
            f"({key_of(found.recipe)}); {rebuild_hint(path)}"
        )
    if key is not None and found.key != key:
        raise StudyError(
            f"{path}: field key: made from recipe {found.key}, the study now asks for {key}; "
            f"{rebuild_hint(path)}"
        )
    if stage is not None and found.stage != stage:
        raise StudyError(f"{path}: field stage: expected {stage}, found {found.stage}")
    return found


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
    listed = {
        name: {
            "bytes": (run_directory / name).stat().st_size,
            "sha256": sha256_file(run_directory / name),
        }
        for name in sorted(files)
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
