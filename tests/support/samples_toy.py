"""A three-document corpus, a vocabulary for it and random corpora, for the tests of samples."""

from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hypothesis import strategies as st
from network_toy import config
from tokenizers import Tokenizer, models
from training_toy import OPTIMISER

from model.samples import formats
from model.samples.gather import Gatherer
from model.samples.index import Samples
from model.text.store import ARRAYS, TokenStore, shard_file
from model.text.tokenizer import Vocabulary
from study.formats import FORMATS
from study.recipes import PretrainRecipe, parse_recipe

PAIR_FORMATS = [name for name, facts in FORMATS.items() if facts.pairs]

# Ids tell where they come from: document d has ids from 10·d on, in order.
TOY = [
    [[10, 11, 12], [13, 14], [15]],
    [[20, 21], [22, 23, 24, 25]],
    [[30, 31, 32], [33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43], [44, 45]],
]


def store_of(documents, corpora=None, corpus_names=("corpus",)) -> TokenStore:
    """A store in memory: documents of sentences of ids; `corpora` has one index per document."""
    sentences = list(chain.from_iterable(documents))
    tokens = list(chain.from_iterable(sentences))
    offsets = np.cumsum([0, *map(len, sentences)])
    bounds = np.cumsum([0, *map(len, documents)])
    return TokenStore(
        shards=(np.array(tokens, np.uint32 if max(tokens, default=0) >= 1 << 16 else np.uint16),),
        sentences=offsets,
        documents=bounds,
        document_tokens=offsets[bounds],
        corpora=np.array(corpora or [0] * len(documents), np.uint8),
        corpus_names=tuple(corpus_names),
    )


def all_tokens(store: TokenStore) -> list[int]:
    """The ids of a store from its first to its last."""
    return store.read(np.array([0]), np.array([store.size])).tolist()


def write_split(store: TokenStore, folder: Path) -> list[str]:
    """Write a store as a split of a published one; the names of its files."""
    folder.mkdir(parents=True)
    names = []
    for number, shard in enumerate(store.shards):
        names.append(shard_file(number))
        shard.tofile(folder / names[-1])
    for name in ARRAYS:
        names.append(f"{name}.npy")
        np.save(folder / names[-1], getattr(store, name))
    return [f"{folder.name}/{name}" for name in names]


def toy_store() -> TokenStore:
    return store_of(TOY)


def toy_vocabulary(size: int = 64) -> Vocabulary:
    """Ids 0 to 3 are `<s> <pad> </s> <unk>`, the last is `<mask>`, the others are words."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(4, size - 1)), "<mask>"]
    entries = {name: i for i, name in enumerate(names)}
    return Vocabulary(Tokenizer(models.WordLevel(entries, unk_token="<unk>")))


def build(store: TokenStore, *arguments, **named) -> Samples:
    """Samples of a store, in files that go with their last reader."""
    with TemporaryDirectory() as folder:
        return formats.build(store, Path(folder), *arguments, **named)


def inputs(store: TokenStore, samples: Samples) -> list[list[int]]:
    """The framed ids of all samples without padding."""
    rows = np.arange(len(samples))
    ids = Gatherer(store, samples, toy_vocabulary()).ids(rows, samples.length)
    return [row[:n].tolist() for row, n in zip(ids, samples.lengths, strict=True)]


def numbered(lengths: list[list[int]]) -> TokenStore:
    """A store with these sentence lengths per document, whose ids are 4, 5, 6, …"""
    total = iter(range(4, 1 << 30))
    return store_of([[[next(total) for _ in range(n)] for n in document] for document in lengths])


def random_store(documents: int, seed: int = 0, longest: int = 60) -> TokenStore:
    """A store with long and short documents and sentences, some longer than an input of 32."""
    generator = np.random.default_rng(seed)
    return numbered(
        [
            np.clip(generator.lognormal(2.2, 0.8, count), 1, longest).astype(int).tolist()
            for count in np.clip(generator.lognormal(2.0, 1.0, documents), 1, 200).astype(int)
        ]
    )


# Sentence lengths of documents, for hypothesis.
corpora = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=8)
# The same with giant sentences and one-sentence documents, and two documents that make pairs.
mixed_corpora = st.lists(
    st.one_of(
        st.lists(st.integers(1, 40), min_size=1, max_size=8),
        st.lists(st.integers(1, 400), min_size=1, max_size=1),
        st.lists(st.integers(1, 3), min_size=1, max_size=3),
    ),
    min_size=0,
    max_size=12,
).map(lambda documents: [[3, 3], [2], *documents])


def recipe_of(name: str = "full-sentences", length: int = 32, **changes) -> PretrainRecipe:
    """A pretrain recipe of some store and samples; `changes` of a section are those of its fields.

    StudyError names the field that is wrong.
    """
    fields = pretraining_fields(name, length)
    for field, change in changes.items():
        fields[field] = {**fields[field], **change} if isinstance(change, dict) else change
    return parse_recipe(fields, "pretrain")


def pretraining_fields(name: str, length: int) -> dict:
    """A pretrain recipe as JSON."""
    pairs = name in PAIR_FORMATS
    return {
        "stage": "pretrain",
        "version": 1,
        "store": "store",
        "samples": "samples",
        "vocabulary": "vocabulary",
        "model": config(positions=length).in_recipe(),
        "optimiser": OPTIMISER.in_recipe(),
        "format": {"name": name, "nsp": pairs, "segments": pairs, "length": length},
        "masking": {
            "policy": "dynamic",
            "rate": 0.15,
            "mask": 0.8,
            "random": 0.1,
            "special_tokens": False,
        },
        "batch": {"sequences": 8, "unit": "tokens"},
        "steps": 50,
        "evaluation": {"points": 2, "samples": 20},
        "seed": 0,
    }


def framed_rows(
    rows: int, length: int = 128, seed: int = 0, shortest: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Framed rows of random lengths; every fifth token or so is `<unk>`."""
    vocabulary = toy_vocabulary()
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, length + 1, (rows,), generator=generator)
    ids = torch.randint(3, 999, (rows, length), generator=generator)
    ids[ids < 200] = vocabulary.unknown
    columns = torch.arange(length)
    ids[columns.expand(rows, -1) >= lengths[:, None]] = vocabulary.pad
    ids[:, 0] = vocabulary.start
    ids[torch.arange(rows), lengths - 1] = vocabulary.separator
    return ids, lengths
