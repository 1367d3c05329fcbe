"""What one job costs, from its recipe: tokens, arithmetic, disk, memory. Nothing is run.

In: a study and one of its training jobs. Out: a Cost. Tokens of pre-training are steps x
batch.sequences x length (with unit sequences an upper bound); those of fine-tuning epochs x rows x
mean tokens per row x seeds, from the best that is known when the plan is made: the task's features,
else its source, else the configuration. Bytes are in MB of 10^6.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.counting import CHARACTERS_PER_TOKEN, corpus_characters, pairs_size, task_size
from model.network.sizes import (
    activation_bytes,
    checkpoint_bytes,
    encoder_parameters,
    flops_per_token,
    pretraining_parameters,
    state_bytes,
    vocabulary_parameters,
)
from model.training.optimisers import MOMENTS
from study.cells import Model
from study.errors import StudyError
from study.fields import given
from study.formats import FORMATS
from study.graph import Study
from study.identity import key_of, seed_recipe
from study.jobs import Job, needed
from study.manifest import MANIFEST_NAME, NUMBER, Manifest, load_manifest
from study.places import source_entries
from study.recipes import PretrainRecipe, RecipeSettings

MB = 1e6
# The two checkpoints that are kept and the one being written.
CHECKPOINTS = 3
FORWARD = 3  # a training's arithmetic over that of its forward passes, which evaluations are
# Of a mean sentence, at the end of an input: it is more often a long one that does not fit.
EMPTY = 0.7
MOST_PADDING = 0.2  # of a micro-batch on a CPU; where it is more, the network leaves it out
TOKENS_PER_SENTENCE = 25


@dataclass(frozen=True)
class Cost:
    """A training job's cost; `devices` work on it at once, memory is that of one of them."""

    tokens: float
    flops: float  # of the training, as they are usually counted
    work: float  # FLOPs that are really worked out, evaluations included
    updates: int
    disk_mb: float  # of the weights that are kept
    checkpoint_mb: float  # on disk while it runs, at most
    memory_mb: float
    devices: int
    basis: str  # what the tokens were found from
    parameters: int  # of the network that is trained, and how many of them its vocabulary adds
    vocabulary_parameters: int
    passes: float | None = None  # of a pre-training, over its samples; None if nothing tells


@dataclass(frozen=True)
class Rows:
    """Rows of one split of a task and their tokens; `basis` says where they were found."""

    rows: float
    tokens: float
    basis: str


def finished(job: Job) -> Manifest | None:
    """The job's manifest if it is there with the job's key."""
    try:
        return load_manifest(job.path, key=job.key)
    except StudyError:
        return None


def share_left(job: Job) -> float:
    """What of an unfinished job is still to run, 0 to 1: a fine-tuning's seeds that have no run."""
    if job.stage != "finetune":
        return 1.0
    seeds, folder = job.recipe["seeds"], Path(job.path).parent
    keys = [key_of(seed_recipe(job.recipe, seed)) for seed in seeds]
    return sum(not (folder / key / MANIFEST_NAME).exists() for key in keys) / len(keys)


def cost_of(study: Study, job: Job) -> Cost:
    """The cost of a pre-training, a fine-tuning or the scoring of minimal pairs."""
    costs = {"pretrain": _pretraining, "finetune": _finetuning, "minimal_pairs": _minimal_pairs}
    return costs[job.stage](study, job)


def memory_mb(study: Study, job: Job) -> float:
    """Memory of one of the devices that a training works on: weights, state and activations."""
    memories = {
        "pretrain": _pretraining_memory,
        "finetune": _finetuning_memory,
        "minimal_pairs": _minimal_pairs_memory,
    }
    return memories[job.stage](study, job) / MB


def _pretraining_memory(study: Study, job: Job) -> float:
    recipe, execution = PretrainRecipe.model_validate(job.recipe), study.config.execution.pretrain
    model, form = recipe.model, recipe.format
    entries = job.inputs["vocabulary"][0].recipe["size"]
    parameters = pretraining_parameters(model, entries, form.segments, form.nsp)
    moments = MOMENTS[recipe.optimiser.name]
    return state_bytes(parameters, moments, execution.precision, execution.mode) + activation_bytes(
        model,
        entries,
        tokens=min(execution.micro_batch_tokens, recipe.batch.sequences * form.length),
        length=form.length,
        target_share=recipe.masking.rate,
        precision=execution.precision,
        device=execution.device,
    )


