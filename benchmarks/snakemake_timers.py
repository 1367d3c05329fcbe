"""Snakemake's own CPU time over a study whose jobs only sleep, with its timers and with one.

    python -m benchmarks.snakemake_timers                      # 275 jobs of 4 s: 10 min
    python -m benchmarks.snakemake_timers --target results/table1.csv    # fewer

Snakefile, input functions and scale are the study's own; the shell that snakemake is given sleeps
and writes what the job was to make. The sides run at the same time. Printed for each: jobs, passes
of the scheduler with jobs to choose from, wall-clock, and the CPU seconds of snakemake's process
without those of its jobs. docs/snakemake-timers.md says what is measured here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.command import command_parser, run_command
from study.errors import StudyError

ROOT = Path(__file__).parents[1]
TARGETS = ["results/table2.csv", "results/table3.csv"]
SIDES = ("a timer in every pass", "one timer")

# Called as bash is: `<file> -c 'python -m … --manifest FILE …'`, or `--output FILE` for a result.
SHELL = """#!{python} -IS
import shlex, sys, time
words = shlex.split(sys.argv[-1])
if "--manifest" in words:
    time.sleep({seconds})
    made = [words[words.index("--manifest") + 1]]
else:
    stem = words[words.index("--output") + 1].removesuffix(".csv")
    made = [stem + ending for ending in (".csv", ".md", ".tex")]
for path in made:
    open(path, "w").close()
"""

SNAKEFILE = """
import json, time
from snakemake.scheduling.job_scheduler import JobScheduler
import study.scheduling

if not {one_timer}:
    study.scheduling.RELEASES = ()

include: {snakefile!r}

shell.executable({shell!r})
SELECT, PASSES = JobScheduler.job_selector, []

def select_counted(self, jobs):
    PASSES.append(len(jobs))
    return SELECT(self, jobs)

JobScheduler.job_selector = select_counted

onsuccess:
    with open("told.json", "w") as file:
        told = {{"cpu": time.process_time(), "passes": len(PASSES), "jobs": len(workflow.dag)}}
        json.dump(told, file)
"""


def start(folder: Path, args: argparse.Namespace, one_timer: bool) -> subprocess.Popen:
    """Snakemake at work in `folder`, with one timer or with its own."""
    shell = folder / "sleeping-shell"
    shell.write_text(SHELL.format(python=sys.executable, seconds=args.seconds))
    shell.chmod(0o755)
    (folder / "Snakefile").write_text(
        SNAKEFILE.format(one_timer=one_timer, snakefile=str(ROOT / "Snakefile"), shell=str(shell))
    )
    for name in ("config", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", str(args.cores), "--", *args.target],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "WARM_JOBS": "no"},
        stdout=(folder / "snakemake.log").open("w"),
        stderr=subprocess.STDOUT,
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line of `python -m benchmarks.snakemake_timers`."""
    parser = command_parser(
        "benchmarks.snakemake_timers", __doc__, "python -m benchmarks.snakemake_timers"
    )
    parser.add_argument("--target", nargs="+", default=TARGETS, metavar="FILE", help="tables")
    parser.add_argument("--seconds", type=float, default=4.0, help="sleep of a job (default: 4)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="(default: 2)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary, str(number)) for number in range(len(SIDES))]
        processes = []
        for folder, one_timer in zip(folders, (False, True), strict=True):
            folder.mkdir()
            processes.append(start(folder, args, one_timer))
        began, ended = time.monotonic(), {}
        while len(ended) < len(SIDES):
            time.sleep(0.5)
            for side, process in zip(SIDES, processes, strict=True):
                if process.poll() is not None:
                    ended.setdefault(side, time.monotonic() - began)
        lines = [f"{'':24}{'jobs':>6}{'passes':>9}{'wall s':>9}{'CPU s':>8}"]
        for side, folder in zip(SIDES, folders, strict=True):
            if not (folder / "told.json").exists():
                raise StudyError(f"snakemake failed: {(folder / 'snakemake.log').read_text()}")
            it = json.loads((folder / "told.json").read_text())
            lines.append(
                f"{side:24}{it['jobs']:6}{it['passes']:9}{ended[side]:9.0f}{it['cpu']:8.1f}"
            )
        print("\n".join(lines))


if __name__ == "__main__":
    run_command(main)
