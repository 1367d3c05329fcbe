"""Which GPUs a job may use, and slots on them."""

import subprocess
import sys
from pathlib import Path

import pytest
from gpus_toy import machine, make_gpus
from project import ROOT

from study.devices import Claim, Device, visible_devices
from study.errors import StudyError

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb2222-0000)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc3333-0000)
  MIG 1g.5gb      Device  1: (UUID: MIG-dddd4444-0000)
"""
MEMORY = "GPU-aaaa1111-0000, 40960, 1000\nGPU-bbbb2222-0000, 40960, [N/A]\n"


@pytest.fixture
def see(tmp_path, monkeypatch):
    """Function: the GPUs by what CUDA_VISIBLE_DEVICES is (None: not set)."""

    def look(visible: str | None, listing: str = LISTING) -> list[str]:
        environment = machine(tmp_path, listing, MEMORY)
        monkeypatch.setenv("PATH", environment["PATH"])
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return [device.word for device in visible_devices()]

    return look


@pytest.mark.parametrize(
    ("visible", "words"),
    [
        (None, ["GPU-aaaa1111-0000", "MIG-cccc3333-0000", "MIG-dddd4444-0000"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", ["GPU-aaaa1111-0000"]),
        (" 0, 0 ", ["GPU-aaaa1111-0000"]),
        ("0,-1,1", ["GPU-aaaa1111-0000"]),
        ("1", ["MIG-cccc3333-0000", "MIG-dddd4444-0000"]),
        ("MIG-dddd4444-0000,GPU-aaaa1111-0000", ["MIG-dddd4444-0000", "GPU-aaaa1111-0000"]),
        ("GPU-aaaa", ["GPU-aaaa1111-0000"]),
        ("MIG-GPU-bbbb2222-0000/1/0", ["MIG-GPU-bbbb2222-0000/1/0"]),
    ],
)
def test_gpus_are_those_that_cuda_visible_devices_names(see, visible, words):
    assert see(visible) == words


@pytest.mark.parametrize("visible", ["2", "0,7", "x", "GPU-ffff"])
def test_a_gpu_that_is_not_there_is_named_in_one_line(see, visible):
    word = visible.split(",")[-1]
    with pytest.raises(StudyError, match=rf"^CUDA_VISIBLE_DEVICES: {word}: no GPU of this machine"):
        see(visible)


def test_memory_is_known_of_gpus_and_of_their_instances(see):
    see(None)
    sizes = [device.memory_mb for device in visible_devices()]
    assert sizes == [pytest.approx(42949.67), 20000, 5000]


def test_a_machine_without_nvidia_smi_has_the_gpus_that_it_was_told_of(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [(gpu.word, gpu.place) for gpu in visible_devices()] == [("0", "17/0"), ("1", "17/1")]
    monkeypatch.setattr("study.devices.DRIVERS", (str(tmp_path / "none"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_devices() == []


@pytest.mark.parametrize(
    ("printed", "status", "outcome"),
    [
        ("No devices were found", 6, []),
        ("Failed to initialize NVML: Driver/library version mismatch\nmore", 18, "nvidia-smi: Fai"),
    ],
)
def test_what_nvidia_smi_says_where_it_fails(tmp_path, monkeypatch, printed, status, outcome):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = Path(tmp_path, "nvidia-smi")
    program.write_text(f"#!/bin/sh\necho '{printed}'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if isinstance(outcome, list):
        assert visible_devices() == outcome
    else:
        with pytest.raises(StudyError, match=f"^{outcome}") as caught:
            visible_devices()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("memory_mb", "slots"),
    [(0, 4), (921, 1), (14000, 1), (20000, 2), (33000, 3), (60000, 4), (200000, 4)],
)
def test_a_process_needs_as_many_slots_as_its_memory(memory_mb, slots):
    assert Device("0", "GPU 0", "0", 80000).slots_needed(memory_mb) == slots


def test_a_gpu_of_unknown_memory_is_not_shared():
    assert Device("0", "GPU 0").slots_needed(1) == 4


@pytest.fixture
def two(tmp_path, monkeypatch) -> list[Device]:
    environment, _ = make_gpus(tmp_path, 2)
    monkeypatch.setenv("PATH", environment["PATH"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return visible_devices()


def let_go(claim: Claim) -> None:
    for slot in claim.held():
        slot.close()


def test_small_jobs_spread_first_and_share_then(two):
    claims = [Claim(two, 1, 1000) for _ in range(9)]
    places = [claim.taken() for claim in claims]
    assert sorted(two.index(place[0]) for place in places[:2]) == [0, 1]
    assert [places[:8].count([device]) for device in two] == [4, 4]
    assert places[8] is None
    let_go(claims[3])
    assert claims[8].taken() == places[3]


def test_a_job_goes_where_other_programs_use_least(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", make_gpus(tmp_path, 3, {0: 70000, 1: 500, 2: 6000})[0]["PATH"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = visible_devices()
    claims = [Claim(gpus, 1, 0) for _ in gpus]
    assert [claim.taken() for claim in claims] == [[gpus[1]], [gpus[2]], [gpus[0]]]


def test_a_job_of_two_gpus_has_both_or_none(two):
    small, pair, single = Claim(two, 1, 1000), Claim(two, 2, 0), Claim(two, 1, 0)
    assert small.taken() == two[:1]
    assert pair.taken() is None
    let_go(small)
    assert pair.taken() == two
    assert single.taken() is None


def test_small_jobs_do_not_pass_a_large_one_for_ever(two):
    gpu = two[:1]
    small = [Claim(gpu, 1, 1000) for _ in range(4)]
    assert [claim.taken() for claim in small] == [gpu] * 4
    large, later = Claim(gpu, 1, 0), Claim(gpu, 1, 1000)
    assert large.taken() is None
    for claim in small:
        let_go(claim)
        done = large.taken()
        assert later.taken() is None
    assert done == gpu


def test_two_large_jobs_never_keep_what_the_other_lacks(two):
    small = Claim(two, 1, 1000), Claim(two, 1, 1000)
    assert None not in [claim.taken() for claim in small]
    pairs = Claim(two, 2, 0), Claim(two[::-1], 2, 0)
    assert [pair.taken() for pair in pairs for _ in range(2)] == [None] * 4
    for claim in small:
        let_go(claim)
    assert pairs[0].taken() == two
    let_go(pairs[0])
    assert pairs[1].taken() == two[::-1]


def test_the_command_tells_what_is_taken(tmp_path, two):
    held = Claim(two[:1], 1, 30000)
    assert held.taken() == two[:1]
    result = subprocess.run(
        [sys.executable, "-m", "study.devices"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout == (
        "GPU 0 (NVIDIA H100 80GB HBM3), 0 of 80 GiB in use: 2 of 4 slots taken\n"
        "GPU 1 (NVIDIA H100 80GB HBM3), 0 of 80 GiB in use: 0 of 4 slots taken\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