def _pretraining(study: Study, job: Job) -> Cost:
    recipe = PretrainRecipe.model_validate(job.recipe)
    model, form, rate = recipe.model, recipe.format, recipe.masking.rate
    entries = job.inputs["vocabulary"][0].recipe["size"]
    per_update = recipe.batch.sequences * form.length
    parameters = pretraining_parameters(model, entries, form.segments, form.nsp)
    tokens = recipe.steps * per_update
    evaluation = recipe.evaluation
    evaluated = min(evaluation.points, recipe.steps) * evaluation.samples * form.length
    moments = MOMENTS[recipe.optimiser.name]
    return Cost(
        tokens=tokens,
        flops=tokens * flops_per_token(model, form.length, entries, rate),
        work=(tokens * _padding(study, job) + evaluated / FORWARD)
        * flops_per_token(model, form.length, entries, rate, read_share=rate),
        updates=recipe.steps,
        disk_mb=4 * parameters / MB,
        checkpoint_mb=CHECKPOINTS * checkpoint_bytes(parameters, moments) / MB,
        memory_mb=memory_mb(study, job),
        devices=study.config.execution.pretrain.processes,
        basis="steps",
        parameters=parameters,
        vocabulary_parameters=vocabulary_parameters(model, entries),
        passes=_passes(study, job, tokens),
    )


def _padding(study: Study, job: Job) -> float:
    """Tokens, padding included, for each real one: sentences are whole, so inputs are not full.

    On a GPU samples lie end to end. On a CPU padding of a fifth and more is spared.
    """
    if study.config.execution.pretrain.device == "cuda":
        return 1.0
    samples = job.inputs["samples"][0]
    manifest, length = finished(samples), samples.recipe["length"]
    empty = EMPTY * TOKENS_PER_SENTENCE / length
    if manifest is not None:
        tokens, rows = (manifest.figure("train", name, kind=int) for name in ("tokens", "samples"))
        empty = 1 - tokens / (rows * length)
    return 1 / (1 - min(empty, MOST_PADDING))


def _passes(study: Study, job: Job, tokens: float) -> float | None:
    """How often a pre-training of so many tokens goes through its samples."""
    samples = job.inputs["samples"][0]
    manifest = finished(samples)
    if manifest is not None:
        return tokens / manifest.figure("train", "tokens", kind=int)
    shown = _tokens(study, samples, training_only=True)
    if shown is None:
        return None
    return tokens / (shown * FORMATS[samples.recipe["format"]].repeated)


def _tuned(job: Job) -> tuple[Model, int, int]:
    """The network that a fine-tuning trains, its vocabulary's size, its parameters."""
    pretrain, settings = job.inputs["pretrain"][0], job.recipe["settings"]
    model = Model.model_validate(
        {**pretrain.recipe["model"], "attention_dropout": settings["dropout"]}
    )
    entries = job.inputs["vocabulary"][0].recipe["size"]
    segments = pretrain.recipe["format"]["segments"]
    return model, entries, encoder_parameters(model, entries, segments)


def _finetuning_memory(study: Study, job: Job) -> float:
    execution, settings = study.config.execution.finetune, job.recipe["settings"]
    model, entries, parameters = _tuned(job)
    length, spec = job.inputs["features"][0].recipe["length"], study.config.tasks[job.names["task"]]
    moments = MOMENTS[RecipeSettings.model_validate(settings).optimiser().name]
    return state_bytes(parameters, moments, execution.precision, execution.mode) + activation_bytes(
        model,
        entries,
        tokens=min(execution.micro_batch_tokens, settings["batch"] * spec.rows * length),
        length=length,
        target_share=0,
        precision=execution.precision,
        device=execution.device,
    )


