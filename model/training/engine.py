"""The training loop of pre-training and fine-tuning.

In: a module whose `forward(micro)` returns {term: fp32 sum of losses over the micro-batch}, and
a sequence of updates (model.training.update). Out: the trained module and a TrainingResult; in the
run directory checkpoints, log.jsonl, events.jsonl, tensorboard.

The loss of an update is, summed over terms, the sum over all its targets divided by their number
over all micro-batches and ranks, so it does not matter how the update is cut up. Learning rate
and data, with the keys that dropout follows, are pure functions of the step: a checkpoint needs no
generator states, and a run that was killed and resumed ends with the same bytes (in exact mode, and
wherever kernels are deterministic). In fast mode nothing in the loop waits for a GPU except at log
points; exact mode reads its alarms after every update. RoBERTa (arXiv 1907.11692) sections 2.4 and
3.1.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from model.training import hardware
from model.training.checkpoint import (
    CheckpointWriter,
    newest_checkpoint,
    read_checkpoint,
    restore_tensors,
    training_tensors,
)
from model.training.distributed import current_ranks
from model.training.gradients import ExactGradients, FastGradients
from model.training.journal import Journal
from model.training.optimiser import ScheduledOptimiser
from model.training.precision import Precision, deterministic_kernels
from model.training.progress import Progress
from model.training.state import State, TrainingResult
from model.training.update import Update
from study.cells import Optimiser
from study.command import Resumable
from study.execution import TrainingExecution
from study.stopping import StopRequest, leave_signals_to_parent

LOG_POINTS = 100  # lines in log.jsonl, evaluations apart
IN_A_ROW = 8  # updates that a process without workers makes at once
SHAPES = 64  # row counts and lengths that a compiled module may be specialised to


@dataclass(frozen=True)
class Attempt:
    """One attempt at a training: where it writes, what its lines say, what may end it early."""

    directory: Path  # of the run: checkpoints and logs
    label: str = ""  # what its lines on stderr begin with
    flops_per_token: float | None = None  # of a real token, forward and backward
    stop: StopRequest | None = None


@dataclass(frozen=True)
class Evaluation:
    """What is measured along a training, and when."""

    steps: Collection[int]  # after the updates of these numbers, from 1
    run: Callable[[nn.Module], dict[str, float]]  # on every rank; its figures join the curve
    then: Callable[[nn.Module, list], None] | None = None
    """On the first rank afterwards, with all points so far, those before a resumption too."""


def train(
    module: nn.Module,
    updates: Sequence[Update],
    optimiser: Optimiser,
    *,
    execution: TrainingExecution,
    attempt: Attempt,
    evaluation: Evaluation | None = None,
) -> TrainingResult:
    """Train `module` in place on all of `updates`, going on from a checkpoint if there is one.

    `optimiser` is the recipe's section; `updates.passes` are those over the data that all updates
    make. Raises Resumable after saving when `attempt.stop` (a signal, time budget) asks for it,
    StudyError when a checkpoint does not fit.
    """
    with (
        nullcontext(attempt.stop) if attempt.stop else StopRequest() as stop,
        deterministic_kernels(execution.mode == "exact", execution.compile),
    ):
        training = Training(module, updates, optimiser, attempt.directory, execution)
        training.resume()
        progress = training.start(attempt)
        try:
            with training.checkpoints:
                _loop(training, progress, stop, evaluation)
        except Resumable as reason:
            training.leave(progress, str(reason))
            raise
        finally:
            progress.close()
            training.journal.close()
        return training.result(progress)


def _loop(
    training: "Training", progress: Progress, stop: StopRequest, evaluation: Evaluation | None
) -> None:
    """Every update from where `training` stands to the end."""
    state, steps, ranks = training.state, training.steps, training.ranks
    for update in training.loader():
        step = state.step + 1

        # Update the weights.
        losses = training.backward(update)
        learning_rate = training.optimiser.step(step, training.precision)
        state.advance(losses, update.figures)
        progress.count(int(update.figures.get("tokens", 0)))

        # End here if it diverged; to look makes a GPU wait, so it is done at log points only.
        at_log_point = step % training.log_every == 0 or step == steps
        if step == steps and not training.precision.sound(training.optimiser.parameters):
            state.sound.clamp_(max=step - 1)  # no later loss would tell
        if (at_log_point or ranks.device.type == "cpu") and state.diverged:
            training.journal.log(step, {"diverged": state.diverged})
            return

        # Agree on what only some rank may know, so that all do the same.
        stopping, saving, showing = ranks.any(
            stop.reason() is not None, training.checkpoint_due(), progress.due
        )

        # Tell.
        if showing and ranks.first:
            progress.show(step, training.mean_losses()["loss"], learning_rate)
            training.journal.pace(step, **progress.facts(step))
        if at_log_point:
            training.log(learning_rate, progress)

        # Evaluate.
        if evaluation is not None and step in evaluation.steps:
            training.evaluate(evaluation)
            ranks.wait()  # all ranks may read what the first one wrote

        # Save, and stop if asked to.
        if (stopping or saving) and step < steps:
            training.save(progress)
        if stopping and step < steps:
            training.checkpoints.wait()
            ranks.wait()  # the first to leave would end the one that writes
            raise Resumable(f"{stop.reason() or 'another process asked to'}, after update {step}")


class Training:
    """One training under way: the objects of the loop, and the steps that it is made of."""

    def __init__(
        self,
        module: nn.Module,
        updates: Sequence[Update],
        optimiser: Optimiser,
        run_directory: Path,
        execution: TrainingExecution,
    ):
        torch.set_num_threads(execution.threads)
        hardware.keep_freed_memory()
        self.ranks = ranks = current_ranks(execution.device)
        self.module = module.to(ranks.device).train()
        self.updates, self.steps = updates, len(updates)
        self.execution, self.run_directory = execution, run_directory
        self.first_update = updates[0]
        self.terms = tuple(self.first_update.counts)
        self.optimiser = ScheduledOptimiser(module, optimiser, self.steps)
        self.precision = Precision(execution.precision, ranks.device)
        if execution.compile:
            torch._dynamo.config.recompile_limit = SHAPES
            module.compile(dynamic=False)
        summation = ExactGradients if execution.mode == "exact" else FastGradients
        self.gradients = summation(module, len(self.terms), ranks, self.precision)
        self.journal = Journal(
            run_directory, ranks.first, execution.tensorboard, execution.trackers
        )
        self.log_every = max(1, self.steps // LOG_POINTS)
        self.state = State(
            window=torch.zeros(len(self.terms), dtype=torch.float64, device=ranks.device),
            sound=torch.zeros((), dtype=torch.int64, device=ranks.device),
        )
        self.checkpoints = CheckpointWriter(run_directory)
        self.saved = time.monotonic()

    def loader(self) -> Iterable[Update]:
        """The updates still to come, made ahead by worker processes where execution says so."""
        steps = range(self.state.step, self.steps)
        if self.execution.workers == 0:
            return self._made_here(steps)
        return DataLoader(
            self.updates,
            batch_size=None,
            sampler=steps,
            num_workers=self.execution.workers,
            collate_fn=_as_arrays,
            worker_init_fn=lambda worker: leave_signals_to_parent(),
            multiprocessing_context="fork",
        )

    def _made_here(self, steps: range) -> Iterator[Update]:
        """The updates of `steps`; on a CPU some in a row, which costs a third.

        Each by itself would find its code and its tables displaced from the caches by the network.
        """
        in_a_row = IN_A_ROW if self.ranks.device.type == "cpu" else 1
        for number in range(0, len(steps), in_a_row):
            yield from [self.updates[step] for step in steps[number : number + in_a_row]]

    def backward(self, update: Update) -> Tensor:
        """Leave the update's gradient in `.grad` on every rank; its losses (terms,) float64."""
        gradients, counts = self.gradients, [update.counts[term] for term in self.terms]
        dealt = gradients.begin(len(update.micro_batches))
        for number, (index, weight) in enumerate(dealt, start=1):
            # Without targets the loss of a term is 0, and so is its gradient.
            factors = [weight / count if count else 0.0 for count in counts]
            micro = self._on_device(update.micro_batches[index])
            with gradients.micro_batch(last=number == len(dealt)):
                with self.precision.autocast():
                    by_term = gradients.wrapped(micro)
                pairs = zip(self.terms, factors, strict=True)
                losses = [by_term[term] * factor for term, factor in pairs]
                self.precision.scaled(sum(losses) * gradients.factor).backward()
            gradients.add(torch.stack([loss.detach() for loss in losses]))
        return gradients.finish()

    def _on_device(self, micro: Mapping) -> dict[str, Tensor]:
        tensors = {name: torch.as_tensor(value) for name, value in micro.items()}
        if self.ranks.device.type == "cpu":
            return tensors
        # From pinned memory the copy runs while the device still computes.
        return {
            name: tensor.pin_memory().to(self.ranks.device, non_blocking=True)
            for name, tensor in tensors.items()
        }

    def mean_losses(self) -> dict[str, float]:
        """Mean loss per term, and their sum, since the last log point; waits for the device."""
        step = self.state.step
        count = step - (step - 1) // self.log_every * self.log_every
        means = [total / count for total in self.state.window.tolist()]
        return {"loss": sum(means), **dict(zip(self.terms, means, strict=True))}

    def log(self, learning_rate: float, progress: Progress) -> None:
        """Write a log point and begin the next window."""
        step, losses = self.state.step, self.mean_losses()
        self.state.window.zero_()
        self.journal.log(step, {**losses, "lr": learning_rate, **self.state.totals})
        self.journal.scalars(step, {"tokens_per_second": progress.tokens_per_second})
        self.journal.event("log", step=step, **progress.facts(step))

    def evaluate(self, evaluation: Evaluation) -> None:
        """Add a point to the curve."""
        self.module.eval()
        with torch.no_grad():
            figures = evaluation.run(self.module)
        self.module.train()
        self.state.curve.append([self.state.step, figures])
        self.journal.log(self.state.step, {f"evaluation/{k}": v for k, v in figures.items()})
        if evaluation.then is not None and self.ranks.first:
            evaluation.then(self.module, self.state.curve)

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is old enough for the next."""
        return time.monotonic() - self.saved >= 60 * self.execution.checkpoint_minutes

    def save(self, progress: Progress) -> None:
        """Write a checkpoint, while the training goes on."""
        state = self.state
        if self.ranks.first:
            numbers = {
                **vars(state),
                "window": state.window.tolist(),
                "sound": int(state.sound),
                "seconds": state.seconds + progress.seconds,
                "scaler": self.precision.scaler.state_dict(),
                "log": self.journal.lines,
            }
            tensors = training_tensors(self.module, self.optimiser)
            self.checkpoints.write(state.step, tensors, numbers)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Go back to the newest whole checkpoint, if there is one."""
        path = newest_checkpoint(self.run_directory) if self.ranks.first else None
        path = self.ranks.tell(path)
        if path is None:
            return
        tensors, numbers = read_checkpoint(path)
        restore_tensors(tensors, self.module, self.optimiser, path)
        self.precision.scaler.load_state_dict(numbers.pop("scaler"))
        self.journal.lines = numbers.pop("log")
        self.state.window.copy_(torch.tensor(numbers.pop("window"), dtype=torch.float64))
        self.state.sound.fill_(numbers.pop("sound"))
        self.state = replace(self.state, **numbers)

    def start(self, attempt: Attempt) -> Progress:
        """Open the journal and the progress line of this attempt, and say what it will do."""
        ranks, first = self.ranks, self.first_update
        facts = {"steps": self.steps, "world": ranks.world, **vars(self.execution)}
        self.journal.start(self.state.step, attempt.label, **facts)
        self.energy = hardware.energy_joules(ranks.device)
        self.resumed_from = self.state.step
        progress = Progress(
            attempt.label,
            self.steps,
            self.state.step,
            flops_per_token=attempt.flops_per_token,
            device=ranks.device,
            dtype=self.precision.dtype,
            world=ranks.world,
        )
        if ranks.first:
            progress.announce(
                self.execution,
                parameters=sum(p.numel() for p in self.optimiser.parameters),
                tokens=int(first.figures["tokens"]),
                parts=len(first.micro_batches),
                passes=self.updates.passes,
            )
        return progress

    def leave(self, progress: Progress, reason: str) -> None:
        """Note the end of this attempt in the events."""
        self.journal.event(
            "stop",
            reason=reason,
            step=self.state.step,
            seconds=round(progress.seconds, 3),
            **progress.facts(self.state.step),
        )

    def result(self, progress: Progress) -> TrainingResult:
        """The outcome, and the pace of this attempt."""
        state, device = self.state, self.ranks.device
        diverged = state.diverged
        self.leave(progress, "finished" if diverged is None else f"diverged at update {diverged}")
        pace, energy = progress.tokens_per_second, hardware.energy_joules(device)
        return TrainingResult(
            step=state.step,
            diverged=diverged,
            curve=[(step, figures) for step, figures in state.curve],
            totals=state.totals,
            epochs=state.epoch,
            speed={
                "training_seconds": round(state.seconds + progress.seconds, 3),
                "tokens_per_second": round(pace, 1),
                "utilisation": progress.utilisation(pace),
                "peak_memory_bytes": hardware.peak_memory_bytes(device),
                "energy_joules": None if energy is None else energy - self.energy,
                "gpu": hardware.device_name(device),
                "processes": self.ranks.world,
                "resumed_from": self.resumed_from,
                "execution": vars(self.execution),
                "trackers": self.journal.links,
            },
        )


def _as_arrays(update: Update) -> Update:
    """The update with arrays for tensors: these cross from a worker without open file handles."""
    micro_batches = [
        {name: tensor.numpy() for name, tensor in micro.items()} for micro in update.micro_batches
    ]
    return replace(update, micro_batches=micro_batches)
