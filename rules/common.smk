# What all rules share: the study at the chosen scale, and look-ups into its registry of jobs.
import json
import os
import re
import shlex
import subprocess
import traceback
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import mode

import snakemake
from snakemake.exceptions import WorkflowError

from model import warm
from model.network.weights_check import check_weights
from study.asked import note_asked
from study.command import outcome_of
from study.errors import StudyError
from study.file_locks import check_folders, lock_files
from study.file_times import date_behind, end_future, order_dates
from study.identity import canonical_json
from study.options import check_cores, check_folder, read_options, study_of, study_options
from study.places import Places, check_places
from study.reach import check_reachable, is_fetched
from study.record import identity_of, is_current
from study.results import FIGURE, RESULTS, TABLE, WILDCARD
from study.run import Run
from study.scheduling import keep_one_timer
from study.stages import PATHS
from study.trackers import environment_of


@contextmanager
def one_line():
    """What goes wrong inside ends the run with one line; `snakemake --debug` shows where it arose."""
    try:
        yield
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        status, line = outcome_of(error)
        print(line, file=sys.stderr)
        sys.exit(status)


def read_study():
    """What --config asks for, and its study."""
    options = read_options(workflow.config_settings.config_args, config)
    check_cores(workflow.resource_settings.cores)
    check_folder(str(workflow.basedir))
    study = study_of(options)
    check_places(study.source_recipes(), options.mirror)
    check_weights(study, options.mirror)
    if workflow.is_main_process:
        order_dates(study.jobs.values())
    return options, study


def shell_line(line, *words):
    """A shell line, with words at its end that snakemake is not to format."""
    return " ".join([line, *(word.replace("{", "{{").replace("}", "}}") for word in words if word)])


def lock_its_files():
    """Keep a second snakemake off what this one makes and reads.

    StudyError names who was first, or the folder where nothing can be written, while what lies
    there still does.
    """
    global LOCKED
    jobs = list(workflow.dag.needrun_jobs())
    made = [str(path) for job in jobs for path in job.output]
    read = [str(path) for job in jobs for path in job.input]
    check_folders([*made, *(str(path) for job in jobs for path in job.log)])
    LOCKED = lock_files(made, read)
    end_future(read)


def check_sources():
    """Look for what is still to be fetched and read; StudyError names what cannot be."""
    made = [str(path) for job in workflow.dag.needrun_jobs() for path in job.output]
    jobs = [STUDY.jobs[path] for path in made if path in STUDY.jobs]
    places = Places(OPTIONS.mirror, STUDY.jobs.places)
    check_reachable(filter(is_fetched, jobs), places)
    if any(job.stage == "store" for job in jobs):
        from model.text.checks import check_corpora  # with pyarrow, which few calls need

        check_corpora(jobs, places)
    read = [job for job in jobs if job.stage in ("features", "minimal_pairs")]
    sources = [(job.recipe, job.inputs["source"][0]) for job in read]
    own = [
        (recipe, source.recipe["splits"], places.by_key[source.key])
        for recipe, source in sources
        if source.key in places.by_key
    ]
    if own:  # in a process of its own, for it loads torch
        command = [sys.executable, "-m", "model.tasks.checks"]
        checked = subprocess.run(command, input=json.dumps(own), text=True)
        if checked.returncode:
            sys.exit(checked.returncode)


def start_warm():
    """Let local trainings on the CPU fork from one process that has loaded what they load."""
    own = {stage: getattr(STUDY.config.execution, stage) for stage in ("pretrain", "finetune")}
    alone = [stage for stage in own if own[stage].device == "cpu" and own[stage].processes == 1]
    threads = [job.threads for job in workflow.dag.needrun_jobs() if job.rule.name in alone]
    if workflow.local_exec and len(threads) > 2:
        warm.start(mode(threads))


def keep_what_is_finished():
    """Publish again what trainings of a job that failed as a whole had finished.

    Snakemake takes a job of the cluster that holds several trainings for one: where one of them
    fails it deletes the manifests of all.
    """
    for job in workflow.dag.needrun_jobs():
        if job.rule.name in ("finetune", "minimal_pairs"):
            registered = STUDY.jobs[str(job.output.manifest)]
            if not Path(registered.path).exists():
                Run(Path(registered.path), registered.recipe).adopt()


