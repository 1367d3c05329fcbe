"""Minimal-pairs stage: a pre-trained model and pairs of sentences -> accuracies, no fine-tuning.

In: manifests of the pre-training, of the pairs' source and of the vocabulary. Out in the run
directory: predictions.parquet with a line per pair: id, its groups, `good` and `bad` (the scores of
the sentences, nats), `prediction` (1 if the good one scores higher). Figures: pairs, accuracy
(percent), ties (which count as wrong: some pairs of BLiMP are twice the same sentence, and a
vocabulary may not tell two apart), the same by level and group, tokens that were scored, and
whether the model diverged, which leaves no accuracy.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model.network.pretraining import PretrainingModel
from model.network.weights import WEIGHTS
from model.stages.stage import Progress, Result, Stage, Work
from model.tasks.minimal_pairs import MinimalPairs, place_of, read_pairs
from model.tasks.pseudo_likelihood import FRAME, pseudo_log_likelihoods
from model.text.sources import add_place_arguments, places_of, source_files
from model.text.tokenizer import Vocabulary
from model.training.distributed import current_ranks
from model.training.execution import (
    add_execution_arguments,
    execution_argument,
    label_argument,
)
from model.training.hardware import device_name, keep_freed_memory
from model.training.precision import Precision
from study.cells import Model
from study.command import run_command
from study.errors import StudyError
from study.manifest import Manifest

PREDICTIONS = "predictions.parquet"


def add_arguments(parser) -> None:
    """Add how it is computed, and where files lie."""
    add_execution_arguments(parser)
    add_place_arguments(parser)


STAGE = Stage(
    "minimal_pairs", __doc__, inputs=("pretrain", "source", "vocabulary"), add=add_arguments
)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the minimal-pairs stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Score all pairs and write the predictions."""
    source, places = work.input("source"), places_of(work.arguments)
    files = {split: source_files(source, split, places) for split in sorted(source.figure("files"))}
    execution, vocabulary = (
        execution_argument(work.arguments),
        Vocabulary.load(work.input("vocabulary")),
    )
    precision = Precision(execution.precision, current_ranks(execution.device).device)
    threads = 1
    if execution.device == "cpu":
        threads = execution.threads
        torch.set_num_threads(1)  # of an operation
        keep_freed_memory()
    pairs = read_pairs(files, work.recipe.columns)
    model = load_model(work.input("pretrain"), vocabulary).to(precision.device)
    sentences = encoded(pairs, vocabulary, files, model.encoder.longest)
    label = label_argument(work.arguments, work.written)
    scores = pseudo_log_likelihoods(
        model,
        sentences,
        vocabulary,
        work.recipe.within_words,
        precision,
        execution.micro_batch_tokens,
        Progress(label, "sentences").told,
        threads,
    )
    good, bad = scores[: len(pairs)], scores[len(pairs) :]
    figures = figures_of(pairs, good, bad) | {"tokens": sum(map(len, sentences))}
    columns = {"id": pairs.ids, **pairs.groups, "good": good, "bad": bad}
    columns["prediction"] = (good > bad).astype(np.int64)
    pq.write_table(pa.table(columns), directory / PREDICTIONS)
    shown = "diverged" if figures["diverged"] else f"{figures['accuracy']:.2f} %"
    print(f"{label}: {shown} of {len(pairs)} pairs", file=sys.stderr, flush=True)
    speed = {"gpu": device_name(precision.device), "execution": vars(execution)}
    return [PREDICTIONS], figures, speed


def load_model(pretrain: Manifest, vocabulary: Vocabulary) -> PretrainingModel:
    """The pre-trained network, without dropout; StudyError for weights that are not its own."""
    recipe, path = pretrain.recipe, pretrain.file(WEIGHTS)
    form, sizes = recipe["format"], Model.model_validate(recipe["model"])
    nsp, segments = form.get("nsp", False), form["segments"]
    model = PretrainingModel(sizes, vocabulary.size, segments, nsp, vocabulary.pad)
    try:
        model.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).split("\n\t")[-1]
        raise StudyError(f"{path}: not the weights of this network ({reason})") from None
    return model.eval()


def encoded(
    pairs: MinimalPairs, vocabulary: Vocabulary, files: dict[str, list[Path]], longest: int
) -> list[list[int]]:
    """Token ids of the good sentences, then of the bad ones.

    Raises StudyError naming the file and the row of a sentence that has no tokens, or more than the
    network's positions hold.
    """
    sentences = vocabulary.encode_batch([*pairs.good, *pairs.bad])
    for number, tokens in enumerate(sentences):
        if not 0 < len(tokens) <= longest - FRAME:
            where = place_of(files, number % len(pairs))
            column = "sentence_good" if number < len(pairs) else "sentence_bad"
            problem = f"{len(tokens)} tokens; the network takes 1 to {longest - FRAME}"
            raise StudyError(f"{where}: column {column}: {problem}")
    return sentences


def figures_of(pairs: MinimalPairs, good: np.ndarray, bad: np.ndarray) -> dict:
    """The manifest's figures from the scores of the sentences, float64 (N,) each."""
    diverged = not (np.isfinite(good).all() and np.isfinite(bad).all())
    right, even = good > bad, good == bad

    def summary(chosen: np.ndarray) -> dict:
        accuracy = None if diverged else 100.0 * float(right[chosen].mean())
        return {"pairs": int(chosen.sum()), "accuracy": accuracy, "ties": int(even[chosen].sum())}

    groups: dict[str, dict] = {}
    for level, names in pairs.groups.items():
        array = np.array(names)
        groups[level] = {name: summary(array == name) for name in dict.fromkeys(names)}
    everything = summary(np.ones(len(pairs), dtype=bool))
    return {**everything, "groups": groups, "diverged": diverged}


if __name__ == "__main__":
    run_command(main)
