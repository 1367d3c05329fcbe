"""Where every number of every table comes from: `results/provenance.json`, or one per table.

The file has three sections, one line per entry:

    tables        table -> row -> column: what is shown, the keys of the runs behind it, and the
                  number of each replicate, as differences are taken of it
    runs          recipe key -> stage, folder, inputs (keys), seed, code version, environment,
                  device, wall-clock seconds, digests, names and recipe; sources and weights that
                  were there with the digests of their files
    environments  what runs were computed with: package versions, processor, cores

A run's `provenance.json` is not declared to Snakemake; where it was deleted, the fields that it
would tell are null and `note` says so. `--trace` prints the chain of one number for a person.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import add_study_arguments, check_known, snakemake_command, study_of
from analysis.minimal_pairs import spread_groups
from analysis.shown import Entry, ShownRow, read_rows
from analysis.trace import trace_text
from study.command import command_parser, run_command
from study.digests import sha256_file
from study.errors import StudyError
from study.fields import given
from study.graph import Study
from study.identity import key_of
from study.jobs import Job
from study.manifest import MANIFEST_NAME, Manifest, load_manifest, write_atomic
from study.places import source_entries
from study.record import identity_of, is_current, recorded

# What a run wrote about itself that is copied as it is.
COPIED = ("code", "started", "wall_seconds")
# And of a training.
TRAINING_FACTS = ("processes", "training_seconds", "energy_joules")
# The file whose digest stands for a run, by stage.
RESULT = {
    "pretrain": "model.safetensors",
    "finetune-seed": "predictions.parquet",
    "minimal_pairs": "predictions.parquet",
    "vocabulary": "tokenizer.json",
}


@dataclass
class Runs:
    """The runs met so far and what they were computed with, by key."""

    study: Study
    runs: dict[str, dict] = field(default_factory=dict)
    environments: dict[str, dict] = field(default_factory=dict)

    def add(self, jobs: list[Job]) -> list[str]:
        """Keys of registered jobs, which are noted with everything upstream; each is read once."""
        for job in jobs:
            if self.known(job.key, Path(job.path).with_suffix("")):
                continue
            keys = {name: [read.key for read in inputs] for name, inputs in job.inputs.items()}
            run = self.record(Path(job.path), job.key, job.recipe, keys)
            self.runs[job.key] = run | {"names": job.names, "recipe": job.recipe}
            if job.stage == "finetune":
                self.add_seeds(job, keys)
            self.add([*chain.from_iterable(job.inputs.values())][::-1])
        return [job.key for job in jobs]

    def add_seeds(self, job: Job, inputs: dict[str, list[str]]) -> None:
        """The runs of a fine-tuning's seeds: they lie beside it and have folders of their own."""
        tuned = load_manifest(job.path, key=job.key, stage="finetune")
        for seed in map(str, job.recipe["seeds"]):
            result = tuned.figure("seeds", seed)
            key = tuned.figure("seeds", seed, "key", kind=str)
            # Beside the folders lies the manifest of the seed's latest recipe, perhaps another.
            path = Path(job.path).parent / key / MANIFEST_NAME
            recipe = {"stage": "finetune-seed", "seed": int(seed)}
            # Of all settings of the task to start from, the one that was taken.
            start = {"init": [result["init"]]} if "init" in result else {}
            run = self.record(path, key, recipe, inputs | start)
            self.runs[key] = run | {"names": job.names}

    def known(self, key: str, folder: Path) -> bool:
        """Whether the run is there; the same recipe under another name is noted with it."""
        run = self.runs.get(key)
        if run and run["folder"] != str(folder) and str(folder) not in run.get("copies", []):
            run.setdefault("copies", []).append(str(folder))
        return run is not None

    def record(self, path: Path, key: str, recipe: dict, inputs: dict[str, list[str]]) -> dict:
        """The entry of one run, whose manifest is at `path`, beside its folder or inside it."""
        folder = path.parent if path.name == MANIFEST_NAME else path.parent / key
        run: dict[str, Any] = {"stage": recipe["stage"], "folder": str(folder), "inputs": inputs}
        run |= {name: recipe[name] for name in ("seed", "seeds") if name in recipe}
        notes = []
        try:
            manifest = load_manifest(path, key=key, stage=recipe["stage"])
            run |= digests(manifest)
        except StudyError as error:
            # Text and weights may be cleared away once scores are there; a wrong key may not.
            if path.exists():
                raise
            notes.append(str(error).split("; ")[0])
        run_record, note = read_record(folder / "provenance.json")
        notes += [note] if note else []
        run |= {name: run_record.get(name) for name in COPIED}
        run |= computed_on(run_record)
        run["environment"] = self.environment(run_record)
        if notes:
            run["note"] = "; ".join(notes)
        return run

    def environment(self, run_record: dict) -> str | None:
        """Key of the environment that a run tells of; None if it tells nothing."""
        facts = {name: run_record.get(name) for name in ("versions", "processor", "cores")}
        if all(value is None for value in facts.values()):
            return None
        key = key_of(facts)
        self.environments[key] = facts
        return key


