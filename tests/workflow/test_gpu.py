"""What only a GPU can show: its training is the CPU's, its exact mode repeats its bits."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from pretraining_toy import FORMATS, make_study
from safetensors.torch import load_file

from model.network.pretraining import PretrainingModel
from model.stages.pretrain import Data, main
from model.training.distributed import GPU_PATIENCE, Ranks
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.gradients import FastGradients
from model.training.precision import Precision
from study.cells import Optimiser
from study.manifest import load_manifest

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def arguments(folder, recipe: dict, place, **execution) -> list[str]:
    execution = {"device": "cuda", "tensorboard": False, **execution}
    inputs = {"store": "store", "vocabulary": "vocabulary", "samples": recipe["format"]["name"]}
    return [
        *("--recipe", json.dumps(recipe), "--manifest", f"{place}/manifest.json"),
        *(word for name, file in inputs.items() for word in (f"--{name}", f"{folder}/{file}.json")),
        *("--execution", json.dumps(execution)),
    ]


def weights(place) -> dict[str, torch.Tensor]:
    return load_file(load_manifest(place / "manifest.json").file("model.safetensors"))


@pytest.mark.parametrize("name", FORMATS)
def test_gradients_on_a_gpu_are_those_of_the_cpu(folder, name):
    recipe = make_study(folder, name)
    recipe["model"] = {**recipe["model"], "dropout": 0.0, "attention_dropout": 0.0}
    names = {"store": "store", "vocabulary": "vocabulary", "samples": recipe["format"]["name"]}
    manifests = {stage: load_manifest(folder / f"{file}.json") for stage, file in names.items()}
    results = []
    for device in ("cpu", "cuda"):
        execution = parse_execution({"device": device, "mode": "fast", "tensorboard": False})
        data = Data.open(manifests, recipe, execution, world=1)
        torch.manual_seed(0)
        form = recipe["format"]
        model = PretrainingModel(
            recipe["model"], data.vocabulary.size, form["segments"], form["nsp"]
        )
        optimiser = Optimiser.model_validate(recipe["optimiser"])
        training = Training(model, data.training, optimiser, 0, folder / device, execution)
        losses = training.backward(data.training[0], 1)
        results.append([losses.cpu(), *(p.grad.cpu() for p in model.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6, check_dtype=False)


def test_exact_mode_repeats_its_bits_also_when_killed(folder, tmp_path):
    recipe = make_study(folder, "segment-pair", steps=300)
    for run in ("one", "other"):
        main(arguments(folder, recipe, tmp_path / run, mode="exact"))
    one = weights(tmp_path / "one")
    assert all(
        torch.equal(one[name], tensor) for name, tensor in weights(tmp_path / "other").items()
    )
    command = [sys.executable, "-m", "model.stages.pretrain"]
    command += arguments(folder, recipe, tmp_path / "killed", mode="exact", checkpoint_minutes=0)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "killed").rglob("checkpoint*")) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    main(arguments(folder, recipe, tmp_path / "killed", mode="exact"))
    for name, tensor in weights(tmp_path / "killed").items():
        assert torch.equal(one[name], tensor)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_it_learns_in_every_precision(folder, tmp_path, precision, compiled):
    recipe = make_study(folder, "full-sentences", steps=60)
    recipe["optimiser"] = {**recipe["optimiser"], "learning_rate": 3e-3}
    how = {"precision": precision, "mode": "fast", "compile": compiled}
    main(arguments(folder, recipe, tmp_path, **how))
    (_, first), *_, (_, last) = load_manifest(tmp_path / "manifest.json").figures["curve"]
    assert last < first - 0.1


def test_nccl_sums_gradients_and_losses():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        device = torch.device("cuda", 0)
        group = torch.distributed.new_group(backend="nccl", timeout=GPU_PATIENCE, device_id=device)
        # Two ranks as far as this one knows, so that it wraps the module and reduces.
        ranks = Ranks(device, 0, 2, group)
        module = torch.nn.Linear(3, 2).to(device)
        gradients = FastGradients(module, 1, ranks, Precision("fp32", device))
        assert gradients.begin(2) == [(0, 1.0)]
        gradients.wrapped(torch.ones(4, 3, device=device)).sum().backward()
        assert torch.equal(module.weight.grad, torch.full((2, 3), 4.0, device=device))
        assert ranks.sum(torch.ones(3, device=device)).tolist() == [1.0, 1.0, 1.0]
    finally:
        torch.distributed.destroy_process_group()
