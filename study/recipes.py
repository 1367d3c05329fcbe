"""Resolved recipes: what each job of the study computes, as plain JSON data.

A recipe names its inputs by their keys, so a key stands for everything upstream of it as well: a
change of one cell changes the keys of that cell's jobs and of nothing else.

The versions below guard results against changes of code, which no key holds.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from study.digests import MEMORY, sha256_file
from study.errors import StudyError
from study.fields import Source, without_defaults
from study.identity import key_of
from study.manifest import load_manifest
from study.places import folder_contents
from study.recipe_shapes import SHAPES
from study.study_file import StudyFile
from study.tasks import Finetuning

# When to bump which: a change that alters what a stage writes, for equal inputs, raises the number
# of that stage; it and what follows run again everywhere. If only some of its recipes are altered,
# they get a line of their own, with a number that the stage never had, and the method that makes
# the recipe says which they are: the others keep their keys. A change of language/ raises the names
# that it writes anew in GENERATOR_VERSIONS, one of what the analysis writes RESULTS_VERSION in
# study/graph.py. tests/golden/ holds losses, scores and keys, and tells when something was altered.
VERSIONS = {
    "source": 1,
    "sentences": 1,
    "vocabulary": 1,
    "tokens": 1,
    "store": 1,
    "samples": 1,
    "pair samples": 2,  # the same stage, in the pair formats
    "pretrain": 1,
    "pretrain on unknown words": 2,  # the same stage, of vocabularies that may have some
    "pretrain of one update": 3,  # which had a rate of 0 before
    "selection": 1,
    "features": 1,  # plus what `study.tasks.KIND_FACTS` adds
    "finetune": 1,
    "finetune of one update": 2,
    "throughput": 1,
}
# Of language/: the texts that a name, a seed and sizes stand for; of names not listed, FIRST.
GENERATOR_VERSIONS = {
    "cola": 4,
    "mrpc": 4,
    "qnli": 5,
    "qqp": 4,
    "rte": 4,
    "stsb": 4,
    "wnli": 5,
    "wsc": 4,
}
FIRST = 3


def generator_version(name: str) -> int:
    """Version of the texts that language/ writes under `name`, a corpus or task."""
    return GENERATOR_VERSIONS.get(name, FIRST)


def stage_recipe(stage: str, **values) -> dict:
    """A recipe of `stage` at its current version, without what it omits at its default."""
    values = without_defaults(SHAPES[stage], values)
    return {"stage": stage, "version": VERSIONS[stage], **values}


class Recipes:
    """All recipes of a study at one scale, resolved from its configuration.

    `runs` is the folder of the scale's runs, which remember digests of files. Without it files are
    told apart by where they lie, which is enough to compare recipes: none is read.
    """

    def __init__(self, config: StudyFile, runs: str | None = None):
        self.config = config
        self.runs = runs
        self.places: dict[str, str] = {}  # by key: where folders and tokenizer files lie
        self.needed: dict[str, int] = {}  # by key: documents of a repository, where not all
        self._keys: dict[tuple, str] = {}
        self._contents: dict[tuple, dict] = {}

    def key(self, stage: str, *arguments) -> str:
        """Key of the recipe that the method named `stage` makes; each is hashed once."""
        call = (stage, *arguments)
        if call not in self._keys:
            self._keys[call] = key_of(getattr(self, stage)(*arguments))
        return self._keys[call]

    def source(self, name: str) -> dict:
        """Parquet files of the corpus or task `name`."""
        if name in self.config.corpora:
            corpus = self.config.corpora[name]
            return self._source(name, corpus.source, [corpus.split], corpus.documents)
        task = self.config.tasks[name]
        return self._source(name, task.source, task.splits)

    def _source(
        self, name: str, source: Source, splits: list[str], documents: int | None = None
    ) -> dict:
        if source.folder:
            contents = self._folder_contents(name, source.folder, splits)
            recipe = stage_recipe("source", files=contents, splits=sorted(set(splits)))
            self.places[key_of(recipe)] = source.folder
            return recipe
        origin = source.in_recipe()
        if source.generated:
            others = [split.split("/")[0] for split in source.sizes if "/" in split]
            origin["generator"] = max(map(generator_version, [source.generated, *others]))
        recipe = stage_recipe("source", **origin, splits=sorted(set(splits)))
        if source.repo and documents:
            key = key_of(recipe)
            self.needed[key] = max(documents, self.needed.get(key, 0))
        return recipe

    def _folder_contents(self, name: str, folder: str, splits: list[str]) -> dict:
        """The digests of a folder's files; of one that is gone, those of its only run."""
        if self.runs is None:
            return {"folder": folder}
        folder_and_splits = (folder, *sorted(set(splits)))
        if folder_and_splits not in self._contents:
            runs = Path(self.runs, "sources", name)
            done = [] if Path(folder).exists() else list(runs.glob("*.json"))
            known = load_manifest(done[0]).recipe if len(done) == 1 else {}
            if sorted(known.get("files", {})) == sorted(set(splits)):
                self._contents[folder_and_splits] = known["files"]
            else:
                memories = runs.glob(f"*/{MEMORY}")
                self._contents[folder_and_splits] = folder_contents(folder, splits, memories)
        return self._contents[folder_and_splits]

    def _tokenizer(self, name: str, path: str) -> dict:
        """What a tokenizer.json is."""
        if self.runs is None:
            return {"path": path, "size": 0}
        if ("file", path) not in self._contents:
            self._contents["file", path] = tokenizer_contents(path, f"vocabularies.{name}.path")
        return self._contents["file", path]

    def sentences(self, corpus: str, shard: int) -> dict:
        """Sentences of one shard of a corpus."""
        spec = self.config.corpora[corpus]
        return stage_recipe(
            "sentences",
            source=self.key("source", corpus),
            corpus=corpus,
            column=spec.column,
            split=spec.split,
            language=spec.language,
            documents=spec.documents,
            bytes=spec.bytes,
            shard=shard,
            shards=spec.shards,
            splitter=self.config.splitter,
            heldout_fraction=self.config.heldout_fraction,
        )

    def shards(self, corpora: Sequence[str]) -> list[tuple[str, int]]:
        """(corpus, shard) pairs in the order in which they are concatenated."""
        return [
            (name, shard) for name in corpora for shard in range(self.config.corpora[name].shards)
        ]

    def vocabulary(self, name: str) -> dict:
        """A vocabulary (section 4.4)."""
        spec = self.config.vocabularies[name]
        if spec.kind == "file":
            recipe = stage_recipe("vocabulary", kind="file", **self._tokenizer(name, spec.path))
            self.places[key_of(recipe)] = spec.path
            return recipe
        return stage_recipe(
            "vocabulary",
            kind=spec.kind,
            size=spec.size,
            lowercase=bool(spec.lowercase),
            characters=spec.characters,
            sentences=[self.key("sentences", *shard) for shard in self.shards(spec.corpora)],
        )

    def tokens(self, vocabulary: str, corpus: str, shard: int) -> dict:
        """Token ids of one shard."""
        return stage_recipe(
            "tokens",
            sentences=self.key("sentences", corpus, shard),
            vocabulary=self.key("vocabulary", vocabulary),
        )

    def store(self, data: tuple[str, ...], vocabulary: str) -> dict:
        """The token store of a mixture of corpora, plainly concatenated (section 3.2)."""
        shards = self.shards(data)
        return stage_recipe(
            "store",
            tokens=[self.key("tokens", vocabulary, *shard) for shard in shards],
            corpora=[corpus for corpus, _ in shards],
            vocabulary=self.key("vocabulary", vocabulary),
        )

    def samples(self, name: str, seed: int) -> dict:
        """Index arrays of a cell's format; only the pair formats draw anything at random."""
        cell = self.config.cells[name]
        pairs = cell.format.pairs
        recipe = stage_recipe(
            "samples",
            store=self.key("store", tuple(cell.data), cell.vocabulary),
            format=cell.format.name,
            length=cell.length,
            seed=seed if pairs else None,
            negatives=cell.format.negatives,
            separators=None if pairs else cell.format.separators,
        )
        return {**recipe, "version": VERSIONS["pair samples"]} if pairs else recipe

    def pretrain(self, name: str, seed: int) -> dict:
        """One pre-training of a cell."""
        cell = self.config.cells[name]
        recipe = stage_recipe(
            "pretrain",
            store=self.key("store", tuple(cell.data), cell.vocabulary),
            samples=self.key("samples", name, seed),
            vocabulary=self.key("vocabulary", cell.vocabulary),
            format={
                "name": cell.format.name,
                "nsp": cell.format.nsp,
                "segments": cell.format.segments,
                "length": cell.length,
            },
            model=cell.model.in_recipe(),
            masking=cell.masking.in_recipe(),
            batch=cell.batch.in_recipe(),
            steps=cell.steps,
            optimiser=cell.optimiser.in_recipe(),
            evaluation=cell.evaluation.in_recipe(),
            seed=seed,
        )
        if self.config.vocabularies[cell.vocabulary].kind != "byte-bpe":
            recipe["version"] = VERSIONS["pretrain on unknown words"]
        if cell.steps == 1:
            recipe["version"] = VERSIONS["pretrain of one update"]
        return recipe

    def selection(self, family: str) -> dict:
        """The choice of a family's member by held-out perplexity (section 4.3)."""
        return stage_recipe(
            "selection",
            by="heldout_perplexity",
            members={
                cell: {
                    "learning_rate": rate,
                    "pretrain": [
                        self.key("pretrain", cell, seed) for seed in self.config.seeds.pretraining
                    ],
                }
                for rate, cell in self.config.families[family].members.items()
            },
        )

    def task(self, name: str, separators: int) -> dict:
        """The part of a task that features and fine-tuning read."""
        spec = self.config.tasks[name].in_recipe(without=("source", "planned"))
        return {"name": name, "separators": separators, **spec}

    def settings(self, name: str, task: str) -> dict[str, Finetuning]:
        """The fine-tuning settings of a cell on a task, by name."""
        return self.config.finetuning[self.config.cells[name].finetuning][task].settings()

    def features(self, task: str, name: str) -> dict:
        """A task's tokenised features, shared by all cells with the same vocabulary."""
        cell = self.config.cells[name]
        settings = self.config.finetuning[cell.finetuning][task]
        recipe = stage_recipe(
            "features",
            source=self.key("source", task),
            vocabulary=self.key("vocabulary", cell.vocabulary),
            task=self.task(task, settings.separators),
            length=settings.length,
        )
        recipe["version"] += self.config.tasks[task].facts.changed_features
        return recipe

    def finetune(self, name: str, seed: int, task: str, setting: str = "") -> dict:
        """All fine-tuning seeds of one pre-trained model on one task at one setting."""
        cell = self.config.cells[name]
        settings = self.settings(name, task)[setting]
        init = self.config.tasks[task].init
        tasks = map(self.config.tasks.get, self.config.cell_tasks(name))
        recipe = stage_recipe(
            "finetune",
            pretrain=self.key("pretrain", name, seed),
            features=self.key("features", task, name),
            vocabulary=self.key("vocabulary", cell.vocabulary),
            task=self.task(task, settings.separators),
            settings=settings.in_recipe(without=("separators", "length", "grid")),
            seeds=self.config.seeds.finetuning_of(seed),
            init=init
            and [self.key("finetune", name, seed, init, one) for one in self.settings(name, init)],
            keep_weights=any(other.init == task for other in tasks),
        )
        if settings.epochs == 1 and self._training_examples(task) <= settings.batch:
            recipe["version"] = VERSIONS["finetune of one update"]
        return recipe

    def _training_examples(self, task: str) -> float:
        """The most training examples that a task can have; infinite where only its data tell."""
        spec = self.config.tasks[task]
        limits = (spec.train_examples, (spec.source.sizes or {}).get(spec.train))
        return min((limit for limit in limits if limit is not None), default=math.inf)

    def throughput(self, name: str) -> dict:
        """A measurement of a cell's training speed: the one recipe that execution is part of."""
        cell = self.config.cells[name]
        counted = ("device", "precision", "mode", "compile", "micro_batch_tokens", "threads")
        return stage_recipe(
            "throughput",
            vocabulary_size=self.vocabulary(cell.vocabulary)["size"],
            format={
                "nsp": cell.format.nsp,
                "segments": cell.format.segments,
                "length": cell.length,
            },
            model=cell.model.in_recipe(),
            rate=cell.masking.rate,
            sequences=cell.batch.sequences,
            optimiser=cell.optimiser.in_recipe(),
            execution=self.config.execution.pretrain.model_dump(include=set(counted)),
        )


def tokenizer_contents(file: str, where: str) -> dict:
    """What a tokenizer.json is: its SHA-256 and the number of its entries.

    Raises StudyError, for a missing file beginning with the key `where`, when it cannot be read.
    """
    path = Path(file)
    if not path.is_file():
        raise StudyError(f"{where}: {path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        # A mapping of entries, or a list of (entry, score).
        vocabulary = content["model"]["vocab"]
        entries = {entry if isinstance(entry, str) else entry[0] for entry in vocabulary}
        size = len(entries | {token["content"] for token in content["added_tokens"]})
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise StudyError(f"{path}: not a tokenizer.json ({type(error).__name__})") from None
    return {"sha256": sha256_file(path), "size": size}
