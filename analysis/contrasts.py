"""The numbers that a claim compares: for every row a number per replicate, the higher the better.

In: a claim and the rows of its table as they are shown. Out: a `Contrast`. A replicate's number is
the mean over the claim's columns, scores in points, held-out losses (the logarithms of
perplexities) in nats with their sign turned. A published row has one number, which does not vary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean

from analysis.examples import Scores, dev_set_error, mean_example_scores
from analysis.shown import Entry, ShownRow
from analysis.statistics.intervals import Estimate, estimate
from analysis.statistics.verdicts import Evidence, Sample, evidence
from analysis.values import oriented, unit_of
from study.claims import IN_NATS, Claim, Kind
from study.fields import given
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest


@dataclass(frozen=True)
class Contrast:
    """What is compared, in columns that have one unit: a sample per row, the better one first."""

    kind: Kind
    samples: list[Sample]
    margin: float
    published: float | None  # difference, or the number of a claim of kind `value`
    dev_set_error: float  # NaN where it is not known
    diverged: int  # runs without a score or with a loss that was not finite

    @property
    def replicates(self) -> int:
        """Of the row that has the fewest."""
        return min(len(sample) for sample in self.samples if not isinstance(sample, float))

    @cached_property
    def evidence(self) -> Evidence:
        """For the claim or against it."""
        return evidence(self.kind, self.samples, self.margin)

    @cached_property
    def weakest(self) -> tuple[Sequence[float], Sample]:
        """The two samples that are compared; of an ordering those that are least apart."""
        pairs = [(varied(one), two) for one, two in pairwise(self.samples)]
        return min(pairs, key=lambda pair: fmean(pair[0]) - mean_of(pair[1]))

    @cached_property
    def estimate(self) -> Estimate | None:
        """The difference of the two; None where a replicate has no score."""
        return estimate(*self.weakest)

    @property
    def deviation(self) -> tuple[float, float]:
        """Standard deviation of replicates within cells, and its degrees of freedom."""
        samples = [sample for sample in self.weakest if not isinstance(sample, float)]
        freedom = sum(len(sample) - 1 for sample in samples)
        squares = sum((value - fmean(sample)) ** 2 for sample in samples for value in sample)
        return math.sqrt(squares / freedom), freedom

    @property
    def wins(self) -> float:
        """How often a replicate of the first row is better than one of the second; ties half."""
        ours, other = self.weakest
        theirs = [other] if isinstance(other, float) else other
        pairs = [(one, two) for one in ours for two in theirs]
        return fmean((one > two) + 0.5 * (one == two) for one, two in pairs)

    def first(self, replicates: int) -> "Contrast":
        """The same of the first so many replicates of each row."""
        cut = [one if isinstance(one, float) else one[:replicates] for one in self.samples]
        return replace(self, samples=cut)


def varied(sample: Sample) -> Sequence[float]:
    """The replicates of a sample that is no single number."""
    assert not isinstance(sample, float)
    return sample


def mean_of(sample: Sample) -> float:
    """The mean of a sample, or the number that it is."""
    return sample if isinstance(sample, float) else fmean(sample)


class Rows:
    """The rows of a table by name, and the example scores of its cells, each read once."""

    def __init__(self, study: Study, rows: Sequence[ShownRow]):
        self.study = study
        self.rows = {row.row.id: row for row in rows}
        self._scores: dict[tuple[str, str], Scores] = {}

    def contrast(self, claim: Claim, columns: Sequence[str], against: Sequence[str] = ()):
        """What `claim` compares in these of its columns, a `Contrast`."""
        shown = [self.rows[name] for name in claim.rows]
        fields = [(row, [entry_of(row, name) for name in columns]) for row in shown]
        samples = [sample(self.study, *field) for field in fields]
        if against:
            fields.append((shown[0], [entry_of(shown[0], name) for name in against]))
            behind = sample(self.study, *fields[-1])
            pairs = zip(varied(samples[0]), varied(behind), strict=True)
            samples = [[one - two for one, two in pairs], 0.0]
        published = [published_mean(entries) for _, entries in fields]
        if claim.kind == "value":
            samples.append(given(published[0]))
        margin = claim.margin or given(self.study.config.verdicts).margins.of(
            unit_of(fields[0][1][0].column)
        )
        return Contrast(
            given(claim.kind),
            samples,
            margin,
            published_difference(published),
            self.dev_set_error(fields[:2]),
            sum(diverged(entry) for _, entries in fields for entry in entries),
        )

    def unpublished(self, row: ShownRow, columns: Sequence[str], claim: Claim) -> str | None:
        """The first of these columns whose published number is to be compared and is not there."""
        if row.cell and claim.kind != "value":
            return None
        gaps = (name for name in columns if entry_of(row, name).published is None)
        return next(gaps, None)

    def dev_set_error(self, fields: Sequence[tuple[ShownRow, list[Entry]]]) -> float:
        """Of the difference of two rows, or of one row's mean, from the examples of dev sets."""
        scores = [[self.scores(row.cell, entry) for entry in entries] for row, entries in fields]
        if len(scores) == 1:
            scores.append([0.0] * len(scores[0]))
        return dev_set_error(list(zip(*scores, strict=True)))

    def scores(self, cell: str | None, entry: Entry) -> Scores:
        """Example scores of a cell in a column; 0 of what is published."""
        if cell is None:
            return 0.0
        name = (cell, entry.column.name)
        if name not in self._scores:
            self._scores[name] = mean_example_scores(self.study, cell, entry)
        return self._scores[name]


