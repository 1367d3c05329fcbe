"""What finished results say and what they rest on, for the pages that show them: `gather`.

In: a study and names of its tables. Out: a `Gathering`, which has each table as its files under
`results/` hold it, or why it cannot be shown, and the runs behind what is shown, as
`analysis.provenance` records them. The functions below it sum such runs up: code, machines, time.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from analysis.command import check_known
from analysis.provenance import Runs
from study.graph import Study
from study.manifest import NUMBER
from study.record import current_file, first_file, kept_file
from study.results import FIGURE

MISSING = "not made yet"
STALE = "made for another scale, recipe or number of replicates, or changed since"
# What runs are summed up by, and their stages.
PARTS = {
    "text": ("source", "sentences", "vocabulary", "tokens", "store", "samples", "features"),
    "pre-training": ("pretrain", "selection"),
    "fine-tuning": ("finetune-seed",),
    "minimal pairs": ("minimal_pairs",),
}
COUNTED = [stage for stages in PARTS.values() for stage in stages]


@dataclass(frozen=True)
class FinishedTable:
    """A table that is there and current: its CSV, its Markdown, and the runs behind it by key.

    Of a fine-tuning these are the runs of its seeds, which took its time.
    """

    name: str
    path: Path
    text: str
    runs: dict[str, dict]


@dataclass(frozen=True)
class Gathering:
    """Finished tables, why others are not shown, and what runs were computed with, by key."""

    study: Study
    tables: list[FinishedTable]
    not_shown: dict[str, str]
    environments: dict[str, dict]

    @property
    def cells(self) -> list[str]:
        """The cells of the tables."""
        shown = [table.name for table in self.tables if table.name in self.study.config.tables]
        return list(dict.fromkeys(cell for name in shown for cell in self.study.table_cells(name)))

    @cached_property
    def runs(self) -> list[dict]:
        """All runs behind the tables, each once."""
        runs = {key: run for table in self.tables for key, run in table.runs.items()}
        return sorted(runs.values(), key=lambda run: run["folder"])


@dataclass(frozen=True)
class Spent:
    """What runs took: hours of processor cores and of GPUs; how many runs do not tell.

    Energy is that of the GPUs of `metered` runs.
    """

    runs: int
    core_hours: float
    gpu_hours: float
    untold: int
    metered: int
    kilowatt_hours: float


def gather(study: Study, names: Sequence[str] = ()) -> Gathering:
    """These tables, or all of the study's; StudyError for a name that it does not have."""
    config = study.config
    known = [*config.tables, *config.hyperparameter_tables]
    tables: list[FinishedTable] = []
    not_shown: dict[str, str] = {}
    environments: dict[str, dict] = {}
    for name in dict.fromkeys(names or known):
        check_known(name, "table", name, known)
        path = current_file(study, name)
        if path is None:
            not_shown[name] = problem_of(study, name) or STALE
            continue
        runs = Runs(study)
        runs.add(study.result_jobs(name))
        text = path.with_suffix(".md").read_text()
        counted = {key: run for key, run in runs.runs.items() if run["stage"] in COUNTED}
        tables.append(FinishedTable(name, path, text, counted))
        environments |= runs.environments
    return Gathering(study, tables, not_shown, environments)


def result_path(table: str) -> Path:
    """The first file of a table, which commands are told."""
    return Path(f"results/{table}.csv")


def problem_of(study: Study, result: str) -> str | None:
    """Why a result cannot be shown: its files are not there, or of something else; None if not."""
    if current_file(study, result):
        return None
    shown = first_file(study, result)
    there = shown.exists() or kept_file(study.scale, shown).exists()
    return STALE if there else MISSING


def figures_beside(study: Study, folder: Path) -> dict[str, str]:
    """Current figures that lie in `folder`/figures, itself or a copy: a table's name, or of others
    what they show -> path from `folder`.
    """
    found = {}
    for result, (entry, table) in study.results.items():
        beside = folder / f"{result}.png"
        if entry.endings != FIGURE or not beside.is_file():
            continue
        made = current_file(study, result)
        if made and beside.read_bytes() == made.read_bytes():
            found[table or entry.about] = f"{result}.png"
    return found


def codes_of(runs: Iterable[dict]) -> dict[str, int]:
    """The code that runs were made with, most runs first, as `git describe` told: `-dirty` at its
    end where files differed from the commit, `unknown` outside git.
    """
    return dict(Counter(run["code"] or "unknown" for run in runs).most_common())


def machines_of(gathering: Gathering) -> dict[str, int]:
    """Processors with the cores that could be used, and devices, with the number of runs."""
    machines: Counter[str] = Counter()
    for run in gathering.runs:
        environment = gathering.environments.get(run["environment"]) or {}
        processor = environment.get("processor") or "unknown processor"
        told = f"{processor}, {environment.get('cores') or 'unknown'} cores"
        on_gpu = run["device"] not in ("cpu", None)
        machines[f"{told}, {run['device']}" if on_gpu else told] += 1
    return dict(machines.most_common())


def versions_of(gathering: Gathering) -> list[dict[str, str]]:
    """The package versions that runs were made with, each set once."""
    sets = [facts["versions"] or {} for facts in gathering.environments.values()]
    return [versions for place, versions in enumerate(sets) if versions not in sets[:place]]


def precisions_of(runs: Iterable[dict]) -> list[str]:
    """The precisions of matrix products in trainings."""
    return list(dict.fromkeys(run["precision"] for run in runs if "precision" in run))


def spent_by(study: Study, runs: Sequence[dict]) -> dict[str, Spent]:
    """What runs took, by the parts that occur."""
    parts = {part: [r for r in runs if r["stage"] in stages] for part, stages in PARTS.items()}
    return {part: spent(study, of_part) for part, of_part in parts.items() if of_part}


def spent(study: Study, runs: Sequence[dict]) -> Spent:
    """What runs took together.

    A run that tells no threads is of a text stage and has those of its execution. A training's
    seconds are those of all its attempts, any other run's those of its last process.
    """
    hours, text = {"cpu": 0.0, "gpu": 0.0}, study.config.execution.text
    for run in runs:
        seconds = max(run["wall_seconds"] or 0.0, run.get("training_seconds") or 0.0)
        on_gpu = run["device"] not in ("cpu", None)
        at_once = run.get("processes", 1) * (1 if on_gpu else run.get("threads", text.threads))
        hours["gpu" if on_gpu else "cpu"] += seconds * at_once / 3600
    untold = sum(run["wall_seconds"] is None for run in runs)
    joules = [run["energy_joules"] * run["processes"] for run in runs if "energy_joules" in run]
    energy = len(joules), sum(joules) / 3.6e6
    return Spent(len(runs), hours["cpu"], hours["gpu"], untold, *energy)


def period_of(runs: Iterable[dict]) -> str | None:
    """From the first start to the last end, `2026-01-01 00:00 to 2026-01-02 07:30 UTC`."""
    spans = list(filter(None, map(span, runs)))
    if not spans:
        return None
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    told = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (first, last))
    return f"{' to '.join(told)} UTC"


def busy_seconds(runs: Iterable[dict]) -> float:
    """Seconds in which at least one run was at work."""
    total, until = 0.0, -math.inf
    for begin, end in sorted(filter(None, map(span, runs))):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def span(run: dict) -> tuple[float, float] | None:
    """When a run began and ended, in seconds; None where it does not tell."""
    with contextlib.suppress(TypeError, ValueError):
        begin = datetime.fromisoformat(run["started"]).timestamp()
        if isinstance(run["wall_seconds"], NUMBER):
            return begin, begin + run["wall_seconds"]
    return None
