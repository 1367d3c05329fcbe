"""One fine-tuning: from a pre-trained encoder to a trained model and its outcomes on all splits.

In: the opened inputs of a job and a seed, which decides the data order, the fresh heads and the
dropout. Out: the trained network, and what it predicts. With early stopping the epoch that is best
on the development split, by the task's first metric, is the model (section 5.1); else the last.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from model.network.finetuning import EncoderSpec, FineTuningModel, load_encoder
from model.network.heads import ClassificationHead
from model.network.weights import write_weights
from model.tasks.batches import DevBatches, FineTuningBatches
from model.tasks.features import Features
from model.tasks.kinds import KINDS
from model.tasks.scoring import Outcome, Predicted
from model.text.tokenizer import Vocabulary
from model.training.engine import Attempt, Evaluation, train
from model.training.precision import Precision
from model.training.state import TrainingResult
from study.cells import Model
from study.execution import TrainingExecution
from study.recipes import FinetuneRecipe
from study.stopping import StopRequest

BEST = "best.safetensors"


@dataclass
class Inputs:
    """What all seeds of a job share; `splits` are the features by name: train, dev, ..."""

    label: str  # on progress lines
    recipe: FinetuneRecipe
    network: Model
    segments: bool
    vocabulary: Vocabulary
    splits: dict[str, Features]
    execution: TrainingExecution

    @property
    def shape(self) -> dict[str, int]:
        """How batches are padded and cut. Only a GPU's kernels are faster at multiples of 8."""
        return {
            "pad": self.vocabulary.pad,
            "segments": self.segments,
            "micro_batch_tokens": self.execution.micro_batch_tokens,
            "multiple": 8 if self.execution.device == "cuda" else 1,
        }


def build_model(inputs: Inputs, weights: Path, seed: int) -> tuple[FineTuningModel, list[str]]:
    """The task's network with the encoder in `weights`, and the names of its fresh tensors."""
    torch.manual_seed(seed)
    task, vocabulary = inputs.recipe.task, inputs.vocabulary
    spec = EncoderSpec(inputs.network, vocabulary.size, inputs.segments, vocabulary.pad)
    kind = KINDS[task.kind]
    model = kind.network(task, spec, kind.loss)
    return model, load_encoder(model, weights)


def train_seed(
    inputs: Inputs, model: FineTuningModel, seed: int, directory: Path, stop: StopRequest
) -> TrainingResult:
    """Train; `model` ends with the weights to be scored.

    With early stopping `result.curve` holds the development metrics after every epoch.
    """
    settings, execution = inputs.recipe.settings, inputs.execution
    head_dropout = settings.dropout if settings.head_dropout is None else settings.head_dropout
    for module in model.modules():
        if isinstance(module, ClassificationHead):
            for dropout in module.dropouts:
                dropout.rate = head_dropout
    updates = FineTuningBatches(
        inputs.splits["train"],
        inputs.recipe.task,
        batch=settings.batch,
        epochs=settings.epochs,
        seed=seed,
        group_by_length=settings.group_by_length,
        **inputs.shape,
    )
    evaluation = None
    if settings.early_stopping:
        epoch = updates.updates_per_epoch
        evaluation = Evaluation(
            steps=range(epoch, len(updates) + 1, epoch),
            run=lambda module: outcome_of(inputs, module, "dev").metrics,
            then=best_keeper(inputs.recipe.task.metrics[0], directory / BEST),
        )
    result = train(
        model,
        updates,
        settings.optimiser(),
        execution=execution,
        attempt=Attempt(directory, f"{inputs.label} seed {seed}", stop=stop),
        evaluation=evaluation,
    )
    if result.curve:
        model.load_state_dict(
            load_file(directory / BEST, device=str(next(model.parameters()).device))
        )
        model.eval()
    return result


def best_keeper(metric: str, path: Path) -> Callable[[nn.Module, list], None]:
    """A function that writes the weights to `path` whenever the curve's last point is its best.

    It looks at the whole curve, so an interrupted training that goes on from a checkpoint writes
    what it wrote before (where its arithmetic is exact). Among equal points the first is the best.
    """

    def keep(module: nn.Module, curve: list) -> None:
        if best_point(curve, metric) == len(curve) - 1:
            write_weights(module, path, {"step": str(curve[-1][0])})

    return keep


def scored_point(path: Path, curve: list, metric: str) -> int:
    """Place in the curve of the epoch whose weights are in `path`.

    A training on a GPU that repeats an epoch after an interruption may find it a little worse than
    what it kept the first time; then the kept weights are scored, which are not the curve's best.
    """
    with safe_open(path, framework="pt") as file:
        kept = (file.metadata() or {}).get("step")
    steps = [str(step) for step, _ in curve]
    return steps.index(kept) if kept in steps else best_point(curve, metric)


def best_point(curve: list, metric: str) -> int:
    """Place of the highest value of `metric` in a curve of (step, metrics); NaN is below all."""
    values = [point[1][metric] for point in curve]
    values = [-math.inf if value is None or math.isnan(value) else value for value in values]
    return values.index(max(values))


def outcome_of(inputs: Inputs, model: nn.Module, split: str) -> Outcome:
    """The model's outcome on a split of the features."""
    device = next(model.parameters()).device
    precision = Precision(inputs.execution.precision, device)
    features = inputs.splits[split]
    batches = DevBatches(features, inputs.recipe.task, **inputs.shape)
    model.eval()

    def predicted() -> Iterator[Predicted]:
        for units, micro in batches:
            with torch.inference_mode(), precision.autocast():
                outputs = model.predict({name: part.to(device) for name, part in micro.items()})
            outputs = {name: tensor.cpu().numpy() for name, tensor in outputs.items()}
            yield Predicted(batches.rows(units), micro["lengths"].numpy(), outputs)

    task = inputs.recipe.task
    return KINDS[task.kind].score(features, task, predicted())
