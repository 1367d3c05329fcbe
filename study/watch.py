"""`python -m study.watch results/table2.csv`: run Snakemake and show how far it is.

Snakemake's own output goes to `runs/<scale>/logs/snakemake.log`, but for notices, which are printed
as they come; what is running and how long the rest will take is read from what the jobs write, as
`study.status` does in any other shell. On a terminal a display renews itself, elsewhere a line is
printed every minute. Ends with Snakemake's exit code and, where it failed, with the end of its
output. A signal to stop is handed on to the jobs, which save their state and end; then it ends with
75.

Snakemake's logger plugins are not used: they tell of the jobs of one snakemake, neither of their
steps nor of what other shells run, nor of jobs whose snakemake is gone.
"""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from study.command import EXIT_BAD_INPUT, Resumable, command_parser, run_command
from study.display import PLAIN_PAUSE, Renewed, View, fitting, renews
from study.options import (
    DEFAULT_SCALE,
    add_study_arguments,
    check_cores,
    study_of,
    study_options,
)
from study.places import Places
from study.reach import check_reachable, sources_to_fetch
from study.record import first_file
from study.results import listing
from study.run import available_cores
from study.standing import Standings, job_name, needed_jobs
from study.stopping import StopRequest, signal_group, start_group

POLL = 0.2  # seconds
LOG_PAUSE = 10.0  # between two looks where only a line a minute is printed
LAST_LINES = 40


class Screen:
    """What a person sees of a view meanwhile: a display that renews itself, or lines in a log."""

    def __init__(self, view: View):
        self.view = view
        self.console = Console(stderr=True, highlight=False)
        self.renewed = Renewed(self.console) if renews(self.console) else None
        self.shown = self.looked = -math.inf
        self.note = ""
        self.heard: set[str] = set()

    def __enter__(self) -> "Screen":
        if self.renewed:
            self.renewed.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        if self.renewed:
            with contextlib.suppress(OSError):
                self.renewed.__exit__(*exception)

    def tell(self, note: str) -> None:
        """Say something at once, and as long as the display is there."""
        self.note = note
        if self.renewed:
            self.renewed.show(fitting(self.view, self.console, note))
        else:
            print(note, file=sys.stderr, flush=True)

    def hear(self, said: BinaryIO) -> None:
        """Print the notices among what was said meanwhile, above the display and each once."""
        for notice in notices_in(said):
            if notice not in self.heard:
                self.heard.add(notice)
                self.console.print(notice, markup=False, soft_wrap=True)

    def renew(self) -> None:
        """Look again and show it, if it is time; in a log a failed job is told of at once."""
        now = time.monotonic()
        if now - self.looked < max(self.view.pause, 0 if self.renewed else LOG_PAUSE):
            return
        self.looked = now
        failed = self.view.update()
        if self.renewed:
            self.renewed.show(fitting(self.view, self.console, self.note))
            return
        for one in failed:
            print(f"{job_name(one.job)} failed: {one.note} ({one.log})", file=sys.stderr)
        if now - self.shown >= PLAIN_PAUSE and self.view.to_do:
            self.shown = now
            print(self.view.line(), file=sys.stderr, flush=True)


def notices_in(said: BinaryIO) -> Iterator[str]:
    """The notices among the whole lines that `said` has more than at the last call."""
    place = said.tell()
    for line in said:
        if not line.endswith(b"\n"):
            break
        place += len(line)
        if line.startswith(b"notice: "):
            yield line.decode(errors="replace").rstrip()
    said.seek(place)


def watch(command: list[str], view: View, log: Path) -> int:
    """Run Snakemake to its end, showing how far it is; its exit code.

    Raises Resumable when a signal asked to stop, after Snakemake and all its jobs have ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    to_run, stopping = len(view.to_do), False
    with (
        log.open("a") as output,
        log.open("rb") as said,
        StopRequest() as stop,
        Screen(view) as screen,
    ):
        said.seek(0, os.SEEK_END)
        process = start_group(command, output)
        while process.poll() is None:
            if stop.reason() and not stopping:
                stopping = True
                signal_group(process, signal.SIGINT)
                with contextlib.suppress(OSError):
                    screen.tell("stopping: running trainings save their state first")
            elif screen.renewed or not stopping:
                # No display is worth a run: a terminal goes away, a file while it is looked at.
                with contextlib.suppress(OSError):
                    screen.hear(said)
                    screen.renew()
            time.sleep(POLL)
        # Where Snakemake was killed, its jobs are not left to train for nobody.
        signal_group(process, signal.SIGTERM)
        with contextlib.suppress(OSError):
            screen.hear(said)
    view.update()
    if stopping and process.returncode:
        raise Resumable(
            f"{stop.reason()}; {to_run - len(view.to_do)} of {to_run} jobs are done, and trainings "
            "under way kept their state"
        )
    return process.returncode


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.watch`."""
    parser = command_parser(
        "study.watch",
        f"Run Snakemake for a result and show how far it is.\n\nresults:\n{listing()}",
        "python -m study.watch results/table2.csv --scale demo",
    )
    parser.add_argument("target", help="a result or one of its files, or all")
    add_study_arguments(parser, DEFAULT_SCALE)
    parser.add_argument("--mirror", metavar="DIR", help="a folder in the hub's layout")
    cores = "processor cores to use (default: all that there are)"
    parser.add_argument("--cores", type=int, default=available_cores(), metavar="N", help=cores)
    args = parser.parse_args(arguments)
    check_cores(args.cores)
    study = study_of(args)
    jobs = needed_jobs(study, args.target)
    if args.target in study.results:
        args.target = str(first_file(study, args.target))
    check_reachable(sources_to_fetch(jobs), Places(args.mirror, study.jobs.places))
    settings = [f"{name}={value}" for name, value in study_options(study)]
    settings += [f"mirror={args.mirror}"] if args.mirror is not None else []
    log = Path(study.root, "logs", "snakemake.log")
    # Another call may be at work and write there too: nothing of the file is thrown away.
    begin = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "snakemake", "--cores", str(args.cores)]
    command += ["--config", *settings, "--", args.target]
    title = f"{args.target} at scale {args.scale}"
    view = View(title, Standings(study, jobs), begun=True)
    began = time.time()
    view.update()
    print(
        f"{view.title}: {len(view.to_do)} of {len(jobs)} jobs to run on {args.cores} cores "
        f"({study.config.about})",
        file=sys.stderr,
    )
    code = watch(command, view, log)
    if code:
        lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()
        # The Snakefile itself refuses in one line.
        refused = [line for line in lines if code == EXIT_BAD_INPUT and line.startswith("error: ")]
        print("\n".join(refused or lines[-LAST_LINES:]), file=sys.stderr)
        raise SystemExit(code)
    minutes, seconds = divmod(round(time.time() - began), 60)
    print(f"{args.target}: done in {minutes} min {seconds} s", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
