"""Training on a GPU is the CPU's, and its exact mode repeats its bits.

Without a GPU the same tests run on the CPU, so that they are whole when there is one; what needs
one is skipped.
"""

import json
import subprocess
import sys
import time

import pytest
import torch
from network_toy import config, randomise
from pretraining_toy import FORMATS, make_study
from project import ROOT
from safetensors.torch import load_file
from tasks_toy import make_task, sentences, wordpiece
from training_toy import OPTIMISER

from model.network.finetuning import EncoderSpec
from model.stages.pretrain import Data, main, make_model
from model.tasks.batches import FineTuningBatches
from model.tasks.kinds import KINDS
from model.training.distributed import GPU_PATIENCE, Ranks
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.gradients import FastGradients
from model.training.precision import Precision
from study.manifest import load_manifest
from study.recipes import parse_recipe

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NEEDS_GPU = pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def arguments(folder, recipe: dict, place, **execution) -> list[str]:
    execution = {"device": DEVICE, "tensorboard": False, **execution}
    inputs = {"store": "store", "vocabulary": "vocabulary", "samples": recipe["format"]["name"]}
    return [
        *("--recipe", json.dumps(recipe), "--manifest", f"{place}/manifest.json"),
        *(word for name, file in inputs.items() for word in (f"--{name}", f"{folder}/{file}.json")),
        *("--execution", json.dumps(execution)),
    ]


def weights(place) -> dict[str, torch.Tensor]:
    return load_file(load_manifest(place / "manifest.json").file("model.safetensors"))


def losses_and_gradients(
    folder, recipe: dict, device: str, **execution
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of the first update: rows on the CPU, packed samples on a GPU."""
    names = {"store": "store", "vocabulary": "vocabulary", "samples": recipe["format"]["name"]}
    manifests = {stage: load_manifest(folder / f"{file}.json") for stage, file in names.items()}
    parsed = parse_recipe(recipe, "pretrain")
    how = parse_execution({"device": device, "mode": "fast", "tensorboard": False, **execution})
    data = Data.open(manifests, parsed, how, world=1)
    model = make_model(parsed, data.vocabulary)
    return backward(Training(model, data.training, parsed.optimiser, folder / device, how))


def backward(training: Training) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Losses and gradients of a training's first update, on the CPU and without fp16's scale."""
    losses = training.backward(training.updates[0])
    scale = training.precision.scale
    return losses.cpu(), [
        parameter.grad.cpu() / scale for parameter in training.module.parameters()
    ]


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMATS)
def test_gradients_on_a_gpu_are_those_of_the_cpu(folder, name, rate):
    recipe = make_study(folder, name)
    recipe["model"] = {**recipe["model"], "dropout": rate, "attention_dropout": rate}
    losses, gradients = losses_and_gradients(folder, recipe, "cpu")
    found_losses, found = losses_and_gradients(folder, recipe, DEVICE)
    for one, other in zip([losses, *gradients], [found_losses, *found], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6, check_dtype=False)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=NEEDS_GPU)])
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 5e-2), ("fp16", 1e-2)]
)
@pytest.mark.parametrize("name", ["segment-pair", "full-sentences"])
def test_compiled_and_eager_gradients_are_near_fp32_in_every_precision(
    folder, name, precision, tolerance, compiled
):
    recipe = make_study(folder, name)
    how = {"precision": precision, "compile": compiled}
    losses, gradients = losses_and_gradients(folder, recipe, "cpu")
    found_losses, found = losses_and_gradients(folder, recipe, DEVICE, **how)
    torch.testing.assert_close(found_losses, losses, rtol=tolerance / 10, atol=0)
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (gradients, found))
    assert (other - one).norm() < tolerance * one.norm()


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_fine_tuning_gradients_on_a_gpu_are_those_of_the_cpu(tmp_path, rate):
    task, vocabulary = make_task("classification"), wordpiece()
    texts = [" ".join(["cat"] * (1 + i * 7 % 20)) for i in range(16)]
    examples = sentences([texts], [i % 2 for i in range(16)])
    features, *_ = KINDS[task.kind].build(examples, vocabulary, task, 24, True)
    settings = {"batch": 16, "epochs": 1, "seed": 0, "pad": 1, "segments": False}
    outcomes = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        spec = EncoderSpec(config(dropout=rate, attention_dropout=rate), vocabulary.size)
        model = randomise(KINDS[task.kind].network(task, spec, KINDS[task.kind].loss))
        updates = FineTuningBatches(features, task, micro_batch_tokens=128, **settings)
        how = parse_execution({"device": device, "mode": "fast", "tensorboard": False})
        losses, gradients = backward(Training(model, updates, OPTIMISER, tmp_path / device, how))
        outcomes.append([losses, *gradients])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5, check_dtype=False)


def test_exact_mode_repeats_its_bits_also_when_killed(folder, tmp_path):
    recipe = make_study(folder, "segment-pair", steps=120)
    for run in ("one", "other"):
        main(arguments(folder, recipe, tmp_path / run, mode="exact"))
    one = weights(tmp_path / "one")
    assert all(
        torch.equal(one[name], tensor) for name, tensor in weights(tmp_path / "other").items()
    )
    command = [sys.executable, "-m", "model.stages.pretrain"]
    command += arguments(folder, recipe, tmp_path / "killed", mode="exact", checkpoint_minutes=0)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    while not list((tmp_path / "killed").rglob("step-*")) and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list((tmp_path / "killed").rglob("step-*"))
    assert not (tmp_path / "killed" / "manifest.json").exists()
    main(arguments(folder, recipe, tmp_path / "killed", mode="exact"))
    for name, tensor in weights(tmp_path / "killed").items():
        assert torch.equal(one[name], tensor)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=NEEDS_GPU)])
def test_it_learns_in_every_precision(folder, tmp_path, precision, compiled):
    recipe = make_study(folder, "full-sentences", steps=600)
    recipe["optimiser"] = {**recipe["optimiser"], "learning_rate": 1e-2}
    how = {"precision": precision, "mode": "fast", "compile": compiled}
    main(arguments(folder, recipe, tmp_path, **how))
    (_, first), *_, (_, last) = load_manifest(tmp_path / "manifest.json").figures["curve"]
    assert last < first - 0.1


@NEEDS_GPU
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
