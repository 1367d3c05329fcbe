"""Samples as index arrays: which tokens of the store make up which input.

A sample has P parts: A and B in a format of pairs, else one. N samples are

    starts     int64 (N,P)  first token of each part in the store
    sizes      int32 (N,P)  tokens of each part
    documents  int32 (N,P)  document of each part's first token
    lengths    int32 (N,)   real tokens of the framed input, special tokens included
    labels     int8 (N,)    pairs only: NEXT or RANDOM

and no ids: those are gathered from the store when a batch is made. On disk every array is a .npy
file, memory-mapped when opened, beside `samples.json` (format, length, separators, figures).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from study.errors import StudyError
from study.formats import FORMATS
from study.manifest import write_atomic

NEXT, RANDOM = 0, 1  # next-sentence labels, numbered as in BERT and transformers

HEADER = "samples.json"


def special_count(format: str) -> int:
    """Special tokens of the frame: `<s> A </s> B </s>` or `<s> block </s>`."""
    return 3 if FORMATS[format].pairs else 2


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
        names = ("starts", "sizes", "documents", "lengths", *(("labels",) if self.pairs else ()))
        return {name: getattr(self, name) for name in names}

    def save(self, directory: str | Path) -> list[str]:
        """Write all files into `directory`; returns their names."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            np.save(directory / f"{name}.npy", array)
        header = {name: getattr(self, name) for name in ("format", "length", "separators")}
        write_atomic(directory / HEADER, json.dumps({**header, "figures": self.figures}) + "\n")
        return [*(f"{name}.npy" for name in self.arrays), HEADER]

    @classmethod
    def open(cls, directory: str | Path) -> "Samples":
        """Map what `save` wrote; StudyError when a file is missing or the arrays do not fit."""
        directory = Path(directory)
        try:
            header = json.loads((directory / HEADER).read_text())
            names = ["starts", "sizes", "documents", "lengths"]
            names += ["labels"] if FORMATS[header["format"]].pairs else []
            arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in names}
        except OSError as error:
            raise StudyError(f"{error.filename}: {error.strerror}; expected samples") from None
        except (ValueError, KeyError) as error:
            raise StudyError(f"{directory}: not samples ({error})") from None
        rows = {name: len(array) for name, array in arrays.items()}
        if len(set(rows.values())) != 1:
            raise StudyError(f"{directory}: arrays of different lengths: {rows}")
        return cls(**header, **arrays)
