"""What results rest on, in words, for the pages that show them: `analysis.page`, `analysis.report`.

In: a `Gathering`. Out: rows of text, where names and commands stand in backticks.
"""

from collections.abc import Iterable, Mapping, Sequence

from analysis.gathering import (
    FinishedTable,
    Gathering,
    Spent,
    busy_seconds,
    codes_of,
    machines_of,
    period_of,
    precisions_of,
    spent,
    spent_by,
    versions_of,
)
from analysis.render import duration
from study.graph import Study

DIRTY = "-dirty"
UNKNOWN = "unknown"


def facts_of(gathering: Gathering) -> list[list[str]]:
    """The settings, the code and the machines of all runs: a name and what is told of it."""
    study, runs = gathering.study, gathering.runs
    rows = [
        ["scale", f"{study.scale}, of `{study.study_path}`"],
        ["seeds", seeds_text(gathering)],
    ]
    if not runs:
        return rows
    machines = [f"{name} ({number} runs)" for name, number in machines_of(gathering).items()]
    return [
        *rows,
        ["when", period_of(runs) or UNKNOWN],
        ["code", "; ".join(code_text(*item) for item in codes_of(runs).items())],
        ["precision", ", ".join(precisions_of(runs)) or UNKNOWN],
        ["machine", "; ".join(machines)],
        ["versions", "; ".join(map(versions_text, versions_of(gathering))) or UNKNOWN],
    ]


def seeds_text(gathering: Gathering) -> str:
    """The pre-training seeds, those of shown cells with others, the fine-tuning seeds of each."""
    config, seeds = gathering.study.config, gathering.study.config.seeds
    told = f"{len(seeds.pretraining)} pre-training ({numbers(seeds.pretraining)}"
    others = [cell for cell in gathering.cells if config.cells[cell].first_seed]
    told += "".join(f"; of {cell} {numbers(config.pretraining_seeds(cell))}" for cell in others)
    told += ")"
    if seeds.finetuning == "own":
        return f"{told}, each with a fine-tuning seed of its own"
    return f"{told}, each with {len(seeds.finetuning)} fine-tuning ({numbers(seeds.finetuning)})"


def numbers(seeds: Iterable[int]) -> str:
    """Seeds as a list: `0, 1, 2`."""
    return ", ".join(map(str, seeds))


def code_text(code: str, runs: int) -> str:
    """The commit of so many runs, and whether the files were as it says."""
    if code == UNKNOWN:
        return f"{UNKNOWN}, outside git ({runs} runs)"
    state = "with uncommitted changes" if code.endswith(DIRTY) else "clean"
    return f"commit `{code.removesuffix(DIRTY)}`, {state} ({runs} runs)"


def versions_text(versions: dict[str, str]) -> str:
    """`python 3.11.7, torch 2.13.0`."""
    return ", ".join(f"{name} {text}" for name, text in versions.items() if text)


def time_rows(gathering: Gathering) -> list[list[str]]:
    """Header and rows of the hours by part of the work, the last row for all of them together."""
    study, runs = gathering.study, gathering.runs
    whole = spent(study, runs)
    parts = spent_by(study, runs) | {"together": whole}
    header = ["", "runs", "processor time", *(["GPU time"] if whole.gpu_hours else [])]
    lines = [[part, *spent_fields(of_part)] for part, of_part in parts.items()]
    return [header, *(line[: len(header)] for line in lines)]


def time_notes(gathering: Gathering) -> list[str]:
    """What hours leave out, and the energy where runs tell it."""
    whole, busy = spent(gathering.study, gathering.runs), busy_seconds(gathering.runs)
    notes = [
        f"At least one of the runs was at work for {duration(busy / 3600)}, programs still "
        "starting not counted.",
        "Processor time: a run's seconds x its threads, whatever else the machine did. What "
        "several tables show counts once here, and in each of them.",
    ]
    if whole.untold:
        notes.append(f"{whole.untold} runs do not tell how long they took.")
    if whole.metered:
        notes.append(
            f"Energy of GPUs: {whole.kilowatt_hours:.3g} kWh in the {whole.metered} trainings that "
            "could read it: what the first GPU of each used since its last start, x its GPUs."
        )
    return notes


def spent_fields(part: Spent) -> list[str]:
    """Runs, processor time and GPU time of a part as text."""
    return [str(part.runs), duration(part.core_hours), duration(part.gpu_hours)]


def took_text(study: Study, table: FinishedTable) -> str:
    """What the runs behind a table took: `150 runs, 18 min of processor time`; "" without runs."""
    if not table.runs:
        return ""
    took = spent(study, [*table.runs.values()])
    on_gpu = f", {duration(took.gpu_hours)} of GPU time" if took.gpu_hours else ""
    return f"{took.runs} runs, {duration(took.core_hours)} of processor time{on_gpu}"


def common_notes(tables: Sequence[FinishedTable]) -> list[str]:
    """The notes that stand under every one of several tables with runs; they are told once."""
    tables = [table for table in tables if table.runs]
    if len(tables) < 2:
        return []
    first, *others = map(notes_of, tables)
    return [note for note in first if all(note in notes for notes in others)]


def notes_of(table: FinishedTable) -> list[str]:
    """The notes under a table."""
    return [line.removeprefix("- ") for line in table.text.splitlines() if line.startswith("- ")]


def reasons(not_shown: Mapping[str, str]) -> list[str]:
    """Why results are not shown, from name -> problem: `not made yet: table3, table4`."""
    why: dict[str, list[str]] = {}
    for name, problem in not_shown.items():
        why.setdefault(problem, []).append(name)
    return [f"{problem}: {', '.join(names)}" for problem, names in why.items()]


def one_sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
