"""Input formats: pure functions from the store's offsets to index arrays (paper section 4.2).

In: a `TokenStore`. Out: `Samples` (index.py). The frames are

    full-sentences, doc-sentences   <s> block </s>
    segment-pair, sentence-pair     <s> A </s> B </s>

`separators` says what stands between the sentences of a block: "document" puts one separator
between two documents and nothing between sentences; "sentence" ends every sentence with one and
puts another between documents, as fairseq does, so that the closing one is the last sentence's.
No block starts or ends with a separator between documents. A pair has no separators but those of
its frame, whatever `separators` says.
"""

import numpy as np

from model.samples.blocks import pack
from model.samples.index import (
    FORMATS,
    PAIR_FORMATS,
    SEPARATORS,
    SINGLE_FORMATS,
    Samples,
    special_count,
)
from model.samples.pairs import segment_pairs, sentence_pairs
from model.samples.units import Units, units_of
from model.text.store import TokenStore
from study.cells import SHORTEST
from study.errors import StudyError

NEGATIVES = ("any", "corpus")


def build(
    store: TokenStore,
    format: str,
    length: int,
    separators: str = "document",
    seed: int = 0,
    negatives: str = "any",
) -> Samples:
    """All samples of a store in one format; `length` counts special tokens too.

    `seed` decides labels, cuts and random parts of the pair formats; the others draw nothing.
    `negatives` says where random parts come from: "any" other document, or one of the same
    "corpus" (any other if the corpus has a single one).
    Sentences longer than the input are cut and counted in figures["split_sentences"].

    Raises StudyError for an unknown format, separator or origin of negatives, a length too short,
    and a store that cannot give such samples.
    """
    if format not in FORMATS:
        raise StudyError(f"samples: field format: {format!r}, expected one of {', '.join(FORMATS)}")
    if separators not in SEPARATORS:
        raise StudyError(
            f"samples: field separators: {separators!r}, expected one of {', '.join(SEPARATORS)}"
        )
    if negatives not in NEGATIVES:
        raise StudyError(
            f"samples: field negatives: {negatives!r}, expected one of {', '.join(NEGATIVES)}"
        )
    if length < SHORTEST:
        raise StudyError(f"samples: field length: {length}, expected at least {SHORTEST}")
    budget = length - special_count(format)
    units = units_of(store, budget, parts=2 if format in PAIR_FORMATS else 1)
    if len(units) == 0:
        raise StudyError(f"samples: format {format}: the store holds no sentences")
    if format in SINGLE_FORMATS:
        arrays, counted = _blocks(units, budget, separators, format == "full-sentences")
    else:
        corpora = np.asarray(store.corpora) if negatives == "corpus" else None
        arrays, counted = _pairs(units, budget, seed, format, corpora)
    figures = {
        "samples": len(arrays["lengths"]),
        "tokens": int(arrays["lengths"].sum(dtype=np.int64)),
        "sentences": len(store.sentences) - 1,
        "split_sentences": units.split,
        **counted,
    }
    return Samples(format, length, separators, **arrays, figures=figures)


def _blocks(units: Units, budget: int, separators: str, cross: bool) -> tuple[dict, dict]:
    """Index arrays of a single format, and no further figures."""
    firsts, contents = pack(units, budget, separators, cross)
    bounds = units.offsets[firsts]
    arrays = {
        "starts": bounds[:-1, None],
        "sizes": np.diff(bounds)[:, None].astype(np.int32),
        "documents": units.document_of(firsts[:-1])[:, None].astype(np.int32),
        "lengths": (contents + special_count(SINGLE_FORMATS[0])).astype(np.int32),
    }
    return arrays, {}


def _pairs(
    units: Units, budget: int, seed: int, format: str, corpora: np.ndarray | None
) -> tuple[dict, dict]:
    """Index arrays of a pair format and its figures."""
    make = segment_pairs if format == "segment-pair" else sentence_pairs
    try:
        pairs = make(units, budget, seed, corpora)
    except StudyError as error:
        raise StudyError(f"samples: format {format}: {error}") from None
    arrays = {
        "starts": pairs.starts,
        "sizes": pairs.sizes.astype(np.int32),
        "documents": pairs.documents.astype(np.int32),
        "lengths": (pairs.sizes.sum(axis=1) + special_count(PAIR_FORMATS[0])).astype(np.int32),
        "labels": pairs.labels,
    }
    return arrays, pairs.figures
