"""Where the spread of scores comes from: pre-training, fine-tuning, dev set; `results/variance/`.

In: the scores of a table's cells, each pre-training seed with the same fine-tuning seeds, and the
predictions behind them. Out: `<table>.csv` and `.md`, per score the standard deviations, in points,

    pretraining  between pre-trainings, on an endless dev set
    finetuning   between fine-tunings of one pre-training (head, order, dropout), on the same
    dev_set      between models that are equally good but err on other examples, which the dev set
                 happens to hold or not; what all models find hard is not in it
    replicate    between replicates as tables have them, each the median over its fine-tunings

with 95 % intervals. The squares of the first three add up to the variance of one fine-tuning of one
pre-training on this dev set. A line of cell `all` pools the cells, which tells more than any one:
five replicates know a standard deviation within a factor of three. What the runs cannot tell is
empty: pre-training and fine-tuning where each pre-training has one fine-tuning seed, the dev set
where a metric is no mean over examples.

Two-way crossed analysis of variance without replication (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 4), of the scores and, example by example, of what makes them: the latter
over the number of examples is the dev set's share in the former. Intervals: of pre-training
Williams's (Biometrika 49, 1962), of fine-tuning chi-square's with Satterthwaite's degrees of
freedom, both less the dev set's share; of the dev set by the spread over its examples.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, norm

from analysis.command import csv_text, result_command
from analysis.examples import example_scores
from analysis.medians import replicate_values
from analysis.render import DASH
from analysis.shown import Entry, read_rows
from study.command import run_command
from study.fields import given
from study.graph import Study
from study.manifest import load_manifest, seed_run
from study.tables import Column

TAIL = 0.025  # on either side of a 95 % interval
ALL = "all"
COMPONENTS = ("pretraining", "finetuning", "dev_set", "replicate")
NAMES = ("column", "task", "metric", "row", "cell")
COUNTS = ("replicates", "finetuning_seeds", "examples", "mean")


class Deviation(NamedTuple):
    """A standard deviation and the ends of its 95 % interval, in points; NaN: not known."""

    sd: float
    low: float
    high: float


UNKNOWN = Deviation(math.nan, math.nan, math.nan)


def _deviation(variance: float, interval: tuple[float, float], less: float = 0.0) -> Deviation:
    """From a variance and its interval, less a part of it; below zero there is none."""
    return Deviation(*(math.sqrt(max(value - less, 0.0)) for value in (variance, *interval)))


def _chi_square(variance: float, freedom: float) -> tuple[float, float]:
    """Interval of a variance that is estimated with these degrees of freedom."""
    low, high = (freedom * variance / chi2.isf(tail, freedom) for tail in (TAIL, 1 - TAIL))
    return low, high


def _mean_squares(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean squares (...) of pre-training, fine-tuning seed, interaction; scores (C, I, J, ...).

    Those of a single pre-training or fine-tuning seed are zero, where nothing can be told.
    """
    _, replicates, seeds = scores.shape[:3]
    rows, columns = replicates - 1 or 1, seeds - 1 or 1
    of_rows, of_columns = scores.mean(2, keepdims=True), scores.mean(1, keepdims=True)
    mean = of_rows.mean(1, keepdims=True)
    parts = (of_rows - mean, of_columns - mean, scores - of_rows - of_columns + mean)
    between, own, rest = ((part**2).sum((1, 2)).mean(0) for part in parts)
    return seeds * between / rows, replicates * own / columns, rest / (rows * columns)


def _between(scores: np.ndarray) -> np.ndarray:
    """Variance (...) between pre-trainings of scores (C, I, J, ...)."""
    pretraining, _, interaction = _mean_squares(scores)
    return (pretraining - interaction) / scores.shape[2]


def _between_interval(scores: np.ndarray) -> tuple[float, float]:
    """Williams's interval of the variance between pre-trainings."""
    cells, replicates, seeds = scores.shape
    rows = cells * (replicates - 1)
    pretraining, _, interaction = _mean_squares(scores)

    def end(tail: float) -> float:
        excess = pretraining - interaction * f.isf(tail, rows, rows * (seeds - 1))
        return rows * excess / (seeds * chi2.isf(tail, rows))

    return end(TAIL), end(1 - TAIL)


