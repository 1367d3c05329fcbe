"""Keys are a contract: another key trains a user's study again, which can cost weeks.

`golden/keys.json` holds the path, with its key, of one job of every stage (and of every version
that a stage has) at the scales `demo` and `paper`.
"""

import json
from pathlib import Path

import pytest

from study.graph import Study

ROOT = Path(__file__).parent.parent
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
        f"change as well, bump study.recipes.VERSIONS; if this is meant, copy {renewed} to {GOLDEN}"
    )
    assert set(now) == set(golden[scale])
