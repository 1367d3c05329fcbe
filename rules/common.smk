# What all rules share: the study at the chosen scale, and look-ups into its registry of jobs.
import os
import re
import shlex
import traceback
from pathlib import Path

from snakemake.exceptions import WorkflowError

from study.command import outcome_of
from study.errors import StudyError
from study.graph import Study
from study.identity import canonical_json
from study.manifest import write_atomic
from study.options import read_options
from study.places import Places, check_places
from study.reach import check_reachable


def read_study():
    """What --config asks for, and its study; what is wrong ends the run with one line.

    `snakemake --debug` shows where an error that nobody foresaw arose.
    """
    try:
        options = read_options(workflow.config_settings.config_args, config)
        study = Study(options.scale, options.study, options.replicates)
        check_places(study.source_recipes(), options.mirror)
        return options, study
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        status, line = outcome_of(error)
        print(line, file=sys.stderr)
        sys.exit(status)


def literal(text):
    """`text` as one word of a shell line, safe from snakemake's own formatting."""
    return shlex.quote(str(text)).replace("{", "{{").replace("}", "}}")


def check_sources():
    """Before the first job: what cannot be had ends the run with one line that names all of it."""
    fetched = [job for job in workflow.dag.needrun_jobs() if job.rule.name == "fetch_source"]
    try:
        check_reachable(
            [STUDY.jobs[str(job.output.manifest)] for job in fetched],
            Places(OPTIONS.mirror, STUDY.recipes.places),
        )
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def one_of(names):
    """A wildcard's constraint: these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


OPTIONS, STUDY = read_study()
STUDY_ARGUMENTS = f"--study={literal(STUDY.study_path)} --scale={literal(STUDY.scale)}" + (
    f" --replicates={OPTIONS.replicates}" if OPTIONS.replicates else ""
)
# Where files lie is part of no recipe and of no param: moving them re-runs nothing.
PLACES = f"--mirror={literal(OPTIONS.mirror)}" if OPTIONS.mirror else ""
if STUDY.recipes.places:
    PLACES += f" --places={literal(canonical_json(STUDY.recipes.places))}"
# How much is downloaded neither: a corpus of a few documents needs only its first parts.
NEEDED = f"--needed={literal(canonical_json(STUDY.recipes.needed))}" if STUDY.recipes.needed else ""
LOGS = f"{STUDY.root}/logs"
# Jobs use the interpreter that runs snakemake, also where its environment was not activated.
os.environ.update(PATH=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
# On a cluster a trainer saves its state and stops before the job's time is up.
TIME_BUDGET = "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}}"


# A limit such as `--resources gpu=1` is one machine's, not the whole cluster run's.
resource_scopes:
    gpu="local",


wildcard_constraints:
    corpus="[^/]+",
    family="[^/]+",
    cell="[^/]+",
    task="[^/]+",
    table="[^/.]+",
    vocabulary="[^/]+",
    key="[0-9a-f]+",
    store="[^/]+",
    seed="[0-9]+",
    shard="[0-9]+",


def job_at(pattern, wildcards):
    """The registered job whose manifest is `pattern` filled with `wildcards`."""
    path = pattern.format(**wildcards)
    if path not in STUDY.jobs:
        raise WorkflowError(f"{path}: no such job at scale {STUDY.scale} of {STUDY.study_path}")
    return STUDY.jobs[path]


def inputs_of(pattern):
    """Input function: the manifests that the job reads, by argument name."""
    return lambda wildcards: job_at(pattern, wildcards).inputs


def recipe_of(pattern):
    """Params function: the job's recipe as canonical JSON; a change of it re-runs the job."""
    return lambda wildcards: job_at(pattern, wildcards).recipe_json


def execution_of(stage):
    """The `--execution` of a stage; not a param, so that changing it re-runs nothing."""
    return f"--execution {literal(STUDY.execution_json(stage))}"


def launcher_of(stage):
    """`python -m`, or our launcher where the stage runs in several processes of one machine."""
    processes = getattr(STUDY.config.execution, stage).processes
    if processes == 1:
        return "python -m"
    return f"python -m model.launch {processes}"


def cores_of(stage):
    """Processor cores of a job of a stage."""
    return getattr(STUDY.config.execution, stage).cores


def request_of(stage):
    """What a job of this stage asks of a cluster, as keyword arguments of `resources:`."""
    asked = getattr(STUDY.config.execution, stage).resources.model_dump(exclude_none=True)
    # Without nodes=1 SLURM may spread the GPUs of one job over machines.
    return {"nodes": 1, **asked}


def manifests(jobs):
    """Manifest paths of jobs."""
    return [job.path for job in jobs]


def shown_by(result):
    """Input function: the manifests that a result reads, which not every study file has."""

    def paths(wildcards):
        try:
            return manifests(STUDY.result_jobs(result))
        except StudyError as error:
            raise WorkflowError(f"results/{result}: {error}") from None

    return paths


def identity_file(name, arguments=""):
    """A file that changes when the identity of a result does: another recipe, scale or argument.

    Results are the same files at every scale, and Snakemake does not build a missing input of a
    file that is there already; so what a result stands for lies in an input that is always there.
    Each has a folder of its own: Snakemake lists a folder once, when it meets the first file of
    it, and takes what is written there later for missing.
    """
    path = Path("runs/identity", ".".join(Path(name).parts), "identity.txt")
    content = f"{STUDY.scale} {STUDY.identity(name)}{arguments}\n"
    if not path.is_file() or path.read_text() != content:
        write_atomic(path, content)
    return str(path)
