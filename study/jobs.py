"""The jobs of a study: where each manifest lies, its recipe and its inputs.

A manifest lies at `runs/<scale>/<stage>/<names>/<key>.json`: names for people, the key so that
results of another recipe are other files. Whatever happens to Snakemake's own metadata, a changed
recipe asks for a manifest that is not there yet, and going back finds the old one. The Snakefile's
rules read this registry and add nothing but resources and the shell line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from study.cells import Cell
from study.errors import StudyError
from study.identity import canonical_json, key_of
from study.recipes import Recipes
from study.study_file import StudyFile

# What the jobs of a stage are called by. Cells may share samples and features; the first counts.
NAMES = {
    "source": ("source",),
    "sentences": ("corpus", "shard"),
    "vocabulary": ("vocabulary",),
    "tokens": ("vocabulary", "corpus", "shard"),
    "store": ("data", "vocabulary"),
    "samples": ("cell", "seed"),
    "pretrain": ("cell", "seed"),
    "selection": ("family",),
    "features": ("task", "cell"),
    "finetune": ("cell", "seed", "task", "setting"),
    "throughput": ("cell",),
}


@dataclass(frozen=True)
class Job:
    """One stage's work: its manifest path, its recipe, its inputs by argument name.

    `names` tell what it is of, by NAMES: `{"cell": "byte-level", "seed": 0}`. A path holds them
    for people; programs read them here.
    """

    path: str
    recipe: dict
    inputs: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The recipe's key."""
        return key_of(self.recipe)

    @property
    def recipe_json(self) -> str:
        """The recipe as canonical JSON."""
        return canonical_json(self.recipe)


