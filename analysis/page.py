"""One Markdown page of a study's finished tables and of what they rest on: `analysis.page`.

Everything on it comes from `results/` and the runs (`analysis.gathering`), so that a page in
`docs/` is made by this command and never by hand. Equal results and runs give equal bytes.
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.command import (
    add_study_arguments,
    output_files,
    snakemake_command,
    study_of,
    study_options,
)
from analysis.gathering import (
    FinishedTable,
    Gathering,
    Spent,
    busy_seconds,
    codes_of,
    figures_beside,
    gather,
    machines_of,
    period_of,
    precisions_of,
    result_path,
    spent,
    spent_by,
    versions_of,
)
from analysis.render import duration, markdown_rows
from analysis.scaling import scaling_lines
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.manifest import write_atomic
from study.record import recorded
from study.study_file import StudyFile

OUTPUT = Path("results/page.md")
DIRTY = "-dirty"
UNKNOWN = "unknown"


def page_text(gathering: Gathering, command: str, folder: Path) -> str:
    """The page that `command` writes into `folder`, where its figures may lie."""
    study, tables = gathering.study, gathering.tables
    figures = figures_beside(study, folder)
    common = common_notes(tables)
    blocks = [
        f"# Results at scale {study.scale}",
        f"{one_sentence(study.config.about)} Written from `results/` and its runs by the command\n"
        "below, which renews it; never by hand.",
        fenced(command),
        "## What was run",
        rows_of_runs(gathering),
        *time_blocks(gathering),
        *scaling_blocks(gathering),
        *(["## Notes on all tables", listed(common)] if common else []),
    ]
    for table in tables:
        blocks += table_blocks(study, table, common, figures.pop(table.name, None))
    others = {about: path for about, path in figures.items() if about not in study.config.tables}
    if others:
        blocks += ["## Figures", *(f"![{about}]({path})" for about, path in others.items())]
    if gathering.not_shown:
        made = snakemake_command(study, *map(result_path, gathering.not_shown))
        blocks += ["## Not shown", listed(reasons(gathering)), fenced(made)]
    return "\n\n".join(blocks) + "\n"


def rows_of_runs(gathering: Gathering) -> str:
    """A Markdown table of the settings, the code and the machines of all runs."""
    study, runs = gathering.study, gathering.runs
    machines = [f"{name} ({number} runs)" for name, number in machines_of(gathering).items()]
    rows = [
        ["", ""],
        ["scale", f"{study.scale}, of `{study.study_path}`"],
        ["seeds", seeds_text(study.config)],
    ]
    if not runs:
        return markdown_rows(rows)
    rows += [
        ["when", period_of(runs) or UNKNOWN],
        ["code", "; ".join(code_text(*item) for item in codes_of(runs).items())],
        ["precision", ", ".join(precisions_of(runs)) or UNKNOWN],
        ["machine", "; ".join(machines)],
        ["versions", "; ".join(map(versions_text, versions_of(gathering))) or UNKNOWN],
    ]
    return markdown_rows(rows)


def seeds_text(config: StudyFile) -> str:
    """The pre-training seeds, those of cells with others, and the fine-tuning seeds of each."""
    seeds = config.seeds
    told = f"{len(seeds.pretraining)} pre-training ({numbers(seeds.pretraining)}"
    others = [cell for cell in config.shown if config.cells[cell].first_seed]
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


def time_blocks(gathering: Gathering) -> list[str]:
    """A Markdown table of the hours by part, and what these leave out; nothing without runs."""
    study, runs = gathering.study, gathering.runs
    if not runs:
        return []
    whole = spent(study, runs)
    parts = spent_by(study, runs) | {"together": whole}
    header = ["", "runs", "processor time", *(["GPU time"] if whole.gpu_hours else [])]
    lines = [[part, *spent_fields(of_part)] for part, of_part in parts.items()]
    notes = [
        f"At least one of the runs was at work for {duration(busy_seconds(runs) / 3600)}, programs "
        "still starting not counted.",
        "Processor time: a run's seconds x its threads, whatever else the machine did. What "
        "several tables show counts once here, and in each of them.",
    ]
    if whole.untold:
        notes.append(f"{whole.untold} runs do not tell how long they took.")
    return [
        "## Time",
        markdown_rows([header, *(line[: len(header)] for line in lines)]),
        listed(notes),
    ]


def spent_fields(part: Spent) -> list[str]:
    """Runs, processor time and GPU time of a part as text."""
    return [str(part.runs), duration(part.core_hours), duration(part.gpu_hours)]


def scaling_blocks(gathering: Gathering) -> list[str]:
    """What is of another size in the paper, as a Markdown table; nothing where all is the same."""
    lines = scaling_lines(gathering.study, [table.name for table in gathering.tables])
    if not lines:
        return []
    rows = [["setting", "here", "paper"], *map(list, lines)]
    return ["## What differs from the paper's sizes", markdown_rows(rows)]


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


def table_blocks(
    study: Study, table: FinishedTable, common: Sequence[str], figure: str | None
) -> list[str]:
    """A table under its caption, its own notes, its figure, the command that makes it, its time."""
    caption, _, body = table.text.partition("\n\n")
    caption, told = caption.strip("*"), {f"- {note}" for note in common}
    body = "\n".join(line for line in body.splitlines() if line not in told).strip()
    made = f"`{snakemake_command(study, result_path(table.name))}`"
    if table.runs:
        took = spent(study, [*table.runs.values()])
        on_gpu = f", {duration(took.gpu_hours)} of GPU time" if took.gpu_hours else ""
        made += f"\n({took.runs} runs, {duration(took.core_hours)} of processor time{on_gpu})"
    return [f"## {caption}", body, *([f"![{caption}]({figure})"] if figure else []), made]


def listed(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def fenced(command: str) -> str:
    """A command in a block of its own."""
    return f"```\n{command}\n```"


def reasons(gathering: Gathering) -> list[str]:
    """Why tables are not shown: `not made yet: table3, table4`."""
    why: dict[str, list[str]] = {}
    for name, problem in gathering.not_shown.items():
        why.setdefault(problem, []).append(name)
    return [f"{problem}: {', '.join(names)}" for problem, names in why.items()]


def one_sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.page`."""
    parser = command_parser(
        "analysis.page",
        "Write a Markdown page of the tables that are finished, with what they rest on: settings,\n"
        "code, machine, time. Tables that are missing or out of date are named instead; without\n"
        f"--output it is {OUTPUT}.",
        "python -m analysis.page --scale demo --output docs/results-demo.md",
    )
    parser.add_argument("tables", nargs="*", help="tables of the study (default: all)")
    add_study_arguments(parser, "MD", required=False)
    parser.set_defaults(output=OUTPUT)
    parsed = parser.parse_args(arguments)
    (output,) = output_files(parsed.output, ("md",))
    study = study_of(parsed)
    gathering = gather(study, parsed.tables)
    if not gathering.tables:
        made = snakemake_command(study, *map(result_path, gathering.not_shown))
        told = f"no table to show; {'; '.join(reasons(gathering))}"
        raise StudyError(f"{told}; to make: {made}")
    options = study_options(study) | {"output": str(output)}
    named = {name.replace("_", "-"): value for name, value in options.items()}
    words = [word for name, value in named.items() for word in (f"--{name}", value)]
    command = shlex.join(["python", "-m", "analysis.page", *parsed.tables, *words])
    with recorded(study, None, output):
        write_atomic(output, page_text(gathering, command, output.parent))


if __name__ == "__main__":
    run_command(main)
