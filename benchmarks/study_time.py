"""Where the core time of a finished run of a study went: training loops, and all else.

    python -m benchmarks.study_time results/table2.csv --cores 2      # in the folder of the run

Read from what the run left: when snakemake began and ended each job (.snakemake/metadata), when
the job opened its run directory (recipe.json) and published (manifest.json), when its training
loops began and ended (events.jsonl). Core time is `--cores` times the wall-clock from the start to
the last result. The files' times count: a copy of a run must keep them. Where `make plan` was
called before the run, what results/plan.csv says of its jobs stands beside their CPU time.
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd

from analysis.plan import COUNTED
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job, needed
from study.manifest import MANIFEST_NAME
from study.messages import hint
from study.options import DEFAULT_SCALE, add_study_arguments, study_of
from study.run import RECIPE_NAME
from study.stored import runs_of

METADATA = Path(".snakemake/metadata")
PLAN = Path("results/plan.csv")
BEGINNING = re.compile(r"^  Date: (.*)$", re.MULTILINE)
SHORT = 1.0  # seconds within which a core gets its next job if there is one
PARTS = {
    "loops": "training loops, evaluations in them included",
    "spawn": "snakemake's start of a job -> run directory open",
    "start": "run directory open -> training loop",
    "tail": "training loop's end -> published",
    "text": "sources, text stages, samples, features",
    "results": "results' commands",
    "between": "published -> next job: its process ends, snakemake reacts",
    "idle": "no job for a core",
}


@dataclass
class Split:
    """Seconds by part, and by name those of training loops."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    loops: dict[str, float] = field(default_factory=dict)
    spans: list[tuple[float, float]] = field(default_factory=list)  # of jobs

    def add(self, job: Job, began: float, ended: float) -> None:
        """Take a job's time apart."""
        self.spans.append((began, ended))
        directory = Path(job.path).parent / job.key
        opened = (directory / RECIPE_NAME).stat().st_mtime
        # The copy inside: snakemake touches the manifest beside it when the process has ended.
        done = (directory / MANIFEST_NAME).stat().st_mtime
        self.seconds["spawn"] += opened - began
        self.seconds["between"] += ended - done
        if job.stage not in ("pretrain", "finetune"):
            self.seconds["text"] += done - opened
            return
        published = opened
        for run in runs_of(job):
            for start, stop in loops_in(run.directory / "events.jsonl"):
                self.seconds["start"] += start - published
                self.seconds["loops"] += stop - start
                name = job.recipe["task"]["name"] if job.stage == "finetune" else job.names["cell"]
                self.loops[name] = self.loops.get(name, 0.0) + stop - start
                published = (run.directory / MANIFEST_NAME).stat().st_mtime
                self.seconds["tail"] += published - stop
        self.seconds["tail"] += done - published

    def add_gaps(self, cores: int, began: float) -> None:
        """What lies between the jobs on each core, from snakemake's start on."""
        free, last = [began] * cores, max(ended for _, ended in self.spans)
        for start, ended in sorted(self.spans):
            slot = max((time for time in free if time <= start), default=min(free))
            free[free.index(slot)] = ended
            self._add_gap(start - slot)
        for time in free:
            self._add_gap(last - time)

    def _add_gap(self, seconds: float) -> None:
        self.seconds["between" if seconds < SHORT else "idle"] += max(0.0, seconds)


def loops_in(path: Path) -> list[tuple[float, float]]:
    """Begin and end of each training loop that a run's events tell of."""
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    starts = [event["time"] for event in events if event["event"] == "start"]
    stops = [event["time"] for event in events if event["event"] == "stop"]
    if len(starts) != len(stops):
        raise StudyError(f"{path}: a training that did not end as it should; nothing to split")
    return list(zip(starts, stops, strict=True))


def times_of_jobs() -> dict[str, tuple[float, float]]:
    """When snakemake began each job and when it had ended, by the file that it made."""
    times = {}
    for path in METADATA.rglob("*"):
        if path.is_file():
            parts = path.relative_to(METADATA).parts
            name = urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode()
            record = json.loads(path.read_text())
            times[name] = (record["starttime"], record["endtime"])
    return times


def split_of(study: Study, target: str, cores: int) -> Split:
    """The split of the run that made a result's file; StudyError where its traces are gone."""
    files, times, split = study.result_files(), times_of_jobs(), Split()
    if target not in files:
        raise StudyError(f"{target}: no result of this study{hint(target, files)}")
    log = Path(study.root, "logs", "snakemake.log")
    dates = BEGINNING.findall(log.read_text()) if log.exists() else []
    if not dates or target not in times:
        raise StudyError(f"{log}: tells of no run that made {target}")
    for job in needed(study.needed_jobs(files[target])):
        if job.path not in times:
            raise StudyError(f"{METADATA}: nothing of {job.path}; snakemake made it elsewhere")
        split.add(job, *times[job.path])
    split.spans.append(times[target])
    split.seconds["results"] += times[target][1] - times[target][0]
    began = datetime.fromisoformat(dates[-1]).timestamp()
    if min(split.spans)[0] < began:
        raise StudyError(f"{log}: made in several runs; only a run from nothing can be split")
    split.add_gaps(cores, began)
    return split


def planned_and_taken(study: Study, target: str) -> dict[str, tuple[float, float]]:
    """By stage the core-seconds of all jobs behind a result, as planned, and their CPU time.

    StudyError where the plan is of other jobs.
    """
    plan = pd.read_csv(PLAN, index_col="key")
    seconds: dict[str, tuple[float, float]] = {}
    for job in needed(study.needed_jobs(study.result_files()[target])):
        if job.stage not in COUNTED:
            continue
        if job.key not in plan.index:
            raise StudyError(f"{PLAN}: nothing of {job.path}; make the plan of this scale again")
        provenance = Path(job.path).parent / job.key / "provenance.json"
        taken = json.loads(provenance.read_text())["cpu_seconds"]
        earlier = seconds.get(job.stage, (0.0, 0.0))
        planned = 3600 * plan.at[job.key, "device_hours"]
        seconds[job.stage] = (earlier[0] + planned, earlier[1] + taken)
    return seconds


def main(arguments: list[str] | None = None) -> None:
    """Command line of `python -m benchmarks.study_time`."""
    parser = command_parser(
        "benchmarks.study_time", __doc__, "python -m benchmarks.study_time results/table2.csv"
    )
    parser.add_argument("target", help="a file of a result")
    add_study_arguments(parser, DEFAULT_SCALE)
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="of the run (default: 2)")
    args = parser.parse_args(arguments)
    study = study_of(args)
    split = split_of(study, args.target, args.cores)
    total = sum(split.seconds.values())
    print(f"{args.target}: {total / args.cores:.0f} s on {args.cores} cores = {total:.0f} core-s")
    for part, about in PARTS.items():
        seconds = split.seconds[part]
        print(f"{seconds:8.1f} {seconds / total:6.1%}  {about}")
    print(f"{1 - split.seconds['loops'] / total:15.1%}  outside training loops")
    ranked = sorted(split.loops.items(), key=lambda entry: -entry[1])
    print("loops: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in ranked))
    if PLAN.exists():
        stages = planned_and_taken(study, args.target)
        whole = sum(planned for planned, _ in stages.values())
        for stage, (planned, taken) in stages.items():
            print(f"{stage}: {planned:.0f} s planned, {taken:.0f} s of CPU time taken")
        print(f"plan: {whole:.0f} core-s, {whole / total - 1:+.0%} of the run's {total:.0f}")


if __name__ == "__main__":
    run_command(main)
