"""Input formats: pure functions from the store's offsets to index arrays (paper section 4.2).

In: a `TokenStore`. Out: `Samples` (model/samples/index.py). Every format of `study.formats` is the
module of its name here, with one function `pack`, which makes its inputs without their frame:

    one part     pack(store, budget, separators)       <s> block </s>
    two parts    pack(store, budget, seed, corpora)    <s> A </s> B </s>

`budget` counts the tokens of an input without its frame. `pack` returns the index arrays, whose
lengths are those of the content, and what it counted. `separators` says what stands between the
sentences of a block: "document" puts one separator between two documents and nothing between
sentences; "sentence" ends every sentence with one and puts another between documents, as fairseq
does, so that the closing one is the last sentence's. No block starts or ends with a separator
between documents. A pair has no separators but those of its frame, whatever `separators` says.
"""

from importlib import import_module

import numpy as np

from model.samples.index import Samples, special_count
from model.text.store import TokenStore
from study.errors import StudyError
from study.formats import FORMATS

MODULES = {name: import_module(f"{__name__}.{name.replace('-', '_')}") for name in FORMATS}


def build(
    store: TokenStore,
    format: str,
    length: int,
    separators: str = "document",
    seed: int = 0,
    negatives: str = "any",
) -> Samples:
    """All samples of a store in one format; `length` counts special tokens too.

    `seed` decides labels, cuts and random parts of pairs; other formats draw nothing. `negatives`
    says where random parts come from: "any" other document, or one of the same "corpus" (any other
    if the corpus has a single one). Sentences longer than the input are cut and counted in
    figures["split_sentences"].

    Raises StudyError for a store that cannot give such samples.
    """
    if len(store.sentences) == 1:
        raise StudyError(f"samples: format {format}: the store holds no sentences")
    if FORMATS[format].pairs:
        corpora = np.asarray(store.corpora) if negatives == "corpus" else None
        own = {"seed": seed, "corpora": corpora}
    else:
        own = {"separators": separators}
    try:
        arrays, counted = MODULES[format].pack(store, length - special_count(format), **own)
    except StudyError as error:
        raise StudyError(f"samples: format {format}: {error}") from None
    arrays["lengths"] = (arrays["lengths"] + special_count(format)).astype(np.int32)
    figures = {
        "samples": len(arrays["lengths"]),
        "tokens": int(arrays["lengths"].sum(dtype=np.int64)),
        "sentences": len(store.sentences) - 1,
        **counted,
    }
    return Samples(format, length, separators, **arrays, figures=figures)
