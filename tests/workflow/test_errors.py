"""docs/errors.md: every fault in it ends in its line, and none leaves anything half-written."""

import re
import shutil

import bad_input_toy
import pytest
from bad_input_cases import CONFIGURATION, DATA, PRETRAIN, RUNS, change_json
from bad_input_toy import World
from bad_recipe_cases import RECIPES
from project import ROOT

from study.graph import Study

DOCUMENT = ROOT / "docs" / "errors.md"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors") / "project"
    bad_input_toy.finish(folder)
    return folder


@pytest.fixture
def world(finished, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return World(folder)


def documented() -> dict[str, str]:
    """The line of every fault in docs/errors.md; `…` stands for what differs between runs."""
    rows = re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {fault: line.replace("\\|", "|") for fault, line in rows}


def matches(line: str, pattern: str) -> bool:
    return re.fullmatch(".+".join(map(re.escape, pattern.split("…"))), line) is not None


def check(fault: str, code: int, printed: str) -> None:
    """The command ended with the documented line, and with nothing that looks like a program."""
    *before, last = printed.splitlines() or [""]
    assert (code, matches(last, documented()[fault])) == (2, True), printed
    assert not any(line.startswith(("error:", "Traceback")) for line in before), printed


@pytest.mark.parametrize("fault", CONFIGURATION)
def test_configuration(world, fault):
    CONFIGURATION[fault]()
    check(fault, *bad_input_toy.outcome(lambda _: Study("smoke")))


@pytest.mark.parametrize("fault", DATA)
def test_data(world, fault):
    """The damage was there before the data were read for the first time."""
    damage, stage, name = DATA[fault]
    corpus_or_task = name.split("/")[0]
    world.forget("source", corpus_or_task)
    world.forget(stage, name)
    manifests = [world.path(stage, name), world.path("source", corpus_or_task)]
    damage(world)
    if stage != "source":
        code, printed = world.run("source", corpus_or_task)
        assert code == 0, printed
    check(fault, *world.run(stage, name))
    assert not manifests[0].exists()


@pytest.mark.parametrize("fault", [*RUNS, *RECIPES])
def test_runs(world, fault):
    damage, stage, name = (RUNS | RECIPES)[fault]
    damage(world)
    check(fault, *world.run(stage, name))
    assert not world.path(stage, name).exists()


def test_every_documented_fault_is_tried():
    assert set(documented()) == {*CONFIGURATION, *DATA, *RUNS, *RECIPES}


def test_what_is_accepted(world):
    """Faults that stop nothing: what is asked for does not depend on what is damaged."""
    checkpoint = world.directory(*PRETRAIN) / "checkpoints/step-000000004"
    weights = world.directory(*PRETRAIN) / "model.safetensors"
    before = weights.read_bytes()
    world.forget(*PRETRAIN)
    checkpoint.mkdir(parents=True)
    change_json(world.path("store"), lambda data: data["figures"].update(corpora=["a", "b"]))
    code, printed = world.run(*PRETRAIN)
    assert code == 0, printed
    assert weights.read_bytes() == before
