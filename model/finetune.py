"""Fine-tuning stage: a pre-trained model and a task's features -> scores of every seed.

In: manifests of the pre-training, the features and the vocabulary. Out: per fine-tuning seed a run
of its own beside the stage's manifest, `seed-<n>.json`, with metrics.json, predictions.parquet and
for SQuAD the official predictions.json and null_odds.json; the stage's manifest gathers their
metrics (percent). A seed decides the data order, the fresh heads and the dropout. A finished seed
is never trained again, and a further seed trains only itself.

Nothing is selected: the model of the last update is scored once (protocol section 7). A run that
diverged or predicts one class only is recorded as such and counted like any other.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.network.config import NetworkConfig
from model.network.finetuning import (
    ChoiceModel,
    ClassificationModel,
    FineTuningModel,
    RegressionModel,
    SpanModel,
    load_encoder,
)
from model.tasks.batches import DevBatches, FineTuningBatches
from model.tasks.data import CHOICES
from model.tasks.features import Features
from model.tasks.scoring import Outcome, score
from model.text.tokenizer import Vocabulary
from model.training.checkpoint import forget_checkpoints
from model.training.distributed import Ranks, open_ranks, open_shared_run
from model.training.engine import TrainingResult, train
from model.training.execution import Execution, add_execution_arguments, execution_argument
from model.training.precision import Precision
from model.training.stopping import StopRequest
from study.command import Resumable, recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.identity import canonical_json, key_of
from study.manifest import Manifest, label_of, load_manifest, write_atomic

SELECTION = "last update"


@dataclass
class Inputs:
    """What all seeds share."""

    label: str  # on progress lines
    recipe: dict
    network: NetworkConfig
    segments: bool
    weights: Path
    vocabulary: Vocabulary
    train: Features
    dev: Features
    execution: Execution


def main(arguments: list[str] | None = None) -> None:
    """Command line of the fine-tuning stage."""
    parser = stage_parser(
        "model.finetune",
        __doc__,
        "python -m model.finetune --recipe @RUN/recipe.json --manifest RUN/../manifest.json "
        "--pretrain PRETRAIN.json --features FEATURES.json --vocabulary VOCABULARY.json",
    )
    for stage in ("pretrain", "features", "vocabulary"):
        parser.add_argument(f"--{stage}", required=True, metavar="FILE", help="its manifest")
    add_execution_arguments(parser)
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "finetune")
    execution = execution_argument(args)
    stages = {
        stage: load_manifest(vars(args)[stage], key=recipe[stage], stage=stage)
        for stage in ("pretrain", "features", "vocabulary")
    }
    if canonical_json(stages["features"].recipe["task"]) != canonical_json(recipe["task"]):
        raise StudyError(f"{args.features}: field recipe.task: differs from that of --recipe")
    with (
        StopRequest(args.time_budget) as stop,
        open_ranks(execution.device) as ranks,
        open_shared_run(args.manifest, recipe, ranks) as shared,
    ):
        if shared.adopted:
            return
        label = label_of(args.manifest, "finetune")
        inputs = read_inputs(label, recipe, stages, execution)
        folder = Path(args.manifest).parent
        seeds = {
            str(seed): finetune_seed(inputs, seed, folder, ranks, stop) for seed in recipe["seeds"]
        }
        if shared.run:
            majority = stages["features"].figures["dev"].get("majority")
            shared.run.publish(files=[], figures={"seeds": seeds, "majority": majority})


def read_inputs(
    label: str, recipe: dict, stages: dict[str, Manifest], execution: Execution
) -> Inputs:
    """Open what the manifests list; the network is the pre-trained one with this dropout."""
    pretrain, features = stages["pretrain"], stages["features"]
    dropout = recipe["settings"]["dropout"]
    return Inputs(
        label,
        recipe,
        NetworkConfig.of(
            {**pretrain.recipe["model"], "dropout": dropout, "attention_dropout": dropout}
        ),
        pretrain.recipe["format"]["segments"],
        pretrain.file("model.safetensors", verify=True),
        Vocabulary.load(stages["vocabulary"]),
        open_split(features, "train"),
        open_split(features, "dev"),
        execution,
    )


def open_split(manifest: Manifest, split: str) -> Features:
    """The features of one split, memory-mapped."""
    names = [name for name in manifest.files if name.startswith(f"{split}/")]
    return Features.open({name.removeprefix(f"{split}/"): manifest.file(name) for name in names})


def seed_recipe(recipe: dict, seed: int) -> dict:
    """The recipe of one seed's run: it does not name the other seeds."""
    rest = {name: value for name, value in recipe.items() if name != "seeds"}
    return {**rest, "stage": "finetune-seed", "seed": seed}


