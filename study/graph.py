"""The jobs of a study: where each manifest lies, its recipe and its inputs.

Paths are short and predictable; they hold names, not keys, so that a person can type them. The
Snakefile's rules read this registry and add nothing but resources and the shell line.
"""

from dataclasses import dataclass, field
from pathlib import Path

from study.config import STUDY_FILE, load_study_file
from study.identity import canonical_json, key_of
from study.recipes import Recipes
from study.schema import PAIR_FORMATS, Cell


@dataclass(frozen=True)
class Job:
    """One stage's work: its manifest path, its recipe, its inputs by argument name."""

    path: str
    recipe: dict
    inputs: dict[str, list[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The recipe's key."""
        return key_of(self.recipe)

    @property
    def recipe_json(self) -> str:
        """The recipe as canonical JSON."""
        return canonical_json(self.recipe)


class Study:
    """A study at one scale: its configuration and all its jobs, by manifest path."""

    def __init__(self, scale: str, study_path: str | Path = STUDY_FILE):
        self.scale = scale
        self.study_path = str(study_path)
        self.config = load_study_file(scale, study_path)
        self.recipes = Recipes(self.config)
        self.recipes.check()
        self.root = f"runs/{scale}"
        self.jobs: dict[str, Job] = {}
        for cell in self.config.cells:
            for seed in self.config.seeds.pretraining:
                self._add_pretrain(cell, seed)
                for task in self.config.tasks:
                    self._add_finetune(cell, seed, task)

    def _add(self, path: str, recipe: dict, **inputs: list[str]) -> str:
        path = f"{self.root}/{path}/manifest.json"
        if path not in self.jobs:
            self.jobs[path] = Job(path, recipe, inputs)
        return path

    def _add_source(self, name: str) -> str:
        return self._add(f"sources/{name}", self.recipes.source(name))

    def _add_sentences(self, corpus: str, shard: int) -> str:
        return self._add(
            f"sentences/{corpus}/shard-{shard}",
            self.recipes.sentences(corpus, shard),
            source=[self._add_source(corpus)],
        )

    def _add_vocabulary(self, name: str) -> str:
        spec = self.config.vocabularies[name]
        shards = self.recipes.shards(spec.corpora or [])
        return self._add(
            f"vocabularies/{name}",
            self.recipes.vocabulary(name),
            sentences=[self._add_sentences(*shard) for shard in shards],
        )

    def _add_store(self, data: list[str], vocabulary: str) -> str:
        tokens = [
            self._add(
                f"tokens/{vocabulary}/{corpus}/shard-{shard}",
                self.recipes.tokens(vocabulary, corpus, shard),
                sentences=[self._add_sentences(corpus, shard)],
                vocabulary=[self._add_vocabulary(vocabulary)],
            )
            for corpus, shard in self.recipes.shards(data)
        ]
        return self._add(
            f"stores/{store_name(data, vocabulary)}",
            self.recipes.store(tuple(data), vocabulary),
            tokens=tokens,
        )

    def _add_samples(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"samples/{store_name(cell.data, cell.vocabulary)}/{samples_name(cell, seed)}",
            self.recipes.samples(name, seed),
            store=[self._add_store(cell.data, cell.vocabulary)],
        )

    def _add_pretrain(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"pretrain/{name}/seed-{seed}",
            self.recipes.pretrain(name, seed),
            store=[self._add_store(cell.data, cell.vocabulary)],
            samples=[self._add_samples(name, seed)],
            vocabulary=[self._add_vocabulary(cell.vocabulary)],
        )

    def _add_finetune(self, name: str, seed: int, task: str) -> str:
        cell = self.config.cells[name]
        settings = self.config.finetuning[cell.finetuning][task]
        variant = f"{cell.vocabulary}-{settings.length}-{settings.separators}"
        features = self._add(
            f"features/{task}/{variant}",
            self.recipes.features(task, name),
            source=[self._add_source(task)],
            vocabulary=[self._add_vocabulary(cell.vocabulary)],
        )
        return self._add(
            f"finetune/{name}/seed-{seed}/{task}",
            self.recipes.finetune(name, seed, task),
            pretrain=[self._add_pretrain(name, seed)],
            features=[features],
            vocabulary=[self._add_vocabulary(cell.vocabulary)],
        )

    def pretrain_job(self, cell: str, seed: int) -> Job:
        """The pre-training job of a cell and seed."""
        return self.jobs[f"{self.root}/pretrain/{cell}/seed-{seed}/manifest.json"]

    def finetune_job(self, cell: str, seed: int, task: str) -> Job:
        """The fine-tuning job of a cell, pre-training seed and task."""
        return self.jobs[f"{self.root}/finetune/{cell}/seed-{seed}/{task}/manifest.json"]

    def score_jobs(self, cells: list[str], tasks: list[str]) -> list[Job]:
        """All fine-tuning jobs of these cells on these tasks, over the pre-training seeds."""
        return [
            self.finetune_job(cell, seed, task)
            for cell in cells
            for seed in self.config.seeds.pretraining
            for task in tasks
        ]

    def table_cells(self, table: str) -> list[str]:
        """Cells that are rows of a table, in its order."""
        return [row.cell for row in self.config.tables[table].rows if row.cell]

    def table_tasks(self, table: str) -> list[str]:
        """Tasks that are columns of a table, in its order."""
        return list(dict.fromkeys(column.task for column in self.config.tables[table].columns))

    def table_jobs(self, table: str) -> list[Job]:
        """The fine-tuning jobs whose scores a table shows."""
        return self.score_jobs(self.table_cells(table), self.table_tasks(table))


def store_name(data: list[str], vocabulary: str) -> str:
    """Folder name of a token store: `books+wiki.character-30k`."""
    return f"{'+'.join(data)}.{vocabulary}"


def samples_name(cell: Cell, seed: int) -> str:
    """Folder name of a cell's samples; every cell with the same samples shares it."""
    separators = "" if cell.format.separators == "document" else f"-{cell.format.separators}"
    seeds = f"seed-{seed}" if cell.format.name in PAIR_FORMATS else "all-seeds"
    return f"{cell.format.name}-{cell.length}{separators}/{seeds}"