def one_of(names):
    """A wildcard's constraint: these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


with suppress(ImportError):  # other releases have their scheduler elsewhere
    from snakemake.scheduling.job_scheduler import JobScheduler

    keep_one_timer(JobScheduler, snakemake.__version__)


with one_line():
    OPTIONS, STUDY = read_study()
STUDY_ARGUMENTS = shlex.join(
    f"--{name.replace('_', '-')}={value}" for name, value in study_options(STUDY)
)
# Where files lie is part of no recipe and of no param: moving them re-runs nothing.
PLACES = f"--mirror={shlex.quote(OPTIONS.mirror)}" if OPTIONS.mirror else ""
if STUDY.jobs.places:
    PLACES += f" --places={shlex.quote(canonical_json(STUDY.jobs.places))}"
# How much is downloaded neither: a corpus of a few documents needs only its first parts.
NEEDED = (
    f"--needed={shlex.quote(canonical_json(STUDY.jobs.documents))}" if STUDY.jobs.documents else ""
)
# That a plan of CPU trainings is made for; None where a cluster has any number.
CORES = workflow.resource_settings.cores
MANIFESTS = {stage: STUDY.jobs.pattern(stage) for stage in PATHS}
LOGS = f"{STUDY.root}/logs"
# Jobs use the interpreter that runs snakemake, also where its environment was not activated.
os.environ.update(PATH=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
for variable, value in environment_of(STUDY.root, STUDY.scale).items():
    os.environ.setdefault(variable, value)


# A limit such as `--resources gpu=1` is one machine's, not the whole cluster run's.
resource_scopes:
    gpu="local",
    gpu_slots="local",


wildcard_constraints:
    corpus="[^/]+",
    family="[^/]+",
    cell="[^/]+",
    features="[^/]+",
    task="[^/]+",
    pairs="[^/]+",
    tuning="[^/]+",
    table="[^/.]+",
    vocabulary="[^/]+",
    weights="[^/]+",
    key="[0-9a-f]+",
    store="[^/]+",
    seed="[0-9]+",
    shard="[0-9]+",


def job_at(stage, wildcards):
    """The stage's registered job that these wildcards name."""
    path = MANIFESTS[stage].format(**wildcards)
    if path not in STUDY.jobs:
        raise WorkflowError(f"{path}: no such job at scale {STUDY.scale} of {STUDY.study_path}")
    return STUDY.jobs[path]


def make_again(path):
    """Have this call make `path`, and all that reads it, though Snakemake sees no need.

    Snakemake builds no missing input of what is there, and judges what is there by times and by its
    own metadata. Its --forcerun would make targets of these files; the set behind it is read once
    the graph is built, so input functions, which are asked while that happens, can add to it. Only
    the process that plans does: a job has its one target.
    """
    if workflow.is_main_process:
        workflow.dag.forcefiles.add(path)


def go_on_after_failures():
    """In a job of the cluster that holds several trainings, one that fails stops none of the others.

    Only the main process is told --keep-going. Settings are there once the graph is built.
    """
    if not workflow.is_main_process:
        workflow.execution_settings.keep_going = True


def inputs_of(stage):
    """Input function: the manifests that the job reads, by argument name.

    One that was deleted is made again, also where what was made from it is still there.
    """

    def paths(wildcards):
        go_on_after_failures()
        job = job_at(stage, wildcards)
        if Path(job.path).exists():
            for path in chain.from_iterable(job.input_paths.values()):
                if not Path(path).exists():
                    make_again(path)
        return job.input_paths

    return paths


def recipe_of(stage):
    """Params function: the job's recipe as canonical JSON; a change of it re-runs the job."""
    return lambda wildcards: job_at(stage, wildcards).recipe_json


def log_of(stage):
    """The log of a stage's job, at its manifest's place under the folder of logs."""
    return f"{LOGS}/{PATHS[stage]}/{{key}}.log"


def stage_command(stage):
    """Params function: a stage's module and the manifests that it reads, as `--<name> FILE …`."""

    def words(wildcards, input):
        options = [f"--{name} {shlex.join(input.get(name))}" for name in input.keys()]
        return " ".join([f"model.stages.{stage}", *options])

    return words


def execution_of(stage):
    """The `--execution` of a stage that trains; not a param, so that changing it re-runs nothing."""
    return f"--execution {shlex.quote(STUDY.execution_json(stage))}"


def cores_of(stage):
    """Processor cores of a job of a stage."""
    return getattr(STUDY.config.execution, stage).cores


