"""Do the verdicts err as rarely as they say? `results/calibration.csv`, by simulated studies.

Every study has four cells and four claims, as Table 2 has, that share cells. A replicate's number
is what its pre-training gives plus the median over its fine-tunings, in units of the standard
deviation of such numbers; so is the margin, which is 1. The functions are those that judge real
results, beside recipes that are in common use:

    ours                     `analysis.statistics.verdicts`, at one look
    ours, one claim          the same of a table with one claim, so without Holm
    ours, planned looks      the same at every planned number of replicates, until one decides
    runs as replicates       t-test of all fine-tunings of all pre-trainings
    one pre-training         t-test of the fine-tunings of one pre-training, as most papers have
    percentile bootstrap     over replicates, 95 % interval
    looks without a plan     Welch's t-test at 5 % at every look
    claims without Holm      Welch's t-test at 5 % for each claim

In a study without differences a verdict that one cell is better is false; where one cell is worse
by the margin, it is false that it is better or equivalent. `per_claim` is the share of claims with
a false verdict, `per_table` that of studies with one; `coverage` how often the 95 % interval holds
the true difference; `power` how often a difference of `difference` is called.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from analysis.command import csv_text, result_command
from analysis.render import markdown_table
from analysis.statistics.intervals import estimate
from analysis.statistics.looks import ALPHA, look_level
from analysis.statistics.verdicts import EQUIVALENT, REPLICATED, UNDECIDED, evidence, verdicts
from study.command import run_command
from study.graph import Study

STUDIES = 3000
RESAMPLES = 1000
MARGIN = 1.0
CELLS = 4
PAIRS = ((0, 1), (3, 0), (2, 0), (3, 2))  # who is claimed to be better than whom
DESIGNS = ((3, 5), (5, 1), (5, 5), (10, 1))  # pre-training seeds, fine-tuning seeds of each
COLUMNS = (
    *("rule", "spread", "pretraining_seeds", "finetuning_seeds", "looks", "studies"),
    *("difference", "per_claim", "per_table", "coverage", "power"),
)


class Spread(NamedTuple):
    """What single runs vary by: pre-training's share, and the shape of what fine-tuning adds."""

    name: str
    pretraining: float
    finetuning: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Fine-tunings that vary normally."""
    return draw.normal(size=shape)


def failing(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One fine-tuning in five falls to where it has learnt nothing, ten deviations below."""
    return draw.normal(size=shape) - 10 * (draw.random(shape) < 0.2)