def digests(manifest: Manifest) -> dict:
    """SHA-256 of the manifest (which lists those of all files), of the result, of data files."""
    facts: dict[str, Any] = {"manifest_sha256": sha256_file(manifest.path)}
    result = RESULT.get(manifest.stage)
    if result in manifest.files:
        facts["sha256"] = {result: manifest.files[result]["sha256"]}
    if manifest.stage == "source":
        facts["source"] = {
            name: value
            for name, value in manifest.recipe.items()
            if name not in ("stage", "version", "splits", "files")
        }
        if "revision" in manifest.figures:  # of a repository, the newest one when it was fetched
            facts["source"]["revision"] = manifest.figures["revision"]
        facts["data"] = {
            split: {file["name"]: file["sha256"] for file in source_entries(manifest, split)}
            for split in manifest.figure("files")
        }
    if manifest.stage == "weights":
        place = {name: manifest.recipe.get(name) for name in ("repo", "revision")}
        facts["source"] = {name: value for name, value in place.items() if value}
        listed = manifest.figure("files", kind=list)
        facts["data"] = {"weights": {file["name"]: file["sha256"] for file in listed}}
    return facts


def read_record(path: Path) -> tuple[dict, str | None]:
    """What a run wrote about itself, and a note where that is gone or broken."""
    try:
        run_record = json.loads(path.read_text())
    except OSError as error:
        return {}, f"{path}: {error.strerror}"
    except ValueError as error:
        return {}, f"{path}: not JSON ({error})"
    known = isinstance(run_record, dict)
    return (run_record, None) if known else ({}, f"{path}: not a JSON object")


def computed_on(run_record: dict) -> dict:
    """Device, and of a training precision, processes, the threads of each, seconds of work, and
    joules of its first GPU where it could be asked.

    Where a run went on from a checkpoint, from which update: its wall-clock seconds and joules are
    those of its last process, its training's seconds of all.
    """
    speed = run_record.get("training", run_record)
    execution = speed.get("execution", {})
    device = speed.get("gpu") or execution.get("device")
    facts = {"device": device or ("cpu" if run_record else None)}
    facts |= {name: execution[name] for name in ("precision", "threads") if name in execution}
    facts |= {name: speed[name] for name in TRAINING_FACTS if speed.get(name) is not None}
    if speed.get("resumed_from"):
        facts["resumed_from"] = speed["resumed_from"]
    return facts


def plain(value: Any) -> Any:
    """A number of a data frame, or a word, as JSON has it: missing or infinite is null."""
    if isinstance(value, str):
        return value
    if pd.isna(value) or math.isinf(value):
        return None
    return value.item() if hasattr(value, "item") else value


def table_section(study: Study, name: str, runs: Runs) -> dict[str, dict]:
    """Row -> column -> what is shown and the keys behind it; adds the runs on the way."""
    rows: dict[str, dict] = {}
    study = spread_groups(study, name)
    for row in read_rows(study, name, f"results/provenance/{name}.json"):
        family = row.row.family
        selection = {"selection": runs.add([study.jobs.selection(family)])} if family else {}
        rows[row.row.id] = {}
        for entry in row.entries:
            ours = row.cell if entry.statistics else None
            if ours is None and entry.published is None:
                continue
            shown = {field: plain(value) for field, value in entry.fields.items()}
            record: dict[str, Any] = {"cell": ours, "shown": shown}
            if ours:
                record |= {**selection, **behind(study, row, entry, runs)}
            rows[row.row.id][entry.column.name] = record
    return rows


