"""CPU seconds of a training job until its first update is done: started plainly, and warm.

    python -m benchmarks.job_start --scale demo   # after `make table2`, whose manifests it reads

Takes the first pre-training and the first fine-tuning of the study whose inputs are there, starts
each in a folder of its own in both ways by turns, and ends it after its first update (the sign is
its checkpoint). Counted is the processor time, of all processes, that the job took: a plain one its
own; a warm one that of its `python`, its guard and the fork beside its own (model/warm.py).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from model import warm
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.options import DEFAULT_SCALE, add_study_arguments, study_of


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, to the nanosecond (`/proc`)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def parent(pid: int) -> int:
    """The process that forked this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def first_job(study: Study, stage: str) -> Job:
    """The first job of a stage that could run now; StudyError if there is none."""
    for job in study.jobs.values():
        paths = [path for paths in job.input_paths.values() for path in paths]
        if job.stage == stage and all(Path(path).exists() for path in paths):
            return job
    raise StudyError(f"no {stage} of scale {study.scale} has its inputs; run make table2 first")


def command_of(study: Study, job: Job, folder: str) -> list[str]:
    """The job as its rule would start it, but into `folder` and with a checkpoint per update."""
    execution = {**json.loads(study.execution_json(job.stage)), "checkpoint_minutes": 0}
    words = ["python", "-m", f"model.stages.{job.stage}", "--recipe", job.recipe_json]
    words += ["--manifest", f"{folder}/manifest.json", "--execution", json.dumps(execution)]
    for name, paths in job.input_paths.items():
        words += [f"--{name}", *paths]
    return words


def start_seconds(study: Study, job: Job, server: int | None) -> float:
    """Processor time of the job until its first update, started by PATH's `python`."""
    before = cpu_seconds(server) if server else 0.0
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command_of(study, job, folder), stderr=subprocess.DEVNULL)
        runs = Path(folder)
        while not list(runs.glob("*/checkpoints/*")):
            if process.poll() is not None:
                raise StudyError(f"{job.path}: ended with {process.returncode} before an update")
            time.sleep(0.001)
        (events,) = runs.glob("*/events.jsonl")
        pid = json.loads(events.read_text().splitlines()[0])["pid"]
        spent = cpu_seconds(pid)
        if (pid != process.pid) != (server is not None):
            raise StudyError(f"{job.path}: was not started as it should be")
        if server:
            spent += cpu_seconds(process.pid) + cpu_seconds(parent(pid))
            spent += cpu_seconds(server) - before
        process.kill()
        process.wait()
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.001)
    return spent


def main(arguments: list[str] | None = None) -> None:
    """Command line of the benchmark."""
    example = "python -m benchmarks.job_start --scale demo --turns 5"
    parser = command_parser("benchmarks.job_start", __doc__, example)
    add_study_arguments(parser, DEFAULT_SCALE)
    parser.add_argument("--turns", type=int, default=5, help="starts of each kind (default: 5)")
    args = parser.parse_args(arguments)
    study = study_of(args)
    jobs = [first_job(study, stage) for stage in ("pretrain", "finetune")]
    os.environ.update(dict.fromkeys(warm.THREADS, "1"))
    plain = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["PATH"] = plain
    server = warm.start(1)
    if server is None:
        raise StudyError(f"{warm.SWITCH}: expected it not to be set to no")
    paths = {"plain": plain, "warm": os.environ["PATH"]}
    socket = Path(paths["warm"].partition(":")[0], "socket")
    while not socket.exists():
        if server.poll() is not None:
            raise StudyError("the warm process did not start")
        time.sleep(0.01)
    spent: dict[tuple[str, str], list[float]] = {}
    for job in args.turns * jobs:
        for way, path in paths.items():
            os.environ["PATH"] = path
            seconds = start_seconds(study, job, server.pid if way == "warm" else None)
            spent.setdefault((job.stage, way), []).append(seconds)
    for (stage, way), seconds in spent.items():
        print(
            f"{stage:9} {way:6} {median(seconds):.2f} CPU-s until the first update "
            f"({min(seconds):.2f} to {max(seconds):.2f})"
        )


if __name__ == "__main__":
    run_command(main)
