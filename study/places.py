"""Where the files of a source lie: a mirror in the hub's layout, a folder, or the run directory.

A place is execution, not recipe: the same files elsewhere are the same source. What the files are
belongs to the recipe: a repository at its revision, a generator with its seed, or, of files of
one's own, their digests. Those of a mirror are noted when a source is first read; others in their
place are refused, before anything runs where their sizes differ (`check_places`).
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.digests import (
    MEMORY,
    file_digests,
    remembered_digests,
    remembered_names,
    sha256_file,
)
from study.errors import StudyError
from study.identity import canonical_json, key_of
from study.manifest import Manifest, load_manifest
from study.parts import local_parts, own_files, suffix_of

LOCATION = "location.json"  # in a source's run directory: the place that it was read from
LARGE = 1 << 30  # bytes to hash that a person should know of
MOST_LISTED = 1000  # files of one's own
Contents = dict[str, list[list[str]]]


@dataclass(frozen=True)
class Places:
    """The mirror's folder, and by key what else the study names: folders, tokenizer files."""

    mirror: str | Path | None = None
    by_key: Mapping[str, str] = field(default_factory=dict)

    def root(self, recipe: dict) -> Path | None:
        """The folder that a source's files lie under, or its only file, as far as it is given.

        Raises StudyError when the mirror, the folder or the file does not exist.
        """
        if "files" in recipe:
            given = self.by_key.get(key_of(recipe))
            return None if given is None else own_place(given)
        if self.mirror is None or "generated" in recipe:
            return None
        if not Path(self.mirror).is_dir():
            raise StudyError(f"{self.mirror}: no such mirror folder")
        return Path(self.mirror, recipe["repo"])


def split_files(recipe: dict, root: Path, split: str) -> list[Path]:
    """The files of a split under `root`, in order; StudyError when a part is missing."""
    if "files" in recipe:
        return own_files(root, split)
    return local_parts(root, recipe.get("config"), split)


def own_place(place: str | Path) -> Path:
    """A folder or a file of one's own; StudyError where there is none."""
    if not Path(place).exists():
        raise StudyError(f"{place}: no such folder or file (field folder or file of the source)")
    return Path(place)


def own_contents(
    place: str | Path, splits: Iterable[str], memories: Iterable[Path] = ()
) -> Contents:
    """What files of one's own are: by split [suffix, SHA-256] of each, in order (`condensed`).

    Digests that one of the memories holds (`study.digests`) are not computed again. Raises
    StudyError when the place, a split or a part of it is missing or cannot be read, and for a file
    that would be of two splits.
    """
    place = own_place(place)
    files = {split: own_files(place, split) for split in sorted(set(splits))}
    of_split: dict[Path, str] = {}
    for split, paths in files.items():
        for path in paths:
            if of_split.setdefault(path, split) != split:
                advice = (
                    f"{place} needs a folder or a file called train"
                    if place.is_dir()
                    else "one file is one split, of which dev_fraction takes a share"
                )
                raise StudyError(f"{path}: of two splits, {of_split[path]} and {split}; {advice}")
    known = remembered_digests({str(path.absolute()): path for path in of_split}, memories)
    digests = {path: known.get(str(path.absolute())) for path in of_split}
    size = sum(path.stat().st_size for path, digest in digests.items() if digest is None)
    if size > LARGE:
        print(f"{place}: reading {size / 1e9:.0f} GB for its digests", file=sys.stderr)
    return condensed(
        {
            split: [[suffix_of(path), digests[path] or sha256_file(path)] for path in paths]
            for split, paths in files.items()
        }
    )


def condensed(contents: Contents) -> Contents:
    """The same, or for more files than a recipe should list, one digest of all those of a split.

    A command has its recipe as an argument, which Linux limits to 128 KiB.
    """
    if sum(map(len, contents.values())) <= MOST_LISTED:
        return contents
    return {
        split: [[f"{len(files)} files", hashlib.sha256(canonical_json(files).encode()).hexdigest()]]
        for split, files in contents.items()
    }


def source_contents(root: str | None, name: str, place: str, splits: list[str]) -> dict:
    """`own_contents` of the source `name`, whose runs remember digests; `splits` are sorted.

    Of a place that is gone, those of the only run, if that has read it. Without `root`, the folder
    of the scale's runs, no file is read: the place stands for its files, which is enough to compare
    recipes.
    """
    if root is None:
        return {"folder": place}
    runs = Path(root, "sources", name)
    manifests = [] if Path(place).exists() else list(runs.glob("*.json"))
    if len(manifests) == 1:
        manifest = load_manifest(manifests[0])
        files = manifest.recipe.get("files", {})
        if sorted(files) == splits and _has_read(manifest.run_directory, place):
            return files
    return own_contents(place, splits, runs.glob(f"*/{MEMORY}"))


