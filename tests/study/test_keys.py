"""Keys are a contract: another key trains a user's study again, which can cost weeks.

`golden/keys.json` holds the path, with its key, of one job of every stage (and of every version
that a stage has) at the scales `demo` and `paper`.
"""

import json
from typing import Literal

import pytest
from project import ROOT

from study.cells import Masking
from study.fields import Omitted
from study.graph import Study

GOLDEN = ROOT / "tests/golden/keys.json"


def representatives(scale: str) -> dict[str, str]:
    """The first job of each stage and version, by both: its path, which ends in its key."""
    found: dict[str, str] = {}
    for path, job in Study(scale).jobs.items():
        found.setdefault(f"{job.recipe['stage']} {job.recipe['version']}", path)
    return dict(sorted(found.items()))


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_no_job_is_made_again_without_need(scale, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    now = representatives(scale)
    golden = json.loads(GOLDEN.read_text())
    renewed = tmp_path / "keys.json"
    renewed.write_text(json.dumps({**golden, scale: now}, indent=1) + "\n")
    again = {name: path for name, path in golden[scale].items() if now.get(name) != path}
    assert not again, (
        f"scale {scale}: {', '.join(again)} would be made again, and all that reads it; if results "
        f"change as well, bump study.stages.VERSIONS; if this is meant, copy {renewed} to {GOLDEN}"
    )
    assert set(now) == set(golden[scale])


class LaterMasking(Masking):
    """Masking with a field that is new."""

    unit: Omitted[Literal["token", "word"]] = "token"


def test_a_new_field_stands_in_recipes_only_where_it_is_not_at_its_default():
    masking = {"policy": "dynamic", "rate": 0.15, "mask": 0.8, "random": 0.1}
    masking["special_tokens"] = False
    assert Masking(**masking).in_recipe() == masking
    assert LaterMasking(**masking).in_recipe() == masking
    assert LaterMasking(**masking, unit="token").in_recipe() == masking
    assert LaterMasking(**masking, unit="word").in_recipe() == {**masking, "unit": "word"}


def test_only_a_static_mask_has_copies():
    masking = {"copies": 10, "rate": 0.15, "mask": 0.8, "random": 0.1, "special_tokens": False}
    assert "copies" not in Masking(policy="dynamic", **masking).in_recipe()
    assert Masking(policy="static", **masking).in_recipe()["copies"] == 10
