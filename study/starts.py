"""Weights that are there already, and what a cell starts from instead of random ones.

In: a folder or a repository as transformers writes it, of BERT's or RoBERTa's layout: config.json
and model.safetensors, with tokenizer.json for vocabularies of kind `file`. Out: what the files are
(their SHA-256, or the repository at its commit), and the sizes that config.json tells, against
those of the cells that start from it. Needs no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import model_validator

from study import fields
from study.cells import Model
from study.digests import MEMORY, remembered_digests, sha256_file
from study.errors import StudyError, kind_text
from study.fields import Maybe, Place, Revision, Section, doc
from study.manifest import load_manifest
from study.places import tokenizer_contents

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FILES = (CONFIG, WEIGHTS)
# Network types of the two layouts, and whether their positions are counted from pad + 1.
TYPES = {"bert": False, "roberta": True, "xlm-roberta": True, "camembert": True}
# What transformers takes where config.json does not say it.
DEFAULTS = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": 512}
# What our network does, in the one way that there is.
ONLY = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
SIZES = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
}

# Keys of a cell's `model` that are those of the weights which it starts from.
COMMON_SIZES = (*SIZES, "positions", "layer_norm_eps")


class Weights(Section):
    """A model of transformers' layout that is there already: a folder, or a hub repository."""

    folder: Maybe[fields.Path] = doc("a folder with config.json and model.safetensors", None)
    repo: Maybe[Place] = doc("repository of the hub, `<org>/<name>`, or of the mirror", None)
    revision: Maybe[Revision] = doc("its commit or tag", None)

    @model_validator(mode="after")
    def one_place(self):
        """A folder, or a repository at a revision: the newest would change unseen."""
        given = {name for name in ("folder", "repo", "revision") if getattr(self, name)}
        if given not in ({"folder"}, {"repo", "revision"}):
            raise ValueError("expected either folder, or repo and revision")
        return self


class Sizes(NamedTuple):
    """What config.json tells of a network; `first_position` are the rows that no token uses."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    positions: int
    layer_norm_eps: float
    entries: int
    first_position: int

    def differences(self, model: Model) -> list[str]:
        """The sizes in which a cell's `model` differs, as `layers 2 (12)`, theirs in brackets."""
        pairs = [(name, getattr(model, name), getattr(self, name)) for name in COMMON_SIZES]
        return [f"{name} {own:g} ({theirs:g})" for name, own, theirs in pairs if own != theirs]


def read_sizes(path: Path) -> Sizes:
    """The sizes in a config.json; StudyError naming the field that is no network of ours."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: not JSON ({error})") from None
    if not isinstance(written, dict):
        raise StudyError(f"{path}: expected an object, found {kind_text(type(written))}")
    config = {**DEFAULTS, **written}
    kind = config.get("model_type")
    if kind not in TYPES:
        raise StudyError(f"{path}: field model_type: expected {' or '.join(TYPES)}, found {kind}")
    for name, value in ONLY.items():
        if config.get(name, value) != value:
            found = json.dumps(config[name])
            raise StudyError(f"{path}: field {name}: expected {json.dumps(value)}, found {found}")
    layers, hidden, heads, ffn = (_number(path, config, name) for name in SIZES.values())
    pad = _number(path, {"pad_token_id": 1, **config}, "pad_token_id") if TYPES[kind] else -1
    eps = config["layer_norm_eps"]
    if not isinstance(eps, float):
        raise StudyError(f"{path}: field layer_norm_eps: expected a number, found {eps}")
    positions = _number(path, config, "max_position_embeddings") - (pad + 1)
    entries = _number(path, config, "vocab_size")
    return Sizes(layers, hidden, heads, ffn, positions, eps, entries, pad + 1)


def _number(path: Path, config: Mapping, name: str) -> int:
    value = config.get(name)
    if type(value) is not int or value < 0:
        found = "missing" if value is None else f"expected a whole number, found {value}"
        raise StudyError(f"{path}: field {name}: {found}")
    return value


def find_files(folder: Path, names: tuple[str, ...] = FILES) -> dict[str, Path]:
    """These files of a folder by name; StudyError for one that is not there, saying what is."""
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder of weights")
    for name in names:
        if not (folder / name).is_file():
            there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
            raise StudyError(
                f"{folder}: no {name}; found {', '.join(there[:10]) or 'nothing'} (transformers' "
                "save_pretrained writes it)"
            )
    return {name: folder / name for name in names}


def folder_digests(root: str | None, name: str, folder: str) -> dict[str, str]:
    """SHA-256 by name of the files of a folder of the weights `name`, whose runs remember them.

    Of a folder that is gone, those of its only run. Without `root`, the folder of the scale's runs,
    no file is read: the folder stands for its files, which is enough to compare recipes.
    """
    if root is None:
        return {"folder": folder}
    runs = Path(root, "weights", name)
    if known := _recorded(runs, Path(folder)).get("files"):
        return known
    files = find_files(Path(folder))
    paths = {str(path.absolute()): path for path in files.values()}
    known = remembered_digests(paths, runs.glob(f"*/{MEMORY}"))
    return {
        file: known.get(str(path.absolute())) or sha256_file(path) for file, path in files.items()
    }


def tokenizer_digest(root: str | None, name: str, path: str) -> dict[str, Any]:
    """SHA-256 and entries of the tokenizer.json of the vocabulary `name`, as `folder_digests`."""
    if root is None:
        return {"sha256": path}
    known = _recorded(Path(root, "vocabularies", name), Path(path))
    if {"sha256", "size"} <= known.keys():
        return {"sha256": known["sha256"], "size": known["size"]}
    find_files(Path(path).parent, (Path(path).name,))
    return tokenizer_contents(path)


def _recorded(runs: Path, place: Path) -> dict:
    """The recipe of the only run, where the files that it was made from are gone; else empty."""
    manifests = [] if place.exists() else list(runs.glob("*.json"))
    return load_manifest(manifests[0]).recipe if len(manifests) == 1 else {}
