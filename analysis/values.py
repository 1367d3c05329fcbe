"""Columns that are no scores: what a cell's recipe says, what its data and pre-trainings came to.

Each value has one meaning in all tables:

    batch                  sequences per update; in a token budget, of full length
    steps, learning_rate   as in the recipe
    gigabytes              UTF-8 text of the training documents, 10^9 bytes
    vocabulary_size        entries, special ones included
    vocabulary_parameters  of the word table (filler rows included) and the decoder's biases
    parameters             of the pre-trained network with its heads
    fertility              tokens per white-space-separated word of the training documents
    unknown_rate           unknown tokens per token of the training documents, percent
    epochs                 passes over the training samples
    perplexity             exp of the mean held-out loss in nats per masked token, fixed masks
    bits_per_byte          that loss x held-out tokens / held-out bytes / ln 2

Perplexities of different vocabularies are not comparable; bits per byte are, since each spreads
the loss over the same bytes. Unknown words are tokens like others, masked and predicted; only what
they spell is in no loss.
"""

import math

import pandas as pd

from model.network.sizes import vocabulary_parameters
from study.graph import Study
from study.manifest import MAYBE_NUMBER, NUMBER, Manifest, load_manifest

REPLICATED = ("epochs", "perplexity", "bits_per_byte")
# Of a pre-training that diverged these are missing, which counts as the worst: infinite.
LOSSES = ("perplexity", "bits_per_byte")
FORMATS = {
    "batch": "{:.0f}",
    "steps": "{:,.0f}",
    "learning_rate": "{:g}",
    "epochs": "{:.1f}",
    "gigabytes": "{:.3g}",
    "parameters": "{:,.0f}",
    "vocabulary_size": "{:,.0f}",
    "vocabulary_parameters": "{:,.0f}",
    "fertility": "{:.2f}",
    "unknown_rate": "{:.3f}",
    "perplexity": "{:.2f}",
    "bits_per_byte": "{:.3f}",
}


def total(store: Manifest, split: str, figure: str) -> int:
    """Sum of a figure of a token store over its corpora."""
    return sum(store.figure(split, corpus, figure, kind=NUMBER) for corpus in store.figure(split))


def token_rates(words: float, tokens: float, unknown: float) -> dict[str, float]:
    """`fertility` (tokens per word) and `unknown_rate` (percent of the tokens) of a text."""
    return {
        "fertility": tokens / words if words else math.nan,
        "unknown_rate": 100 * unknown / tokens if tokens else math.nan,
    }


def bits_per_byte(loss: float | None, store: Manifest) -> float:
    """A held-out loss (nats per masked token) spread over the bytes of the held-out text."""
    if loss is None:
        return math.nan
    tokens, size = total(store, "heldout", "tokens"), total(store, "heldout", "bytes")
    return loss * tokens / size / math.log(2) if size else math.nan


def cell_values(study: Study, cell: str) -> dict[str, float | list[float | None]]:
    """All values of a cell by name; those of REPLICATED are lists, one per pre-training seed.

    None or NaN where a pre-training diverged. Raises StudyError for manifests of another recipe.
    """
    spec, jobs = study.config.cells[cell], study.pretrain_jobs([cell])
    store_job = study.jobs.store_of(cell)
    store = load_manifest(store_job.path, key=store_job.key, stage="store")
    runs = [load_manifest(job.path, key=job.key, stage="pretrain") for job in jobs]
    (vocabulary_job,) = jobs[0].inputs["vocabulary"]
    vocabulary = load_manifest(vocabulary_job.path, key=vocabulary_job.key)
    size = vocabulary.figure("size", kind=int)
    words, tokens = total(store, "train", "words"), total(store, "train", "tokens")
    return {
        "batch": spec.batch.sequences,
        "steps": spec.steps,
        "learning_rate": spec.optimiser.learning_rate,
        "gigabytes": total(store, "train", "bytes") / 1e9,
        "vocabulary_size": size,
        "vocabulary_parameters": vocabulary_parameters(spec.model, size),
        "parameters": runs[0].figure("parameters", kind=int),
        **token_rates(words, tokens, total(store, "train", "unknown_tokens")),
        "epochs": [run.figure("epochs", kind=NUMBER) for run in runs],
        "perplexity": [run.figure("heldout_perplexity", kind=MAYBE_NUMBER) for run in runs],
        "bits_per_byte": [
            bits_per_byte(run.figure("heldout_loss", kind=MAYBE_NUMBER), store) for run in runs
        ],
    }


def value_fields(values: dict[str, float | list[float | None]], name: str) -> dict[str, float]:
    """The fields of a column: `value`, or `median`, `min` and `max` over replicates.

    The median of a loss is missing where it is that of a pre-training that diverged; minimum and
    maximum are over the others.
    """
    value = values[name]
    if not isinstance(value, list):
        return {"value": value}
    series = pd.Series(value, dtype=float)
    median = (series.fillna(math.inf) if name in LOSSES else series).median()
    median = math.nan if math.isinf(median) else median
    return {"median": median, "min": series.min(), "max": series.max()}
