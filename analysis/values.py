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
    transition             million tokens seen when the plateau of word frequencies was left
    perplexity             exp of the mean held-out loss in nats per masked token, fixed masks
    bits_per_byte          that loss x held-out tokens / held-out bytes / ln 2
    nsp_accuracy           percent of held-out pairs whose next-sentence label the model tells

The last three are measured on `evaluation.samples` held-out samples; the first two of them also on
those of one corpus.
Perplexities of different vocabularies are not comparable; bits per byte are, since each spreads
the loss over the same bytes. Unknown words are tokens like others, masked and predicted; only what
they spell is in no loss.
"""

import math
from collections.abc import Sequence

import pandas as pd

from analysis.plateau import transition, unigram_entropy
from analysis.statistics.intervals import Mean
from model.network.sizes import vocabulary_parameters
from study.claims import IN_NATS, LOWER_IS_BETTER
from study.graph import Study
from study.manifest import MAYBE_NUMBER, NUMBER, Manifest, load_manifest
from study.minimal_pairs import ACCURACY
from study.tables import HELDOUT_VALUES, Column

REPLICATED = ("epochs", "transition", *HELDOUT_VALUES)
# Of a pre-training that diverged what was measured is missing, which counts as the worst.
WORST = {
    **dict.fromkeys(("transition", "perplexity", "bits_per_byte"), math.inf),
    "nsp_accuracy": -math.inf,
}
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
    "transition": "{:.3g}",
    "perplexity": "{:.2f}",
    "bits_per_byte": "{:.3f}",
    "nsp_accuracy": "{:.1f}",
}
METRIC_NAMES = {
    "f1": "F1",
    "em": "exact match",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "middle": "accuracy",
    "high": "accuracy",
}
# Differences of perplexities are those of their logarithms, the losses.
DIFFERENCE_FORMATS = {"perplexity": "{:+.3f}", "bits_per_byte": "{:+.3f}"}
Values = dict[tuple[str, str | None], float | list[float | None]]


def metric_name(column: Column) -> str:
    """What a column of scores shows, in words (`F1`, `accuracy`); of a value nothing.

    Metrics of a part or of a further split are named as that metric: `no_answer_f1`, `mm_accuracy`.
    """
    metric = ACCURACY if column.pairs else column.metric
    last = (metric or "").rpartition("_")[2]
    return METRIC_NAMES.get(last, last)


def total(store: Manifest, split: str, figure: str, corpus: str | None = None) -> int:
    """Sum of a figure of a token store over its corpora, or that of one corpus."""
    corpora = store.figure(split) if corpus is None else [corpus]
    return sum(store.figure(split, name, figure, kind=NUMBER) for name in corpora)


def token_rates(words: float, tokens: float, unknown: float) -> dict[str, float]:
    """`fertility` (tokens per word) and `unknown_rate` (percent of the tokens) of a text."""
    return {
        "fertility": tokens / words if words else math.nan,
        "unknown_rate": 100 * unknown / tokens if tokens else math.nan,
    }


def bits_per_byte(loss: float | None, tokens: float, size: float) -> float:
    """A loss (nats per masked token) spread over the bytes `size` of a text of so many tokens."""
    if loss is None or not size:
        return math.nan
    return loss * tokens / size / math.log(2)


def heldout_values(runs: list[Manifest], store: Manifest, nsp: bool) -> Values:
    """What the pre-trainings of a cell, with `nsp` or without, measured on held-out text."""
    values: Values = {}
    for corpus in (None, *runs[0].figure("corpora")):
        loss: tuple[str, ...] = ("heldout_loss",)
        perplexity: tuple[str, ...] = ("heldout_perplexity",)
        if corpus is not None:
            loss, perplexity = ("corpora", corpus, "loss"), ("corpora", corpus, "perplexity")
        tokens, size = (total(store, "heldout", name, corpus) for name in ("tokens", "bytes"))
        losses = [run.figure(*loss, kind=MAYBE_NUMBER) for run in runs]
        values["loss", corpus] = losses
        values["perplexity", corpus] = [run.figure(*perplexity, kind=MAYBE_NUMBER) for run in runs]
        values["bits_per_byte", corpus] = [bits_per_byte(one, tokens, size) for one in losses]
    if nsp:
        accuracies = [run.figure("heldout_nsp_accuracy", kind=MAYBE_NUMBER) for run in runs]
        values["nsp_accuracy", None] = accuracies
    return values


def cell_values(study: Study, cell: str) -> Values:
    """All values of a cell by name and corpus; those of REPLICATED are lists, one per pre-training
    seed.

    None or NaN where a pre-training diverged. What the cell does not have is not there: a corpus
    without held-out text, an accuracy without next-sentence prediction. Raises StudyError for
    manifests of another recipe.
    """
    spec, jobs = study.config.cells[cell], study.pretrain_jobs([cell])
    store_job = study.jobs.store_of(cell)
    store = load_manifest(store_job.path, key=store_job.key, stage="store")
    runs = [load_manifest(job.path, key=job.key, stage="pretrain") for job in jobs]
    (vocabulary_job,) = jobs[0].inputs["vocabulary"]
    vocabulary = load_manifest(vocabulary_job.path, key=vocabulary_job.key)
    size = vocabulary.figure("size", kind=int)
    words, tokens = total(store, "train", "words"), total(store, "train", "tokens")
    left = [transition(run, unigram_entropy(store)) for run in runs]
    values = {
        "batch": spec.batch.sequences,
        "steps": spec.steps,
        "learning_rate": spec.optimiser.learning_rate,
        "gigabytes": total(store, "train", "bytes") / 1e9,
        "vocabulary_size": size,
        "vocabulary_parameters": vocabulary_parameters(spec.model, size),
        "parameters": runs[0].figure("parameters", kind=int),
        **token_rates(words, tokens, total(store, "train", "unknown_tokens")),
        "epochs": [run.figure("epochs", kind=NUMBER) for run in runs],
        "transition": [reached / 1e6 if math.isfinite(reached) else None for reached in left],
    }
    of_all_text = {(name, None): value for name, value in values.items()}
    return of_all_text | heldout_values(runs, store, spec.format.nsp)


def value_fields(values: Values, name: str, corpus: str | None = None) -> dict[str, float]:
    """The fields of a column: `value`, or `median`, `min` and `max` over replicates; none where the
    cell does not have it.

    The median of a measurement is missing where it is that of a pre-training that diverged, or did
    not leave the plateau; minimum and maximum are over the others.
    """
    if (name, corpus) not in values:
        return {}
    value = values[name, corpus]
    if not isinstance(value, list):
        return {"value": value}
    series = pd.Series(value, dtype=float)
    median = (series.fillna(WORST[name]) if name in WORST else series).median()
    median = math.nan if math.isinf(median) else median
    return {"median": median, "min": series.min(), "max": series.max()}


def compared_numbers(values: Values, name: str, corpus: str | None = None) -> list[float]:
    """A number per replicate, as means and differences are taken of it; NaN where one diverged.

    Of a perplexity it is the loss, its logarithm, in nats per masked token: a difference of losses
    is a ratio of perplexities, which does not hang on how large they are.
    """
    numbers = values.get(("loss" if name == "perplexity" else name, corpus), [])
    assert isinstance(numbers, list)
    return [math.nan if number is None else number for number in numbers]


def unit_of(column: Column) -> str:
    """What its differences are in: points, nats, or bits."""
    if column.value in IN_NATS:
        return "nats"
    return "bits" if column.value == "bits_per_byte" else "points"


def oriented(column: Column, values: Sequence[float]) -> list[float]:
    """The higher the better."""
    return [-value for value in values] if column.value in LOWER_IS_BETTER else list(values)


def shown_mean(name: str | None, mean: Mean | None) -> Mean | None:
    """A mean of `compared_numbers` in units of the values: of perplexities the geometric one."""
    return Mean(*map(math.exp, mean)) if mean and name == "perplexity" else mean
