"""Fine-tuning stage: a pre-trained model and a task's features -> scores of every seed.

In: manifests of the pre-training, the features and the vocabulary; for a task that starts from the
model tuned on another one (MNLI, section 5.1) also those of its fine-tunings. Out: per fine-tuning
seed a run of its own beside the stage's manifest, `seed-<n>.json`, with metrics.json,
predictions.parquet (and predictions-<split>.parquet of further splits) and for SQuAD the official
predictions.json and null_odds.json; the stage's manifest gathers their metrics (percent). A
finished seed is never trained again, and a further seed trains only itself.

What is scored is the model of the last update, or with early stopping that of the epoch that was
best on the development split; the figures say which. A run that diverged or predicts one class only
is recorded as such and counted like any other.
"""

import json
import math
import sys
from pathlib import Path
from statistics import median
from typing import Any

from model.network.finetuning import FineTuningModel
from model.network.weights import WEIGHTS, write_weights
from model.stages.features import splits_of
from model.stages.stage import Stage, Work
from model.tasks.features import Features
from model.tasks.tuning import BEST, Inputs, build_model, outcome_of, scored_point, train_seed
from model.text.tokenizer import Vocabulary
from model.training.checkpoint import forget_checkpoints
from model.training.distributed import Ranks, open_ranks, open_shared_run
from model.training.execution import (
    add_execution_arguments,
    execution_argument,
    label_argument,
)
from model.training.state import TrainingResult
from study.cells import Model
from study.command import Resumable, run_command
from study.errors import StudyError
from study.execution import TrainingExecution
from study.identity import canonical_json, key_of, seed_recipe
from study.manifest import (
    MAYBE_NUMBER,
    Manifest,
    load_manifest,
    seed_run,
    write_atomic,
)
from study.recipes import FinetuneRecipe
from study.stopping import StopRequest

