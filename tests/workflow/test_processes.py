"""Stops, kills and several processes, as a person meets them: through the commands of README."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import small_study
import smoke
from kill_campaign import Kill, campaign
from signals import processes_in

from model import warm
from study.run import open_run

pytestmark = pytest.mark.slow


@pytest.fixture
def untrained(small_finished, tmp_path) -> Path:
    """The small study without its trainings and results."""
    return small_study.untrained(small_finished, tmp_path / "project")


def test_two_processes_train_through_snakemake_to_the_bytes_of_one(small_finished, untrained):
    """With the lines that the rules print."""
    small_study.change_execution(untrained, processes=2)
    printed = small_study.build(untrained, ["snakemake", "-p", *small_study.COMMAND[1:]])
    assert printed.count("python -m model.launch 2 model.stages.pretrain --") == 1
    assert printed.count("python -m model.launch 2 model.stages.finetune --") == 2
    small_study.check_processes(untrained, 2)
    assert small_study.outcome(untrained) == small_study.outcome(small_finished)


def test_bad_input_of_two_processes_is_one_line_of_the_log(untrained):
    small_study.change_execution(untrained, processes=2)
    (manifest,) = (untrained / "runs/smoke/samples").glob("*/*/*/*.json")
    data = json.loads(manifest.read_text())
    data["stage"] = "store"
    manifest.write_text(json.dumps(data))
    child = small_study.start(untrained)
    output, _ = child.communicate()
    assert child.returncode != 0
    (log,) = (untrained / "runs/smoke/logs/pretrain").rglob("*.log")
    (line,) = log.read_text().splitlines()
    assert line.startswith("error: runs/smoke/samples/")
    assert "Traceback" not in output


@pytest.mark.skipif(sys.platform != "linux", reason="jobs start warm on Linux only")
@pytest.mark.parametrize("switch", ["yes", "no"])
def test_jobs_that_start_warm_leave_the_bytes_and_words_of_those_that_do_not(
    small_finished, untrained, monkeypatch, switch
):
    """The first may start before the warm process can fork it."""
    monkeypatch.setenv(warm.SWITCH, switch)
    stage = untrained / "model/stages/finetune.py"
    told = 'sys.stderr.write(f"began by {sys.orig_argv[1]}\\n")\n\n\nif __name__'
    stage.write_text(stage.read_text().replace("\nif __name__", told))
    printed = small_study.build(untrained)
    assert printed.count("began by " + {"yes": "-c", "no": "-m"}[switch]) == 2
    assert small_study.outcome(untrained) == small_study.outcome(small_finished)
    for path in untrained.glob("runs/smoke/finetune/*/*/*/*/provenance.json"):
        command = json.loads(path.read_text())["command"]
        assert command[:2] == [str(stage), "--pretrain"]
        (log,) = [command[place + 1] for place, word in enumerate(command) if word == "--log"]
        assert " seed 1: " in (untrained / log).read_text().splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_make_leaves_no_process_and_says_what_was_kept(small_finished, tmp_path, number):
    """Both fine-tunings are held by their locks meanwhile."""
    project = small_study.untrained(small_finished, tmp_path / "project", ("finetune",))
    shutil.copy(smoke.ROOT / "Makefile", project)
    (project / ".venv").symlink_to(sys.prefix)
    make = ["make", "--old-file=.venv/installed", "table2", "SCALE=smoke", "MIRROR=hub", "CORES=2"]
    finished = small_finished / "runs/smoke/finetune/doc-sentences/seed-0"
    held = []
    for path in sorted(finished.glob("*/????????????.json")):
        recipe = json.loads(path.read_text())["recipe"]
        held.append(open_run(project / path.relative_to(small_finished), recipe))
    assert len(held) == 2
    with held[0], held[1]:
        child = small_study.start(project, make, process_group=0)
        log = project / "runs/smoke/logs/snakemake.log"
        while not log.exists() or log.read_text().count("waiting for ") < 2:
            assert child.poll() is None
            time.sleep(0.05)
        # A terminal tells the whole group; SIGTERM comes to make alone.
        if number == signal.SIGTERM:
            child.send_signal(number)
        else:
            os.killpg(child.pid, number)
        output, _ = child.communicate()
        assert processes_in(project) == []
    assert child.returncode != 0
    told = [line for line in output.splitlines() if line.startswith("stop")]
    assert told == [
        "stopping: running trainings save their state first",
        f"stopped: {signal.Signals(number).name}; 0 of 2 jobs are done, and trainings under way "
        "kept their state; run the same command again to go on",
    ]
    assert len(output.splitlines()) < 12
    small_study.build(project, make)
    assert small_study.outcome(project) == small_study.outcome(small_finished)


def test_sigkill_of_anything_costs_no_byte(small_finished, tmp_path):
    """The short form of `python -m tests.kill_campaign`."""
    kills = [
        Kill("snakemake", "pretrain", 0.4),
        Kill("stage", "pretrain", 0.2),
        Kill("group", "pretrain", 0.6),
        Kill("best", "finetune", 0),
    ]
    assert campaign(kills, small_finished, tmp_path) == 4
