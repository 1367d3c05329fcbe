"""How the jobs of a study stand, read from what they leave on disk, whoever runs them.

A manifest tells that a job is done; the lock of a run directory, who works in it and since when;
the events of a training, its step and pace; the log, how a job ended that left no manifest. So it
is the same for make, plain snakemake, SLURM and several shells, and nobody is asked or disturbed.
"""

import calendar
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.file_locks import is_locked
from study.graph import Study
from study.identity import key_of, seed_recipe
from study.jobs import Job, needed
from study.manifest import MANIFEST_NAME
from study.messages import hint
from study.pace import Paces
from study.record import first_file
from study.run import LOCK_NAME
from study.stored import KEY

DONE, RUNNING, FAILED, STALE, WAITING = "done", "running", "failed", "stale", "waiting"
TAIL = 4096  # bytes at the end of a file that hold its last line
PROGRESS = re.compile(r": (\d+) of (\d+) \w+$")  # of `model.stages.stage.Progress`


@dataclass
class Standing:
    """One job: its state, and what is known of it there."""

    job: Job
    state: str = WAITING
    note: str = ""  # the last line of a log; of a stale job why it is
    holder: dict[str, Any] = field(default_factory=dict)  # host, pid, slurm_job of who runs it
    since: float | None = None  # seconds since 1970 at which it began
    step: int | None = None  # updates made, and of how many; of a fine-tuning those of one seed
    steps: int | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None  # of this training, as its own pace says
    seeds_done: int = 0  # of a fine-tuning
    seconds: float = 0.0  # that it took, once it is done

    @property
    def seeds(self) -> int:
        """Trainings that the job makes, one after the other."""
        return len(self.job.recipe.get("seeds", [0]))

    @property
    def share(self) -> float:
        """What of its work is done, 0 to 1."""
        if self.state == DONE:
            return 1.0
        part = self.step / self.steps if self.step and self.steps else 0.0
        return min(1.0, (self.seeds_done + part) / self.seeds)

    @property
    def log(self) -> Path:
        """Where the workflow has it write what it says."""
        scale, *rest = Path(self.job.path).parts[1:]
        return Path("runs", scale, "logs", *rest).with_suffix(".log")

    @property
    def directory(self) -> Path:
        """Its run directory."""
        return Path(self.job.path).parent / self.job.key


def job_name(job: Job) -> str:
    """A job in plain words: `doc-sentences seed 0 mnli`, `sentences wiki shard 1`."""
    names = job.names
    if "seed" in names and job.stage != "samples":
        what = names.get("task") or names.get("pairs") or "pre-training"
        setting = f" {names['setting']}" if names.get("setting") else ""
        return f"{names['cell']} seed {names['seed']} {what}{setting}"
    words = [job.stage]
    for name, value in names.items():
        text = "+".join(value) if isinstance(value, tuple) else str(value)
        words.append(f"{name} {text}" if isinstance(value, int) else text)
    return " ".join(words)


def needed_jobs(study: Study, target: str) -> list[Job]:
    """The jobs behind a target: a result or one of its files, or everything.

    Raises StudyError for what is no result.
    """
    files = study.result_files()
    if target == "all":
        return needed(study.all_jobs())
    if target not in files and target not in study.results:
        raise StudyError(
            f"{target}: no result of this study{hint(target, [*files, *study.results])}"
        )
    return needed(study.needed_jobs(files.get(target, target)))


