"""Pre-training stage: train one cell; alone, or as several processes (`model.launch`).

In: manifests of the token store, of the samples in the cell's format and of the vocabulary; of a
cell that starts from weights those of them, or of the pre-training that they are from. Out in
the run directory: model.safetensors (fp32), log.jsonl (losses along training); events.jsonl and
tensorboard/ for watching. Figures: held-out loss and perplexity (overall, per corpus, along
training); next-sentence accuracy and what guessing the commoner label reaches, in percent; tokens,
targets, epochs, parameters. RoBERTa (arXiv 1907.11692) sections 2 to 4.
"""

import hashlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from model.network.pretraining import PretrainingModel
from model.network.sizes import flops_per_token
from model.network.starting import take_over
from model.network.weights import WEIGHTS, write_weights
from model.samples.batches import HeldoutBatches, PretrainingBatches
from model.samples.index import Samples
from model.stages.stage import Stage, Work
from model.text.store import SPLITS, TokenStore
from model.text.tokenizer import Vocabulary
from model.training.checkpoint import forget_checkpoints
from model.training.distributed import Ranks, current_ranks, open_ranks, open_shared_run
from model.training.engine import Attempt, Evaluation, train
from model.training.execution import (
    add_execution_arguments,
    execution_argument,
    label_argument,
)
from model.training.journal import Journal, finite
from model.training.perplexity import heldout_means, perplexity
from model.training.precision import Precision
from model.training.state import TrainingResult
from study.command import run_command
from study.errors import StudyError
from study.execution import TrainingExecution
from study.manifest import Manifest
from study.recipes import PretrainRecipe
from study.starts import Sizes
from study.stopping import StopRequest

DATA, STARTS = ("store", "samples", "vocabulary"), ("weights", "start")
STAGE = Stage(
    "pretrain",
    __doc__,
    inputs=(*DATA, *STARTS),
    add=add_execution_arguments,
)


@dataclass(frozen=True)
class Data:
    """The inputs of a pre-training, opened."""

    vocabulary: Vocabulary
    training: PretrainingBatches
    heldout: dict[str, HeldoutBatches]  # by corpus; corpora without held-out samples are left out

    @classmethod
    def open(
        cls,
        manifests: dict[str, Manifest],
        recipe: PretrainRecipe,
        execution: TrainingExecution,
        world: int,
    ) -> "Data":
        """Map the files and make the batches as the execution, on `world` ranks, wants them."""
        tokens, packed = execution.micro_batch_tokens, execution.device == "cuda"
        # In exact mode an update is cut in the same way on any number of ranks.
        parts = world if execution.mode == "fast" else 1
        vocabulary = Vocabulary.load(manifests["vocabulary"])
        stores = {name: TokenStore.open(manifests["store"], name) for name in SPLITS}
        samples = {name: open_samples(manifests["samples"], name) for name in SPLITS}
        training = PretrainingBatches(
            stores["train"], samples["train"], vocabulary, recipe, tokens, packed, parts
        )
        store = stores["heldout"]
        by_corpus = {
            name: HeldoutBatches(
                store, samples["heldout"], vocabulary, recipe, tokens, number, packed
            )
            for number, name in enumerate(store.corpus_names)
        }
        heldout = {name: batches for name, batches in by_corpus.items() if len(batches)}
        return cls(vocabulary, training, heldout)

    def nsp_majority(self) -> float | None:
        """Percent of the evaluated pairs that have the commoner label, which guessing it reaches;
        None without held-out pairs.
        """
        if not self.heldout:
            return None
        counts = np.bincount(np.concatenate([part.labels for part in self.heldout.values()]))
        return 100 * int(counts.max()) / int(counts.sum())


def tell_without_heldout(corpora: set[str]) -> None:
    """Name the corpora of which no sample is held out."""
    for corpus in sorted(corpora):
        print(
            f"{corpus}: no held-out sample, so no perplexity of its own; a larger "
            f"corpora.{corpus}.heldout_fraction holds documents out",
            file=sys.stderr,
        )


def open_samples(manifest: Manifest, split: str) -> Samples:
    """One split's samples, after a check that its files are whole."""
    for name in manifest.files:
        if name.startswith(f"{split}/"):
            manifest.file(name)
    return Samples.open(manifest.run_directory / split)


def evaluation_steps(steps: int, points: int) -> list[int]:
    """`points` steps (fewer if there are fewer steps), evenly spaced, the last at the end."""
    return sorted({max(1, round(steps * point / points)) for point in range(1, points + 1)})