def _within(scores: np.ndarray) -> np.ndarray:
    """Variance (...) between the fine-tunings of a pre-training of scores (C, I, J, ...)."""
    return scores.var(2, ddof=1).mean((0, 1))


def _within_interval(scores: np.ndarray) -> tuple[float, float]:
    """Satterthwaite's interval: a seed may do to all pre-trainings what it does to one."""
    cells, replicates, seeds = scores.shape
    variance, freedom = float(_within(scores)), cells * (seeds - 1)
    of_seeds = _mean_squares(scores)[1] / replicates
    squares = of_seeds**2
    if replicates > 1:
        squares += (variance - of_seeds) ** 2 / (replicates - 1)
    return _chi_square(variance, freedom * variance**2 / squares) if squares else (0.0, 0.0)


def components(scores: np.ndarray, examples: np.ndarray | None) -> dict[str, Deviation]:
    """Standard deviations by `pretraining`, `finetuning` and `dev_set`, pooled over cells.

    `scores` float64 (C, I, J) are of C cells, I pre-trainings each and the same J fine-tuning seeds
    of all; `examples` (C, I, J, N) are what they are means of, or None.
    """
    _, replicates, seeds = scores.shape
    effects = {}  # that these runs tell apart
    if seeds > 1:
        effects["finetuning"] = (_within, _within_interval)
    if seeds > 1 and replicates > 1:
        effects["pretraining"] = (_between, _between_interval)
    found = {"pretraining": UNKNOWN, "finetuning": UNKNOWN, "dev_set": UNKNOWN}
    shares = dict.fromkeys(effects, 0.0)
    if examples is not None:
        examples = examples - examples.mean(3, keepdims=True)
        parts = {name: variance(examples) for name, (variance, _) in effects.items()}
        shares = {name: part.mean() / (examples.shape[3] - 1) for name, part in parts.items()}
        if replicates > 1 or seeds > 1:
            alone = examples.var(1, ddof=1).mean((0, 1)) if not parts else 0.0
            found["dev_set"] = _of_examples(np.asarray(sum(parts.values(), start=alone)))
    for name, (variance, interval) in effects.items():
        found[name] = _deviation(float(variance(scores)), interval(scores), shares[name])
    return found


def _of_examples(variances: np.ndarray) -> Deviation:
    """What the choice of N examples adds to a score, from the variance of each (N,)."""
    count = len(variances)
    mean, error = variances.mean(), norm.isf(TAIL) * variances.std(ddof=1) / math.sqrt(count)
    low, high = ((mean + side * error) / (count - 1) for side in (-1, 1))
    return _deviation(mean / (count - 1), (low, high))


def between_replicates(values: np.ndarray) -> Deviation:
    """Standard deviation between replicates (C, I), pooled over cells."""
    cells, replicates = values.shape
    if replicates < 2:
        return UNKNOWN
    variance = values.var(1, ddof=1).mean()
    return _deviation(variance, _chi_square(variance, cells * (replicates - 1)))


class Crossed(NamedTuple):
    """The scores of one cell in one column: (I, J), (I, J, N) or None, and of replicates (I,)."""

    label: str
    cell: str
    scores: np.ndarray
    examples: np.ndarray | None
    replicates: np.ndarray


def crossed(study: Study, label: str, cell: str, entry: Entry) -> Crossed:
    """The scores behind an entry of a table, and those of their examples."""
    column, models = entry.column, entry.models
    task = models["task"].iloc[0]
    scores = models.pivot(index="pretraining_seed", columns="finetuning_seed", values="value")
    if study.config.seeds.finetuning == "own":  # a seed of its own for each
        scores = scores.bfill(axis=1).iloc[:, :1]
    examples = []
    for seed in scores.index:
        job = study.jobs.finetune(cell, int(seed), task, entry.setting)
        tuned = load_manifest(job.path, key=job.key, stage="finetune")
        for own in map(str, job.recipe["seeds"]):
            run = seed_run(tuned, own)
            examples.append(example_scores(run, study.config.tasks[task], given(column.metric)))
    known = [one for one in examples if one is not None]
    return Crossed(
        label,
        cell,
        scores.to_numpy(float),
        np.reshape(known, (*scores.shape, -1)) if len(known) == len(examples) else None,
        replicate_values(models, ()).sort_index().to_numpy(float),
    )


