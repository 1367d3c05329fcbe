"""`python -m study.watch results/table2.csv`: run Snakemake and say how far it is, in one line.

Snakemake's own output goes to `runs/<scale>/logs/snakemake.log`; what is running and how long the
rest will take is read from the manifests and logs that the jobs write. On a terminal the line
renews itself, elsewhere a line is printed now and then. Ends with Snakemake's exit code and, where
it failed, with the end of its output. A signal to stop is handed on to the jobs, which save their
state and end; then it ends with 75.
"""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

from study.command import EXIT_BAD_INPUT, Resumable, command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job, needed
from study.messages import hint
from study.options import DEFAULT_SCALE, add_study_arguments, check_cores, study_of
from study.places import Places
from study.reach import check_reachable, sources_to_fetch
from study.results import listing
from study.run import available_cores
from study.stopping import StopRequest

# Seconds of a job of each stage until jobs of this run tell better.
GUESS = {"pretrain": 25.0, "finetune": 6.0, "minimal_pairs": 6.0}
GUESS_OTHERS = 2.0
STARTING = 1.0  # a job's interpreter and libraries
RECENT = 30.0  # seconds after its last line that a job counts as running
PAUSE_TERMINAL, PAUSE_PLAIN = 1.0, 15.0
POLL = 0.2
LAST_LINES = 40


class Watch:
    """The jobs of a target: which are done, which run, how long the rest may take."""

    def __init__(self, logs: Path, jobs: list[Job], cores: int):
        self.logs, self.cores = logs, cores
        self.missing = {job.path: job for job in jobs if not Path(job.path).exists()}
        self.total = len(self.missing)
        self.spent: dict[str, list[float]] = {}
        self.began = time.monotonic()

    def update(self) -> None:
        """Take note of the jobs that ended since the last call."""
        for path in [path for path in self.missing if Path(path).exists()]:
            job = self.missing.pop(path)
            provenance = Path(path).parent / job.key / "provenance.json"
            with contextlib.suppress(OSError, ValueError, KeyError):
                seconds = json.loads(provenance.read_text())["wall_seconds"]
                self.spent.setdefault(job.stage, []).append(seconds + STARTING)

    def seconds_left(self) -> float:
        """All remaining work, spread over the cores; jobs of a stage are taken to be alike."""
        work = 0.0
        for job in self.missing.values():
            work += fmean(self.spent.get(job.stage) or [GUESS.get(job.stage, GUESS_OTHERS)])
        return work / max(1, min(self.cores, len(self.missing)))

    def running(self) -> list[str]:
        """The last line of every job that wrote to its log lately."""
        now = time.time()
        lines = []
        for log in sorted(self.logs.rglob("*.log")):
            if log.name != "snakemake.log" and now - log.stat().st_mtime < RECENT:
                text = log.read_text(errors="replace").strip()
                lines.append(re.split(r"[\r\n]", text)[-1] if text else log.parent.name)
        return lines

    def line(self) -> str:
        """Jobs done, what runs, time left."""
        done = self.total - len(self.missing)
        left = self.seconds_left()
        shown = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        running = " · ".join(self.running()[: self.cores])
        return f"{done}/{self.total} jobs, about {shown} left  {running}"


def needed_jobs(study: Study, target: str) -> list[Job]:
    """The jobs behind a target: a file of a result, or everything.

    Raises StudyError for what is no file of a result.
    """
    files = study.result_files()
    if target == "all":
        return needed(study.all_jobs())
    if target not in files:
        raise StudyError(f"{target}: no result of this study{hint(target, files)}")
    return needed(study.needed_jobs(files[target]))


def show(line: str) -> None:
    """Renew the line on a terminal, else print it."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r\x1b[K{line[: width - 1]}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def watch(command: list[str], watch: Watch, log: Path) -> int:
    """Run Snakemake to its end, showing the line; its exit code.

    Raises Resumable when a signal asked to stop, after Snakemake and all its jobs have ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pause = PAUSE_TERMINAL if sys.stderr.isatty() else PAUSE_PLAIN
    shown, stopping = -math.inf, False
    with log.open("a") as output, StopRequest() as stop:
        # A process group of its own: Ctrl-C reaches it once, from here, and as SIGINT, for which
        # both Snakemake and the shells of its jobs wait until the jobs have saved and ended.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_heed_interrupts,
        )
        while process.poll() is None:
            if stop.reason() and not stopping:
                stopping = True
                show("stopping: running trainings save their state first")
                _signal_group(process, signal.SIGINT)
            elif time.monotonic() - shown >= pause and not stopping:
                shown = time.monotonic()
                watch.update()
                if watch.missing:
                    show(watch.line())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=POLL)
        # Where Snakemake was killed, its jobs are not left to train for nobody.
        _signal_group(process, signal.SIGTERM)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    watch.update()
    if stopping and process.returncode:
        done = watch.total - len(watch.missing)
        raise Resumable(
            f"{stop.reason()}; {done} of {watch.total} jobs are done, and trainings under way "
            "kept their state"
        )
    return process.returncode


def _heed_interrupts() -> None:
    """Undo what a script does to its background commands, which makes them deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.watch`."""
    parser = command_parser(
        "study.watch",
        f"Run Snakemake for a result and show how far it is.\n\nresults:\n{listing()}",
        "python -m study.watch results/table2.csv --scale demo",
    )
    parser.add_argument("target", help="a file of a result, or all")
    add_study_arguments(parser, DEFAULT_SCALE)
    parser.add_argument("--mirror", metavar="DIR", help="a folder in the hub's layout")
    cores = "processor cores to use (default: all that there are)"
    parser.add_argument("--cores", type=int, default=available_cores(), metavar="N", help=cores)
    args = parser.parse_args(arguments)
    check_cores(args.cores)
    study = study_of(args)
    jobs = needed_jobs(study, args.target)
    check_reachable(sources_to_fetch(jobs), Places(args.mirror, study.jobs.places))
    names = ("scale", "study", "mirror", "replicates", "finetuning_seeds")
    given = {name: vars(args)[name] for name in names}
    settings = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings += [f"set={override}" for override in args.set]
    log = Path(study.root, "logs", "snakemake.log")
    # Another call may be at work and write there too: nothing of the file is thrown away.
    begin = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "snakemake", "--cores", str(args.cores)]
    command += ["--config", *settings, "--", args.target]
    state = Watch(log.parent, jobs, args.cores)
    print(
        f"{args.target} at scale {args.scale}: {state.total} of {len(jobs)} jobs to run on "
        f"{args.cores} cores ({study.config.about})",
        file=sys.stderr,
    )
    code = watch(command, state, log)
    if code:
        lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()
        # The Snakefile itself refuses in one line.
        refused = [line for line in lines if code == EXIT_BAD_INPUT and line.startswith("error: ")]
        print("\n".join(refused or lines[-LAST_LINES:]), file=sys.stderr)
        raise SystemExit(code)
    minutes, seconds = divmod(round(time.monotonic() - state.began), 60)
    print(f"{args.target}: done in {minutes} min {seconds} s", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