def _finetuning(study: Study, job: Job) -> Cost:
    settings, features = job.recipe["settings"], job.inputs["features"][0]
    model, entries, parameters = _tuned(job)
    train, dev = (rows_of(study, features, split) for split in ("train", "dev"))
    mean = train.tokens / train.rows
    spec = study.config.tasks[job.names["task"]]
    moments = MOMENTS[RecipeSettings.model_validate(settings).optimiser().name]
    seeds = len(job.recipe["seeds"])
    tokens = settings["epochs"] * train.tokens * seeds
    updates = settings["epochs"] * math.ceil(train.rows / spec.rows / settings["batch"]) * seeds
    evaluated = dev.tokens * (settings["epochs"] if settings.get("early_stopping") else 1) * seeds
    read_share = 1 if spec.facts.reads_all else 1 / mean
    # Weights are kept where another task's fine-tuning starts from these models.
    kept = seeds * job.recipe.get("keep_weights", 0)
    return Cost(
        tokens=tokens,
        flops=tokens * flops_per_token(model, mean, entries, target_share=0),
        work=(tokens + evaluated / FORWARD)
        * flops_per_token(model, mean, entries, target_share=0, read_share=read_share),
        updates=updates,
        disk_mb=4 * parameters * kept / MB,
        checkpoint_mb=CHECKPOINTS * checkpoint_bytes(parameters, moments) / MB,
        memory_mb=memory_mb(study, job),
        devices=study.config.execution.finetune.processes,
        basis=train.basis,
        parameters=parameters,
        vocabulary_parameters=vocabulary_parameters(model, entries, decoder=False),
    )


def _minimal_pairs_memory(study: Study, job: Job) -> float:
    pretrain = job.inputs["pretrain"][0].recipe
    model, form = Model.model_validate(pretrain["model"]), pretrain["format"]
    entries = job.inputs["vocabulary"][0].recipe["size"]
    parameters = pretraining_parameters(model, entries, form["segments"], form["nsp"])
    micro_batch = study.config.execution.finetune.micro_batch_tokens
    return 4 * parameters + 4 * micro_batch * (4 * model.hidden + model.ffn)


def _minimal_pairs(study: Study, job: Job) -> Cost:
    """Forward passes alone, of a masked copy for each token."""
    spec, pretrain = study.config.minimal_pairs[job.names["pairs"]], job.inputs["pretrain"][0]
    model = Model.model_validate(pretrain.recipe["model"])
    entries, form = job.inputs["vocabulary"][0].recipe["size"], pretrain.recipe["format"]
    source, planned = finished(job.inputs["source"][0]), spec.planned
    size = (planned.pairs, planned.row_tokens) if planned else spec.source.own and pairs_size(spec)
    if source is not None:
        splits = source.figure("files")
        pairs = sum(entry["rows"] for split in splits for entry in source_entries(source, split))
        basis = "source"
    elif size:
        pairs, basis = size[0], "planned" if planned else "files"
    else:
        raise StudyError(
            f"{study.study_path}: minimal_pairs.{job.names['pairs']}.planned: missing; the plan "
            "needs it until the pairs are there"
        )
    length = size[1] if size else form["length"]
    tokens = 2 * pairs * (length - 2) * length
    return Cost(
        tokens=tokens,
        flops=tokens * flops_per_token(model, length, entries, 1 / length) / FORWARD,
        work=tokens * flops_per_token(model, length, entries, 1 / length, 1 / length) / FORWARD,
        updates=0,
        disk_mb=0.0,
        checkpoint_mb=0.0,
        memory_mb=memory_mb(study, job),
        devices=1,
        basis=basis,
        parameters=pretraining_parameters(model, entries, form["segments"], form["nsp"]),
        vocabulary_parameters=vocabulary_parameters(model, entries),
    )


def rows_of(study: Study, features: Job, split: str) -> Rows:
    """Rows and tokens of a task's split ("train" or "dev"), from its features if they are there.

    Else examples x rows of one x planned.row_tokens; a row that is longer than the input becomes
    as many windows as the task's stride gives. Without planned.row_tokens those of files of one's
    own are counted, and every row of others as full.
    """
    manifest = finished(features)
    if manifest is not None:
        rows, tokens = (manifest.figure(split, name, kind=NUMBER) for name in ("rows", "tokens"))
        return Rows(rows, tokens, "features")
    task, length = features.recipe["task"], features.recipe["length"]
    spec = study.config.tasks[task["name"]]
    examples, basis = _examples(study, features, split)
    rows = examples * spec.rows
    row_tokens = spec.planned.row_tokens if spec.planned else length
    if spec.source.own and spec.planned is None:
        row_tokens = task_size(spec, task[split])[1]
    if "stride" in task and row_tokens > length:
        rows *= 1 - (length - row_tokens) // min(task["stride"], length)
    return Rows(rows, rows * min(row_tokens, length), basis)


