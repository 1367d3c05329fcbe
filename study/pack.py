"""`python -m study.pack ARCHIVE`: a finished study in one file, for somebody else to read.

It holds the results with the records of what they were made for, and of every run behind them the
manifests, the recipe, the provenance, the log, the metrics and the predictions, and the YAML that
the study is read from. Unpacked in a checkout, nothing has to be trained to make a report, and
`analysis.compare` reads the archive as it is.

Weights and texts stay out, and with them answers that quote a passage. So do host names, commands
and folders of this machine. What is not finished, or is not as it was published, is refused.

exit status: 0 packed, 2 nothing packed (one line says why)
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from study.archive import Member, check_archive, write_archive
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job, needed
from study.kinds import KIND_FACTS
from study.manifest import MANIFEST_NAME, Manifest, load_manifest, seed_run
from study.options import DEFAULT_SCALE, add_study_arguments, study_of, study_options
from study.read import read_included, study_paths
from study.record import current_file, first_file, kept_file, record_path
from study.run import RECIPE_NAME, code_version, if_known
from study.stored import size_text

NOTE = "results/PACKED.md"
PROVENANCE = "provenance.json"
# What a run's provenance tells of a person's machine, and no number needs.
PRIVATE = ("command", "host", "root", "slurm_job")
# Files of runs that hold no text and no weights, and how those of predictions begin.
SHARED, PREDICTIONS = ("log.jsonl", "metrics.json"), "predictions"
WITH_TEXTS = ("squad_submission",)  # results that quote passages


def named_results(study: Study, words: list[str]) -> list[str]:
    """Results by their files under `results/` or these without folder and ending; StudyError for
    what is none. Those that are said with a table are told with its provenance.
    """
    files, named, whole = study.result_files(), [], result_file(study, "provenance")
    for word in words if words != ["all"] else []:
        result = files.get(os.path.normpath(word), word)
        entry, name = study.result(result)
        if entry.rule in WITH_TEXTS:
            raise StudyError(f"{word}: holds answers that quote passages, which are not packed")
        named.append(result)
        if entry.rule == "table":
            named.append("provenance" if whole else f"provenance/{name}")
    return list(dict.fromkeys(named))


def packed_results(study: Study, named: list[str]) -> dict[str, Path]:
    """The first file of each result to pack: those that are named, else all that are there.

    Raises StudyError where one that is named, or one of the target `all`, is not as the study asks
    for it now.
    """
    wanted = named or [*study.results]
    found = {result: result_file(study, result) for result in wanted}
    lacking = [result for result in wanted if not found[result] and is_asked(study, result, named)]
    if lacking:
        entry, _ = study.result(lacking[0])
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        part = "" if named else "; to pack a part, name its results behind the archive"
        asked = config_words(study)
        raise StudyError(
            f"results/{lacking[0]}.{entry.endings[0]}{more}: not there as {asked} asks for it; "
            f"snakemake makes it{part}"
        )
    return {result: path for result, path in found.items() if path}


def result_file(study: Study, result: str) -> Path | None:
    """The first file of a result as the study asks for it now; None where there is none to pack.

    Not every study can make every result; of what is not there nothing is asked.
    """
    entry, _ = study.result(result)
    shown = first_file(study, result)
    there = shown.exists() or kept_file(study.scale, shown).exists()
    return current_file(study, result) if there and entry.rule not in WITH_TEXTS else None


def is_asked(study: Study, result: str, named: list[str]) -> bool:
    """Whether a study without this result is not finished."""
    entry, name = study.result(result)
    return bool(named) or entry.in_all(study.config, name)


def result_members(study: Study, results: dict[str, Path]) -> Iterator[Member]:
    """The files of results, wherever they lie now, at their places in `results/`, and their
    records.
    """
    for result, path in results.items():
        entry, _ = study.result(result)
        record, digests = json.loads(record_path(path).read_text()), {}
        for ending in entry.endings:
            source, name = path.with_suffix(f".{ending}"), f"results/{result}.{ending}"
            digests[name] = record["files"][os.path.relpath(source)]
            yield name, source
        place = record_path(f"results/{result}.{entry.endings[0]}").as_posix()
        yield place, as_json({"identity": record["identity"], "files": digests})


def job_members(study: Study, job: Job) -> Iterator[Member]:
    """What is packed of a job's run: of a fine-tuning its seeds first.

    Raises StudyError for a manifest or a file of it that is missing or altered.
    """
    manifest = load_manifest(job.path, key=job.key, stage=job.stage)
    if job.stage == "finetune":
        for seed in job.recipe["seeds"]:
            run = seed_run(manifest, str(seed))
            in_words = not KIND_FACTS[study.config.tasks[job.names["task"]].kind].averaged
            yield from run_members(run, in_words)
    yield from run_members(manifest, in_words=False)
    yield job.path, Path(job.path)


def run_members(run: Manifest, in_words: bool) -> Iterator[Member]:
    """What is packed of a run directory; `in_words` tells that its predictions are text."""
    folder = run.run_directory
    for name in run.files:
        if name in SHARED or (name.startswith(PREDICTIONS) and not in_words):
            yield (folder / name).as_posix(), run.file(name)
    for name in (RECIPE_NAME, MANIFEST_NAME):
        if (folder / name).is_file():  # it may have gone to free the disk
            yield (folder / name).as_posix(), folder / name
    if (folder / PROVENANCE).is_file():
        told = json.loads((folder / PROVENANCE).read_text())
        kept = {name: value for name, value in told.items() if name not in PRIVATE}
        yield (folder / PROVENANCE).as_posix(), as_json(kept)


def config_files(study: Study) -> list[Path]:
    """The files that the study is read from: YAML, with the rest of its folders, and tokenizers.

    Raises StudyError for a file outside the current folder, which nobody else would find.
    """
    studies = study_paths(study.study_path)
    published = [table.published for table in study.config.tables.values()]
    published += [table.published for table in study.config.hyperparameter_tables.values()]
    paths = [path for study_file in studies for path, _ in read_included(study_file)]
    paths += [Path(file) for file in published if file]
    paths += [Path(one.path) for one in study.config.vocabularies.values() if one.path]
    for folder in {Path("config"), *(study_file.parent for study_file in studies)} - {Path()}:
        paths += folder.rglob("*.yaml")
    inside = sorted({Path(os.path.relpath(path)) for path in paths})
    for path in inside:
        if path.is_relative_to(".."):
            raise StudyError(f"{path}: lies outside this folder, and the study is read from it")
    return inside


def note(study: Study, results: Iterable[str]) -> bytes:
    """What is in the archive and what can be done with it, for a person."""
    shown = "\n".join(f"- {result}" for result in sorted(results))
    return f"""# A packed study: {study.config.about}

