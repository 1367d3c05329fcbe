"""The engine on toys: what an update's loss is, same bits for any split, stops and resumes."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from forked import Child, kill_at, run_world, start_world
from training_toy import OPTIMISER, ToyModel, ToyUpdates, optimiser, outcome, train_toy

from model.training.checkpoint import FOLDER
from model.training.distributed import open_ranks
from model.training.engine import Attempt, Training, train
from model.training.execution import parse_execution
from study.command import Resumable
from study.errors import StudyError
from study.stopping import StopRequest


def gradients(updates: ToyUpdates, directory: Path, **execution) -> dict[str, torch.Tensor]:
    """Gradient by parameter and losses of the first update."""
    chosen = parse_execution({"tensorboard": False, **execution})
    model = ToyModel()
    training = Training(model, updates, OPTIMISER, directory, chosen)
    losses = training.backward(updates[0])
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {**found, "losses": losses}


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_loss_and_gradient_are_those_of_the_mean_over_all_targets(tmp_path, mode):
    updates = ToyUpdates(1, rows=12, micro=12)
    model, update = ToyModel(), updates[0]
    sums = model(update.micro_batches[0])
    (sums["word"] / update.counts["word"] + sums["sign"] / 12).backward()
    for micro in (12, 5, 1):
        found = gradients(ToyUpdates(1, rows=12, micro=micro), tmp_path, mode=mode)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-6)
        expected = [sums["word"].item() / update.counts["word"], sums["sign"].item() / 12]
        assert found["losses"].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_ranks_share_an_update(tmp_path, mode):
    updates = ToyUpdates(1, rows=5, micro=2)  # three micro-batches: ranks get 1 or 2, then 1 or 0
    alone = gradients(updates, tmp_path, mode=mode)

    for world in (2, 4):

        def rank():
            with open_ranks("cpu"):
                found = gradients(updates, tmp_path, mode=mode)
            for name, gradient in found.items():
                torch.testing.assert_close(gradient, alone[name], rtol=0, atol=1e-6)
                if mode == "exact":
                    assert torch.equal(gradient, alone[name])

        run_world(world, rank)


def test_exact_mode_gives_the_same_bytes_on_1_2_and_4_processes(tmp_path):
    train_toy(tmp_path / "1")
    for world in (2, 4):
        run_world(world, lambda world=world: train_toy(tmp_path / str(world)))
        assert outcome(tmp_path / str(world)) == outcome(tmp_path / "1")


def test_an_update_of_one_micro_batch_has_the_same_bytes_on_1_and_2_processes(tmp_path):
    """One process sums nothing then, and takes a shorter way; even zeros have the same sign."""
    updates = ToyUpdates(1, rows=4, micro=4)
    bits = {name: g.clone() for name, g in gradients(updates, tmp_path).items()}
    assert len(bits) == 9  # eight parameters and the losses

    def rank():
        with open_ranks("cpu"):
            for name, gradient in gradients(updates, tmp_path).items():
                assert gradient.numpy().tobytes() == bits[name].numpy().tobytes()

    run_world(2, rank)


def test_fast_mode_with_dropout_agrees_with_exact_mode_on_one_process(tmp_path):
    train_toy(tmp_path / "exact")
    train_toy(tmp_path / "fast", mode="fast")
    exact, fast = (
        [json.loads(line) for line in (tmp_path / mode / "log.jsonl").read_text().splitlines()]
        for mode in ("exact", "fast")
    )
    for one, other in zip(exact, fast, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_two_fast_ranks_train_as_one(tmp_path):
    def two():
        train_toy(tmp_path / "two", mode="fast")

    train_toy(tmp_path / "one", mode="fast")
    run_world(2, two)
    last = [
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1])
        for name in ("one", "two")
    ]
    assert last[0] == pytest.approx(last[1], abs=1e-4)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_an_update_without_targets_has_loss_0_and_no_gradient(tmp_path, mode):
    updates = ToyUpdates(2, rows=4, micro=2, targets=0.0)

    def rank():
        with open_ranks("cpu"):
            found = gradients(updates, tmp_path, mode=mode)
            assert found["losses"][0] == 0
            assert not found["bias"].any()
            assert all(gradient.isfinite().all() for gradient in found.values())

    rank()
    run_world(2, rank)
    assert train_toy(tmp_path / "run", updates, mode=mode, evaluations=()).diverged is None


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_divergence_is_recorded_with_its_step(tmp_path, mode):
    updates = ToyUpdates(20)
    updates.broken = 6
    result = train_toy(tmp_path, updates, mode=mode)
    assert (result.diverged, result.step) == (7, 7)
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1]) == {
        "step": 7,
        "diverged": 7,
    }
    assert "diverged at update 7" in (tmp_path / "events.jsonl").read_text()


@pytest.mark.parametrize("micro", [3, 12])
def test_a_gradient_beyond_the_range_of_exact_sums_is_a_divergence(tmp_path, micro):
    model = ToyModel(dropout=0.0)
    with torch.no_grad():
        model.words.weight.mul_(1e9)
    result = train_toy(tmp_path, ToyUpdates(20, micro=micro), model=model)
    assert (result.step, result.diverged) == (1, 1)
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 1, "diverged": 1}


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("rate", [1e3, 1e6, 1e10, 1e30, 1e300])
def test_no_learning_rate_stops_more_than_its_own_training(tmp_path, mode, precision, rate):
    section = optimiser(learning_rate=rate)
    result = train_toy(tmp_path, section=section, mode=mode, precision=precision)
    assert result.diverged == (result.step if result.diverged else None)
    assert result.diverged or result.step == 20
    if rate >= 1e30:
        assert result.diverged


def test_weights_that_the_last_update_spoilt_are_a_divergence(tmp_path):
    class Spoilt(ToyModel):
        """Its gradient is infinite in the third update, though its loss is not."""

        calls = 0

        def forward(self, micro):
            self.calls += 1
            if self.calls == 3:
                self.bias.register_hook(lambda gradient: gradient * torch.inf)
            return super().forward(micro)

    updates = ToyUpdates(3, rows=4, micro=4, targets=1.0)
    result = train_toy(tmp_path, updates, Spoilt(dropout=0.0), mode="fast", evaluations=(3,))
    assert (result.step, result.diverged, result.curve) == (3, 3, [])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_fp16_that_can_only_skip_is_a_divergence(tmp_path, mode):
    class Overflowing(ToyModel):
        """Every gradient is infinite, whatever the loss was scaled by."""

        def forward(self, micro):
            if not hasattr(self, "hook"):
                self.hook = self.bias.register_hook(lambda gradient: gradient * torch.inf)
            return super().forward(micro)

    updates = ToyUpdates(200, rows=4, micro=4, targets=1.0)
    result = train_toy(
        tmp_path, updates, Overflowing(), mode=mode, precision="fp16", evaluations=()
    )
    assert result.diverged is not None


def test_every_update_is_made_once_in_the_order_of_steps(tmp_path):
    asked = []

    class Recording(ToyUpdates):
        def __getitem__(self, step):
            asked.append(step)
            return super().__getitem__(step)

    train_toy(tmp_path, Recording(20))
    assert asked == [0, *range(20)]  # the first also for what a training is to know


def test_workers_change_nothing(tmp_path):
    train_toy(tmp_path / "none")
    train_toy(tmp_path / "two", workers=2)
    assert outcome(tmp_path / "none") == outcome(tmp_path / "two")


def held_updates(directory: Path, step: int = 10) -> ToyUpdates:
    """Updates of which those from `step` on wait until `terminate` was there."""
    updates = ToyUpdates(30)
    updates.gate = (step, directory / f"terminated-{step}")
    return updates


def terminate(child: Child, directory: Path, step: int = 10, number=signal.SIGTERM) -> None:
    """Send a signal once training is under way (a first log point is written)."""
    events = directory / "events.jsonl"
    while not (events.exists() and '"log"' in events.read_text()):
        time.sleep(0.005)
    os.kill(child.pid, number)
    (directory / f"terminated-{step}").touch()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> tuple[bytes, bytes]:
    directory = tmp_path_factory.mktemp("uninterrupted")
    train_toy(directory, ToyUpdates(30))
    return outcome(directory)


def test_killed_at_any_time_and_resumed_is_the_same(tmp_path, uninterrupted):
    draw, step = random.Random(1), 0
    for _ in range(12):
        step = min(step + draw.randint(0, 4), 28)
        updates = ToyUpdates(30)
        updates.kill = (step, draw.uniform(0, 0.02))
        child = Child(lambda updates=updates: train_toy(tmp_path, updates, checkpoint_minutes=0))
        assert child.wait() == -signal.SIGKILL
        saved = [int(path.name[5:]) for path in (tmp_path / FOLDER).glob("step-*")]
        step = max([step, *saved])
    train_toy(tmp_path, ToyUpdates(30), checkpoint_minutes=0)
    assert outcome(tmp_path) == uninterrupted


def test_killed_while_writing_a_checkpoint_and_resumed_is_the_same(tmp_path, uninterrupted):
    # The first three calls write log.jsonl, each checkpoint takes three more.
    for call in range(6, 24):

        def rank(call=call):
            kill_at(call)
            train_toy(tmp_path, ToyUpdates(30), checkpoint_minutes=0)

        assert Child(rank).wait() == -signal.SIGKILL
    train_toy(tmp_path, ToyUpdates(30))
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.parametrize(
    ("mode", "number"),
    [("exact", signal.SIGTERM), ("fast", signal.SIGINT), ("exact", signal.SIGHUP)],
)
def test_a_signal_saves_and_the_next_start_goes_on(tmp_path, uninterrupted, mode, number):
    def attempt():
        train_toy(tmp_path / "stopped", held_updates(tmp_path / "stopped"), mode=mode, workers=1)

    child = Child(attempt)
    terminate(child, tmp_path / "stopped", number=number)
    assert child.wait() == 75
    result = train_toy(tmp_path / "stopped", ToyUpdates(30), mode=mode)
    assert 0 < result.speed["resumed_from"] < 30
    train_toy(tmp_path / "through", ToyUpdates(30), mode=mode)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "through")
    events = [json.loads(x) for x in (tmp_path / "stopped" / "events.jsonl").open()]
    assert [e["event"] for e in events if e["event"] in ("start", "stop")] == ["start", "stop"] * 2
    assert events[0]["pid"] == child.pid


def test_a_run_goes_on_with_another_number_of_processes(tmp_path, uninterrupted):
    for world, step in ((4, 10), (2, 20)):
        updates = held_updates(tmp_path, step)
        children = start_world(world, lambda updates=updates: train_toy(tmp_path, updates))
        terminate(children[-1], tmp_path, step)  # one rank is told, all stop
        assert [child.wait() for child in children] == [75] * world
        (tmp_path / "events.jsonl").unlink()
    result = train_toy(tmp_path, ToyUpdates(30))
    assert result.speed["resumed_from"] < 30
    assert outcome(tmp_path) == uninterrupted


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, uninterrupted, capsys):
    child = Child(lambda: train_toy(tmp_path, held_updates(tmp_path), checkpoint_minutes=0))
    terminate(child, tmp_path)
    assert child.wait() == 75
    older, newest = sorted((tmp_path / FOLDER).iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    result = train_toy(tmp_path, ToyUpdates(30))
    assert result.speed["resumed_from"] == int(older.name.removeprefix("step-"))
    assert f"notice: {newest}: damaged" in capsys.readouterr().err
    assert outcome(tmp_path) == uninterrupted


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    child = Child(lambda: train_toy(tmp_path, held_updates(tmp_path), checkpoint_minutes=0))
    terminate(child, tmp_path)
    assert child.wait() == 75
    model = ToyModel()
    model.extra = torch.nn.Linear(2, 2)
    with pytest.raises(StudyError, match="holds tensors of another model"):
        train_toy(tmp_path, model=model)


def test_mixed_precision_trains(tmp_path):
    for precision in ("bf16", "fp16"):
        for mode in ("exact", "fast"):
            result = train_toy(tmp_path / precision / mode, precision=precision, mode=mode)
            assert result.diverged is None
        train_toy(tmp_path / precision / "again", precision=precision)
        exact = outcome(tmp_path / precision / "exact")
        assert outcome(tmp_path / precision / "again") == exact


def test_fp16_resumes_with_its_loss_scale(tmp_path):
    child = Child(lambda: train_toy(tmp_path / "a", held_updates(tmp_path / "a"), precision="fp16"))
    terminate(child, tmp_path / "a")
    assert child.wait() == 75
    train_toy(tmp_path / "a", ToyUpdates(30), precision="fp16")
    train_toy(tmp_path / "b", ToyUpdates(30), precision="fp16")
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")


def test_result_log_and_tensorboard(tmp_path):
    result = train_toy(tmp_path, tensorboard=True)
    assert (result.step, result.totals, result.epochs) == (20, {"tokens": 240}, 1.9)
    assert [step for step, _ in result.curve] == [10, 20]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [line["step"] for line in lines] == [*range(1, 11), 10, *range(11, 21), 20]
    assert list(lines[0]) == ["step", "loss", "word", "sign", "lr", "tokens"]
    assert lines[1]["lr"] == 0.01
    assert list(lines[-1]) == ["step", "evaluation/norm"]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    assert result.speed["tokens_per_second"] > 0


def test_time_budget_stops_with_a_checkpoint(tmp_path):
    with StopRequest(time_budget=0.0) as stop, pytest.raises(Resumable, match="time budget"):
        train(
            ToyModel(),
            ToyUpdates(5),
            OPTIMISER,
            execution=parse_execution({"tensorboard": False}),
            attempt=Attempt(tmp_path, stop=stop),
        )
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["step-000000001"]
