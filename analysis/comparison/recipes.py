"""Which recipes behind the same numbers of two studies differ, and in which keys.

A recipe holds the keys of the runs that it reads, so a change of a corpus changes the keys of all
that follows. What is told is where it began: the runs behind a number are walked in both studies
at once, and of two recipes the fields are compared that are no keys of other runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from analysis.comparison.folder import Entry, Run
from study.identity import canonical_json

BEHIND = ("finetuning", "minimal_pairs", "pretraining", "selection")
# Another seed is another run of the same recipe; that of a source is what its text is.
SEEDED = ("pretrain", "samples", "finetune")
SEEDS = ("seed", "seeds")
ABSENT = "not there"


class Change(NamedTuple):
    """A key of the recipes of one stage, with its value in each study as JSON."""

    stage: str
    key: str
    first: str
    second: str


@dataclass
class Changes:
    """The changes behind the numbers that were added, and which runs have them, by their names."""

    ours: dict[str, Run]
    theirs: dict[str, Run]
    found: dict[Change, set[str]] = field(default_factory=dict)
    walked: set[tuple[str, str]] = field(default_factory=set)

    def add(self, ours: Entry, theirs: Entry) -> None:
        """Note how the recipes behind one number, an entry of each study, differ."""
        for name in BEHIND:
            self.walk_all(getattr(ours, name), getattr(theirs, name))

    def walk_all(self, ours: Sequence[str], theirs: Sequence[str]) -> None:
        """Runs that are used alike: those of the same names, else the first of each."""
        named = {names_of(self.theirs[key]): key for key in theirs}
        pairs = [(key, named.get(names_of(self.ours[key]))) for key in ours]
        matched = [(one, other) for one, other in pairs if other]
        for one, other in matched or zip(ours[:1], theirs[:1], strict=False):
            self.walk(one, other)

    def walk(self, ours: str, theirs: str) -> None:
        """Two runs that are used alike, and what they read."""
        if ours == theirs or (ours, theirs) in self.walked:
            return
        self.walked.add((ours, theirs))
        one, other = self.ours[ours], self.theirs[theirs]
        told = dict(leaves(one.recipe, self.ours))
        others = dict(leaves(other.recipe, self.theirs))
        for key in dict.fromkeys([*told, *others]):
            change = Change(one.stage, key, told.get(key, ABSENT), others.get(key, ABSENT))
            seed = one.stage in SEEDED and key in SEEDS
            if change.first != change.second and not seed:
                self.found.setdefault(change, set()).add(label_of(one))
        for name in one.inputs.keys() & other.inputs.keys():
            self.walk_all(one.inputs[name], other.inputs[name])


def names_of(run: Run) -> str:
    """What a run is of, to compare: its names as JSON."""
    return canonical_json(run.names)


def label_of(run: Run) -> str:
    """What a run is of, to read, without its seed or shard: `doc-sentences sst2`."""
    names = [value for name, value in run.names.items() if name not in ("seed", "shard")]
    words = ["+".join(value) if isinstance(value, list) else str(value) for value in names]
    return " ".join(filter(None, words))


def leaves(value: Any, runs: dict[str, Run], where: str = "") -> Iterator[tuple[str, str]]:
    """The values of a recipe as JSON by dotted key, without the keys of runs that it reads."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, runs, f"{where}.{name}" if where else name)
    elif not any(
        isinstance(part, str) and part in runs
        for part in (value if isinstance(value, list) else [value])
    ):
        yield where, canonical_json(value)