class Standings:
    """The jobs of a target, in the order of the study: each behind those that it reads."""

    def __init__(self, study: Study, jobs: Iterable[Job]):
        asked = set(jobs)
        self.study = study
        self.of = {job: Standing(job) for job in study.jobs.values() if job in asked}
        self.measured = Paces()
        self._looked = False
        self._keys = {job.key for job in study.jobs.values()}
        self._older: dict[Job, str] = {}
        self._seeds: dict[Job, list[Path]] = {}
        for job in study.jobs.values():
            if job not in asked and Path(job.path).exists():
                self.measured.add(job, taken(job, self._seed_runs(job))[1])

    def update(self) -> list[Standing]:
        """Look again at what may have changed; those that failed since the last look.

        Of what waits for others nothing changes, once it has been looked at.
        """
        failed = []
        for job, before in self.of.items():
            waits = self._looked and before.state != RUNNING and self._waits(job)
            if before.state == DONE or waits:
                continue
            self.of[job] = now = self._look(job)
            if now.state == DONE:
                self.measured.add(job, now.seconds)
            elif now.state == FAILED and before.state != FAILED:
                failed.append(now)
        self._looked = True
        return failed

    def _waits(self, job: Job) -> bool:
        """Whether something that a job reads is not there yet."""
        return any(self.of[read].state != DONE for jobs in job.inputs.values() for read in jobs)

    def in_state(self, *states: str) -> list[Standing]:
        """Those in one of these states."""
        return [standing for standing in self.of.values() if standing.state in states]

    def count(self, state: str) -> int:
        """How many are in a state."""
        return len(self.in_state(state))

    def _seed_runs(self, job: Job) -> list[Path]:
        """The run directories of a fine-tuning's seeds."""
        if job not in self._seeds:
            keys = [key_of(seed_recipe(job.recipe, seed)) for seed in job.recipe.get("seeds", ())]
            self._seeds[job] = [Path(job.path).parent / key for key in keys]
        return self._seeds[job]

    def _look(self, job: Job) -> Standing:
        standing = Standing(job)
        lock = standing.directory / LOCK_NAME
        locked = is_locked(lock)  # asked first, for who finishes publishes before letting it go
        if Path(job.path).exists():
            standing.state = DONE
            standing.since, standing.seconds = taken(job, self._seed_runs(job))
            return standing
        if locked:
            standing.state = RUNNING
            self._look_at_work(standing, lock)
            return standing
        last = last_line(standing.log)
        if last.startswith("error: "):
            standing.state, standing.note = FAILED, last
        elif lock.exists():
            self._look_at_steps(standing)
            standing.state = STALE
            stopped = last.startswith("stopped: ")
            unmanned = "begun, and nobody works at it any more"
            standing.note = last.partition("; run the same")[0] if stopped else unmanned
        elif older := self._older_run(job):
            standing.state, standing.note = STALE, f"made by another recipe ({older})"
        return standing

    def _look_at_work(self, standing: Standing, lock: Path) -> None:
        try:
            standing.since = lock.stat().st_mtime
            standing.holder = json.loads(lock.read_text())
        except (OSError, ValueError):  # it ended meanwhile, or has only begun
            standing.holder = {}
        self._look_at_steps(standing)
        if standing.step is None:
            standing.note = last_line(standing.log)
            if found := PROGRESS.search(standing.note):
                standing.step, standing.steps = map(int, found.groups())

    def _look_at_steps(self, standing: Standing) -> None:
        """Note the step and pace of the training that was begun last."""
        runs = self._seed_runs(standing.job) or [standing.directory]
        if standing.job.stage == "finetune":
            left = [run for run in runs if not (run / MANIFEST_NAME).exists()]
            standing.seeds_done, runs = len(runs) - len(left), left
        for run in runs[:1]:
            event = last_event(run / "events.jsonl")
            standing.step = event.get("step")
            standing.steps = event.get("steps", standing.job.recipe.get("steps"))
            standing.tokens_per_second = event.get("tokens_per_second")
            standing.seconds_left = event.get("seconds_left")

    def _older_run(self, job: Job) -> str:
        """The key of a run of these names that the study does not ask for; looked for once."""
        if job not in self._older:
            found = Path(job.path).parent.glob("*.json")
            older = {path.stem for path in found if KEY.fullmatch(path.stem)} - self._keys
            self._older[job] = min(older, default="")
        return self._older[job]


def asked_results(study: Study, targets: Iterable[str]) -> list[str]:
    """The results among what snakemake is asked for: by name, file or rule, or all."""
    asked = set(targets)
    return [
        result
        for result, (entry, name) in study.results.items()
        if ("all" in asked and entry.in_all(study.config, name))
        or asked & {result, entry.rule, *(f"results/{result}.{end}" for end in entry.endings)}
    ]


def failure_of(study: Study, result: str) -> tuple[str, Path]:
    """The line with which a result's command failed since the result was last made, and its log."""
    log = Path(study.root, "logs", "results", f"{result}.log")
    line, made = last_line(log), first_file(study, result)
    newer = line and not (made.exists() and made.stat().st_mtime > log.stat().st_mtime)
    return (line if newer and line.startswith("error: ") else ""), log


def taken(job: Job, seed_runs: list[Path]) -> tuple[float | None, float]:
    """When a finished job began (seconds since 1970, None if unknown) and the seconds it took.

    Attempts that were stopped count, as far as a training or its seeds kept note of them.
    """
    began, seconds = _noted(Path(job.path).parent / job.key)
    return began, max(seconds, sum(_noted(run)[1] for run in seed_runs))


def _noted(run: Path) -> tuple[float | None, float]:
    try:
        noted = json.loads((run / "provenance.json").read_text())
        began = calendar.timegm(time.strptime(noted["started"], "%Y-%m-%dT%H:%M:%SZ"))
        training = noted.get("training", noted).get("training_seconds", 0.0)
        return began, float(max(noted["wall_seconds"], training))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, 0.0


def last_line(path: Path) -> str:
    """The last line of a text file that is not blank; empty where there is none."""
    lines = re.split(r"[\r\n]+", _tail(path).strip())
    return lines[-1].strip()


def last_event(path: Path) -> dict[str, Any]:
    """The last whole line of a training's events; empty where there is none."""
    for line in reversed(_tail(path).splitlines()):
        try:
            event = json.loads(line)
        except ValueError:  # it is being written, or was cut off
            continue
        return event if isinstance(event, dict) else {}
    return {}


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
