"""Dates of manifests: nothing is older than what it was made from, and nothing else changes."""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from study.file_times import date_behind, order_dates


@dataclass(frozen=True)
class Made:
    """What `order_dates` reads of a job."""

    path: str
    input_paths: dict


@pytest.fixture
def dated(tmp_path, monkeypatch):
    """In a folder of its own: a function that makes files of these dates, in seconds."""
    monkeypatch.chdir(tmp_path)

    def dated(**dates):
        for name, date in dates.items():
            Path(name).touch()
            os.utime(name, (date, date))

    return dated


def dates():
    return {path.name: path.stat().st_mtime for path in Path().iterdir()}


def test_what_is_older_than_its_inputs_gets_the_date_of_the_newest(dated):
    dated(source=30, sentences=20, store=10, table=40)
    chain = ("source", "sentences", "store", "table")
    order_dates(Made(path, {"input": [read]}) for read, path in pairwise(chain))
    assert dates() == {"source": 30, "sentences": 30, "store": 30, "table": 40}


def test_what_is_not_there_is_passed_over(dated):
    dated(old=10, new=20)
    date_behind(["old", "gone"], ["new", "missing"])
    date_behind(["new"], ["missing"])
    date_behind(["new"], [])
    assert dates() == {"old": 20, "new": 20}
