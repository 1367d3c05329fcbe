"""What all tests share: a finished project; hypothesis judges results, never a machine's speed."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import slurm_cluster as slurm
import small_study
import smoke
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
# Nobody cuts the power: toy studies of a thousand manifests need not wait for the disk.
os.fsync = lambda descriptor: None
# Behind nohup or in a background job these are ignored, and what tests start would inherit that:
# a handler is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def made_once(tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills for all workers: the first who asks does, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / make.__name__
    with (shared / f"{make.__name__}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.fstat(lock.fileno()).st_size:
            make(folder)
            lock.write("made")
    return folder


def small_project(folder: Path) -> None:
    """The small study, trained."""
    small_study.build(small_study.make_project(folder))


@pytest.fixture(scope="session")
def small_finished(tmp_path_factory) -> Path:
    """The small study (small_study.py), undisturbed, one process per job; leave as it is."""
    return made_once(tmp_path_factory, small_project)


@pytest.fixture(scope="module")
def slurm_cluster():
    """A private SLURM of two nodes, which has had this module's jobs only."""
    with slurm.started() as cluster:
        yield cluster


def finished_project(folder: Path) -> None:
    """A project with a finished smoke-scale Table 2, made as `make table2` makes it."""
    project = smoke.copy_project(folder)
    smoke.write_hub(project / "hub")
    command = [sys.executable, "-m", "study.watch", smoke.TABLE, "--scale", "smoke"]
    result = subprocess.run(
        [*command, "--mirror", "hub", "--cores", "2"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("results/table2.csv at scale smoke: 48 of 48 jobs to run on 2 cores")
    assert re.match(r"results/table2.csv: done in \d+ min \d+ s", lines[-1])
    assert lines[1] == "0/48 jobs, time left not known yet"


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """This worker's copy of that project; leave as it is."""
    copy = tmp_path_factory.mktemp("finished") / "project"
    return shutil.copytree(made_once(tmp_path_factory, finished_project), copy)


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project that a test may change."""
    copy = tmp_path / "moved"
    shutil.copytree(finished, copy)
    return copy


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """In a folder with a copy of config/: a function that sets a key of one of its files.

    The key is dotted, or a list of its parts.
    """
    shutil.copytree(smoke.ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def edit(file, keys, value):
        smoke.set_key(file, keys.split(".") if isinstance(keys, str) else keys, value)

    return edit


def pytest_collection_modifyitems(items):
    """The long files first, so that no worker has one left for itself at the end.

    Tests of SLURM mostly wait, while others keep the cores busy; then come those of whole commands.
    """
    commands = (smoke.ROOT / "tests/workflow", smoke.ROOT / "tests/docs")

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("slurm"):
            return 0
        return 1 if item.path.parent in commands else 2

    items.sort(key=place)
