"""Samples as index arrays: which tokens of the store make up which input.

A sample has P parts: A and B in a format of pairs, else one. N samples are

    starts     int64 (N,P)  first token of each part in the store
    sizes      int32 (N,P)  tokens of each part
    documents  int32 (N,P)  document of each part's first token
    lengths    int32 (N,)   real tokens of the framed input, special tokens included
    labels     int8 (N,)    pairs only: NEXT or RANDOM

and no ids: those are gathered from the store when a batch is made. On disk every array is a .npy
file, written as samples are made and memory-mapped when opened, beside `samples.json` (format,
length, separators, figures).
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.array_file import ArrayWriter
from study.errors import StudyError
from study.formats import FORMATS
from study.manifest import write_atomic

NEXT, RANDOM = 0, 1  # next-sentence labels, numbered as in BERT and transformers

HEADER = "samples.json"
DTYPES = {
    "starts": np.int64,
    "sizes": np.int32,
    "documents": np.int32,
    "lengths": np.int32,
    "labels": np.int8,
}


def special_count(format: str) -> int:
    """Special tokens of the frame: `<s> A </s> B </s>` or `<s> block </s>`."""
    return 3 if FORMATS[format].pairs else 2


def array_names(format: str) -> list[str]:
    """The index arrays of a format."""
    return [name for name in DTYPES if FORMATS[format].pairs or name != "labels"]


def sample_files(format: str) -> list[str]:
    """The files of the samples of a format."""
    return [*(f"{name}.npy" for name in array_names(format)), HEADER]


@dataclass(frozen=True)
class Samples:
    """All samples of one split; the arrays are those of the module docstring.

    `figures` counts what the builder did: samples, tokens, split sentences and, for pairs, labels,
    forced labels, truncated tokens, the tokens of the store and how many of them an epoch shows
    (other formats show all).
    """

    format: str
    length: int
    separators: str
    starts: np.ndarray
    sizes: np.ndarray
    documents: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray | None = None
    figures: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def pairs(self) -> bool:
        """Whether a sample has two parts."""
        return FORMATS[self.format].pairs

    @property
    def tokens(self) -> int:
        """Real tokens of all samples together."""
        return self.figures["tokens"]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The index arrays by name."""
        return {name: getattr(self, name) for name in array_names(self.format)}

    @classmethod
    def open(cls, directory: str | Path) -> "Samples":
        """Map what a writer wrote; StudyError when a file is missing or the arrays do not fit."""
        directory = Path(directory)
        try:
            header = json.loads((directory / HEADER).read_text())
            if not isinstance(header["figures"]["tokens"], int):
                raise ValueError(f"{HEADER}: field figures.tokens: expected a number")
            # Plain views of the maps, which are indexed in half the time.
            arrays = {
                name: np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r"))
                for name in array_names(header["format"])
            }
        except OSError as error:
            raise StudyError(f"{error.filename}: {error.strerror}; expected samples") from None
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{directory}: not samples ({error})") from None
        rows = {name: len(array) for name, array in arrays.items()}
        if len(set(rows.values())) != 1:
            raise StudyError(f"{directory}: arrays of different lengths: {rows}")
        return cls(**header, **arrays)


class SamplesWriter:
    """Writes the samples of a format into a directory as they are made."""

    def __init__(self, directory: Path, format: str, length: int, separators: str):
        self._directory, self._frame = directory, special_count(format)
        self._header = {"format": format, "length": length, "separators": separators}
        directory.mkdir(parents=True, exist_ok=True)
        columns = {"lengths": None, "labels": None}
        parts = 2 if FORMATS[format].pairs else 1
        self._files = {
            name: ArrayWriter(directory / f"{name}.npy", DTYPES[name], columns.get(name, parts))
            for name in array_names(format)
        }
        self.counts: Counter[str] = Counter(samples=0, tokens=0)

    def __enter__(self) -> "SamplesWriter":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Write further samples, whose lengths are given without the frame."""
        lengths = arrays["lengths"] + self._frame
        for name, array in {**arrays, "lengths": lengths}.items():
            self._files[name].append(array)
        self.counts.update(samples=len(lengths), tokens=int(lengths.sum(dtype=np.int64)))

    def finish(self, figures: dict) -> Samples:
        """Write the header of the closed arrays, and map them."""
        text = json.dumps({**self._header, "figures": figures}) + "\n"
        write_atomic(self._directory / HEADER, text)
        return Samples.open(self._directory)
