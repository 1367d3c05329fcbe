"""GPU slots as jobs take them: real processes on GPUs of which nvidia-smi alone tells.

A job here says which GPU it was given by a file, and ends when it is told to.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from gpus_toy import make_gpus
from project import ROOT
from signals import heed_signals

from study.devices import Claim, visible_devices

JOB = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path

    folder, name = Path(__file__).parent, sys.argv[1]
    given = os.environ["CUDA_VISIBLE_DEVICES"]
    mark = folder / f"on-{name}-{os.environ.get('RANK', 0)}"
    Path(f"{mark}.new").write_text(f"{given} {os.getpid()}")
    Path(f"{mark}.new").rename(mark)
    while not (folder / f"end-{name}").exists():
        time.sleep(0.01)
    mark.unlink()
    """
)


class Jobs:
    """Jobs that `model.launch --gpu` starts on a machine of some GPUs."""

    def __init__(self, folder: Path, gpus: int):
        self.folder = folder
        self.environment, self.gpus = make_gpus(folder, gpus)
        self.environment["PYTHONPATH"] = f"{folder}:{ROOT}"
        (folder / "job.py").write_text(JOB)
        self.started: dict[str, subprocess.Popen] = {}

    def start(self, name: str, memory: int = 0, processes: int = 1) -> subprocess.Popen:
        words = ["--gpu", str(memory), str(processes), "job", name]
        self.started[name] = subprocess.Popen(
            [sys.executable, "-m", "model.launch", *words],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,
        )
        return self.started[name]

    def running(self) -> dict[str, str]:
        """Name of every job at work -> the GPUs that it was given."""
        found = {}
        for mark in self.folder.glob("on-*-0"):
            try:
                found[mark.name.split("-")[1]] = mark.read_text().split()[0]
            except FileNotFoundError:
                continue
        return found

    def pids(self, name: str) -> list[int]:
        marks = self.folder.glob(f"on-{name}-?")
        return [int(mark.read_text().split()[1]) for mark in marks]

    def wait_until_running(self, number: int) -> dict[str, str]:
        while len(found := self.running()) < number:
            time.sleep(0.01)
        assert len(found) == number
        return found

    def end(self, name: str) -> None:
        (self.folder / f"end-{name}").touch()
        assert self.started.pop(name).wait() == 0


@pytest.fixture
def jobs(tmp_path):
    """Function: jobs on a machine with so many GPUs."""
    made = []

    def make(gpus: int) -> Jobs:
        made.append(Jobs(tmp_path, gpus))
        return made[0]

    yield make
    for process in made[0].started.values():
        process.kill()
        process.wait()


