"""Execution, progress line, precision and checkpoints, each by itself."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch
from project import ROOT

from model.training.checkpoint import CheckpointWriter, newest_checkpoint, read_checkpoint
from model.training.execution import parse_execution
from model.training.hardware import (
    energy_joules,
    matrix_peak,
    peak_memory_bytes,
)
from model.training.precision import Precision, deterministic_kernels
from model.training.progress import Progress, short_count, short_time
from study.errors import StudyError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "tpu"}, "field device: input should be 'cpu' or 'cuda', found 'tpu'"),
        ({"thread": 2}, r"field thread: unknown key, did you mean threads\?"),
        ({"threads": 0}, "field threads: input should be greater than 0, found 0"),
        ({"threads": True}, "field threads: input should be a valid integer, found true"),
        ({"compile": 1}, "field compile: input should be a valid boolean, found 1"),
        ({"compile": True}, "compile true needs device cuda"),
        (
            {"checkpoint_minutes": -1},
            "field checkpoint_minutes: input should be greater than or equal to 0, found -1",
        ),
    ],
)
def test_execution_names_the_field_at_fault(values, message):
    with pytest.raises(StudyError, match=f"^--execution: {message}"):
        parse_execution(values)


def test_execution_without_a_gpu_is_refused_in_one_line():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(StudyError, match="sees no GPU"):
        parse_execution({"device": "cuda"})
    assert parse_execution({"checkpoint_minutes": 5}).mode == "exact"


def test_progress_line(capsys, monkeypatch):
    progress = Progress(
        "full-sentences",
        31000,
        1000,
        flops_per_token=1e6,
        device=torch.device("cpu"),
        dtype=torch.float32,
        world=1,
    )
    monkeypatch.setattr("model.training.progress.matrix_peak", lambda *_: 1e11)
    now = progress.began + 10.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert progress.due
    progress.count(412_000)
    progress.show(1200, 5.3149, 6e-4)
    assert capsys.readouterr().err == (
        "full-sentences step 1200/31000 loss 5.31 lr 6.0e-04 41.2k tok/s util 41 % left 24m50\n"
    )
    assert not progress.due


def test_a_training_says_what_it_is_about_to_do(capsys):
    progress = Progress(
        "full-sentences",
        31000,
        1000,
        flops_per_token=1e6,
        device=torch.device("cpu"),
        dtype=torch.bfloat16,
        world=2,
    )
    execution = parse_execution({"precision": "bf16"}).model_copy(update={"compile": True})
    progress.announce(execution, parameters=2_900_000, tokens=16_384, parts=2, passes=3.14159)
    assert capsys.readouterr().err == (
        "full-sentences trains 2.90M parameters on 2 x CPU (bf16, exact, compiled): 31000 updates "
        "of 16.4k tokens, 2 micro-batches each, 3.14 passes over the data, 5.1e+14 FLOPs, going "
        "on after update 1000\n"
    )


def test_short_numbers():
    assert [short_count(n) for n in (950, 41_200, 1_340_000)] == ["950", "41.2k", "1.34M"]
    assert [short_time(n) for n in (45, 725, 11_520)] == ["45s", "12m05", "3h12"]


def test_hardware_figures():
    cpu = torch.device("cpu")
    assert matrix_peak(cpu, torch.float32) > 1e8
    assert peak_memory_bytes(cpu) > 1e7
    assert energy_joules(cpu) is None


PAGES_FILLED = """
import resource
import torch
from model.training.hardware import keep_freed_memory

keep_freed_memory()
torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**23)  # 8,192 pages; it fits in what was freed also where a small block settled there
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_freed_memory_is_used_again():
    # In a process of its own: what other tests freed is in pieces.
    command = [sys.executable, "-c", PAGES_FILLED]
    filled = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(filled.stdout) < 1000


@pytest.mark.parametrize("compiled", [False, True])
def test_deterministic_kernels_are_restored(compiled):
    with deterministic_kernels(True, compiled):
        assert torch.are_deterministic_algorithms_enabled()
        # By default torch.compile times some kernels and takes the fastest.
        assert not compiled or torch._inductor.config.deterministic
    assert not torch.are_deterministic_algorithms_enabled()
    assert not compiled or not torch._inductor.config.deterministic


def test_matrix_products_on_a_gpu_may_be_asked_to_be_deterministic_later(monkeypatch):
    """The library looks once in a process, perhaps in a training that does not ask for it."""
    monkeypatch.setattr(os, "environ", {})
    Precision("bf16", torch.device("cpu"))
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    Precision("bf16", torch.device("cuda", 0))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_fp16_overflow_skips_the_update_and_lowers_the_scale():
    precision = Precision("fp16", torch.device("cpu"))
    weight = torch.nn.Parameter(torch.ones(2))
    adamw = torch.optim.AdamW([weight], lr=0.1, fused=True)
    before = precision.scale
    for finite in (False, True):
        precision.scaled(weight.sum()).backward()
        if not finite:
            weight.grad.fill_(torch.inf)
        precision.step(adamw, [weight], clip_norm=1.0)
        assert torch.equal(weight.detach(), torch.ones(2)) is not finite
        assert precision.scale == before / 2
        weight.grad = None


def test_the_two_newest_checkpoints_are_kept(tmp_path):
    tensor, numbers = torch.zeros(2), {"steps": []}
    with CheckpointWriter(tmp_path) as checkpoints:
        for step in (5, 10, 15):
            tensor.fill_(step)
            numbers["steps"].append(step)
            checkpoints.write(step, {"a": tensor}, numbers)
        # What is written is what there was at that moment.
        tensor.fill_(20)
        numbers["steps"].append(20)
    newest = newest_checkpoint(tmp_path)
    assert newest.name == "step-000000015"
    tensors, numbers = read_checkpoint(newest)
    assert tensors["a"].tolist() == [15.0, 15.0]
    assert numbers == {"steps": [5, 10, 15]}
    assert len(list(newest.parent.iterdir())) == 2


def test_a_checkpoint_that_cannot_be_written_ends_the_training(tmp_path):
    (tmp_path / "checkpoints/step-000000002").mkdir(parents=True)
    refused = pytest.raises(StudyError, match="step-000000002: a folder lies where this file")
    with refused, CheckpointWriter(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.write(step, {"a": torch.zeros(100)}, {"step": step})
    assert newest_checkpoint(tmp_path).name == "step-000000001"


@pytest.mark.parametrize("length", [0, 10, 64, 65, 80, 200])
def test_a_truncated_checkpoint_is_noticed(tmp_path, length, capsys):
    with CheckpointWriter(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.write(step, {"a": torch.zeros(100)}, {"step": step})
    path = newest_checkpoint(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert newest_checkpoint(tmp_path).name == "step-000000001"
    assert capsys.readouterr().err.startswith(f"notice: {path}: damaged")