def _has_read(run_directory: Path, place: str) -> bool:
    """Whether files of `place` are among those that a source's run knows, wherever it was then.

    One that was packed (`study.pack`) stands for them: of the machine's folders it tells nothing.
    """
    with contextlib.suppress(OSError, ValueError):
        if "root" not in json.loads((run_directory / "provenance.json").read_text()):
            return True
    known = remembered_names(run_directory / MEMORY)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known.append(json.loads((run_directory / LOCATION).read_text())["root"])
    inside = f"/{Path(place)}/".replace("//", "/")
    return any(inside in f"{name}/" for name in known)


def tokenizer_contents(path: str) -> dict:
    """What a tokenizer.json is: its SHA-256 and the number of its entries.

    Raises StudyError when it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        # A mapping of entries, or a list of (entry, score).
        vocabulary = content["model"]["vocab"]
        entries = {entry if isinstance(entry, str) else entry[0] for entry in vocabulary}
        size = len(entries | {token["content"] for token in content["added_tokens"]})
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise StudyError(f"{path}: not a tokenizer.json ({type(error).__name__})") from None
    return {"sha256": sha256_file(Path(path)), "size": size}


def source_entries(manifest: Manifest, split: str) -> list[dict]:
    """What a source's manifest lists of a split: name, rows, bytes and sha256 of each file.

    Raises StudyError for an unknown split, one without files, or an entry that lacks one of them.
    """
    entries = manifest.figure("files", split, kind=list)
    if not entries:
        raise StudyError(
            f"{manifest.path}: field figures.files.{split}: no file; {manifest.rebuild_hint}"
        )
    kinds = {"name": str, "rows": int, "bytes": int, "sha256": str}
    for entry in entries:
        for name, kind in kinds.items():
            if not (isinstance(entry, dict) and isinstance(entry.get(name), kind)):
                where = f"{manifest.path}: field figures.files.{split}: {name}"
                raise StudyError(f"{where}: missing; {manifest.rebuild_hint}")
    return entries


def lists_all_parts(manifest: Manifest, split: str) -> bool:
    """Whether a source's manifest lists all parts of a split, not only those that were needed."""
    return split not in (manifest.figures.get("of") or {})


def check_places(sources: dict[str, dict], mirror: str | Path | None) -> None:
    """Compare the mirror's files with those that the sources which were fetched list.

    `sources` are recipes by manifest path. Numbers and sizes are compared, not digests. Raises
    StudyError for the first that differs.
    """
    for path, recipe in sources.items():
        root = Places(mirror).root(recipe)
        if root is None or not Path(path).is_file():
            continue
        manifest = load_manifest(path, key=key_of(recipe), stage="source")
        for split in recipe["splits"]:
            files = split_files(recipe, root, split)
            check_files(manifest, root, split, files, digests=False)


def check_files(
    manifest: Manifest, root: Path, split: str, files: list[Path], *, digests: bool = True
) -> None:
    """Raise StudyError unless a split's files under `root` are those that the manifest lists."""
    entries, memory = source_entries(manifest, split), manifest.run_directory / MEMORY
    pairs = list(zip(files, entries, strict=False))
    for file, entry in pairs:
        size = file.stat().st_size
        if size != entry["bytes"]:
            raise _other_files(f"{file}: {size} bytes, expected {entry['bytes']}", manifest, root)
    if digests:
        found = file_digests({str(file.absolute()): file for file, _ in pairs}, memory)
        for file, entry in pairs:
            if found[str(file.absolute())] != entry["sha256"]:
                raise _other_files(f"{file}: another SHA-256", manifest, root)
    more = len(files) - len(entries)
    if more < 0 or (more and lists_all_parts(manifest, split)):
        raise _other_files(f"{root}: split {split}: {len(files)} files", manifest, root)


def _other_files(found: str, manifest: Manifest, root: Path) -> StudyError:
    """The line that says that files under `root` are others than they were, and what to do."""
    if root.resolve().is_relative_to(manifest.run_directory.resolve()):
        advice = manifest.rebuild_hint
    elif "files" in manifest.recipe:
        advice = "the same snakemake command again reads them as they are now"
    else:
        advice = (
            "a corrected copy is another source: name it in the study file (source: {folder: DIR}),"
            " and what reads it runs again"
        )
    return StudyError(f"{found}, not as {manifest.path} lists it; {advice}")
