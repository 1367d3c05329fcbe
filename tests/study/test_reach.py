"""What cannot be had is said before anything runs: all of it, and only what the target needs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import smoke
from project import ROOT

from study.errors import StudyError
from study.graph import Study
from study.jobs import needed
from study.places import Places
from study.reach import check_reachable, sources_to_fetch

REFUSED = "http://127.0.0.1:9"  # where nobody listens


@pytest.fixture
def jobs(monkeypatch):
    """What Table 2 needs at smoke scale, none of it there."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HF_ENDPOINT", REFUSED)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    study = Study("smoke")
    return needed(study.result_jobs("table2"))


def test_all_that_is_on_the_hub_alone_is_named_where_it_does_not_answer(jobs, monkeypatch):
    with pytest.raises(StudyError) as error:
        check_reachable(sources_to_fetch(jobs), Places())
    told = re.fullmatch(
        rf"no connection to {REFUSED} \(Connection refused\), where these lie: (.*); name an "
        r"offline mirror that has them \(--config mirror=DIR\)",
        str(error.value),
    )[1]
    names = sorted(entry.split(" (")[0] for entry in told.split(", "))
    assert names == ["books", "mnli", "race", "squad11", "squad20", "sst2", "wiki"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(StudyError, match="HF_HUB_OFFLINE forbids the hub, where these lie: "):
        check_reachable(sources_to_fetch(jobs), Places())


def test_all_that_a_mirror_lacks_is_named(jobs, tmp_path):
    hub = smoke.write_hub(tmp_path / "hub")
    check_reachable(sources_to_fetch(jobs), Places(hub))
    shutil.rmtree(hub / "ehovy")
    next(hub.glob("nyu-mll/glue/sst2/validation-*")).unlink()
    with pytest.raises(StudyError) as error:
        check_reachable(sources_to_fetch(jobs), Places(hub))
    told = sorted(str(error.value).split("; "))
    assert [line.split(":")[0] for line in told] == ["race", "sst2"]
    assert told[0].endswith("no files all/train-*.parquet")
    assert told[1].endswith("no files sst2/validation-*.parquet")


def test_a_mirror_that_is_not_there_is_named_once(jobs):
    with pytest.raises(StudyError) as error:
        check_reachable(sources_to_fetch(jobs), Places(Path("none")))
    assert str(error.value) == "none: no such mirror folder"


def test_what_is_there_already_needs_no_source(jobs, tmp_path):
    """The sources of finished jobs may be gone."""
    (race,) = [job for job in sources_to_fetch(jobs) if job.names["source"] == "race"]
    others = [job for job in jobs if race not in job.inputs.get("source", [])]
    assert len(others) == len(jobs) - 1
    assert race not in sources_to_fetch(others)


@pytest.mark.parametrize(
    "command",
    [
        ["snakemake", "--cores", "1", "--config", "scale=smoke", "--", "results/table7.csv"],
        ["study.watch", "results/table7.csv", "--scale", "smoke", "--cores", "1"],
    ],
)
def test_no_job_starts(tmp_path, monkeypatch, command):
    project = smoke.copy_project(tmp_path / "project")
    monkeypatch.setenv("HF_ENDPOINT", REFUSED)
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    told = result.stderr.splitlines()[-1]
    assert told.startswith(f"error: no connection to {REFUSED} (Connection refused), where these")
    assert "race (ehovy/race)" in told
    assert "sst2" not in told
    assert not list(project.rglob("runs/**/*.json"))
