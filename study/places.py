"""Where the files of a source lie: a mirror in the hub's layout, a folder, or the run directory.

A place is execution, not recipe: the same files elsewhere are the same source. What the files are
belongs to the recipe: a repository at its revision, a generator with its seed, or, of files of
one's own, their digests. Those of a mirror are noted when a source is first read; others in their
place are refused, before anything runs where their sizes differ (`check_places`).
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.digests import MEMORY, file_digest, remembered_digest, sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, load_manifest
from study.parts import folder_files, local_parts

LARGE = 1 << 30  # bytes to hash that a person should know of


@dataclass(frozen=True)
class Places:
    """The mirror's folder, and by key what else the study names: folders, tokenizer files."""

    mirror: str | Path | None = None
    by_key: Mapping[str, str] = field(default_factory=dict)

    def root(self, recipe: dict) -> Path | None:
        """The folder that a source's files lie under, as far as it is given.

        Raises StudyError when the mirror or the folder does not exist.
        """
        if "files" in recipe:
            given = self.by_key.get(key_of(recipe))
            if given is not None and not Path(given).is_dir():
                raise StudyError(f"{given}: no such folder (field folder of the source)")
            return None if given is None else Path(given)
        if self.mirror is None or "generated" in recipe:
            return None
        if not Path(self.mirror).is_dir():
            raise StudyError(f"{self.mirror}: no such mirror folder")
        return Path(self.mirror, recipe["repo"])


def split_files(recipe: dict, root: Path, split: str) -> list[Path]:
    """The files of a split under `root`, in order; StudyError when a part is missing."""
    if "files" in recipe:
        return folder_files(root, split)
    return local_parts(root, recipe.get("config"), split)


def folder_contents(
    folder: str | Path, splits: Iterable[str], memories: Iterable[Path] = ()
) -> dict[str, list[list[str]]]:
    """What the files of a folder are: by split [suffix, SHA-256] of each, in order.

    Digests that one of the memories holds (`study.digests`) are not computed again. Raises
    StudyError when the folder, a split or a part of it is missing or cannot be read.
    """
    folder, memories = Path(folder), list(memories)
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder (field folder of the source)")
    contents: dict[str, list[list[str]]] = {}
    for split in sorted(set(splits)):
        paths = folder_files(folder, split)
        known = {path: remembered_digest(path, str(path.absolute()), memories) for path in paths}
        size = sum(path.stat().st_size for path in paths if not known[path])
        if size > LARGE:
            print(f"{folder}: reading {size / 1e9:.0f} GB for its digests", file=sys.stderr)
        contents[split] = [[path.suffix, known[path] or sha256_file(path)] for path in paths]
    return contents


def source_contents(root: str | None, name: str, folder: str, splits: list[str]) -> dict:
    """`folder_contents` of the source `name`, whose runs remember digests; `splits` are sorted.

    Of a folder that is gone, those of its only run. Without `root`, the folder of the scale's runs,
    no file is read: the folder stands for its files, which is enough to compare recipes.
    """
    if root is None:
        return {"folder": folder}
    runs = Path(root, "sources", name)
    manifests = [] if Path(folder).exists() else list(runs.glob("*.json"))
    recipe = load_manifest(manifests[0]).recipe if len(manifests) == 1 else {}
    if sorted(recipe.get("files", {})) == splits:
        return recipe["files"]
    return folder_contents(folder, splits, runs.glob(f"*/{MEMORY}"))


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
    for file, entry in zip(files, entries, strict=False):
        size = file.stat().st_size
        if size != entry["bytes"]:
            raise _other_files(f"{file}: {size} bytes, expected {entry['bytes']}", manifest, root)
        if digests and file_digest(file, str(file.absolute()), memory) != entry["sha256"]:
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
