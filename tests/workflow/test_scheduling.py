"""Snakemake's scheduler with one timer (study/scheduling.py), in the release that is pinned."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import ROOT
from signals import heed_signals

# Six jobs that end once all of them have begun: more than the limit lets begin in one pass, so that
# only a pass that a timer asked for can bring the others. What it sees goes to passes.jsonl.
SNAKEFILE = """
import json, sys, threading, time
import snakemake
from snakemake.scheduling.job_scheduler import JobRateLimiter, JobScheduler

sys.path.insert(0, {root!r})
from study.scheduling import keep_one_timer

assert keep_one_timer(JobScheduler, snakemake.__version__)
register = JobRateLimiter.register_jobs

def noted(self, number):
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    with open("passes.jsonl", "a") as file:
        print(json.dumps([time.time(), number, len(timers)]), file=file)
    register(self, number)

JobRateLimiter.register_jobs = noted

rule all:
    input:
        expand("ended/{{i}}", i=range(6)),

rule job:
    output:
        "ended/{{i}}",
    shell:
        "touch begun-{{wildcards.i}}; until [ $(ls begun-* | wc -l) = {wait} ]; do sleep 0.05; "
        "done; touch {{output}}"
"""


def start(folder: Path, wait: int) -> subprocess.Popen:
    """Snakemake at work on the jobs, of which two may begin in a second."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=str(ROOT), wait=wait))
    command = [sys.executable, "-m", "snakemake", "--cores", "9", "--max-jobs-per-timespan", "2/1s"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
        preexec_fn=heed_signals,
    )


def test_a_run_ends_within_its_rate_limit_and_with_one_timer(tmp_path):
    process = start(tmp_path, wait=6)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert len([*tmp_path.glob("ended/*")]) == 6
    passes = [json.loads(line) for line in (tmp_path / "passes.jsonl").open()]
    began = [moment for moment, number, _ in passes for _ in range(number)]
    assert len(began) == 7  # `all` is one, too
    assert all(third - first >= 1 for first, third in zip(began, began[2:], strict=False))
    # The one that woke this pass may not have ended yet.
    assert max(timers for *_, timers in passes) <= 2


def test_a_run_is_interrupted_while_a_timer_is_awaited(tmp_path):
    process = start(tmp_path, wait=7)
    while not [*tmp_path.glob("begun-*")]:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "Terminating processes on user request" in output
    assert not [*tmp_path.glob("ended/*")]


@pytest.mark.slow
def test_the_study_runs_with_it(tmp_path):
    show = (
        "from snakemake.scheduling.job_scheduler import JobScheduler as s\nprint(s.%s.__module__)"
    )
    show %= "_schedule_reevalutation"
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(f"include: {str(ROOT / 'rules/common.smk')!r}\n{show}\n")
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--list"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "study.scheduling" in result.stdout, result.stderr
