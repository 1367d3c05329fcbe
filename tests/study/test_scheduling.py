"""One timer for Snakemake's scheduler (study/scheduling.py), on a scheduler that only counts."""

import threading

from study.scheduling import RELEASES, keep_one_timer


def make_scheduler() -> type:
    """A class like Snakemake's, as far as timers go."""

    class Scheduler:
        def __init__(self):
            self._open_jobs = threading.Semaphore(0)

        def _schedule_reevalutation(self, delay: int) -> None:
            threading.Timer(delay, lambda: self._open_jobs.release()).start()

    return Scheduler


def timers() -> int:
    return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())


def test_a_pass_is_asked_for_once_and_again_after_it_came():
    scheduler = make_scheduler()
    assert keep_one_timer(scheduler, RELEASES[0])
    one = scheduler()
    before = timers()
    for _ in range(20):
        one._schedule_reevalutation(0.2)
    assert timers() == before + 1
    assert one._open_jobs.acquire(timeout=30)
    assert not one._open_jobs.acquire(timeout=0.4)
    one._schedule_reevalutation(0.01)
    assert one._open_jobs.acquire(timeout=30)


def test_a_sooner_pass_does_not_wait_for_a_later_one():
    scheduler = make_scheduler()
    keep_one_timer(scheduler, RELEASES[0])
    one = scheduler()
    one._schedule_reevalutation(1000)
    one._schedule_reevalutation(0.01)
    assert one._open_jobs.acquire(timeout=30)


def test_other_releases_and_other_methods_are_left_alone():
    scheduler = make_scheduler()
    method = scheduler._schedule_reevalutation
    assert not keep_one_timer(scheduler, "9.27.2")
    assert scheduler._schedule_reevalutation is method

    class Fixed(scheduler):
        def _schedule_reevalutation(self, delay: int) -> None:
            self._wait(delay)

    fixed = Fixed._schedule_reevalutation
    assert not keep_one_timer(Fixed, RELEASES[0])
    assert Fixed._schedule_reevalutation is fixed
    assert not keep_one_timer(object, RELEASES[0])