def free(jobs: Jobs, monkeypatch) -> list[str]:
    """The GPUs of which all slots are free."""
    monkeypatch.setenv("PATH", jobs.environment["PATH"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return [gpu.word for gpu in visible_devices() if Claim([gpu], 1, 0).taken()]


def test_eight_jobs_take_turns_on_two_gpus_and_leave_none_idle(jobs):
    machine = jobs(2)
    for number in range(8):
        machine.start(str(number))
    given = {}
    for waiting in range(6, -1, -1):
        running = machine.wait_until_running(2)
        assert sorted(running.values()) == sorted(machine.gpus)
        given |= running
        assert len(machine.started) == 2 + waiting
        machine.end(min(running))
    (last,) = machine.running()
    machine.end(last)
    assert set(given) == set("01234567")


def test_a_killed_job_frees_its_slot(jobs):
    machine = jobs(1)
    machine.start("first")
    machine.wait_until_running(1)
    waiting = machine.start("second")
    assert waiting.stderr.readline().startswith("waiting for a GPU: other jobs are on GPU 0")
    machine.started["first"].kill()
    machine.started["first"].wait()
    (machine.folder / "on-first-0").unlink()
    assert machine.wait_until_running(1) == {"second": machine.gpus[0]}
    assert waiting.stderr.readline() == "runs on GPU 0 (NVIDIA H100 80GB HBM3)\n"


def test_the_slots_of_several_processes_are_free_when_the_last_has_ended(jobs, monkeypatch):
    machine = jobs(3)
    launcher = machine.start("pair", processes=2)
    while len(machine.pids("pair")) < 2:
        time.sleep(0.01)
    (given,) = machine.running().values()
    assert given.split(",") == machine.gpus[:2]
    assert free(machine, monkeypatch) == machine.gpus[2:]
    launcher.kill()
    launcher.wait()
    first, second = machine.pids("pair")
    os.kill(first, signal.SIGKILL)
    assert free(machine, monkeypatch) == machine.gpus[2:]
    os.kill(second, signal.SIGKILL)
    while free(machine, monkeypatch) != machine.gpus:
        time.sleep(0.01)


def test_small_jobs_share_a_gpu(jobs, monkeypatch):
    machine = jobs(1)
    for name in "abcd":
        machine.start(name, memory=5000)
    assert list(machine.wait_until_running(4).values()) == machine.gpus * 4
    fifth = machine.start("e", memory=5000)
    assert fifth.stderr.readline().startswith("waiting for a GPU")
    machine.end("c")
    assert sorted(machine.wait_until_running(4)) == ["a", "b", "d", "e"]


def test_who_waits_for_a_gpu_stops_when_asked_to(jobs):
    machine = jobs(1)
    machine.start("first")
    machine.wait_until_running(1)
    waiting = machine.start("second")
    waiting.stderr.readline()
    waiting.send_signal(signal.SIGTERM)
    expected = "stopped: SIGTERM, while waiting for a GPU; run the same command again to go on\n"
    assert (waiting.communicate()[1], waiting.returncode) == (expected, 75)


@pytest.mark.parametrize("visible", ["", "0"])
def test_more_gpus_than_there_are_is_one_line(jobs, visible):
    machine = jobs(4)
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible
    errors = machine.start("pair", processes=2).communicate()[1]
    found = 1 if visible else 0
    assert errors == f"error: model.launch: 2 GPUs asked for, {found} visible here\n"


def test_several_processes_take_no_instances(jobs):
    machine = jobs(1)
    program = machine.folder / "bin/nvidia-smi"
    instances = [f"  MIG 1g.10gb     Device  {n}: (UUID: MIG-{n}{machine.gpus[0]})" for n in (0, 1)]
    program.write_text(program.read_text().replace(")\\n", ")\\n" + "\\n".join(instances) + "\\n"))
    errors = machine.start("pair", processes=2).communicate()[1]
    assert errors == "error: model.launch: 2 GPUs asked for, 0 here that are no MIG instances\n"
    machine.start("one")
    assert machine.wait_until_running(1)["one"].startswith("MIG-")


def test_snakemake_without_a_limit_gives_each_job_its_own_gpu(jobs):
    """Two calls at once, as of two people: their jobs share two GPUs and never one slot."""
    machine = jobs(2)
    (machine.folder / "Snakefile").write_text(
        "rule all:\n    input: expand('{i}.txt', i=range(3))\n"
        "rule train:\n    output: '{i}.txt'\n"
        f"    shell: '{sys.executable} -m model.launch --gpu 0 1 use && touch {{output}}'\n"
    )
    (machine.folder / "use.py").write_text(
        "import os, time\nfrom pathlib import Path\n"
        "mine = Path(__file__).with_name(os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "mine.mkdir()\ntime.sleep(0.2)\nmine.rmdir()\n"
    )
    calls = []
    for person in ("one", "two"):
        words = ["-s", "Snakefile", "-d", person, "--cores", "8"]
        (machine.folder / person).mkdir()
        calls.append(
            subprocess.Popen(
                [sys.executable, "-m", "snakemake", *words],
                cwd=machine.folder,
                env=machine.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for call in calls:
        errors = call.communicate()[1]
        assert call.returncode == 0, errors
