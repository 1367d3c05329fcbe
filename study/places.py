"""Where the files of a source lie: a mirror in the hub's layout, a folder, or the run directory.

hub and mirror  `<repo>/<config>/<split>-0000i-of-0000n.parquet`
generated       `<split>-00000-of-00001.parquet`
                a split of another config of the repository is `<config>/<split>` in both
folder          files of `<folder>/<split>/`, or else files `<folder>/<split>.*` and
                `<folder>/<split>-*`, or else (split train only) all files of the folder

A place is execution, not recipe: the same files elsewhere are the same source. Other files are
not, and no key would tell: `check_places` refuses them before anything runs.
"""

import re
from pathlib import Path

from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, load_manifest

SUFFIXES = (".jsonl", ".parquet", ".txt")
NUMBERED_PART = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


def local_root(recipe: dict, mirror: str | Path | None) -> Path | None:
    """The folder that a source's files lie under; None when they must be downloaded or generated.

    Raises StudyError when the mirror or the folder does not exist.
    """
    if "folder" in recipe:
        root = Path(recipe["folder"])
        if not root.is_dir():
            raise StudyError(f"{root}: no such folder (field folder of the source)")
        return root
    if mirror is None or "generated" in recipe:
        return None
    if not Path(mirror).is_dir():
        raise StudyError(f"{mirror}: no such mirror folder")
    return Path(mirror) / recipe["repo"]


def split_files(recipe: dict, root: Path, split: str) -> list[Path]:
    """The files of a split under `root`, in order; StudyError when a part is missing."""
    if "folder" in recipe:
        return _folder_files(root, split)
    return _numbered_parts(root, split_pattern(recipe, split))


def split_pattern(recipe: dict, split: str) -> str:
    """Glob pattern of a split's files under the root of a repository or of generated files."""
    place = split if "/" in split else f"{recipe.get('config', '.')}/{split}"
    return f"{place}-*.parquet"


def check_places(sources: dict[str, dict], runs: str, mirror: str | Path | None) -> None:
    """Compare the files that the runs in `runs` were made from with those that lie there now.

    `sources` are recipes by manifest path. Names and sizes are compared, not bytes. Raises
    StudyError for the first that differs.
    """
    for path, recipe in sources.items():
        root = local_root(recipe, mirror)
        if root is not None and Path(path).is_file():
            _check_place(load_manifest(path, key=key_of(recipe), stage="source"), root, runs)


def source_entries(manifest: Manifest, split: str) -> list[dict]:
    """What a source's manifest lists of a split: name, rows, bytes and sha256 of each file.

    Raises StudyError for an unknown split, or an entry that lacks one of them.
    """
    entries = manifest.figure("files", split, kind=list)
    kinds = {"name": str, "rows": int, "bytes": int, "sha256": str}
    for entry in entries:
        known = entry if isinstance(entry, dict) else {}
        for name, kind in kinds.items():
            if not isinstance(known.get(name), kind):
                where = f"{manifest.path}: field figures.files.{split}: {name}"
                raise StudyError(f"{where}: missing; {manifest.rebuild_hint}")
    return entries


def _check_place(manifest: Manifest, root: Path, runs: str) -> None:
    for split in manifest.recipe["splits"]:
        listed = [(entry["name"], entry["bytes"]) for entry in source_entries(manifest, split)]
        files = split_files(manifest.recipe, root, split)
        found = [(file.relative_to(root).as_posix(), file.stat().st_size) for file in files]
        if listed != found:
            other = sorted(set(found) ^ set(listed))[0][0]
            raise StudyError(
                f"{root / other}: not as it was when {manifest.path} was made; runs of one scale "
                f"stand for one set of files: move {runs} away to begin anew with these"
            )


def _numbered_parts(root: Path, pattern: str) -> list[Path]:
    parts = sorted(root.glob(pattern))
    if not parts:
        raise StudyError(f"{root}: no files {pattern}")
    match = NUMBERED_PART.search(parts[0].name)
    if match and len(parts) != int(match[2]):
        raise StudyError(f"{root}: {len(parts)} files {pattern}, expected {int(match[2])}")
    return parts


def _folder_files(folder: Path, split: str) -> list[Path]:
    for candidates in (
        (folder / split).glob("*"),
        [*folder.glob(f"{split}.*"), *folder.glob(f"{split}-*")],
        folder.glob("*") if split == "train" else (),
    ):
        files = sorted(path for path in candidates if path.suffix in SUFFIXES and path.is_file())
        if files:
            return files
    raise StudyError(f"{folder}: no {', '.join(SUFFIXES)} files for split {split}")
