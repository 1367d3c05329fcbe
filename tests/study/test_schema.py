"""The schema for editors: in sync with the sections, a line for every key, true of every file."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator
from project import ROOT

from study.schema import study_schema
from study.yaml_file import read_yaml

FILES = sorted(
    path
    for folder in ("config", "config/study", "config/scales")
    for path in (ROOT / folder).glob("*.yaml")
)


def test_the_file_is_what_the_command_writes():
    command = [sys.executable, "-m", "study.schema"]
    written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    told = "renew it: python -m study.schema > config/study.schema.json"
    assert (ROOT / "config/study.schema.json").read_text() == written, told


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_names_the_schema_and_follows_it(path):
    first = path.read_text().splitlines()[0]
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    Draft202012Validator(json.loads(schema.read_text())).validate(read_yaml(path))


def keys(schema, where: str = "") -> Iterator[tuple[str, dict]]:
    """Every key that a file may have, with its schema."""
    for name, section in schema["$defs"].items():
        for key, value in section["properties"].items():
            yield f"{name}.{key}", value
    yield from schema["properties"].items()


def test_every_key_has_a_line():
    described = dict(keys(study_schema()))
    assert len(described) > 150
    assert [key for key, value in described.items() if not value.get("description")] == []


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"base": {"stepz": 3}}, "$.base"),
        ({"cells": {"a": {"passes": 0}}}, "$.cells.a.passes"),
        ({"tasks": {"a": {"kind": "tagging"}}}, "$.tasks.a.kind"),
        ({"families": {"a": {"members": {}}}}, "$.families.a"),
        ({"cells": {"a": {"format": {"name": "pairs"}}}}, "$.cells.a.format.name"),
    ],
)
def test_an_editor_marks_what_the_study_refuses(data, path):
    (error,) = Draft202012Validator(study_schema()).iter_errors(data)
    (inner,) = [one for one in (error.context or [error]) if one.json_path == path][:1]
    assert inner.json_path == path