STAGE = Stage(
    "finetune",
    __doc__,
    inputs=("pretrain", "features", "vocabulary", "init"),
    add=add_execution_arguments,
)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the fine-tuning stage."""
    work = STAGE.parse(arguments)
    args, execution = work.arguments, execution_argument(work.arguments)
    recipe: FinetuneRecipe = work.recipe
    features, tuned = work.input("features"), work.inputs["init"]
    if canonical_json(features.recipe["task"]) != canonical_json(work.written["task"]):
        raise StudyError(f"{features.path}: field recipe.task: differs from that of --recipe")
    with (
        StopRequest(args.time_budget) as stop,
        open_ranks(execution.device) as ranks,
        open_shared_run(args.manifest, work.written, ranks, stop) as shared,
    ):
        if shared.adopted:
            return
        inputs = read_inputs(work, execution)
        folder = Path(args.manifest).parent
        seeds = {}
        for seed in recipe.seeds:
            start = tuned_run(tuned, seed) if tuned else work.input("pretrain")
            of_seed = seed_recipe(work.written, seed)
            seeds[str(seed)] = finetune_seed(inputs, start, of_seed, folder, ranks, stop)
        if shared.run:
            majority = features.figure("dev").get("majority")
            shared.run.publish(files=[], figures={"seeds": seeds, "majority": majority})


def read_inputs(work: Work, execution: TrainingExecution) -> Inputs:
    """Open what the manifests list; the network is the pre-trained one with this dropout."""
    recipe, pretrain = work.recipe, work.input("pretrain")
    dropout = recipe.settings.dropout
    return Inputs(
        label_argument(work.arguments, work.written),
        recipe,
        Model.model_validate(
            {**pretrain.recipe["model"], "dropout": dropout, "attention_dropout": dropout}
        ),
        pretrain.recipe["format"]["segments"],
        Vocabulary.load(work.input("vocabulary")),
        {split: open_split(work.input("features"), split) for split in splits_of(recipe.task)},
        execution,
    )


def tuned_run(tuned: list[Manifest], seed: int) -> Manifest:
    """The run of the model to start from: the setting with the best median, this seed of it.

    `tuned` are the fine-tunings of one task, a manifest per setting. Raises StudyError when they
    lack the seed or kept no weights.
    """
    metric = tuned[0].recipe["task"]["metrics"][0]

    def value(manifest: Manifest) -> float:
        scores = [
            manifest.figure("seeds", seed, "metrics", metric, kind=MAYBE_NUMBER)
            for seed in manifest.figure("seeds")
        ]
        return median(-math.inf if score is None else score for score in scores)

    best = max(tuned, key=value)
    if str(seed) not in best.figure("seeds"):
        raise StudyError(f"{best.path}: field seeds: no seed {seed} to start from")
    run = seed_run(best, str(seed))
    if WEIGHTS not in run.files:
        raise StudyError(f"{run.path}: kept no {WEIGHTS}; {run.rebuild_hint}")
    return run


def open_split(manifest: Manifest, split: str) -> Features:
    """The features of one split, memory-mapped; StudyError for a file that is not as published."""
    manifest.figure(split)
    names = {name for name in manifest.files if name.startswith(f"{split}/")}
    if not names:
        raise StudyError(f"{manifest.path}: field files: none of split {split}")
    # A manifest that lost a line must not make an array, or all ids, seem not to be there.
    there = (manifest.run_directory / split).glob("[!.]*.*")
    names |= {f"{split}/{path.name}" for path in there if path.suffix in (".npy", ".parquet")}
    files = {name.removeprefix(f"{split}/"): manifest.file(name) for name in sorted(names)}
    return Features.open(files)


def finetune_seed(
    inputs: Inputs, start: Manifest, recipe: dict, folder: Path, ranks: Ranks, stop: StopRequest
) -> dict[str, Any] | None:
    """Train and score one seed, or adopt its finished run; its figures, on the first rank."""
    seed = recipe["seed"]
    manifest_path = str(folder / f"seed-{seed}.json")
    with open_shared_run(manifest_path, recipe, ranks, stop) as shared:
        if not shared.adopted:
            if any(ranks.any(stop.reason() is not None)):
                raise Resumable(f"{stop.reason()}, before seed {seed}")
            model, fresh = build_model(inputs, start.file(WEIGHTS), seed)
            result = train_seed(inputs, model, seed, shared.directory, stop)
            if shared.run:
                origin = {"init": start.key} if inputs.recipe.init else {}
                publish_seed(shared.run, inputs, model, result, {"fresh_tensors": fresh, **origin})
        elif shared.run:
            tidy_up(shared.directory)
        if not shared.run:
            return None
        figures = load_manifest(manifest_path, key=shared.run.key).figures
    print(progress_line(inputs.label, seed, figures), file=sys.stderr, flush=True)
    return {**figures, "key": key_of(recipe)}


def publish_seed(
    run, inputs: Inputs, model: FineTuningModel, result: TrainingResult, start: dict
) -> None:
    """Score all splits, write the seed's files and publish its manifest; `start` goes into it."""
    outcome = outcome_of(inputs, model, "dev")
    files, found = outcome.save(run.directory), dict(outcome.metrics)
    finite = outcome.finite
    for split in inputs.splits:
        if split not in ("train", "dev"):
            further = outcome_of(inputs, model, split)
            files += further.save(run.directory, split)
            finite &= further.finite
            name = split.removeprefix("dev-")
            found |= {f"{name}_{metric}": value for metric, value in further.metrics.items()}
    metrics = {name: value if math.isfinite(value) else None for name, value in found.items()}
    figures = {
        "metrics": metrics,
        "diverged": result.diverged is not None or not finite,
        "constant": outcome.constant,
        "updates": result.step,
        "selection": selection_of(inputs.recipe.task.metrics[0], result, run.directory),
        **start,
    }
    write_atomic(run.directory / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    if inputs.recipe.keep_weights:
        write_weights(model, run.directory / WEIGHTS)
        files.append(WEIGHTS)
    run.publish(["metrics.json", *files], figures, provenance=result.speed)
    tidy_up(run.directory)


def tidy_up(directory: Path) -> None:
    """Delete what only a training that goes on would need."""
    (directory / BEST).unlink(missing_ok=True)
    forget_checkpoints(directory)


def selection_of(metric: str, result: TrainingResult, directory: Path) -> dict[str, Any] | str:
    """Which model was scored: the last update's, or the best epoch and every epoch's metric."""
    if not result.curve:
        return "last update"
    values = [metrics[metric] for _, metrics in result.curve]
    return {
        "best_epoch_by": metric,
        "epoch": scored_point(directory / BEST, result.curve, metric) + 1,
        "epochs": [value if math.isfinite(value) else None for value in values],
    }


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
