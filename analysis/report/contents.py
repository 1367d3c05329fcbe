"""What the report shows, put together from a study's finished results: `contents`.

In: a study. Out: names and values for `templates/report.html`, all of them text, tables or images.
What is missing or out of date is named with the command that makes it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.account import (
    common_notes,
    facts_of,
    one_sentence,
    reasons,
    seeds_text,
    time_notes,
    time_rows,
)
from analysis.command import snakemake_command
from analysis.gathering import (
    Gathering,
    gather,
    period_of,
    problem_of,
    spent,
)
from analysis.notes import flat
from analysis.render import duration, value_text
from analysis.report.claims import VERDICTS, counted, read_claims
from analysis.report.reading import (
    Image,
    TextTable,
    listing_table,
    read_csv,
    read_image,
    read_tables,
)
from analysis.report.tables import shown_table
from analysis.scaling import scaling_lines, source_text, token_share
from analysis.table import SLASH_NOTE
from study.graph import Study
from study.record import current_file, first_file

# What is shown besides tables; figures of all the study, and where their numbers stand.
LISTED = ("claims", "calibration", "corpora")
FOREST = "figures/claims"
FIGURES = {
    "figures/curves": "results/pretraining.csv",
    "figures/learning_rate": "results/learning_rates.csv",
}
CORPORA = (
    ("corpus", "corpus", ""),
    ("split", "split", ""),
    ("data", "trained with", ""),
    ("vocabulary", "vocabulary", ""),
    ("documents", "documents", "{:,.0f}"),
    ("words", "words", "{:,.0f}"),
    ("tokens", "tokens", "{:,.0f}"),
    ("fertility", "tokens per word", "{:.2f}"),
    ("unknown_rate", "unknown (%)", "{:.3f}"),
)


def contents(study: Study) -> dict[str, Any]:
    """Everything that the page shows, by the names that its template uses."""
    gathering, files = gather(study), current_files(study)
    names = [table.name for table in gathering.tables]
    absent = {name: problem_of(study, name) for name, path in files.items() if not path}
    missing = {name: problem for name, problem in absent.items() if problem}
    not_shown = gathering.not_shown | missing
    claims = read_claims(study, claim_files(study, files.get("claims")))
    common, runs = common_notes(gathering.tables), gathering.runs
    return {
        "scale": study.scale,
        "about": one_sentence(study.config.about),
        "stamp": stamp_text(token_share(study, names)),
        "sentences": sentences(gathering),
        "claims": claims,
        "counted": counted(claims),
        "verdicts": VERDICTS,
        "forest": forest(files.get(FOREST)),
        "tables": [shown_table(study, one, common, claims, files) for one in gathering.tables],
        "common": [note.replace(SLASH_NOTE, "") for note in common],
        "images": images(study, files),
        "corpora": corpora_table(files.get("corpora")),
        "calibration": calibration(files.get("calibration")),
        "scaling": scaling_lines(study, names),
        "facts": facts_of(gathering),
        "time": time_rows(gathering) if runs else [],
        "time_notes": time_notes(gathering) if runs else [],
        "sources": sources(gathering),
        "missing": missing,
        "reasons": reasons(not_shown),
        "commands": commands(study, not_shown),
    }


def current_files(study: Study) -> dict[str, Path | None]:
    """The results besides tables that the page has a place for, of those that the study makes: the
    first file of each, None where it is not there or not current.
    """
    figures = [f"figures/{table}" for table in study.config.tables]
    named = [name for name in (*LISTED, FOREST, *FIGURES, *figures) if name in study.results]
    made = {name: study.results[name] for name in named}
    wanted = [name for name, (entry, of) in made.items() if entry.in_all(study.config, of)]
    return {name: current_file(study, name) for name in wanted}


def claim_files(study: Study, of_all: Path | None) -> list[Path]:
    """The verdicts on all claims, or where they are not there those on the claims of tables."""
    if of_all:
        return [of_all]
    names = [name for name, (entry, _) in study.results.items() if entry.rule == "table_claims"]
    return [path for path in (current_file(study, name) for name in names) if path]


def stamp_text(share: float | None) -> str:
    """What a scale can say: `1/76,000 of the paper's pre-training tokens: compares directions
    only`; "" at the paper's own, and where nothing is trained.
    """
    if not share:
        return ""
    size = f"1/{float(f'{1 / share:.2g}'):,.0f}" if share <= 0.5 else f"{share:.2g}"
    return f"{size} of the paper's pre-training tokens: compares directions only"


def sentences(gathering: Gathering) -> list[str]:
    """What was run, in plain words."""
    study, runs, config = gathering.study, gathering.runs, gathering.study.config
    if not runs:
        return ["No table whose numbers come from runs is finished yet."]
    names = [table.name for table in gathering.tables if table.name in config.tables]
    cells = gathering.cells
    data = dict.fromkeys(corpus for cell in cells for corpus in config.cells[cell].data)
    read = [f"{name} ({source_text(config.corpora[name])})" for name in data]
    tasks = {column.task for name in names for column in config.tables[name].score_columns}
    stages = [run["stage"] for run in runs]
    trained, tuned = stages.count("pretrain"), stages.count("finetune-seed")
    took = spent(study, runs)
    on_gpu = f" and {duration(took.gpu_hours)} of GPU time" if took.gpu_hours else ""
    told = [
        f"{trained:,} pre-trainings of {len(cells)} cells (ways to pre-train a masked language "
        f"model) and {tuned:,} fine-tunings on {len(tasks)} tasks stand behind the "
        f"{len(gathering.tables)} tables below.",
        f"Pre-training reads {', '.join(read)}.",
        f"Seeds: {seeds_text(gathering)}.",
        f"Cost: {duration(took.core_hours)} of processor time{on_gpu}, "
        f"{period_of(runs) or 'at unknown times'}.",
    ]
    if not took.metered:
        told.append("Energy is not known: no run could read it, which takes a GPU that tells.")
    return told


def forest(path: Path | None) -> Image | None:
    """The plot of all claims, where it is there."""
    alt = "Forest plot: a line for the interval of every claim's difference, as the table has them."
    return read_image(path, alt, "All claims: difference and 95 % interval") if path else None


def images(study: Study, files: Mapping[str, Path | None]) -> list[Image]:
    """The figures of all the study that are there."""
    found = []
    for name, numbers in FIGURES.items():
        if path := files.get(name):
            about = study.results[name][0].about
            alt = f"Plot: {about}. Its numbers are those of {numbers}."
            found.append(read_image(path, alt, one_sentence(about)))
    return found


def corpora_table(path: Path | None) -> TextTable | None:
    """Documents, words and tokens of every corpus, where they were counted."""
    caption = "Corpora and their tokens, training and held-out documents"
    return listing_table(read_csv(path), caption, CORPORA) if path else None


def calibration(path: Path | None) -> list[TextTable]:
    """How often the statistics err, as their own page tells it; nothing where it is not there."""
    return read_tables(path.with_suffix(".md").read_text()) if path else []


def sources(gathering: Gathering) -> TextTable:
    """Where data came from: what a source is, its files, the digest of the list of them."""
    rows = []
    for run in gathering.runs:
        if run["stage"] == "source" and "source" in run:
            source = [f"{key} {value_text(value)}" for key, value in flat(run["source"]).items()]
            files = sum(map(len, run["data"].values()))
            rows.append([", ".join(source), str(files), run["manifest_sha256"]])
    header = ["source", "files", "SHA-256 of the manifest that lists them"]
    return TextTable("Data files", header, rows)


def commands(study: Study, not_shown: Mapping[str, str]) -> dict[str, str]:
    """Commands that make what the page shows, by what they make."""
    figures = [f"results/{name}.png" for name in (FOREST, *FIGURES) if name in study.results]
    missing = [first_file(study, name) for name in not_shown]
    return {
        "report": snakemake_command(study, "results/report.html"),
        "claims": snakemake_command(study, "results/claims.csv"),
        "figures": snakemake_command(study, *figures),
        "corpora": snakemake_command(study, "results/corpora.csv"),
        "calibration": snakemake_command(study, "results/calibration.csv"),
        "provenance": snakemake_command(study, "results/provenance.json"),
        "missing": snakemake_command(study, *missing) if missing else "",
    }