def request_of(stage):
    """What a job of this stage asks of a cluster, as keyword arguments of `resources:`."""
    execution = getattr(STUDY.config.execution, stage)
    asked = execution.resources.model_dump(exclude_none=True)
    # Without nodes=1 SLURM may spread the GPUs of one job over machines.
    if (nodes := asked["nodes"]) == 1:
        return asked
    # `mpi` has the executor leave srun to the job, whose launcher starts one task on each node.
    gpu = asked.pop("gpu")
    gpus = {"gres": f"gpu:{gpu // nodes}"} if gpu else {}
    cores = execution.cores // nodes
    tasks = {"mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0, "cpus_per_task": cores}
    return {**asked, **gpus, **tasks}


def request_alone(stage):
    """The same of a job that is one process on one device."""
    asked = getattr(STUDY.config.execution, stage).resources.model_dump(exclude_none=True)
    return {**asked, "nodes": 1, "gpu": min(1, asked["gpu"])}


@cache
def asked_jobs():
    """The jobs behind all that this call of snakemake was asked for; a job's own knows of none."""
    if not workflow.is_main_process:
        return frozenset()
    try:
        return STUDY.asked_jobs(workflow.dag_settings.targets or ["all"])
    except StudyError:  # the input function of the result that it is about will say so
        return frozenset()


def made_from(entry):
    """Input function: the manifests that a result waits for.

    A result that is there but was made for something else (another scale, recipe or argument), or
    from manifests that are gone or changed, is made again. One that is made of all others waits for
    those that this call was asked for, one that shows what is there for what these need.
    """

    def paths(wildcards):
        result = entry.pattern.format(**wildcards)
        path = f"results/{result}.{entry.endings[0]}"
        flops, cores = (OPTIONS.flops, CORES) if entry.takes == "speed" else (None, None)
        try:
            jobs = [] if flops else STUDY.needed_jobs(result, asked_jobs())
            manifests = [job.path for job in jobs]
            if Path(path).exists() and workflow.is_main_process:
                if is_current(path, identity_of(STUDY, result, flops, cores)):
                    files = [f"results/{result}.{ending}" for ending in entry.endings]
                    date_behind(files, manifests)
                else:
                    make_again(path)
        except StudyError as error:
            raise WorkflowError(f"results/{result}: {error}") from None
        others = [other for other in asked_for() if other != path] if entry.last else []
        return manifests + others

    return paths


def misspelt(wildcards):
    """Input function of what is no result: one line with the file that may be meant."""
    name = os.path.splitext(wildcards.target.removeprefix("results/"))[0]
    with one_line():
        known = [file for file, result in STUDY.result_files().items() if result == name]
        if known:
            raise StudyError(f"{wildcards.target}: no file of results/{name}, as {known[0]} is")
        STUDY.result(name)


def files_of_all():
    """A file of every result of the target `all`."""
    return [
        f"results/{result}.{entry.endings[0]}"
        for result, (entry, name) in STUDY.results.items()
        if entry.in_all(STUDY.config, name)
    ]


def asked_for():
    """The files of results that this call is to make: by name, or all."""
    dag = workflow.dag
    everything = any(rule.name == "all" for rule in dag.targetrules)
    return files_of_all() if everything else sorted(dag.targetfiles & STUDY.result_files().keys())


def files_of(entry):
    """What a result writes, `first` the file that its command is told.

    That file stands in the report of `snakemake --report` too, on its table's page.
    """
    names = ["first", *entry.endings[1:]]
    files = [f"results/{entry.pattern}.{ending}" for ending in entry.endings]
    kind = "figure" if entry.endings == FIGURE else "table" if entry.endings == TABLE else "result"
    shown = report(
        files[0],
        caption=f"captions/{kind}.rst",
        category="{table}" if "table" in WILDCARD.findall(entry.pattern) else "study",
        labels={"file": files[0], "shows": entry.about},
    )
    return dict(zip(names, [shown, *files[1:]], strict=True))


def command_of(entry):
    """Params function: the module that makes a result and its own arguments, as shell words."""
    options = []
    if entry.takes == "places" and PLACES:
        options.append(PLACES)
    # The plan's speed: as given, else the scale's hardware, else measured here.
    if entry.takes == "speed" and OPTIONS.flops:
        options.append(f"--flops-per-second={OPTIONS.flops}")
    if entry.takes == "speed" and CORES:
        options.append(f"--cores={CORES}")

    def words(wildcards):
        command = WILDCARD.sub(lambda match: shlex.quote(wildcards[match[1]]), entry.command)
        return " ".join([command, *options])

    return words