def behind(study: Study, row: ShownRow, entry: Entry, runs: Runs) -> dict:
    """Keys of the runs behind one number of one cell, the single scores of a score, and what is
    compared of each replicate, by the key of its last run.
    """
    cell = given(row.cell)
    seeds = study.config.pretraining_seeds(cell)
    last = runs.add(study.pretrain_jobs([cell]))
    keys: dict[str, Any] = {"pretraining": last}
    if pairs := entry.column.pairs:
        last = runs.add([study.jobs.minimal_pairs(cell, seed, pairs) for seed in seeds])
        keys |= {"minimal_pairs": last}
    elif entry.column.task:
        task = row.row.task_of(entry.column)
        jobs = [study.jobs.finetune(cell, seed, task, entry.setting) for seed in seeds]
        last = runs.add(jobs)
        keys |= {"setting": entry.setting} if entry.setting else {}
        keys |= {"finetuning": last, "scores": score_lines(entry.models)}
        keys |= {"left_out": score_lines(entry.left_out)} if row.row.ensemble else {}
    if entry.replicates:
        # Scores have the order of their seeds, values that of the study file.
        by_key = dict(zip(seeds, last, strict=True))
        order = sorted(seeds) if entry.column.scored else seeds
        numbers = zip(order, entry.replicates, strict=True)
        keys["replicates"] = {by_key[seed]: plain(number) for seed, number in numbers}
    return keys


def score_lines(scores: pd.DataFrame) -> list[dict]:
    """Scores of single models, each with the key of its run."""
    return [
        {
            "pretraining_seed": score["pretraining_seed"],
            "finetuning_seed": score["finetuning_seed"],
            "value": plain(score["value"]),
            **({"diverged": True} if score["diverged"] else {}),
            "run": score["run_key"],
        }
        for score in scores.to_dict("records")
    ]


def build_provenance(study: Study, tables: list[str]) -> dict:
    """The whole record of these tables.

    Raises StudyError for scores of another recipe, as the tables themselves do.
    """
    runs = Runs(study)
    sections = {name: table_section(study, name, runs) for name in tables}
    return {
        "scale": study.scale,
        "about": study.config.about,
        "study": study.study_path,
        "tables": sections,
        "runs": dict(sorted(runs.runs.items(), key=lambda item: item[1]["folder"])),
        "environments": runs.environments,
    }


# How deep the objects of a section are spread over lines: to a line per number, per run.
DEPTHS = {"tables": 3, "runs": 1, "environments": 1}


def to_json(value: Any, depth: int = 0, indent: int = 0) -> str:
    """JSON with objects spread over lines down to `depth`, and one line for what lies deeper."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    parts = []
    for key, part in value.items():
        deeper = depth - 1 if indent else DEPTHS.get(key, 0)
        parts.append(f"{' ' * (indent + 1)}{json.dumps(key)}: {to_json(part, deeper, indent + 1)}")
    return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"


def other_numbers(study: Study, table: str) -> Iterator[str]:
    """A warning where the table that is there is not this study's, so that its numbers differ."""
    path = Path(f"results/{table}.csv")
    if path.exists() and not is_current(path, identity_of(study, table)):
        yield (
            f"{path} may show another number: it was made for another scale, recipe or number of "
            f"seeds, or changed since; this is the number of: {snakemake_command(study, path)}"
        )


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.provenance`."""
    parser = command_parser(
        "analysis.provenance",
        "Write where the numbers of tables come from, or print it for one number.",
        "python -m analysis.provenance table2 --scale demo --output results/provenance/table2.json"
        "\n  python -m analysis.provenance --scale demo --trace table1 dynamic mnli.accuracy",
    )
    parser.add_argument("tables", nargs="*", help="tables of the study (default: all)")
    parser.add_argument(
        "--trace",
        nargs=3,
        metavar=("TABLE", "ROW", "COLUMN"),
        help="print the chain of this number instead, its row and column named as in the CSV",
    )
    add_study_arguments(parser, "JSON", required=False)
    parsed = parser.parse_args(arguments)
    study = study_of(parsed)
    known = study.config.tables
    names = [parsed.trace[0]] if parsed.trace else parsed.tables or list(known)
    for name in names:
        check_known(name, "table", name, known)
    if parsed.trace:
        text = trace_text(build_provenance(study, names), *parsed.trace)
        print(*other_numbers(study, names[0]), text, sep="\n")
    elif parsed.output is None:
        raise StudyError("expected --output FILE, or --trace TABLE ROW COLUMN")
    else:
        # The workflow makes the record of one table, or of all.
        results = {0: "provenance", 1: f"provenance/{names[0]}"}
        with recorded(study, results.get(len(parsed.tables)), parsed.output) as due:
            if due:
                content = to_json(build_provenance(study, names), depth=1)
                write_atomic(parsed.output, content + "\n")


if __name__ == "__main__":
    run_command(main)
