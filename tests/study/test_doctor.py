"""What the doctor finds, here and where something is missing; on SLURM: test_slurm.py."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import ROOT

from study import doctor, slurm
from study.errors import StudyError
from study.findings import Finding


def levels(found) -> list[tuple[str, str]]:
    """Level and subject of each finding."""
    return [(finding.level, finding.subject) for finding in found]


def program(folder: Path, name: str, script: str) -> None:
    """Write a program that a PATH of this folder alone finds."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_this_machine_without_slurm(tmp_path):
    """Exit status 0, and a line for everything that a study needs."""
    bare = {"PATH": str(tmp_path / "bin"), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "study.doctor", "--mirror", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | bare | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    head, *lines = result.stdout.splitlines()
    assert re.search(r": Linux, Python 3\.\d+\.\d+, \d+ cores, \d+ GB of memory$", head)
    found = {line.split(maxsplit=2)[1]: line for line in lines}
    assert found["SLURM"] == "ok     SLURM      not here"
    assert found["ranks"].startswith("ok     ranks      2, the first on ")
    assert found["GPUs"] == "ok     GPUs       none here: trainings run on the CPU"
    assert found["hub"].startswith("note   hub        HF_HUB_OFFLINE forbids the hub -> ")
    assert found["mirror"].startswith(
        f"WRONG  mirror     {tmp_path}: no data sets -> it holds <org>"
    )
    assert {"packages", "git", "writing", "disk", "locks"} < found.keys()
    assert sum(line.startswith("WRONG") for line in lines) == 1
    assert result.returncode == 1 and result.stderr == ""
    assert sorted(tmp_path.iterdir()) == []


def test_versions_that_are_missing_or_others(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert levels(doctor.packages()) == [("note", "packages")]
    (tmp_path / "requirements.txt").write_text("# a comment\nnumpy==0.1\nno-such-thing==2.0\n")
    missing, other = doctor.packages()
    assert str(missing) == (
        "WRONG  packages   not installed: no-such-thing -> pip install -r requirements.txt"
    )
    assert other.level == "note" and re.search(r"numpy [\d.]+ \(not 0\.1\)", other.text)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Where a lock keeps nobody off, and where there is none to be had."""
    monkeypatch.chdir(tmp_path)
    assert levels(doctor.locks(None)) == [("ok", "locks")] * 2

    def none_to_be_had(file, how):
        raise OSError(37, "No locks available")

    constants = {"LOCK_EX": 2, "LOCK_NB": 4, "LOCK_UN": 8}
    broken = SimpleNamespace(lockf=lambda *_: None, flock=none_to_be_had, **constants)
    monkeypatch.setattr(doctor, "fcntl", broken)
    silent, loud = doctor.locks(None)
    assert silent.text.startswith("lockf: two processes hold one lock (")
    assert loud.text.startswith("flock: No locks available (")
    assert {silent.level, loud.level} == {"WRONG"} and "Lustre: -o flock" in loud.remedy
    (tmp_path / "held").touch()
    assert [found.text for found in doctor.locks("held")][-1] == "lockf: two machines hold one lock"


def test_a_folder_that_takes_no_files(monkeypatch):
    monkeypatch.chdir("/proc")
    (found,) = doctor.writing()
    assert found.level == "WRONG" and found.text.startswith("/proc: ")


@pytest.mark.parametrize(
    "free, files, level", [(10**8, 10**6, "WRONG"), (10**12, 10, "WRONG"), (10**10, 10**6, "note")]
)
def test_little_room(tmp_path, monkeypatch, free, files, level):
    room = SimpleNamespace(f_bavail=free, f_frsize=1, f_favail=files, f_files=10**7)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: room)
    runs, *_ = doctor.disk()
    assert runs.level == level and runs.text.startswith("runs/: ")


@pytest.mark.parametrize("age, level", [("300 sec", "ok"), ("2 sec", "WRONG")])
def test_a_controller_that_forgets_jobs_and_no_accounting(monkeypatch, tmp_path, age, level):
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = slurm.job_states({"MinJobAge": age})
    assert found.level == level


def test_a_partition_that_is_not_there(monkeypatch, tmp_path):
    """The profile's, or, where it names none, a default one that the cluster lacks."""
    monkeypatch.chdir(tmp_path)
    program(tmp_path / "bin", "sinfo", "echo 'gpu|up|3/1/0/4|1-00:00:00|gpu:8'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (found,) = slurm.partitions()
    assert found.level == "WRONG" and found.remedy == ("name one as its slurm_partition: gpu")
    (tmp_path / "slurm").mkdir()
    profile = tmp_path / "slurm/profile.yaml"
    profile.write_text("default-resources: {slurm_partition: short}\n")
    (found,) = slurm.partitions()
    assert found.level == "WRONG" and found.remedy == "name one of gpu"
    profile.write_text("set-resources: {pretrain: {slurm_partition: gpu}}\n")
    (found,) = slurm.partitions()
    assert found == Finding("ok", "partition", "gpu (4 nodes, 1-00:00:00, gpu:8)")


def test_what_a_check_stumbles_over_is_a_finding():
    def check():
        raise ValueError("nobody foresaw this")

    (found,) = doctor.findings({"disk": check})
    assert found.text == "could not be tried: ValueError: nobody foresaw this"


@pytest.mark.parametrize(
    "words, said", [(["--", "--gpus=2"], "--gpus=2"), (["--submit"], "sbatch")]
)
def test_options_without_what_they_are_for(monkeypatch, tmp_path, words, said):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match=said):
        doctor.main(words)
