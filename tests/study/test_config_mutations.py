"""Any wrong value of any key: the study is built, or one line names a file and a key."""

import copy
import math
import re
from pathlib import Path

import pytest
from project import ROOT

from study.deltas import merge, spread
from study.errors import StudyError
from study.jobs import Jobs
from study.names import SECTIONS
from study.read import build_study_file, read_included
from study.yaml_file import read_yaml

FILES = Path("config/study.yaml"), Path("config/scales/smoke.yaml")
NEVER = [math.inf, -math.inf, math.nan, [[]], [{}], {"x y": 1}, -1]
WRONG = [*NEVER, None, [], {}, "", "text", "a/b", "{x}", True, 0, 1.5, 10**30, ["a", "a"], [None]]


def places(data, prefix=()):
    """Locations of all keys and list items of nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*prefix, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*prefix, key))


def one_of_each_shape(data):
    """One location for all entries of a section, and for all items of a list."""
    shapes = {}
    for place in places(data):
        named = place[0] in SECTIONS
        shape = [
            "*" if isinstance(part, int) or (named and depth == 1) else part
            for depth, part in enumerate(place)
        ]
        shapes.setdefault(tuple(shape), place)
    return list(shapes.values())


def changed(data, place, value):
    """The data with another value at a place; what lies elsewhere is shared."""
    if not place:
        return value
    data = copy.copy(data)
    data[place[0]] = changed(data[place[0]], place[1:], value)
    return data


@pytest.mark.parametrize(("scale", "values"), [("smoke", WRONG), ("demo", NEVER)])
def test_wrong_values_build_or_end_in_one_line(scale, values, monkeypatch):
    monkeypatch.chdir(ROOT)
    whole: dict = {}
    for _, data in read_included(Path("config/study.yaml")):
        whole |= data
    recipes = whole["finetuning"].keys() - {"all"}
    sizes = read_yaml(ROOT / f"config/scales/{scale}.yaml")
    merged = merge(spread(whole, recipes), spread(sizes, recipes))
    study, scale_file = FILES
    build_study_file([(study, merged)], [(scale_file, {})])
    refused = 0
    for place in one_of_each_shape(merged):
        for value in values:
            case = f"{place} = {value!r}"
            try:
                config = build_study_file(
                    [(study, changed(merged, place, value))], [(scale_file, {})]
                )
                assert value not in NEVER, case
                Jobs(config, f"runs/{scale}")
            except StudyError as error:
                assert re.match(r"config/study\.yaml: \w[^\n]*: [^\n]+\Z", str(error)), case
                refused += 1
    assert refused > 1000
