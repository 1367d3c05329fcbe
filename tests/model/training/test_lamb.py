"""LAMB beside a step written by hand in numpy; in exact mode, after a resumption, in fp16."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import run_world
from pretraining_toy import arguments, make_study
from torch.utils._python_dispatch import TorchDispatchMode
from training_toy import ToyModel, optimiser, outcome, train_toy

from model.stages.pretrain import main
from model.training.checkpoint import FOLDER
from model.training.optimiser import ScheduledOptimiser
from model.training.precision import Precision
from study.graph import Study
from study.identity import key_of

DECAY, EPS, BETA1, BETA2 = 0.01, 1e-6, 0.9, 0.98
LAMB = optimiser(name="lamb")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Layers(torch.nn.Module):
    """A matrix, a matrix of zeros, one without a gradient, and a bias."""

    def __init__(self):
        super().__init__()
        draw = np.random.default_rng(5)
        matrix = torch.from_numpy(draw.normal(size=(3, 4)).astype(np.float32))
        self.matrix = torch.nn.Parameter(matrix)
        self.zeros = torch.nn.Parameter(torch.zeros(2, 2))
        self.unused = torch.nn.Parameter(torch.ones(2))
        self.bias = torch.nn.Parameter(torch.tensor([0.5, -2.0]))


def step_by_hand(x, gradient, mean, square, step, rate, decay, adapted):
    """Algorithm 2 for one layer: its parameters, m and v after update `step`."""
    mean = BETA1 * mean + (1 - BETA1) * gradient
    square = BETA2 * square + (1 - BETA2) * gradient**2
    corrected = np.sqrt(square / (1 - BETA2**step)) + EPS
    direction = mean / (1 - BETA1**step) / corrected + decay * x
    length, wanted = np.linalg.norm(direction), np.linalg.norm(x)
    ratio = wanted / length if adapted and wanted > 0 and length > 0 else 1.0
    return x - rate * ratio * direction, mean, square


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_GPU)])
@pytest.mark.parametrize("decay_all", [False, True])
def test_steps_are_those_of_the_algorithm(decay_all, device):
    module = Layers().to(device)
    section = optimiser(
        name="lamb", learning_rate=0.1, warmup=0.0, weight_decay=DECAY, decay_all=decay_all
    )
    lamb = ScheduledOptimiser(module, section, steps=8)
    precision = Precision("fp32", torch.device(device))
    draw = np.random.default_rng(6)
    trained = [name for name, _ in module.named_parameters() if name != "unused"]
    values = {name: getattr(module, name).detach().double().cpu().numpy() for name in trained}
    moments = {name: (0.0, 0.0) for name in trained}
    for step in range(1, 6):
        gradients = {name: draw.normal(size=values[name].shape) for name in trained}
        for name, gradient in gradients.items():
            getattr(module, name).grad = torch.from_numpy(gradient).float().to(device)
        rate = lamb.step(step, precision)
        assert rate == 0.1 * (8 - step) / 8
        for name in trained:
            adapted = decay_all or name != "bias"
            values[name], *moments[name] = step_by_hand(
                values[name],
                gradients[name],
                *moments[name],
                step,
                rate,
                DECAY if adapted else 0.0,
                adapted,
            )
            ours = getattr(module, name).detach().cpu().numpy()
            np.testing.assert_allclose(ours, values[name], rtol=1e-5, atol=1e-6)
    assert module.unused.tolist() == [1.0, 1.0]


class NothingRead(TorchDispatchMode):
    """Within it no number may be read from a tensor: a GPU's would be waited for."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(function)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_GPU)])
@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_a_step_waits_for_no_device(name, clip_norm, device):
    module, precision = ToyModel().to(device), Precision(name, torch.device(device))
    lamb = ScheduledOptimiser(module, optimiser(name="lamb", clip_norm=clip_norm), 5)
    for step in (1, 2):
        loss = sum((parameter**2).sum() for parameter in lamb.parameters)
        precision.scaled(loss).backward()
        with NothingRead():
            lamb.step(step, precision)
    assert precision.sound(lamb.parameters)


def test_a_layer_keeps_its_direction_whatever_its_gradient_is_scaled_by():
    """What the large batch needs: a step's length is the rate times that of the layer."""
    moved = []
    for scale in (1.0, 1000.0):
        module = Layers()
        section = optimiser(name="lamb", learning_rate=0.1, warmup=0.0, weight_decay=0.0)
        before = module.matrix.detach().clone()
        module.matrix.grad = scale * torch.arange(1.0, 13.0).reshape(3, 4)
        ScheduledOptimiser(module, section, 1).step(1, Precision("fp32", torch.device("cpu")))
        moved.append(module.matrix.detach() - before)
        assert moved[-1].norm().item() == pytest.approx(0.1 * before.norm().item(), rel=1e-5)
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-6)


