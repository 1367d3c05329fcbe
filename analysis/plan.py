"""What a study will cost, before anything of it has run: `results/plan.csv` and `plan.md`.

The CSV has a line per training job, then totals per cell, per table and of the study (columns
`level` and `stage`), by stage and for `all`, and where the scale has a budget one of its tables.
Tokens and FLOPs are counted from recipes (`analysis.costs`); device-hours are FLOPs / (FLOP/s of
one device), what updates take besides and a start-up per job. `hours` are wall-clock: device-hours
over the devices of a run, or the longest chain of jobs that wait for each other. Jobs whose
manifest is there are counted in `done` and leave `device_hours_left` and `hours_left`. A job that
several tables share counts in each of them, but once in the study.
"""

import math
from dataclasses import asdict, dataclass

import pandas as pd

from analysis.command import add_study_arguments, csv_text, output_files, study_of
from analysis.costs import (
    CHARACTERS_PER_TOKEN,
    Cost,
    cost_of,
    finished,
    share_left,
    text_megabytes,
)
from analysis.render import DASH, amount, duration, markdown_rows, megabytes
from study.command import command_parser, run_command
from study.errors import StudyError
from study.fields import given
from study.graph import Study
from study.jobs import Job, needed
from study.manifest import NUMBER, write_atomic
from study.options import check_cores
from study.record import recorded

TRAINING = ("pretrain", "finetune")
COUNTED = (*TRAINING, "minimal_pairs")
COLUMNS = [
    "level",
    "table",
    "cell",
    "pretraining_seed",
    "task",
    "setting",
    "stage",
    "jobs",
    "done",
    "tokens",
    "flops",
    "device_hours",
    "device_hours_left",
    "device_hours_counted_above",
    "hours",
    "hours_left",
    "passes",
    "parameters",
    "vocabulary_parameters",
    "disk_mb",
    "checkpoint_mb",
    "memory_mb",
    "devices",
    "basis",
    "key",
]
SUMS = ("jobs", "done", "tokens", "flops", "device_hours", "device_hours_left", "disk_mb")
LARGEST = ("parameters", "vocabulary_parameters", "checkpoint_mb", "memory_mb", "devices")


@dataclass(frozen=True)
class Speed:
    """FLOP/s of one device, what updates and jobs take besides, and where all that comes from.

    A measured speed is of the FLOPs that are really worked out, another one as FLOPs are usually
    counted. It was measured with `at_once` trainings beside each other.
    """

    flops_per_second: float
    seconds_per_job: float
    origin: str
    measured: bool = False
    seconds_per_update: float = 0.0
    at_once: int = 1

    def device_seconds(self, cost: Cost) -> float:
        """What a job takes, on all its devices together."""
        arithmetic = cost.work if self.measured else cost.flops
        besides = cost.updates * self.seconds_per_update + self.seconds_per_job
        return arithmetic / self.flops_per_second + cost.devices * besides


@dataclass(frozen=True)
class Machine:
    """What a run has: so many cores or GPUs, and so many devices of trainings on them."""

    devices: int
    text: str  # "2 cores"


