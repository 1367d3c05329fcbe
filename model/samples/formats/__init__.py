"""Input formats: from the store's offsets alone to index arrays (paper section 4.2).

In: a `TokenStore`. Out: `Samples` (model/samples/index.py). Every format of `study.formats` is the
module of its name here, with one function `pack`, which makes its inputs without their frame:

    one part     pack(store, budget, add, separators)       <s> block </s>
    two parts    pack(store, budget, add, seed, corpora)    <s> A </s> B </s>

`budget` counts the tokens of an input without its frame. `pack` looks at the store in windows, so
that memory does not grow with it, hands the index arrays of each, whose lengths are those of the
content, to `add`, and returns what it counted. `separators` says what stands between the
sentences of a block: "document" puts one separator between two documents and nothing between
sentences; "sentence" ends every sentence with one and puts another between documents, as fairseq
does, so that the closing one is the last sentence's. No block starts or ends with a separator
between documents. A pair has no separators but those of its frame, whatever `separators` says.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from model.samples.index import Samples, SamplesWriter, special_count
from model.samples.pairs import count_shown
from model.text.store import TokenStore
from study.errors import StudyError
from study.formats import FORMATS

MODULES = {name: import_module(f"{__name__}.{name.replace('-', '_')}") for name in FORMATS}


def build(
    store: TokenStore,
    directory: Path,
    format: str,
    length: int,
    separators: str = "document",
    seed: int = 0,
    negatives: str = "any",
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Samples:
    """Write all samples of a store in one format; `length` counts special tokens too.

    `seed` decides labels, cuts and random parts of pairs; other formats draw nothing. `negatives`
    says where random parts come from: "any" other document, or one of the same "corpus" (any other
    if the corpus has a single one). Sentences longer than the input are cut and counted in
    figures["split_sentences"]. `told` hears up to which of the store's tokens samples are made.

    Raises StudyError for a store that cannot give such samples.
    """
    if len(store.sentences) == 1:
        raise StudyError(f"samples: format {format}: the store holds no sentences")
    pairs = FORMATS[format].pairs
    own = {"separators": separators}
    if pairs:
        own = {"seed": seed, "corpora": store.corpora if negatives == "corpus" else None}
    budget = length - special_count(format)

    def add(arrays: dict[str, np.ndarray]) -> None:
        writer.add(arrays)
        store.forget()
        told(int(arrays["starts"][-1, 0]), store.size)

    try:
        with SamplesWriter(directory, format, length, separators) as writer:
            counted = MODULES[format].pack(store, budget, add, **own)
    except StudyError as error:
        raise StudyError(f"samples: format {format}: {error}") from None
    figures = {**writer.counts, "sentences": len(store.sentences) - 1, **counted}
    if pairs:
        parts = (np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("starts", "sizes"))
        figures["shown_tokens"] = count_shown(*parts, store.size)
    return writer.finish(figures)