def published_difference(numbers: Sequence[float | None]) -> float | None:
    """The least of the differences between a number and the next, or the one number itself."""
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    differences = [round(one - two, 10) + 0.0 for one, two in pairwise(known)]  # no -0.0
    return min(differences, default=known[0])


def entry_of(row: ShownRow, column: str) -> Entry:
    """A row's field of a column."""
    return next(entry for entry in row.entries if entry.column.name == column)


def diverged(entry: Entry) -> int:
    """How many of the runs behind a field failed; of values, of its pre-trainings."""
    failed = sum(value != value for value in entry.replicates)
    return int(entry.statistics.get("diverged", failed))


def sample(study: Study, row: ShownRow, entries: Sequence[Entry]) -> Sample:
    """A row's number per replicate, a mean over columns; what is published where it is not ours."""
    if row.cell is None:
        return given(published_mean(entries))
    series = [oriented(entry.column, replicates(study, row, entry)) for entry in entries]
    return [fmean(values) for values in zip(*series, strict=True)]


def published_mean(entries: Sequence[Entry]) -> float | None:
    """The mean of published values as replicates have theirs; None where one is missing."""
    values = []
    for entry in entries:
        if entry.published is None:
            return None
        number = math.log(entry.published) if entry.column.value in IN_NATS else entry.published
        values += oriented(entry.column, [float(number)])
    return fmean(values)


def replicates(study: Study, row: ShownRow, entry: Entry) -> list[float]:
    """A row's numbers in a column; of learning rates, the logarithm of what each replicate chose.

    Of a family that is the member with its lowest held-out loss.
    """
    if entry.column.value != "learning_rate":
        return entry.replicates
    members = study.config.families[row.row.family].members if row.row.family else {}
    if not members:
        return [math.log(entry.statistics["value"])] * len(study.config.seeds.pretraining)
    losses = {rate: heldout_losses(study, cell) for rate, cell in members.items()}
    of_replicates = zip(*losses.values(), strict=True)
    return [math.log(min(zip(ours, losses, strict=True))[1]) for ours in of_replicates]


def heldout_losses(study: Study, cell: str) -> list[float]:
    """The held-out loss of every replicate; infinity where it diverged."""
    losses = []
    for job in study.pretrain_jobs([cell]):
        run = load_manifest(job.path, key=job.key, stage="pretrain")
        loss = run.figure("heldout_loss", kind=MAYBE_NUMBER)
        losses.append(math.inf if loss is None else loss)
    return losses