Packed with the code at {if_known(code_version) or "unknown"}. In a checkout of it, this unpacks the
study and makes a report of it; nothing is trained:

    tar xf ARCHIVE    # or unzip ARCHIVE
    snakemake --cores 1 --config {config_words(study)} -- results/report.html

To compare it with other results, leave it packed:

    python -m analysis.compare results ARCHIVE

Results:

{shown}
""".encode()


def config_words(study: Study) -> str:
    """What names a study to snakemake's --config: its scale, and what is not the default."""
    return shlex.join(f"{name}={value}" for name, value in study_options(study))


def as_json(value: dict) -> bytes:
    """JSON as the other files of a run have it."""
    return (json.dumps(value, indent=1) + "\n").encode()


def members_of(study: Study, results: dict[str, Path]) -> dict[str, Path | bytes]:
    """All that is packed, by name; what others are made from comes first.

    What files of one's own are stands in all recipes that read them, so it is packed of all that
    the study names. Raises StudyError for what is missing or altered.
    """
    members: dict[str, Path | bytes] = {path.as_posix(): path for path in config_files(study)}
    asked = set(needed(job for result in results for job in study.needed_jobs(result)))
    asked |= {job for job in study.jobs.values() if job.key in study.jobs.places}
    for job in study.jobs.values():  # each stands behind its inputs
        if job in asked:
            members |= dict(job_members(study, job))
    members |= dict(result_members(study, results))
    return members | {NOTE: note(study, results)}


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.pack`."""
    example = "python -m study.pack study.zip --scale laptop --replicates 5\n  "
    example += "python -m study.pack table2.tar.gz results/table2.csv --scale laptop"
    parser = command_parser("study.pack", __doc__, example)
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="a .zip or .tar.gz to write")
    parser.add_argument(
        "results",
        nargs="*",
        metavar="RESULT",
        help="files of results/, with what they rest on (default: all of the study)",
    )
    add_study_arguments(parser, DEFAULT_SCALE)
    args = parser.parse_intermixed_args(arguments)
    check_archive(args.archive)
    study = study_of(args)
    results = packed_results(study, named_results(study, args.results))
    members = members_of(study, results)
    write_archive(args.archive, members.items())
    size = size_text(args.archive.stat().st_size)
    print(f"{args.archive}: {len(results)} results, {len(members)} files, {size}")


if __name__ == "__main__":
    run_command(main)
