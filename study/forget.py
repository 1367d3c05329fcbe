"""`python -m study.forget CELL ...`: delete runs, so that snakemake makes them from nothing.

What is named goes with all that was made from it: a cell's pre-trainings, their fine-tunings and
the choices of the families that it belongs to; with --task only fine-tunings on these tasks, and on
those that start from them; a source with everything behind it. Only what the configuration asks for
now: `study.prune` finds the rest. Results stay until the next snakemake command makes them anew.
"""

from itertools import chain

from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.messages import hint
from study.options import add_study_arguments, study_of
from study.stored import dispose, runs_of


def named_jobs(study: Study, cells: list[str], tasks: list[str], sources: list[str]) -> list[Job]:
    """The first jobs to forget; StudyError for a name that the study does not have."""
    config = study.config
    for section, names, known in (
        ("cells", cells, config.cells),
        ("tasks", tasks, config.tasks),
        (
            "corpora, tasks and minimal pairs",
            sources,
            [*config.corpora, *config.tasks, *config.minimal_pairs],
        ),
    ):
        for name in names:
            if name not in known:
                where = f"not among the {section} of {study.study_path}"
                raise StudyError(f"{name}: {where}{hint(name, known)}")
    jobs = [study.jobs.source(name) for name in sources]
    if not tasks:
        return jobs + study.pretrain_jobs(cells)
    return jobs + [
        job
        for job in study.jobs.values()
        if job.stage == "finetune"
        and job.names["task"] in tasks
        and (not cells or job.names["cell"] in cells)
    ]


def with_what_reads_them(study: Study, jobs: list[Job]) -> list[Job]:
    """These jobs and all that was made from them, directly or not, each once."""
    gone = set(jobs)
    for job in study.jobs.values():  # each stands behind its inputs
        if not gone.isdisjoint(chain(*job.inputs.values())):
            gone.add(job)
    return [job for job in study.jobs.values() if job in gone]


def tables_of(study: Study, jobs: list[Job]) -> list[str]:
    """The tables that show one of these jobs."""
    gone = set(jobs)
    return [table for table in study.config.tables if not gone.isdisjoint(study.result_jobs(table))]


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.forget`."""
    example = "python -m study.forget byte-level --scale laptop --dry-run"
    parser = command_parser("study.forget", __doc__, example)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="cells of the study")
    for option, name, about in (
        ("--task", "TASK", "only fine-tunings on this task (of all cells where none is named)"),
        (
            "--source",
            "NAME",
            "the files of a corpus, task or set of pairs, with all made from them",
        ),
    ):
        parser.add_argument(option, action="append", default=[], metavar=name, help=about)
    add_study_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="only list what would go")
    args = parser.parse_intermixed_args(arguments)
    if not (args.cells or args.task or args.source):
        raise StudyError("expected a CELL, --task or --source to forget")
    study = study_of(args)
    jobs = with_what_reads_them(study, named_jobs(study, args.cells, args.task, args.source))
    runs = [run for job in jobs for run in runs_of(job)]
    shown = ", ".join(tables_of(study, jobs)) or "no table"
    dispose(runs, [f"shown in: {shown}"], "would be deleted" if args.dry_run else None)


if __name__ == "__main__":
    run_command(main)
