"""A two-corpus study in a folder, as manifests: all that a pre-training of any format reads."""

import json
from pathlib import Path

import numpy as np
from network_toy import config
from samples_toy import pretraining_fields, store_of, toy_vocabulary, write_split
from training_toy import OPTIMISER

from model.stages.samples import main as build_samples
from study.identity import key_of
from study.manifest import publish_manifest

LENGTH = 32
# (format, next-sentence prediction and segment embeddings)
FORMATS = {
    "segment-pair": ("segment-pair", True),
    "sentence-pair": ("sentence-pair", True),
    "full-sentences": ("full-sentences", False),
    "doc-sentences": ("doc-sentences", False),
    "segment-pair-without-nsp": ("segment-pair", False),
}
STORE = {"stage": "store", "version": 1, "tokens": ["t"], "vocabulary": "v", "corpora": ["a", "b"]}
VOCABULARY = {"stage": "vocabulary", "version": 1, "kind": "file", "path": "toy"}


def documents(count: int, seed: int) -> list[list[list[int]]]:
    """Documents in which a word is likely to be followed by the next one."""
    draw = np.random.default_rng(seed)

    def sentence() -> list[int]:
        start, size = draw.integers(4, 63), draw.integers(2, 14)
        return [int(4 + (start + i) % 59) for i in range(size)]

    return [[sentence() for _ in range(draw.integers(1, 12))] for _ in range(count)]


def publish_inputs(folder: Path, heldout: tuple[int, int] = (0, 1)) -> None:
    """store.json and vocabulary.json with their run directories; `heldout` are its corpora."""
    place = folder / key_of(VOCABULARY)
    place.mkdir(parents=True)
    (place / "tokenizer.json").write_text(toy_vocabulary().tokenizer.to_str())
    publish_manifest(folder / "vocabulary.json", VOCABULARY, files=["tokenizer.json"], figures={})
    files = []
    for split, count, corpora in (("train", 80, (0, 1)), ("heldout", 16, heldout)):
        store = store_of(documents(count, seed=count), [*corpora] * (count // 2))
        files += write_split(store, folder / key_of(STORE) / split)
    publish_manifest(
        folder / "store.json",
        STORE,
        files=files,
        figures={"dtype": "uint16", "corpora": ["a", "b"]},
    )


def make_study(folder: Path, name: str, **changes) -> dict:
    """Publish the inputs of format `name` (see FORMATS); the recipe of its pre-training."""
    form, paired = FORMATS[name]
    if not (folder / "store.json").exists():
        publish_inputs(folder)
    samples = {
        "stage": "samples",
        "version": 1,
        "store": key_of(STORE),
        "format": form,
        "length": LENGTH,
        **({"seed": 0} if form.endswith("-pair") else {"separators": "document"}),
    }
    place = ("--manifest", f"{folder}/{form}.json", "--store", f"{folder}/store.json")
    build_samples(["--recipe", json.dumps(samples), *place])
    return {
        **pretraining_fields(form, LENGTH),
        "store": key_of(STORE),
        "samples": key_of(samples),
        "vocabulary": key_of(VOCABULARY),
        "format": {"name": form, "nsp": paired, "segments": paired, "length": LENGTH},
        "model": config(positions=LENGTH).in_recipe(),
        "optimiser": OPTIMISER.in_recipe(),
        "steps": 20,
        **changes,
    }


def arguments(folder: Path, recipe: dict, manifest: Path, **execution) -> list[str]:
    """Command line of `model.stages.pretrain`."""
    return [
        *("--recipe", json.dumps(recipe), "--manifest", str(manifest)),
        *("--store", f"{folder}/store.json", "--vocabulary", f"{folder}/vocabulary.json"),
        *("--samples", f"{folder}/{recipe['format']['name']}.json"),
        *("--execution", json.dumps({"micro_batch_tokens": 96, "tensorboard": False, **execution})),
    ]