def machine_of(study: Study, speed: Speed, cores: int | None = None) -> Machine:
    """What a run has: `cores`, else those of the scale's budget, else all that were measured.

    Where trainings run on GPUs: the budget's, else those of one pre-training.
    """
    execution, budget = study.config.execution.pretrain, study.config.budget
    if execution.device == "cuda":
        gpus = given(budget.gpus) if budget else execution.processes
        return Machine(gpus, f"{gpus} GPU" + "s" * (gpus > 1))
    cores = cores or (given(budget.cores) if budget else speed.at_once * execution.threads)
    return Machine(max(1, cores // execution.threads), f"{cores} core" + "s" * (cores > 1))


def speed_of(study: Study, given: float | None) -> Speed:
    """The speed to plan with: given, the scale's `hardware`, or measured by the stage throughput.

    Raises StudyError when there is none of them, or the given one is no speed.
    """
    hardware, job = study.config.hardware, study.jobs.throughput()
    if given is not None:
        if not 0 < given < math.inf:
            raise StudyError(f"--flops-per-second: expected more than 0, found {given:g}")
        return Speed(given, hardware.seconds_per_job if hardware else 0.0, "as given")
    if hardware is not None:
        origin = f"{hardware.name}, `hardware` of scale {study.scale}"
        return Speed(hardware.flops_per_second, hardware.seconds_per_job, origin)
    measured = finished(job)
    if measured is None:
        raise StudyError(
            f"{job.path}: no measured speed yet; snakemake makes it for results/plan.csv, or give "
            "--flops-per-second"
        )
    return Speed(
        measured.figure("flops_per_second", kind=NUMBER),
        measured.figure("seconds_per_job", kind=NUMBER),
        f"measured on {measured.figure('hardware', kind=str)} with cell {job.names['cell']}",
        measured=True,
        seconds_per_update=measured.figure("seconds_per_update", kind=NUMBER),
        at_once=measured.figure("at_once", kind=int),
    )


def job_line(study: Study, job: Job, cost: Cost, speed: Speed) -> dict:
    """The line of a training job."""
    hours = speed.device_seconds(cost) / 3600
    done = finished(job) is not None
    left = 0.0 if done else hours * share_left(job)
    return {
        "level": "job",
        "cell": job.names["cell"],
        "pretraining_seed": job.names["seed"],
        "task": job.names.get("task", job.names.get("pairs")),
        "setting": job.names.get("setting"),
        "stage": job.stage,
        "jobs": 1,
        "done": int(done),
        **asdict(cost),
        "tokens": round(cost.tokens),
        "device_hours": hours,
        "device_hours_left": left,
        "hours": hours / cost.devices,
        "hours_left": left / cost.devices,
        "key": job.key,
    }


def add_chains(lines: dict[str, dict], jobs: list[Job]) -> None:
    """Add to the line of each job, by its path, the hours of the longest chain that ends with it.

    Each of `jobs` is behind those that it reads; the text stages take next to nothing.
    """
    chains: dict[str, tuple[float, float]] = {}
    for job in jobs:
        line = lines.get(job.path, {"hours": 0.0, "hours_left": 0.0})
        before = [chains[path] for paths in job.input_paths.values() for path in paths]
        longest = [max((chain[end] for chain in before), default=0.0) for end in (0, 1)]
        chains[job.path] = (longest[0] + line["hours"], longest[1] + line["hours_left"])
        line["chain"], line["chain_left"] = chains[job.path]


def total(lines: list[dict], **names: str) -> dict:
    """Sums over lines; parameters, checkpoints, memory, devices are the largest of one job.

    `passes` over the samples are told where all pre-trainings make as many.
    """
    sums = {name: sum(line[name] for line in lines) for name in SUMS}
    largest = {name: max((line[name] for line in lines), default=0) for name in LARGEST}
    passes = {line["passes"] for line in lines} - {None}
    return {**names, **sums, **largest, "passes": passes.pop() if len(passes) == 1 else None}


def everything_of(lines: list[dict], devices: int, **names: str) -> dict:
    """The total of all stages, with the wall-clock of a run on so many devices."""
    line = total(lines, **names, stage="all")
    for end in ("", "_left"):
        longest = max(one[f"chain{end}"] for one in lines)
        line[f"hours{end}"] = max(line[f"device_hours{end}"] / devices, longest)
    return line


def totals(lines: list[dict], devices: int, **names: str) -> list[dict]:
    """Totals per stage that is counted and occurs, and of `all`."""
    stages = [stage for stage in COUNTED if any(line["stage"] == stage for line in lines)]
    parts = {stage: [line for line in lines if line["stage"] == stage] for stage in stages}
    by_stage = [total(part, **names, stage=stage) for stage, part in parts.items()]
    return [*by_stage, everything_of(lines, devices, **names)]


def with_text(study: Study, lines: list[dict], jobs: list[Job], **names: str) -> list[dict]:
    """Totals with a line for the text stages before `all`, whose disk they are added to."""
    text = [job for job in jobs if job.stage not in (*COUNTED, "selection")]
    size = text_megabytes(study, text)
    done = sum(finished(job) is not None for job in text)
    line = {**names, "stage": "text", "jobs": len(text), "done": done, "disk_mb": size}
    *parts, everything = lines
    return [*parts, line, {**everything, "disk_mb": everything["disk_mb"] + (size or 0)}]


def build_plan(study: Study, speed: Speed, machine: Machine) -> pd.DataFrame:
    """All lines of the plan as a data frame with COLUMNS."""
    behind = {table: needed(study.result_jobs(table)) for table in study.config.tables}
    everything = study.plan_jobs()
    lines = {
        job.path: job_line(study, job, cost_of(study, job), speed)
        for job in everything
        if job.stage in COUNTED
    }
    if not lines:
        raise StudyError(f"{study.study_path}: tables: none shows a cell, there is nothing to plan")
    add_chains(lines, everything)
    rows, devices = list(lines.values()), machine.devices
    for cell in dict.fromkeys(line["cell"] for line in lines.values()):
        own = [line for line in lines.values() if line["cell"] == cell]
        rows += totals(own, devices, level="cell", cell=cell)
    counted: set[str] = set()
    for table, jobs in behind.items():
        names = {"level": "table", "table": table}
        paths = [job.path for job in jobs if job.path in lines]
        summaries = totals([lines[path] for path in paths], devices, **names)
        for line in summaries:
            line["device_hours_counted_above"] = sum(
                lines[path]["device_hours"]
                for path in counted.intersection(paths)
                if line["stage"] in ("all", lines[path]["stage"])
            )
        rows += with_text(study, summaries, jobs, **names)
        counted.update(paths)
    summaries = totals(list(lines.values()), devices, level="study")
    rows += with_text(study, summaries, everything, level="study")
    if budget := study.config.budget:
        budgeted = {job.path for table in budget.tables for job in behind[table]}
        own = [line for path, line in lines.items() if path in budgeted]
        rows.append(everything_of(own, machine_of(study, speed).devices, level="budget"))
    whole = ("pretraining_seed", "jobs", "done", "tokens", "devices", "vocabulary_parameters")
    types = dict.fromkeys((*whole, "parameters"), "Int64") | {"passes": float}
    frame = pd.DataFrame(rows, columns=COLUMNS).astype(types)
    hours = [name for name in COLUMNS if "hours" in name]
    sizes = [name for name in COLUMNS if name.endswith("_mb")]
    return frame.round(dict.fromkeys(hours, 6) | dict.fromkeys(sizes, 3) | {"passes": 2})


def summary_of(lines: pd.DataFrame, machine: Machine) -> dict[str, str]:
    """The lines of one cell, table or of the study for reading, by the header of each column."""
    stages = lines.set_index("stage")
    everything = stages.loc["all"]
    above, passes = everything["device_hours_counted_above"], everything["passes"]
    return {
        "pre + fine": " + ".join(str(stages["jobs"].get(stage, 0)) for stage in TRAINING),
        "done": f"{everything['done']}/{everything['jobs']}",
        "tokens": amount(everything["tokens"]),
        "FLOPs": f"{everything['flops']:.2e}".replace("e+", "e"),
        "device time": duration(everything["device_hours"]),
        f"on {machine.text}": duration(everything["hours"]),
        "still to run": duration(everything["hours_left"]),
        "counted above": duration(above) if above > 0 else DASH,
        "passes": DASH if pd.isna(passes) else f"{passes:.1f}",
        "parameters": amount(everything["parameters"]),
        "of the vocabulary": amount(everything["vocabulary_parameters"]),
        "disk": megabytes(everything["disk_mb"]),
        "checkpoints": megabytes(everything["checkpoint_mb"]),
        "memory": megabytes(everything["memory_mb"]),
    }


def markdown_of(
    level: str, groups: list[tuple[str, pd.DataFrame]], machine: Machine, left_out: list[str]
) -> str:
    """A Markdown table with a row per name and its lines, without the columns `left_out`."""
    summaries = pd.DataFrame({name: summary_of(lines, machine) for name, lines in groups}).T
    summaries = summaries.drop(columns=left_out)
    rows = summaries.reset_index().to_numpy().tolist()
    return markdown_rows([[level, *summaries.columns], *rows])


def budget_line(study: Study, frame: pd.DataFrame, speed: Speed) -> str:
    """Whether the tables of the scale's budget fit into it."""
    budget, machine = given(study.config.budget), machine_of(study, speed)
    (hours,) = frame[frame["level"] == "budget"]["hours"]
    verdict = "fits" if hours <= budget.hours else "does not fit"
    tables = ", ".join(budget.tables)
    return (
        f"**Budget: {tables} in {duration(budget.hours)} on {machine.text}. It {verdict}: "
        f"{duration(hours)} by this plan.**"
    )


def to_text(study: Study, frame: pd.DataFrame, speed: Speed, machine: Machine) -> str:
    """The plan for reading: cells, tables with the study last, the budget, what was assumed."""
    cells, tables = (
        list(frame[frame["level"] == level].groupby(level, sort=False))
        for level in ("cell", "table")
    )
    tables.append(("the study, each job once", frame[frame["level"] == "study"]))
    return "\n".join(
        [
            f"**What scale {study.scale} costs: {study.config.about}**\n",
            markdown_of("cell", cells, machine, ["counted above"]),
            "",
            markdown_of("table", tables, machine, ["passes", "parameters", "of the vocabulary"]),
            "",
            *([budget_line(study, frame, speed), ""] if study.config.budget else []),
            *(f"- {note}" for note in notes_of(study, frame, speed)),
            "",
        ]
    )


def notes_of(study: Study, frame: pd.DataFrame, speed: Speed) -> list[str]:
    """What the figures rest on, and what they leave out."""
    jobs = frame[frame["level"] == "job"]
    longest = jobs.loc[(jobs["device_hours"] / jobs["devices"]).idxmax()]
    wall = duration(longest["device_hours"] / longest["devices"])
    counts = jobs[jobs["stage"] == "finetune"]["basis"].value_counts(sort=False)
    basis = ", ".join(f"{count} by {name}" for name, count in counts.items())
    unknown = frame["stage"].eq("text") & frame["disk_mb"].isna()
    started = f"{speed.seconds_per_job:.3g} s per job"
    counted = (
        f"{1000 * speed.seconds_per_update:.3g} ms an update besides, {speed.at_once} trainings at "
        f"once), {started}, padding and evaluations; not text stages, checkpoints"
        if speed.measured
        else f"for fine-tuning the same), {started if speed.seconds_per_job else 'no start-up'}; "
        "not padding, reading data, evaluations, checkpoints"
    )
    return [
        "Device time, also that counted above, adds up GPUs, or processes on a CPU; other times "
        "are wall-clock, with nothing else on the machine. The longest job takes "
        f"{wall} on its {longest['devices']} device(s).",
        f"It counts {speed.flops_per_second:.2e} useful FLOP/s per device ({speed.origin}, "
        f"{counted}, waiting and repeated attempts.",
        f"Tokens: pre-training as configured; fine-tunings {basis}; minimal pairs: a masked copy "
        "of the sentence for each of its tokens, forward passes alone.",
        "Disk: pre-trained weights and text stages; without sources, vocabularies, predictions and "
        "logs. Checkpoints: at most, of each job that is running."
        + (" Text stages are left out where a corpus's size is not known." * bool(unknown.any())),
        "Pre + fine: pre-trainings + fine-tunings (each of all its seeds). Memory: of one device, "
        "weights, gradients, optimiser and one micro-batch's activations (formula in "
        "`model/network/sizes.py`); the interpreter and its libraries come on top.",
        "Passes: of a pre-training over its samples; until these are there, at "
        f"{CHARACTERS_PER_TOKEN} characters a token. A pair with a random second part shows that "
        "text again, so pair formats make fewer.",
        "Of the vocabulary: the word table, filler rows included, and the decoder's biases.",
        "Counted above: the part of a table whose jobs an earlier table has too.",
    ]


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.plan`."""
    parser = command_parser(
        "analysis.plan",
        "Write what a study will cost, before anything has run, and print it.",
        "python -m analysis.plan --scale paper --flops-per-second 3.5e14 --output results/plan.csv",
    )
    parser.add_argument(
        "--cores",
        type=int,
        metavar="N",
        help="of a run on the CPU (default: the scale's budget, else as many as were measured)",
    )
    parser.add_argument(
        "--flops-per-second",
        type=float,
        metavar="X",
        help="useful FLOP/s of one device (default: the scale's hardware, else measured)",
    )
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    files = output_files(parsed.output, ("csv", "md"))
    study = study_of(parsed)
    flops, cores = parsed.flops_per_second, parsed.cores
    check_cores(cores)
    with recorded(study, "plan", *files, flops=flops, cores=cores):
        speed = speed_of(study, flops)
        machine = machine_of(study, speed, cores)
        frame = build_plan(study, speed, machine)
        text = to_text(study, frame, speed, machine)
        for path, content in zip(files, (csv_text(frame), text), strict=True):
            write_atomic(path, content)
    print(text, end="")


if __name__ == "__main__":
    run_command(main)