def _examples(study: Study, features: Job, split: str) -> tuple[int, str]:
    """Examples of a split and where the number was found."""
    task = features.recipe["task"]
    spec, limit = study.config.tasks[task["name"]], task.get(f"{split}_examples")
    source = finished(features.inputs["source"][0])
    sizes = (spec.source.sizes or {}).get(task[split])
    if source is not None:
        found, basis = sum(entry["rows"] for entry in source_entries(source, task[split])), "source"
    elif sizes is not None:
        found, basis = sizes, "sizes"
    elif spec.source.own and spec.planned is None:
        found, basis = task_size(spec, task[split])[0], "files"
    elif limit is not None:
        return limit, f"{split}_examples"
    elif spec.planned is not None:
        found, basis = getattr(spec.planned, split), "planned"
    else:
        raise StudyError(
            f"{study.study_path}: tasks.{task['name']}.planned: missing; the plan needs it until "
            "the task's source is there"
        )
    if spec.dev_fraction is not None and basis != "planned":
        dev = max(1, round(found * spec.dev_fraction))
        found = dev if split == "dev" else found - dev
    return (limit, f"{split}_examples") if limit and limit < found else (found, basis)


def _characters(study: Study, sentences: Job) -> float | None:
    """Characters of a shard of a corpus; None if nothing tells."""
    manifest = finished(sentences)
    if manifest is not None:
        return sum(manifest.figure(s, "characters", kind=NUMBER) for s in ("train", "heldout"))
    recipe, spec = sentences.recipe, study.config.corpora[sentences.recipe["corpus"]]
    total: float | None = (spec.source.sizes or {}).get(recipe["split"])
    if total is None and spec.source.own and not spec.planned:
        total = corpus_characters(spec)
    if total is None and spec.planned:
        total = spec.planned.characters
        if recipe["documents"]:
            total *= min(1, recipe["documents"] / spec.planned.documents)
    if total is not None and "bytes" in recipe:
        total = min(total, recipe["bytes"])
    return None if total is None else total / recipe["shards"]


def _tokens(study: Study, job: Job, *, training_only: bool = False) -> float | None:
    """Tokens of a shard or of a whole store, of both splits unless told; None if nothing tells."""
    characters = 0.0
    for shard in (other for other in needed([job]) if other.stage == "tokens"):
        (sentences,) = shard.inputs["sentences"]
        size = _characters(study, sentences)
        if size is None:
            return None
        heldout = sentences.recipe["heldout_fraction"] if training_only else 0.0
        characters += size * (1 - heldout)
    return characters / CHARACTERS_PER_TOKEN


def _samples(study: Study, job: Job) -> float:
    """Samples of a format: one per sentence, or about one per full input."""
    per_sentence = FORMATS[job.recipe["format"]].per_sentence
    each = TOKENS_PER_SENTENCE if per_sentence else job.recipe["length"]
    return given(_tokens(study, job)) / each


def _feature_tokens(study: Study, job: Job) -> float:
    return sum(rows_of(study, job, split).tokens for split in ("train", "dev"))


# Bytes of a text stage before it has run, from finished runs: compressed sentences per character,
# tokens (uint16) with their sentences' lengths, a store's offsets (its tokens are links to those of
# the shards), index arrays per sample, features per token.
STAGE_BYTES: dict[str, tuple[float, Callable[[Study, Job], float | None]]] = {
    "sentences": (0.4, _characters),
    "tokens": (2.3, _tokens),
    "store": (0.4, _tokens),
    "samples": (40, _samples),
    "features": (4, _feature_tokens),
}
LINKED = "/tokens-"  # in the names of a store's files that take no room of their own


def text_megabytes(study: Study, jobs: list[Job]) -> float | None:
    """Disk of the text stages among `jobs`: their files' where finished, else estimated.

    Sentences, tokens, stores, samples and features count; sources and vocabularies do not. None
    if nothing tells how large a corpus is.
    """
    if any(job.stage == "sentences" and _characters(study, job) is None for job in jobs):
        return None
    total = 0.0
    for job in (job for job in jobs if job.stage in STAGE_BYTES):
        manifest, (size, count) = finished(job), STAGE_BYTES[job.stage]
        if manifest is None:
            total += size * given(count(study, job))
        else:
            own = {name: file for name, file in manifest.files.items() if LINKED not in name}
            total += sum(file["bytes"] for file in own.values())
    return total / MB