class Jobs:
    """All jobs of a study at one scale, by manifest path."""

    def __init__(self, scale: str, config: StudyFile):
        self.config = config
        self.root = f"runs/{scale}"
        self.recipes = Recipes(config, self.root)
        self.jobs: dict[str, Job] = {}
        self._paths: dict[str, str] = {}
        for cell in self.config.cells:
            tasks = self.config.cell_tasks(cell)
            for seed in self.config.seeds.pretraining:
                self._add_pretrain(cell, seed)
                for task in tasks:
                    for setting in self.recipes.settings(cell, task):
                        self._add_finetune(cell, seed, task, setting)
        for family in self.config.families:
            self._add_selection(family)

    def _add(self, folder: str, stage: str, *arguments, inputs: Callable[[], dict] = dict) -> str:
        """Register the job in `folder`, whose recipe is `recipes.<stage>(*arguments)`.

        `inputs` is asked for once per job: many cells share one store, with hundreds of shards.
        """
        if folder not in self._paths:
            path = f"{self.root}/{folder}/{self.recipes.key(stage, *arguments)}.json"
            self._paths[folder] = path
            names = dict(zip(NAMES[stage], arguments, strict=True))
            self.jobs[path] = Job(path, getattr(self.recipes, stage)(*arguments), inputs(), names)
        return self._paths[folder]

    def _add_source(self, name: str) -> str:
        return self._add(f"sources/{name}", "source", name)

    def _add_sentences(self, corpus: str, shard: int) -> str:
        return self._add(
            f"sentences/{corpus}/shard-{shard}",
            "sentences",
            corpus,
            shard,
            inputs=lambda: {"source": [self._add_source(corpus)]},
        )

    def _add_vocabulary(self, name: str) -> str:
        shards = self.recipes.shards(self.config.vocabularies[name].corpora or [])
        return self._add(
            f"vocabularies/{name}",
            "vocabulary",
            name,
            inputs=lambda: {"sentences": [self._add_sentences(*shard) for shard in shards]},
        )

    def _add_tokens(self, vocabulary: str, corpus: str, shard: int) -> str:
        return self._add(
            f"tokens/{vocabulary}/{corpus}/shard-{shard}",
            "tokens",
            vocabulary,
            corpus,
            shard,
            inputs=lambda: {
                "sentences": [self._add_sentences(corpus, shard)],
                "vocabulary": [self._add_vocabulary(vocabulary)],
            },
        )

    def _add_store(self, data: list[str], vocabulary: str) -> str:
        shards = self.recipes.shards(data)
        return self._add(
            f"stores/{store_name(data, vocabulary)}",
            "store",
            tuple(data),
            vocabulary,
            inputs=lambda: {"tokens": [self._add_tokens(vocabulary, *shard) for shard in shards]},
        )

    def _add_samples(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"samples/{store_name(cell.data, cell.vocabulary)}/{samples_name(cell, seed)}",
            "samples",
            name,
            seed,
            inputs=lambda: {"store": [self._add_store(cell.data, cell.vocabulary)]},
        )

    def _add_pretrain(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"pretrain/{name}/seed-{seed}",
            "pretrain",
            name,
            seed,
            inputs=lambda: {
                "store": [self._add_store(cell.data, cell.vocabulary)],
                "samples": [self._add_samples(name, seed)],
                "vocabulary": [self._add_vocabulary(cell.vocabulary)],
            },
        )

    def _add_features(self, task: str, name: str) -> str:
        cell = self.config.cells[name]
        settings = self.config.finetuning[cell.finetuning][task]
        variant = f"{cell.vocabulary}-{settings.length}-{settings.separators}"
        return self._add(
            f"features/{task}/{variant}",
            "features",
            task,
            name,
            inputs=lambda: {
                "source": [self._add_source(task)],
                "vocabulary": [self._add_vocabulary(cell.vocabulary)],
            },
        )

    def _add_finetune(self, name: str, seed: int, task: str, setting: str) -> str:
        def inputs() -> dict[str, list[str]]:
            found = {
                "pretrain": [self._add_pretrain(name, seed)],
                "features": [self._add_features(task, name)],
                "vocabulary": [self._add_vocabulary(self.config.cells[name].vocabulary)],
            }
            init = self.config.tasks[task].init
            if init:
                settings = self.recipes.settings(name, init)
                found["init"] = [self._add_finetune(name, seed, init, one) for one in settings]
            return found

        folder = f"finetune/{name}/seed-{seed}/{job_name(task, setting)}"
        return self._add(folder, "finetune", name, seed, task, setting, inputs=inputs)

    def _add_selection(self, family: str) -> str:
        seeds = self.config.seeds.pretraining
        members = self.config.families[family].members.values()
        return self._add(
            f"selections/{family}",
            "selection",
            family,
            inputs=lambda: {
                "pretrain": [self._add_pretrain(cell, seed) for cell in members for seed in seeds]
            },
        )

    def pretrain_job(self, cell: str, seed: int) -> Job:
        """The pre-training job of a cell and seed."""
        return self.jobs[self._paths[f"pretrain/{cell}/seed-{seed}"]]

    def finetune_job(self, cell: str, seed: int, task: str, setting: str = "") -> Job:
        """The fine-tuning job of a cell, pre-training seed, task and setting.

        Raises StudyError where no table asks for it.
        """
        folder = f"finetune/{cell}/seed-{seed}/{job_name(task, setting)}"
        if folder not in self._paths:
            raise StudyError(f"cells.{cell}: no table shows it on task {task}")
        return self.jobs[self._paths[folder]]

    def needed(self, jobs: Iterable[Job]) -> list[Job]:
        """These jobs and all that their inputs come from, each once."""
        found: dict[str, Job] = {}
        todo = list(jobs)
        while todo:
            job = todo.pop()
            if job.path not in found:
                found[job.path] = job
                todo += [self.jobs[path] for paths in job.inputs.values() for path in paths]
        return list(found.values())

    def source_job(self, name: str) -> Job:
        """The files of a corpus or task; StudyError when no cell of the study reads them."""
        folder = f"sources/{name}"
        if folder not in self._paths:
            raise StudyError(f"{name}: no cell of this study reads it")
        return self.jobs[self._paths[folder]]

    def store_job(self, cell: str) -> Job:
        """The token store that a cell is trained on."""
        spec = self.config.cells[cell]
        return self.jobs[self._paths[f"stores/{store_name(spec.data, spec.vocabulary)}"]]

    def samples_job(self, cell: str, seed: int) -> Job:
        """The samples that a pre-training of a cell reads."""
        spec = self.config.cells[cell]
        store = store_name(spec.data, spec.vocabulary)
        return self.jobs[self._paths[f"samples/{store}/{samples_name(spec, seed)}"]]

    def selection_job(self, family: str) -> Job:
        """The choice of a family's member."""
        return self.jobs[self._paths[f"selections/{family}"]]


def job_name(task: str, setting: str) -> str:
    """Folder name of a fine-tuning job: `mnli`, `mnli.batch-16-learning-rate-1e-05` in a grid."""
    return f"{task}.{setting}" if setting else task


def store_name(data: list[str], vocabulary: str) -> str:
    """Folder name of a token store: `books+wiki.character-30k`."""
    return f"{'+'.join(data)}.{vocabulary}"


def samples_name(cell: Cell, seed: int) -> str:
    """Folder name of a cell's samples; every cell with the same samples shares it."""
    separators = "" if cell.format.separators == "document" else f"-{cell.format.separators}"
    negatives = "" if cell.format.negatives == "any" else f"-negatives-{cell.format.negatives}"
    seeds = f"seed-{seed}" if cell.format.pairs else "all-seeds"
    return f"{cell.format.name}-{cell.length}{separators}{negatives}/{seeds}"
