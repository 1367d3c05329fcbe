"""The time left is the work left by how much of it is done at once, and no less than a chain."""

import pytest
from project import ROOT

from study.graph import Study
from study.outlook import outlook
from study.standing import DONE, RUNNING, STALE, Standings, needed_jobs

NOW = 1_000_000.0


@pytest.fixture
def standings(monkeypatch, tmp_path):
    """A row of Table 2 at scale demo with one seed: the text is done, and nothing is measured."""
    monkeypatch.chdir(ROOT)
    study = Study("demo", replicates=1)
    monkeypatch.chdir(tmp_path)
    standings = Standings(study, needed_jobs(study, "cells/doc-sentences"))
    for standing in standings.of.values():
        if standing.job.stage not in ("pretrain", "finetune", "minimal_pairs"):
            standing.state, standing.since, standing.seconds = DONE, NOW - 1000, 10.0
    return standings


def of(standings, stage):
    return [one for one in standings.of.values() if one.job.stage == stage]


def run(standing, begun=100.0, step=25, steps=100, left=300.0):
    """Let a job be at work since so many seconds."""
    standing.state, standing.since = RUNNING, NOW - begun
    standing.step, standing.steps, standing.seconds_left = step, steps, left


def test_nothing_is_said_before_anything_is_measured(standings):
    told = outlook(standings, began=NOW - 5, now=NOW)
    assert (told.left, told.device_left) == (None, None)
    text = sum(one.state == DONE for one in standings.of.values())
    assert told.device_spent == 10.0 * text


def test_a_running_training_tells_of_itself_at_once(standings):
    (training,) = of(standings, "pretrain")
    run(training)
    told = outlook(standings, began=None, now=NOW)
    assert told.left == told.device_left == 300.0
    assert told.unknown == ("finetune",)


def test_work_that_is_measured_is_shared_by_those_at_work(standings):
    (training,) = of(standings, "pretrain")
    training.state, training.since, training.seconds = DONE, NOW - 500, 400.0
    tunings = of(standings, "finetune")
    assert len(tunings) == 5
    for one in tunings:
        standings.measured.add(one.job, 40.0)
    told = outlook(standings, began=None, now=NOW)
    assert (told.left, told.device_left, told.unknown) == (None, 200.0, ())  # nobody is at work
    assert outlook(standings, began=NOW - 10, now=NOW).left == 200.0
    run(tunings[0], begun=10.0, step=1, steps=4, left=30.0)
    run(tunings[1], begun=30.0, step=3, steps=4, left=10.0)
    told = outlook(standings, began=NOW - 500, now=NOW)
    assert told.device_left == 160.0  # 30, 10 and three times 40
    assert told.left == 80.0
    # One that was stopped at half its way has half of it to go.
    tunings[2].state, tunings[2].step, tunings[2].steps = STALE, 5, 10
    assert outlook(standings, began=None, now=NOW).device_left == 140.0


def test_the_rest_takes_no_less_than_the_longest_chain(standings):
    (training,) = of(standings, "pretrain")
    for one in of(standings, "finetune"):
        standings.measured.add(one.job, 40.0)
    run(training, begun=100.0, step=50, steps=100, left=100.0)
    told = outlook(standings, began=NOW - 100, now=NOW)
    assert told.device_left == 300.0
    assert told.left == 300.0
    # With many at work the last fine-tuning still comes after the pre-training.
    others = [one for one in standings.of.values() if one.job.stage == "source"]
    for one in others:
        run(one, left=0.0, step=None)
        one.seconds_left = None
    assert len(others) == 7
    assert outlook(standings, began=NOW - 100, now=NOW).left == pytest.approx(140.0)


def test_when_all_is_done_nothing_is_left(standings):
    for one in standings.of.values():
        one.state = DONE
    told = outlook(standings, began=None, now=NOW)
    assert (told.left, told.device_left) == (0.0, 0.0)
