"""The numbers that two studies have in common: which moved, and whether beyond noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from analysis.comparison.folder import Entry, Folder, Place
from analysis.statistics.looks import ALPHA
from analysis.statistics.two_studies import Apart, tell_apart
from analysis.values import WORST

EQUAL, WITHIN, BEYOND = "equal", "within noise", "beyond noise"
ONE_REPLICATE, NO_REPLICATES = "one replicate", "no replicates"
CHOSEN = "another choice"
UNJUDGED = (ONE_REPLICATE, NO_REPLICATES, CHOSEN)


@dataclass(frozen=True)
class Number:
    """A number of both studies: where it first stands, its entries, how it came out.

    `replicates` hold a value for each, of perplexities the loss in nats; one without a score has
    the worst of its column in either study. `apart` is None where there are not two in each.
    """

    place: Place
    first: Entry
    second: Entry
    replicates: tuple[dict[str, float], dict[str, float]]
    apart: Apart | None

    @property
    def means(self) -> tuple[float | None, float | None]:
        """The means over replicates, whose difference is judged; else what is shown."""
        if not self.apart:
            return self.first.number, self.second.number
        first, second = self.replicates
        if self.apart.paired:
            both = first.keys() & second.keys()
            first, second = ({key: one[key] for key in both} for one in (first, second))
        return fmean(first.values()), fmean(second.values())

    @property
    def outcome(self) -> str:
        """How it came out, in one of the words above."""
        if chosen_otherwise(self.first, self.second):
            return CHOSEN
        first, second = (sorted(sample.values()) for sample in self.replicates)
        if first == second and self.first.number == self.second.number:
            return EQUAL
        if self.apart:
            return BEYOND if self.apart.p <= ALPHA else WITHIN
        if first or second:
            return ONE_REPLICATE
        # What no seed varies has no noise: parameters, words of a corpus.
        return BEYOND if "value" in self.first.shown else NO_REPLICATES


def common_places(first: dict[Place, Entry], second: dict[Place, Entry]) -> list[Place]:
    """Where both have a number; one that several tables show only where it stands first."""
    places: dict[tuple, Place] = {}
    for place, entry in first.items():
        if other := second.get(place):
            what = (place[2], entry.left_out is None, entry.last, other.last)
            places.setdefault(what, place)
    return [*places.values()]


def compare_numbers(first: Folder, second: Folder) -> list[Number]:
    """All numbers that both have, judged together."""
    places = common_places(first.numbers, second.numbers)
    entries = [(first.numbers[place], second.numbers[place]) for place in places]
    samples = with_worst([place[2] for place in places], entries)
    judged = [i for i, pair in enumerate(entries) if not chosen_otherwise(*pair)]
    found = tell_apart([(places[i][2], *samples[i]) for i in judged])
    apart = dict(zip(judged, found, strict=True))
    return [Number(place, *entries[i], samples[i], apart.get(i)) for i, place in enumerate(places)]


def chosen_otherwise(first: Entry, second: Entry) -> bool:
    """Whether another member of a family, or point of a grid, was chosen by its score."""
    member = bool(first.selection) and first.cell != second.cell
    return member or bool(first.setting and second.setting and first.setting != second.setting)


def with_worst(
    columns: Sequence[str], entries: Sequence[tuple[Entry, Entry]]
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """The replicates of numbers in both studies; those without a value get the column's worst."""
    samples = [(first.replicates, second.replicates) for first, second in entries]
    known: dict[str, list[float]] = {}
    for column, pair in zip(columns, samples, strict=True):
        values = [value for sample in pair for value in sample.values() if value is not None]
        known.setdefault(column, []).extend(values)
    worst = {column: worst_of(column, values) for column, values in known.items()}

    def filled(column: str, sample: dict[str, float | None]) -> dict[str, float]:
        return {key: worst[column] if value is None else value for key, value in sample.items()}

    return [
        (filled(column, first), filled(column, second))
        for column, (first, second) in zip(columns, samples, strict=True)
    ]


def worst_of(column: str, values: Sequence[float]) -> float:
    """The worst value of a column: the highest of perplexities, the lowest of scores."""
    high = WORST.get(column.partition(".")[0], -math.inf) > 0
    return (max if high else min)(values, default=math.nan)