def finetune_seed(
    inputs: Inputs, seed: int, folder: Path, ranks: Ranks, stop: StopRequest
) -> dict[str, Any] | None:
    """Train and score one seed, or adopt its finished run; its figures, on the first rank."""
    recipe = seed_recipe(inputs.recipe, seed)
    manifest_path = str(folder / f"seed-{seed}.json")
    with open_shared_run(manifest_path, recipe, ranks) as shared:
        if not shared.adopted:
            if any(ranks.any(stop.reason() is not None)):
                raise Resumable(f"{stop.reason()}, before seed {seed}")
            model, fresh = build_model(inputs, seed)
            result = train_seed(inputs, model, seed, shared.directory, stop)
            if shared.run:
                publish_seed(shared.run, inputs, model, fresh, result)
        if not shared.run:
            return None
        figures = load_manifest(manifest_path, key=shared.run.key).figures
    print(progress_line(inputs.label, seed, figures), file=sys.stderr, flush=True)
    return {**figures, "key": key_of(recipe)}


def build_model(inputs: Inputs, seed: int) -> tuple[FineTuningModel, list[str]]:
    """The task's network with the pre-trained encoder, and the names of its fresh tensors."""
    torch.manual_seed(seed)
    task = inputs.recipe["task"]
    shape = (inputs.network, inputs.vocabulary.size, inputs.segments, inputs.vocabulary.pad)
    if task["kind"] == "classification":
        model = ClassificationModel(*shape, labels=task["labels"])
    elif task["kind"] == "regression":
        model = RegressionModel(*shape)
    elif task["kind"] == "span":
        model = SpanModel(*shape, answerability=task["answerability"])
    else:
        model = ChoiceModel(*shape, choices=CHOICES)
    return model, load_encoder(model, inputs.weights)


def train_seed(
    inputs: Inputs, model: FineTuningModel, seed: int, directory: Path, stop: StopRequest
) -> TrainingResult:
    """Train to the last update."""
    settings, execution = inputs.recipe["settings"], inputs.execution
    updates = FineTuningBatches(
        inputs.train,
        inputs.recipe["task"],
        batch=settings["batch"],
        epochs=settings["epochs"],
        seed=seed,
        pad=inputs.vocabulary.pad,
        segments=inputs.segments,
        micro_batch_tokens=execution.micro_batch_tokens,
    )
    optimiser = {
        **{name: settings[name] for name in ("learning_rate", "beta2", "eps", "weight_decay")},
        "warmup": settings["warmup"],
        "beta1": 0.9,
        "decay_all": False,
        "clip_norm": 0.0,
        "schedule": "linear",
    }
    return train(
        model,
        updates,
        optimiser,
        seed=seed,
        run_directory=directory,
        execution=execution,
        progress_label=f"{inputs.label} seed {seed}",
        stop=stop,
    )


def publish_seed(
    run, inputs: Inputs, model: FineTuningModel, fresh: list[str], result: TrainingResult
) -> None:
    """Score the dev split, write the seed's files and publish its manifest."""
    outcome = score_model(inputs, model)
    metrics = {
        name: value if math.isfinite(value) else None for name, value in outcome.metrics.items()
    }
    figures = {
        "metrics": metrics,
        "diverged": result.diverged is not None or not outcome.finite,
        "constant": outcome.constant,
        "updates": result.step,
        "selection": SELECTION,
        "fresh_tensors": fresh,
    }
    files = outcome.save(run.directory)
    write_atomic(run.directory / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    run.publish(["metrics.json", *files], figures, provenance=result.speed)
    forget_checkpoints(run.directory)


def score_model(inputs: Inputs, model: FineTuningModel) -> Outcome:
    """The model's outcome on the dev split."""
    device = next(model.parameters()).device
    precision = Precision(inputs.execution.precision, device)
    batches = DevBatches(
        inputs.dev,
        inputs.recipe["task"],
        pad=inputs.vocabulary.pad,
        segments=inputs.segments,
        micro_batch_tokens=inputs.execution.micro_batch_tokens,
    )
    model.eval()

    def predict(micro: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        micro = {name: tensor.to(device) for name, tensor in micro.items()}
        with torch.inference_mode(), precision.autocast():
            return {name: tensor.cpu() for name, tensor in model.predict(micro).items()}

    return score(inputs.dev, inputs.recipe["task"], batches, predict)


def progress_line(label: str, seed: int, figures: dict[str, Any]) -> str:
    """One line about a finished seed."""
    values = ", ".join(
        f"{name} {'undefined' if value is None else format(value, '.2f')}"
        for name, value in figures["metrics"].items()
    )
    notes = [name for name in ("diverged", "constant") if figures[name]]
    return f"{label} seed {seed}: {values}" + (f" ({', '.join(notes)})" if notes else "")


if __name__ == "__main__":
    run_command(main)