def weights_seed(seed: int) -> int:
    """Seed of torch's generator for the weights: a hash, so that near seeds have far generators."""
    digest = hashlib.blake2b(f"weights {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def make_model(recipe: PretrainRecipe, vocabulary: Vocabulary) -> PretrainingModel:
    """The cell's network with the weights that its seed draws."""
    torch.manual_seed(weights_seed(recipe.seed))
    form = recipe.format
    return PretrainingModel(recipe.model, vocabulary.size, form.segments, form.nsp, vocabulary.pad)


def start_from(model: PretrainingModel, work: Work) -> dict:
    """Give the model the weights that its recipe starts from; the figures that tell of it, if any.

    Raises StudyError naming the manifest and the size, or the file and the tensor, that differ.
    """
    recipe: PretrainRecipe = work.recipe
    for run in (run for name in STARTS for run in work.inputs[name]):
        if run.stage == "weights":
            sizes = Sizes(**run.figure("sizes"))
            if differences := sizes.differences(recipe.model):
                raise StudyError(f"{run.path}: other sizes than field model: {differences[0]}")
        path = run.file(WEIGHTS)
        return {"fresh_tensors": take_over(model, load_file(path), recipe.fresh, str(path))}
    return {}


def evaluator(
    model: PretrainingModel, data: Data, ranks: Ranks, execution: TrainingExecution
) -> Callable[[nn.Module], dict[str, float]]:
    """Function that gives the held-out figures of the model as it is."""
    precision = Precision(execution.precision, ranks.device)
    return lambda module: heldout_means(module, data.heldout, model.measures, ranks, precision)


def leave_untrained(
    model: nn.Module, execution: TrainingExecution, directory: Path, evaluation: Evaluation
) -> TrainingResult:
    """What a training without updates (`steps: 0`) gives: the weights stay as the seed drew them.

    As after any training, `directory` holds a log.jsonl and the result a held-out loss.
    """
    ranks = current_ranks(execution.device)
    losses = evaluation.run(model.to(ranks.device).eval())
    journal = Journal(directory, ranks.first, tensorboard=False)
    journal.start(0)
    journal.log(0, {f"evaluation/{name}": value for name, value in losses.items()})
    totals = dict.fromkeys(("tokens", "masked", "samples", "padded"), 0)
    return TrainingResult(0, None, [(0, losses)], totals, 0.0)


def is_sound(losses: dict[str, float]) -> bool:
    """Whether held-out losses are those of a model that did not diverge."""
    return math.isfinite(perplexity(losses["mlm"])) and math.isfinite(losses.get("nsp", 0.0))


def figures_of(result: TrainingResult, model: nn.Module, heldout: dict) -> dict:
    """The manifest's figures: nothing that may differ between equal runs."""
    last, diverged = result.curve[-1][1] if result.curve else {}, result.diverged
    if diverged is None and heldout and not is_sound(last):
        diverged = result.step
    if diverged is not None:
        last = {}

    def pair(suffix: str) -> dict:
        loss = last.get(f"mlm{suffix}", math.nan)
        return {"loss": finite(loss), "perplexity": finite(perplexity(loss))}

    return {
        "heldout_loss": pair("")["loss"],
        "heldout_perplexity": pair("")["perplexity"],
        "heldout_nsp_loss": finite(last.get("nsp", math.nan)),
        "heldout_nsp_accuracy": finite(last.get("nsp_accuracy", math.nan)),
        "corpora": {name: pair(f"/{name}") for name in heldout},
        "curve": [[step, finite(losses["mlm"])] for step, losses in result.curve],
        "steps": result.step,
        "diverged": diverged,
        "epochs": result.epochs,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **{name: result.totals[name] for name in ("tokens", "masked", "samples")},
    }


def main(arguments: list[str] | None = None) -> None:
    """Pre-train and publish; StudyError for inputs that do not fit, Resumable when stopped."""
    work = STAGE.parse(arguments)
    args, execution = work.arguments, execution_argument(work.arguments)
    recipe: PretrainRecipe = work.recipe
    manifests = {name: work.input(name) for name in DATA}
    with (
        StopRequest(args.time_budget) as stop,
        open_ranks(execution.device) as ranks,
        open_shared_run(args.manifest, work.written, ranks, stop) as shared,
    ):
        if shared.adopted:
            # Its process may have been killed between publishing and tidying up.
            forget_checkpoints(shared.directory)
            return
        data = Data.open(manifests, recipe, execution, ranks.world)
        if ranks.first:
            tell_without_heldout(set(manifests["store"].recipe["corpora"]) - set(data.heldout))
        model = make_model(recipe, data.vocabulary)
        origin = start_from(model, work)
        evaluation = Evaluation(
            steps=evaluation_steps(recipe.steps, recipe.evaluation.points),
            run=evaluator(model, data, ranks, execution),
        )
        if recipe.steps == 0:
            result = leave_untrained(model, execution, shared.directory, evaluation)
        else:
            result = train(
                model,
                data.training,
                recipe.optimiser,
                execution=execution,
                attempt=Attempt(
                    shared.directory,
                    label_argument(args, work.written),
                    flops_per_token(
                        recipe.model,
                        recipe.format.length,
                        data.vocabulary.size,
                        recipe.masking.rate,
                    ),
                    stop,
                ),
                evaluation=evaluation,
            )
        if shared.run is None:
            return
        write_weights(model, shared.directory / WEIGHTS, {"format": "pt"})
        shared.run.publish(
            [WEIGHTS, "log.jsonl"],
            {
                **figures_of(result, model, data.heldout),
                **origin,
                "heldout_nsp_majority": data.nsp_majority() if recipe.format.nsp else None,
            },
            {"training": {**result.speed, "padded_tokens": result.totals["padded"]}},
        )
        forget_checkpoints(shared.directory)


if __name__ == "__main__":
    run_command(main)
