"""Minimal pairs: two sentences of which one is grammatical, scored without fine-tuning (BLiMP).

A part of the study file (`study.study_file`). The columns of the data have BLiMP's names
(arXiv 1912.00582): `sentence_good`, `sentence_bad`, and those of LEVELS that there are.
"""

from typing import Literal

from study.fields import AboveZero, Maybe, NonEmpty, Place, Positive, Section, Source, doc

# What pairs are grouped by, the largest groups first.
LEVELS = ("field", "linguistics_term", "UID")
Level = Literal["field", "linguistics_term", "UID"]
SENTENCES = ("sentence_good", "sentence_bad")
PairColumn = Literal["sentence_good", "sentence_bad", "field", "linguistics_term", "UID"]
ACCURACY = "accuracy"
WithinWords = Literal["alone", "left-to-right"]


class PlannedPairs(Section):
    """A set's pairs and their mean length, for plans until its source is there."""

    pairs: Positive = doc("pairs of sentences")
    row_tokens: AboveZero = doc("mean tokens of a sentence with its frame")


class MinimalPairs(Section):
    """A set of minimal pairs and how its sentences are scored."""

    source: Source = doc("where its files come from")
    splits: NonEmpty[Place] = doc("splits of the source, one after the other", ["train"])
    within_words: WithinWords = doc(
        "what is masked with a piece of a word: it alone (arXiv 1910.14659), or the pieces to its "
        "right as well (arXiv 2305.10588)",
        "alone",
    )
    columns: Maybe[dict[PairColumn, str]] = doc(
        "what BLiMP's columns are called in the files, where otherwise", None
    )
    planned: PlannedPairs | None = doc("its size for plans, until its files are there", None)


def measure(level: str | None, group: str | None) -> str:
    """What the accuracy on a group is called among scores; that on all pairs: `accuracy`."""
    return f"{level}.{group}" if group else ACCURACY
