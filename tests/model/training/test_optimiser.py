"""AdamW by hand, who is decayed, and the learning rate of every step."""

import pytest
import torch
from network_toy import config
from training_toy import OPTIMISER, ToyModel, optimiser, outcome, train_toy

from model.training.optimiser import ScheduledOptimiser, learning_rate, parameter_groups
from model.training.precision import Precision
from study.errors import StudyError
from study.recipes import parse_recipe


def test_schedule_rises_to_the_peak_and_falls_to_0():
    section = optimiser(learning_rate=1.0, warmup=0.2)
    rates = [learning_rate(step, 10, section) for step in range(1, 11)]
    assert rates == [0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
    section = optimiser(learning_rate=1.0, warmup=0.0)
    assert [learning_rate(step, 4, section) for step in range(1, 5)] == [0.75, 0.5, 0.25, 0.0]
    section = optimiser(learning_rate=1.0, warmup=1.0)
    assert [learning_rate(step, 4, section) for step in range(1, 5)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("warmup", [0.0, 0.06, 0.5, 1.0])
def test_the_first_update_always_trains(warmup):
    section = optimiser(learning_rate=3.0, warmup=warmup)
    assert learning_rate(1, 1, section) == 3.0
    assert all(learning_rate(1, steps, section) > 0 for steps in range(1, 200))


def test_paper_scale_schedule():
    section = optimiser(learning_rate=1e-4, warmup=0.01)  # 10K of 1M
    assert learning_rate(1, 1_000_000, section) == pytest.approx(1e-8)
    assert learning_rate(10_000, 1_000_000, section) == 1e-4
    assert learning_rate(505_000, 1_000_000, section) == pytest.approx(5e-5)


def test_a_beta_of_0_stands_in_a_recipe_as_a_whole_number():
    module = ToyModel()
    adamw = ScheduledOptimiser(module, optimiser(beta1=0, beta2=0.98), 1)
    module.bias.grad = torch.arange(50.0)
    adamw.step(1, Precision("fp32", torch.device("cpu")))
    means = [tensor for name, tensor in adamw.tensors().items() if name.endswith("exp_avg")]
    assert any(torch.equal(mean, module.bias.grad) for mean in means)


def torch_adamw(module: torch.nn.Module, section) -> torch.optim.AdamW:
    groups = [
        {name: value for name, value in group.items() if name != "exempt"}
        for group in parameter_groups(module, section.weight_decay, section.decay_all)
    ]
    betas = (section.beta1, section.beta2)
    return torch.optim.AdamW(groups, betas=betas, eps=section.eps, fused=True)


@pytest.mark.parametrize("name", ["fp32", "fp16"])
@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_its_bits_are_those_of_torch(name, clip_norm):
    """Over 20 updates: two groups, a layer without a gradient at times, an update that overflows
    in fp16 and one before which all is put back from a checkpoint.
    """
    section, steps = optimiser(weight_decay=0.1, clip_norm=clip_norm), 20
    ours, theirs = ToyModel(), ToyModel()
    reference = torch_adamw(theirs, section)
    adamw = ScheduledOptimiser(ours, section, steps)
    precisions = [Precision(name, torch.device("cpu")) for _ in range(2)]
    for step in range(1, steps + 1):
        if step == 8:
            kept = {place: tensor.clone() for place, tensor in adamw.tensors().items()}
            adamw = ScheduledOptimiser(ours, section, steps)
            adamw.restore(kept)
        draw = torch.Generator().manual_seed(step)
        scale, _ = (precision.scaled(torch.ones(())).item() for precision in precisions)
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            gradient = scale * torch.randn(own.shape, generator=draw) * 10.0 ** (step % 5 - 3)
            own.grad, other.grad = gradient, gradient.clone()
        if step in (3, 12):
            ours.sign.weight.grad = theirs.sign.weight.grad = None
        if name == "fp16" and step in (1, 6):
            ours.bias.grad[0] = theirs.bias.grad[0] = torch.inf
        for group in reference.param_groups:
            group["lr"] = learning_rate(step, steps, section)
        adamw.step(step, precisions[0])
        precisions[1].step(reference, list(theirs.parameters()), clip_norm)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(own, other)
    moments = reference.state_dict()["state"]
    assert adamw.tensors().keys() == {
        f"adamw.{index}.{moment}" for index in moments for moment in moments[index]
    }
    for place, tensor in adamw.tensors().items():
        _, index, moment = place.split(".")
        assert torch.equal(tensor, moments[int(index)][moment])


def test_two_steps_are_those_of_the_formula():
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    module = torch.nn.Module()
    module.weight = parameter
    section = optimiser(learning_rate=0.1, warmup=0.0, weight_decay=0.01)
    adamw, precision = (
        ScheduledOptimiser(module, section, 4),
        Precision("fp32", torch.device("cpu")),
    )
    value, mean, square = parameter.detach().double(), 0.0, 0.0
    for step, gradient in enumerate(([0.5, -1e-6], [0.25, 1.0]), start=1):
        parameter.grad = torch.tensor(gradient)
        rate = adamw.step(step, precision)
        assert rate == 0.1 * (4 - step) / 4
        gradient = torch.tensor(gradient, dtype=torch.float64)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.98 * square + 0.02 * gradient**2
        corrected = (square / (1 - 0.98**step)).sqrt() + 1e-6
        value = value * (1 - rate * 0.01) - rate * mean / (1 - 0.9**step) / corrected
        torch.testing.assert_close(parameter.double(), value, rtol=1e-5, atol=1e-6)


def names(model: ToyModel, groups: list[dict]) -> list[tuple[float, set[str]]]:
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [
        (group["weight_decay"], {known[id(parameter)] for parameter in group["params"]})
        for group in groups
    ]


def test_biases_and_layer_norms_are_not_decayed_and_a_tied_weight_counts_once():
    model = ToyModel()
    model.decoder = torch.nn.Linear(16, 50, bias=False)
    model.decoder.weight = model.words.weight
    spared = {"bias", "middle.bias", "norm.weight", "norm.bias", "sign.bias"}
    decayed = {"words.weight", "middle.weight", "sign.weight"}
    groups = parameter_groups(model, 0.01, decay_all=False)
    assert names(model, groups) == [(0.01, decayed), (0.0, spared)]
    assert sum(len(group["params"]) for group in groups) == 8
    groups = parameter_groups(model, 0.01, decay_all=True)
    assert names(model, groups) == [(0.01, decayed | spared)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 1}, "field optimiser.lr: unknown key; known: name, learning_rate, "),
        (
            {"schedule": "cosine"},
            "field optimiser.schedule: input should be 'linear', found 'cosine'",
        ),
        ({"name": "sgd"}, "field optimiser.name: input should be 'adamw' or 'lamb', found 'sgd'"),
        ({"eps": None}, "field optimiser.eps: missing"),
    ],
)
def test_unknown_settings_are_refused(change, message):
    section = {**OPTIMISER.in_recipe(), **change}
    recipe = {
        "stage": "throughput",
        "version": 1,
        "vocabulary_size": 100,
        "format": {"nsp": False, "segments": False, "length": 16},
        "model": config().in_recipe(),
        "rate": 0.15,
        "sequences": 4,
        "optimiser": {name: value for name, value in section.items() if value is not None},
        "execution": {},
    }
    with pytest.raises(StudyError, match=message):
        parse_recipe(recipe, "throughput")


def test_clipping_is_off_unless_asked_for(tmp_path):
    for name, clip in (("off", 0.0), ("loose", 1e9), ("tight", 1e-3)):
        train_toy(tmp_path / name, section=optimiser(clip_norm=clip))
    off, loose, tight = (outcome(tmp_path / name)[0] for name in ("off", "loose", "tight"))
    assert off == loose != tight
