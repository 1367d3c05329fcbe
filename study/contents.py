"""What files of one's own are: digests stand in recipes where the study file names a place."""

import json
from collections.abc import Iterable
from pathlib import Path

from study.digests import MEMORY, sha256_file
from study.errors import StudyError
from study.manifest import load_manifest
from study.places import folder_contents
from study.stages import PATHS


class Contents:
    """Digests of folders and tokenizer files, each computed once.

    `root` is the folder of a scale's runs, which remember digests. Without it no file is read:
    files are told apart by where they lie, which is enough to compare recipes.
    """

    def __init__(self, root: str | None):
        self.root = root
        self._known: dict[tuple, dict] = {}

    def folder(self, name: str, folder: str, splits: Iterable[str]) -> dict:
        """The files of the source `name`, as `study.places.folder_contents` gives them.

        Of a folder that is gone, those of its only run.
        """
        if self.root is None:
            return {"folder": folder}
        splits = sorted(splits)
        if (folder, *splits) not in self._known:
            runs = Path(self.root, PATHS["source"].format(source=name))
            manifests = [] if Path(folder).exists() else list(runs.glob("*.json"))
            recipe = load_manifest(manifests[0]).recipe if len(manifests) == 1 else {}
            files = recipe.get("files", {})
            if sorted(files) != splits:
                files = folder_contents(folder, splits, runs.glob(f"*/{MEMORY}"))
            self._known[folder, *splits] = files
        return self._known[folder, *splits]

    def tokenizer(self, path: str, where: str) -> dict:
        """`tokenizer_contents` of a file."""
        if self.root is None:
            return {"sha256": path, "size": 0}
        if (path,) not in self._known:
            self._known[path,] = tokenizer_contents(path, where)
        return self._known[path,]


def tokenizer_contents(file: str, where: str) -> dict:
    """What a tokenizer.json is: its SHA-256 and the number of its entries.

    Raises StudyError, for a missing file beginning with the key `where`, when it cannot be read.
    """
    path = Path(file)
    if not path.is_file():
        raise StudyError(f"{where}: {path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        # A mapping of entries, or a list of (entry, score).
        vocabulary = content["model"]["vocab"]
        entries = {entry if isinstance(entry, str) else entry[0] for entry in vocabulary}
        size = len(entries | {token["content"] for token in content["added_tokens"]})
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise StudyError(f"{path}: not a tokenizer.json ({type(error).__name__})") from None
    return {"sha256": sha256_file(path), "size": size}
