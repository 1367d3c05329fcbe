"""`python -m study.results_page > results/README.md`: every result, and the command that makes it.

Written from `study.results` and the tables of the study file; a test compares it.
"""

from collections.abc import Iterable

from study.command import command_parser, run_command
from study.graph import Study
from study.options import DEFAULT_SCALE
from study.results import RESULTS, WILDCARD, Result

SNAKEMAKE = "snakemake --cores all --"
HEAD = """# Results

Everything that this project makes for people lands in this folder; git keeps only this page. It is
written by `python -m study.results_page`.

The commands below make a result at scale `demo`, from a generated language. On real text they take
a scale, and a mirror where there is one:

```
snakemake --cores all --config scale=laptop mirror=DIR -- results/table2.csv
```

What is finished already is not run again. `-n` shows what would run, `all` makes every result that
is marked, and [what they cost](../README.md#what-will-it-cost) is told before. The last results of
each scale stay in `results/scales/<scale>/`.
"""


def results_page(study: Study) -> str:
    """The page as Markdown."""
    config = study.config
    captions = {name: table.caption for name, table in config.tables.items()}
    captions |= {name: table.caption for name, table in config.hyperparameter_tables.items()}
    rows = [(caption, f"`{SNAKEMAKE} results/{name}.csv`") for name, caption in captions.items()]
    results = [
        (f"`{entry.files}`", entry.about, in_all(study, entry), command(study, entry))
        for entry in RESULTS
    ]
    return "\n".join(
        [
            HEAD,
            "## Tables\n",
            *markdown_table(("table", "command"), rows),
            "\n## All results\n",
            *markdown_table(("files", "what", "in `all`", "for example"), results),
            "",
        ]
    )


def markdown_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a table."""
    ruler = "|".join("---" for _ in heads)
    return [f"| {' | '.join(heads)} |", f"|{ruler}|", *(f"| {' | '.join(row)} |" for row in rows)]


def in_all(study: Study, entry: Result) -> str:
    """A mark where the target `all` makes it."""
    made = any(entry.in_all(study.config, name) for name in entry.names(study.config))
    return "yes" if made else ""


def command(study: Study, entry: Result) -> str:
    """What makes it; of a table or cell the first one."""
    name = next(iter(entry.names(study.config)))
    return f"`{SNAKEMAKE} results/{WILDCARD.sub(name, entry.pattern)}.{entry.endings[0]}`"


def main(arguments: list[str] | None = None) -> None:
    """Print it."""
    example = "python -m study.results_page > results/README.md"
    command_parser("study.results_page", __doc__, example).parse_args(arguments)
    print(results_page(Study(DEFAULT_SCALE)), end="")


if __name__ == "__main__":
    run_command(main)
