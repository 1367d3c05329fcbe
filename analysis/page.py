"""One Markdown page of a study's finished tables and of what they rest on: `analysis.page`.

Everything on it comes from `results/` and the runs (`analysis.gathering`), so that a page in
`docs/` is made by this command and never by hand. Equal results and runs give equal bytes.
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.account import (
    common_notes,
    facts_of,
    one_sentence,
    reasons,
    time_notes,
    time_rows,
    took_text,
)
from analysis.command import (
    add_study_arguments,
    option_words,
    output_files,
    snakemake_command,
    study_of,
)
from analysis.gathering import FinishedTable, Gathering, figures_beside, gather, result_path
from analysis.render import markdown_rows
from analysis.scaling import scaling_lines
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.manifest import write_atomic
from study.record import recorded

OUTPUT = Path("results/page.md")


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
        markdown_rows([["", ""], *facts_of(gathering)]),
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
        blocks += ["## Not shown", listed(reasons(gathering.not_shown)), fenced(made)]
    return "\n\n".join(blocks) + "\n"


def time_blocks(gathering: Gathering) -> list[str]:
    """A Markdown table of the hours by part, and what these leave out; nothing without runs."""
    if not gathering.runs:
        return []
    rows, notes = time_rows(gathering), time_notes(gathering)
    return ["## Time", markdown_rows(rows), listed(notes)]


def scaling_blocks(gathering: Gathering) -> list[str]:
    """What is of another size in the paper, as a Markdown table; nothing where all is the same."""
    lines = scaling_lines(gathering.study, [table.name for table in gathering.tables])
    if not lines:
        return []
    rows = [["setting", "here", "paper"], *map(list, lines)]
    return ["## What differs from the paper's sizes", markdown_rows(rows)]


def table_blocks(
    study: Study, table: FinishedTable, common: Sequence[str], figure: str | None
) -> list[str]:
    """A table under its caption, its own notes, its figure, the command that makes it, its time."""
    caption, _, body = table.text.partition("\n\n")
    caption, told = caption.strip("*"), {f"- {note}" for note in common}
    body = "\n".join(line for line in body.splitlines() if line not in told).strip()
    made = f"`{snakemake_command(study, result_path(table.name))}`"
    if took := took_text(study, table):
        made += f"\n({took})"
    return [f"## {caption}", body, *([f"![{caption}]({figure})"] if figure else []), made]


def listed(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def fenced(command: str) -> str:
    """A command in a block of its own."""
    return f"```\n{command}\n```"


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
        told = f"no table to show; {'; '.join(reasons(gathering.not_shown))}"
        raise StudyError(f"{told}; to make: {made}")
    words = ["analysis.page", *parsed.tables, *option_words(study), "--output", str(output)]
    command = shlex.join(["python", "-m", *words])
    with recorded(study, None, output):
        write_atomic(output, page_text(gathering, command, output.parent))


if __name__ == "__main__":
    run_command(main)