def test_any_cell_may_have_it(edit):
    before = Study("smoke").jobs
    edit("study.yaml", "cells.batch-8k.optimiser.name", "lamb")
    after = Study("smoke").jobs
    adamw, lamb = (jobs.pretrain("batch-8k", 0).recipe["optimiser"] for jobs in (before, after))
    assert lamb == {"name": "lamb", **adamw}
    assert after.pretrain("batch-2k", 0).key == before.pretrain("batch-2k", 0).key


def test_the_command_pre_trains_with_it(tmp_path):
    def losses(folder: Path, recipe: dict) -> list[float]:
        main(arguments(tmp_path, recipe, folder / "manifest.json"))
        lines = (folder / key_of(recipe) / "log.jsonl").read_text().splitlines()
        return [line["loss"] for line in map(json.loads, lines) if "loss" in line]

    recipe = make_study(tmp_path, "full-sentences", steps=5)
    adamw = losses(tmp_path / "adamw", recipe)
    lamb = losses(tmp_path / "lamb", {**recipe, "optimiser": LAMB.in_recipe()})
    assert len(lamb) == len(adamw) == 5
    assert lamb[0] == adamw[0]
    assert lamb[-1] < lamb[0]
    assert lamb[-1] != adamw[-1]


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_it_trains_the_toy_and_differs_from_adamw(tmp_path, mode):
    result = train_toy(tmp_path / "lamb", section=LAMB, mode=mode)
    train_toy(tmp_path / "adamw", mode=mode)
    assert (result.step, result.diverged) == (20, None)
    assert outcome(tmp_path / "lamb") != outcome(tmp_path / "adamw")


def test_exact_mode_gives_the_same_bytes_on_1_2_and_4_processes(tmp_path):
    train_toy(tmp_path / "1", section=LAMB)
    for world in (2, 4):
        run_world(world, lambda world=world: train_toy(tmp_path / str(world), section=LAMB))
        assert outcome(tmp_path / str(world)) == outcome(tmp_path / "1")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_training_goes_on_from_a_checkpoint_with_the_same_bytes(tmp_path, precision):
    train_toy(tmp_path, section=LAMB, precision=precision, checkpoint_minutes=0)
    through = outcome(tmp_path)
    older, newest = sorted((tmp_path / FOLDER).iterdir())
    assert older.name == "step-000000018"
    newest.unlink()
    result = train_toy(tmp_path, section=LAMB, precision=precision)
    assert result.speed["resumed_from"] == 18
    assert outcome(tmp_path) == through


@pytest.mark.parametrize("clip_norm", [0.0, 1e9])
@pytest.mark.parametrize("skipped", [1, 2])
def test_an_update_that_overflows_in_fp16_is_skipped_as_if_it_had_not_been(clip_norm, skipped):
    section = optimiser(name="lamb", learning_rate=0.1, warmup=0.0, clip_norm=clip_norm)

    def train(overflows: int | None) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        module, precision = ToyModel(), Precision("fp16", torch.device("cpu"))
        lamb = ScheduledOptimiser(module, section, 9)
        for number in (1, 2, 3):
            draw = torch.Generator().manual_seed(number)
            gradients = [torch.randn(p.shape, generator=draw) for p in lamb.parameters]
            for infinite in (True, False) if number == overflows else (False,):
                scale = precision.scaled(torch.ones(())).item()
                for parameter, gradient in zip(lamb.parameters, gradients, strict=True):
                    parameter.grad = gradient * scale
                if infinite:
                    module.words.weight.grad[0, 0] = torch.inf
                lamb.step(number, precision)
                assert precision.scale == (scale / 2 if infinite else scale)
        return [p.detach() for p in lamb.parameters], lamb.tensors()

    for undisturbed, disturbed in zip(train(None)[0], train(skipped)[0], strict=True):
        assert torch.equal(undisturbed, disturbed)
    undisturbed, disturbed = train(None)[1], train(skipped)[1]
    assert undisturbed.keys() == disturbed.keys()
    assert all(torch.equal(undisturbed[name], disturbed[name]) for name in undisturbed)
    assert {tensor.item() for name, tensor in disturbed.items() if name.endswith("step")} == {3}