def lines(study: Study, name: str) -> Iterator[dict]:
    """A line per column and cell, that of all cells first; cells with a score missing are out."""
    columns: dict[str, tuple[Column, dict[str, Crossed]]] = {}
    for row in read_rows(study, name, f"results/variance/{name}.csv"):
        if row.cell is None or row.row.ensemble:
            continue
        for entry in row.entries:
            if entry.column.task and entry.models["value"].notna().all():
                _, cells = columns.setdefault(entry.column.name, (entry.column, {}))
                cells[row.cell] = crossed(study, row.row.label, row.cell, entry)
    for column, by_cell in columns.values():
        every = list(by_cell.values())
        groups = [(ALL, every), *((one.label, [one]) for one in every)]
        for label, group in groups if len(every) > 1 else groups[1:]:
            yield {
                "column": column.label,
                "task": column.task,
                "metric": column.metric,
                "row": label,
                "cell": ALL if label == ALL else group[0].cell,
                **line_of(group),
            }


def line_of(group: list[Crossed]) -> dict[str, float]:
    """Counts, the mean score and the components of one cell or several."""
    scores = np.stack([one.scores for one in group])
    parts = [one.examples for one in group if one.examples is not None]
    examples = np.stack(parts) if len(parts) == len(group) else None
    found = components(scores, examples)
    found["replicate"] = between_replicates(np.stack([one.replicates for one in group]))
    return {
        "replicates": scores.shape[1],
        "finetuning_seeds": scores.shape[2],
        "examples": pd.NA if examples is None else examples.shape[3],
        "mean": scores.mean(),
        **{
            f"{name}.{field}": value
            for name, deviation in found.items()
            for field, value in deviation._asdict().items()
        },
    }


def to_markdown(study: Study, name: str, frame: pd.DataFrame) -> str:
    """The lines for reading: `2.1 [1.2, 4.4]`, with a dash for what the runs cannot tell."""
    heads = ["", "row", "mean", *(head.replace("_", " ") for head in COMPONENTS)]
    text = [f"**Where the spread of {name} comes from: standard deviations in points**", ""]
    text += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for line in frame.to_dict("records"):
        fields = [line["column"], line["row"], f"{line['mean']:.1f}"]
        for component in COMPONENTS:
            sd, low, high = (line[f"{component}.{field}"] for field in Deviation._fields)
            fields.append(DASH if math.isnan(sd) else f"{sd:.2f} [{low:.2f}, {high:.2f}]")
        text.append(f"| {' | '.join(fields)} |")
    return "\n".join([*text, "", *(f"- {note}" for note in notes(study)), ""])


def notes(study: Study) -> list[str]:
    """What a reader must know beside the numbers."""
    return [
        f"Scale: {study.scale} ({study.config.about}).",
        "Estimate [95 % interval]. Pre-training, fine-tuning and dev set are of one fine-tuning of "
        "one pre-training; their squares add up. A replicate is the median over the fine-tuning "
        "seeds of a pre-training.",
        f"Row {ALL}: all rows together, as if their spreads were equal.",
        "A row with a score that diverged or is missing stands in none of that column's lines.",
    ]


def variance_files(study: Study, name: str) -> tuple[str, str]:
    """The components of a table's scores as CSV and Markdown."""
    deviations = [f"{name}.{field}" for name in COMPONENTS for field in Deviation._fields]
    frame = pd.DataFrame(list(lines(study, name)), columns=[*NAMES, *COUNTS, *deviations])
    frame["examples"] = frame["examples"].astype("Int64")
    return csv_text(frame.round(4)), to_markdown(study, name, frame)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.variance`."""
    result_command(arguments, "variance", variance_files)


if __name__ == "__main__":
    run_command(main)
