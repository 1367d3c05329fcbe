"""How long the rest of a target will take, and what it took so far."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from study.jobs import Job
from study.pace import Paces
from study.standing import DONE, RUNNING, Standing, Standings

TRAINED = ("pretrain", "finetune", "minimal_pairs")


@dataclass(frozen=True)
class Outlook:
    """Seconds; device seconds count each process of a training that runs in several."""

    left: float | None  # of the clock; None while nothing tells, or nobody is at work
    device_left: float | None  # None while nothing tells of pre-training, most of the work
    device_spent: float
    unknown: tuple[str, ...]  # stages of jobs to come that are left out, for nothing tells of them


def outlook(standings: Standings, began: float | None, now: float | None = None) -> Outlook:
    """The outlook of a target at which somebody has been at work since `began`, if known."""
    now = time.time() if now is None else now
    paces = standings.measured.copy()
    for standing in standings.in_state(RUNNING):
        if whole := _own_pace(standing):
            paces.add(standing.job, whole)
    left: dict[Job, float] = {}
    unknown: dict[str, None] = {}
    for job, standing in standings.of.items():
        to_go = _seconds_left(standing, paces, now)
        left[job] = to_go or 0.0
        if to_go is None and job.stage in TRAINED:
            unknown[job.stage] = None
    devices = {job: _devices(standings, job.stage) for job in left}
    spent = sum(_spent(standing, now) * devices[job] for job, standing in standings.of.items())
    device_left = sum(seconds * devices[job] for job, seconds in left.items())
    if "pretrain" in unknown:
        return Outlook(None, None, spent, ())
    at_once = _at_once(standings.of.values(), began, now)
    clock = 0.0 if standings.count(DONE) == len(standings.of) else None
    if at_once:
        clock = max(sum(left.values()) / at_once, _longest_chain(left))
    return Outlook(clock, device_left, spent, tuple(unknown))


def _own_pace(standing: Standing) -> float | None:
    """Seconds of the whole job by the pace of its own training."""
    if not (standing.steps and standing.step and standing.seconds_left is not None):
        return None
    to_come = standing.steps - standing.step
    return standing.seconds_left / to_come * standing.steps * standing.seeds if to_come else None


def _seconds_left(standing: Standing, paces: Paces, now: float) -> float | None:
    """What is left of a job; None where nothing tells."""
    if standing.state == DONE:
        return 0.0
    whole = _own_pace(standing) or paces.expected(standing.job)
    if whole is None:
        return None
    if standing.state == RUNNING and not standing.share:
        return max(0.0, whole - (now - (standing.since or now)))
    return whole * (1 - standing.share)


def _spent(standing: Standing, now: float) -> float:
    if standing.state == RUNNING:
        return now - (standing.since or now)
    return standing.seconds


def _devices(standings: Standings, stage: str) -> int:
    """Processes that a job of a stage runs in, each on a device of its own."""
    execution = getattr(standings.study.config.execution, stage, None)
    return execution.processes if execution else 1


def _at_once(all_of_them: Iterable[Standing], began: float | None, now: float) -> float:
    """Jobs that are worked at at the same time: now, or on average since `began` if that is more.

    At least 1 where somebody is at work, if only to begin, and 0 where nobody is.
    """
    running, busy = 0, 0.0
    for standing in all_of_them:
        if standing.since is None:
            continue
        end = now if standing.state == RUNNING else standing.since + standing.seconds
        running += standing.state == RUNNING
        if began is not None:
            busy += max(0.0, end - max(standing.since, began))
    average = max(1.0, busy / max(now - began, 1.0)) if began is not None else 0.0
    return max(running, average)


def _longest_chain(left: dict[Job, float]) -> float:
    """Seconds until the last job has ended if all that could be done at once were."""
    ends: dict[Job, float] = {}
    for job, seconds in left.items():  # each behind those that it reads
        behind = [ends.get(read, 0.0) for jobs in job.inputs.values() for read in jobs]
        ends[job] = seconds + max(behind, default=0.0)
    return max(ends.values(), default=0.0)