def heavy(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Outliers: Student's t with three degrees of freedom."""
    return draw.standard_t(3, size=shape)


SPREADS = (
    Spread("fine-tuning alone", 0.0, normal),
    Spread("mostly fine-tuning", 0.5, normal),
    Spread("both alike", 1.0, normal),
    Spread("mostly pre-training", 2.0, normal),
    Spread("failing fine-tunings", 1.0, failing),
    Spread("heavy tails", 1.0, heavy),
)


def runs(draw: np.random.Generator, spread: Spread, replicates: int, seeds: int) -> np.ndarray:
    """Single runs of STUDIES studies, float64 (studies, cells, replicates, seeds)."""
    shape = (STUDIES, CELLS, replicates)
    pretraining = spread.pretraining * draw.normal(size=shape)
    values = pretraining[..., None] + spread.finetuning(draw, (*shape, seeds))
    return values / np.median(values, axis=-1).std()


def study_verdicts(values: np.ndarray, level: float, claims: int = len(PAIRS)) -> list[str]:
    """Verdicts on the first so many claims of one study; values (cells, replicates)."""
    samples = values.tolist()
    found = [evidence("direction", [samples[a], samples[b]], MARGIN) for a, b in PAIRS[:claims]]
    return [verdict for verdict, _ in verdicts(found, level)]


def line(false: np.ndarray, **more: object) -> dict:
    """False verdicts of studies and claims, bool (studies, claims), as rates."""
    return {"per_claim": false.mean(), "per_table": false.any(1).mean(), **more}


def ours(values: np.ndarray, looks: tuple[int, ...], claims: int = len(PAIRS)) -> Iterator[dict]:
    """The rates of the shipped functions at these looks; values (studies, cells, replicates).

    A claim that is decided at a look stays so.
    """
    level = look_level(looks)
    for difference in (0.0, MARGIN):
        shifted = values.copy()
        shifted[:, 1] -= difference  # the first claim is true by so much
        false = np.zeros((len(values), claims), bool)
        for number, study in enumerate(shifted):
            final = [UNDECIDED] * claims
            for look in looks:
                now = study_verdicts(study[:, :look], level, claims)
                final = [b if a == UNDECIDED else a for a, b in zip(final, now, strict=True)]
            right = [REPLICATED if difference else EQUIVALENT] + [EQUIVALENT] * (claims - 1)
            pairs = zip(final, right, strict=True)
            false[number] = [found not in (UNDECIDED, true) for found, true in pairs]
        yield line(false[:, :1] if difference else false, difference=difference)


def coverage_and_power(values: np.ndarray, level: float) -> Iterator[dict]:
    """How often intervals hold the truth, and how often differences are called."""
    pairs = [(one[a].tolist(), one[b].tolist()) for one in values for a, b in PAIRS]
    intervals = [found.interval() for pair in pairs if (found := estimate(*pair))]
    yield {"coverage": np.mean([low <= 0 <= high for low, high in intervals]), "difference": 0.0}
    for difference in (1.0, 2.0, 3.0, 5.0):
        shifted = values.copy()
        shifted[:, 1] -= difference
        called = [study_verdicts(study, level)[0] == REPLICATED for study in shifted]
        yield {"power": np.mean(called), "difference": difference}


def wrong_recipes(single: np.ndarray) -> Iterator[dict]:
    """The rates of common recipes where nothing differs; runs (studies, cells, I, J)."""
    replicates = np.median(single, axis=-1)
    pooled = single.reshape(*single.shape[:2], -1)

    def apart(values: np.ndarray, welch: bool = False) -> np.ndarray:
        found = [
            ttest_ind(values[:, a], values[:, b], axis=1, equal_var=not welch) for a, b in PAIRS
        ]
        return np.stack([one.pvalue <= ALPHA for one in found], axis=1)

    if single.shape[3] > 1:
        yield {"rule": "runs as replicates", **line(apart(pooled))}
        yield {"rule": "one pre-training", **line(apart(single[:, :, 0]))}
    yield {"rule": "percentile bootstrap", **line(bootstrapped(replicates))}
    yield {"rule": "claims without Holm", **line(apart(replicates, welch=True))}


def bootstrapped(values: np.ndarray) -> np.ndarray:
    """Whether percentile intervals of differences of means leave out zero (studies, claims)."""
    draw = np.random.default_rng(1)
    called = np.zeros((len(values), len(PAIRS)), bool)
    for number, study in enumerate(values):
        picked = draw.integers(values.shape[2], size=(CELLS, RESAMPLES, values.shape[2]))
        means = np.take_along_axis(study[:, None], picked, axis=2).mean(2)
        for claim, (a, b) in enumerate(PAIRS):
            low, high = np.quantile(means[a] - means[b], (ALPHA / 2, 1 - ALPHA / 2))
            called[number, claim] = not low <= 0 <= high
    return called


def unplanned(values: np.ndarray, looks: tuple[int, ...]) -> np.ndarray:
    """Whether Welch's t-test at 5 % calls a difference at any look (studies, claims)."""
    found = [
        [
            ttest_ind(*values[:, pair, :look].swapaxes(0, 1), axis=1, equal_var=False).pvalue
            <= ALPHA
            for pair in map(list, PAIRS)
        ]
        for look in looks
    ]
    return np.asarray(np.array(found).any(0)).T


def lines(looks: tuple[int, ...]) -> Iterator[dict]:
    """Every rule at every design and spread; studies are drawn anew for each, from one seed."""
    for spread, (replicates, seeds) in product(SPREADS, DESIGNS):
        draw = np.random.default_rng(0)
        single = runs(draw, spread, replicates, seeds)
        values = np.median(single, axis=-1)
        where = {
            "spread": spread.name,
            "pretraining_seeds": replicates,
            "finetuning_seeds": seeds,
            "studies": STUDIES,
            "difference": 0.0,
        }
        at = {"rule": "ours", "looks": str(replicates)}
        rates = [*ours(values, (replicates,)), *coverage_and_power(values, ALPHA)]
        yield from (where | at | found for found in rates)
        alone = at | {"rule": "ours, one claim"}
        yield from (where | alone | found for found in ours(values, (replicates,), 1))
        yield from (where | {"looks": str(replicates)} | found for found in wrong_recipes(single))
    for spread in SPREADS:
        draw = np.random.default_rng(0)
        values = np.median(runs(draw, spread, looks[-1], 1), axis=-1)
        where = {
            "spread": spread.name,
            "pretraining_seeds": looks[-1],
            "finetuning_seeds": 1,
            "looks": ", ".join(map(str, looks)),
            "studies": STUDIES,
            "difference": 0.0,
        }
        yield from (where | {"rule": "ours, planned looks"} | one for one in ours(values, looks))
        yield where | {"rule": "looks without a plan"} | line(unplanned(values, looks))


def calibration_files(study: Study, _: str) -> tuple[str, str]:
    """The rates as CSV and Markdown."""
    verdicts_of = study.config.verdicts
    looks = tuple(verdicts_of.looks) if verdicts_of else (5, 10, 20)
    frame = pd.DataFrame(list(lines(looks)), columns=COLUMNS)
    rates = ["per_claim", "per_table", "coverage", "power"]
    frame[rates] = frame[rates].round(4)
    return csv_text(frame), to_markdown(frame)


def to_markdown(frame: pd.DataFrame) -> str:
    """The worst of all spreads for each rule and design."""
    groups = frame.groupby(["rule", "pretraining_seeds", "finetuning_seeds", "looks"], sort=False)
    rows = [["rule", "seeds", "looks", "false verdicts, claim", "table", "interval holds"]]
    for (rule, replicates, seeds, looks), found in groups:
        nothing = found[found["difference"] == 0]
        cover = nothing["coverage"].dropna()
        rows.append(
            [
                rule,
                f"{replicates} x {seeds}",
                looks,
                percent(found["per_claim"].max()),
                percent(found["per_table"].max()),
                f"{percent(cover.min())} to {percent(cover.max())}" if len(cover) else "",
            ]
        )
    notes = [
        f"Of {STUDIES} simulated studies each; the highest rate over the spreads "
        f"{', '.join(frame['spread'].unique())}.",
        "Seeds: pre-training x fine-tuning. Nominal rate 5 %.",
    ]
    return markdown_table("How often verdicts are false", rows, notes)


def percent(rate: float) -> str:
    """`4.9 %`."""
    return f"{100 * rate:.1f} %"


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.calibration`."""
    result_command(arguments, "calibration", calibration_files)


if __name__ == "__main__":
    run_command(main)
