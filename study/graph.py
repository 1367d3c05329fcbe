"""The jobs of a study: where each manifest lies, its recipe and its inputs.

A manifest lies at `runs/<scale>/<stage>/<names>/<key>.json`: names for people, the key so that
results of another recipe are other files. Whatever happens to Snakemake's own metadata, a changed
recipe asks for a manifest that is not there yet, and going back finds the old one. The Snakefile's
rules read this registry and add nothing but resources and the shell line.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from study.config import STUDY_FILE, load_study_file, read_yaml
from study.errors import StudyError
from study.identity import canonical_json, key_of
from study.recipes import Recipes
from study.schema import PAIR_FORMATS, Cell

# A change of what the analysis writes bumps this number, and results are made again.
RESULTS_VERSION = 1


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

    def __init__(
        self, scale: str, study_path: str | Path = STUDY_FILE, replicates: int | None = None
    ):
        self.scale = scale
        self.study_path = str(study_path)
        self.config = load_study_file(scale, study_path, replicates)
        self.recipes = Recipes(self.config)
        self.recipes.check()
        for table in self.config.tables:
            self.published(table)
        self.root = f"runs/{scale}"
        self.jobs: dict[str, Job] = {}
        self._paths: dict[str, str] = {}
        for cell in self.config.cells:
            for seed in self.config.seeds.pretraining:
                self._add_pretrain(cell, seed)
                for task in self.config.tasks:
                    self._add_finetune(cell, seed, task)
        shown = [cell for table in self.config.tables for cell in self.table_cells(table)]
        self.measured_cell = [*shown, *self.config.cells][0]
        cell = self.measured_cell
        self._add(f"throughput/{cell}", "throughput", cell)

    def _add(self, folder: str, stage: str, *arguments, **inputs: list[str]) -> str:
        """Register the job in `folder`, whose recipe is `recipes.<stage>(*arguments)`."""
        if folder not in self._paths:
            path = f"{self.root}/{folder}/{self.recipes.key(stage, *arguments)}.json"
            self._paths[folder] = path
            self.jobs[path] = Job(path, getattr(self.recipes, stage)(*arguments), inputs)
        return self._paths[folder]

    def _add_source(self, name: str) -> str:
        return self._add(f"sources/{name}", "source", name)

    def _add_sentences(self, corpus: str, shard: int) -> str:
        return self._add(
            f"sentences/{corpus}/shard-{shard}",
            "sentences",
            corpus,
            shard,
            source=[self._add_source(corpus)],
        )

    def _add_vocabulary(self, name: str) -> str:
        spec = self.config.vocabularies[name]
        shards = self.recipes.shards(spec.corpora or [])
        return self._add(
            f"vocabularies/{name}",
            "vocabulary",
            name,
            sentences=[self._add_sentences(*shard) for shard in shards],
        )

    def _add_store(self, data: list[str], vocabulary: str) -> str:
        tokens = [
            self._add(
                f"tokens/{vocabulary}/{corpus}/shard-{shard}",
                "tokens",
                vocabulary,
                corpus,
                shard,
                sentences=[self._add_sentences(corpus, shard)],
                vocabulary=[self._add_vocabulary(vocabulary)],
            )
            for corpus, shard in self.recipes.shards(data)
        ]
        return self._add(
            f"stores/{store_name(data, vocabulary)}",
            "store",
            tuple(data),
            vocabulary,
            tokens=tokens,
        )

    def _add_samples(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"samples/{store_name(cell.data, cell.vocabulary)}/{samples_name(cell, seed)}",
            "samples",
            name,
            seed,
            store=[self._add_store(cell.data, cell.vocabulary)],
        )

    def _add_pretrain(self, name: str, seed: int) -> str:
        cell = self.config.cells[name]
        return self._add(
            f"pretrain/{name}/seed-{seed}",
            "pretrain",
            name,
            seed,
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
            "features",
            task,
            name,
            source=[self._add_source(task)],
            vocabulary=[self._add_vocabulary(cell.vocabulary)],
        )
        return self._add(
            f"finetune/{name}/seed-{seed}/{task}",
            "finetune",
            name,
            seed,
            task,
            pretrain=[self._add_pretrain(name, seed)],
            features=[features],
            vocabulary=[self._add_vocabulary(cell.vocabulary)],
        )

    def pretrain_job(self, cell: str, seed: int) -> Job:
        """The pre-training job of a cell and seed."""
        return self.jobs[self._paths[f"pretrain/{cell}/seed-{seed}"]]

    def finetune_job(self, cell: str, seed: int, task: str) -> Job:
        """The fine-tuning job of a cell, pre-training seed and task."""
        return self.jobs[self._paths[f"finetune/{cell}/seed-{seed}/{task}"]]

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

    def all_table_jobs(self) -> list[Job]:
        """The fine-tuning jobs of all tables, each once."""
        jobs = [job for table in self.config.tables for job in self.table_jobs(table)]
        return list({job.path: job for job in jobs}.values())

    def cell_jobs(self, cell: str) -> list[Job]:
        """The fine-tuning jobs of one cell on the tasks of its tables; on all if it is in none."""
        tasks = [
            task
            for table in self.config.tables
            if cell in self.table_cells(table)
            for task in self.table_tasks(table)
        ]
        return self.score_jobs([cell], list(dict.fromkeys(tasks or self.config.tasks)))

    def source_recipes(self) -> dict[str, dict]:
        """Recipes of all sources, by manifest path."""
        return {p: j.recipe for p, j in self.jobs.items() if j.recipe["stage"] == "source"}

    def pretrain_jobs(self) -> list[Job]:
        """The pre-training jobs of all cells that a table shows."""
        cells = [cell for table in self.config.tables for cell in self.table_cells(table)]
        return [
            self.pretrain_job(cell, seed)
            for cell in dict.fromkeys(cells)
            for seed in self.config.seeds.pretraining
        ]

    def throughput_job(self) -> Job:
        """The measurement of this scale's training speed, on the first cell that a table shows."""
        return self.jobs[self._paths[f"throughput/{self.measured_cell}"]]

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

    def published(self, table: str) -> dict[str, dict[str, float]]:
        """A table's published values by row and column name.

        Raises StudyError for a row or column that no table with the same file has.
        """
        file = self.config.tables[table].published
        users = [user for user in self.config.tables.values() if user.published == file]
        rows = {row.id for user in users for row in user.rows}
        columns = {column.name for user in users for column in user.columns}
        values = read_yaml(Path(file))
        for row, line in values.items():
            if row not in rows:
                raise StudyError(f"{file}: {row}: no table has this row")
            for column in line:
                if column not in columns:
                    raise StudyError(f"{file}: {row}.{column}: no table has this column")
        return values

    def identity(self, result: str) -> str:
        """Key of a result: `scores`, `pretraining`, `plan`, `cells/<cell>` or a table.

        It stands for the layout, the published values and the recipes of all scores shown; that of
        the plan for the whole configuration and for what is done.
        """
        if result == "plan":
            jobs = self.needed(self.all_table_jobs())
            done = sorted(job.path for job in jobs if Path(job.path).exists())
            return self._identity_of(jobs, config=self.config.model_dump(), done=done)
        if result == "scores":
            return self._identity_of(self.all_table_jobs())
        if result == "pretraining":
            return self._identity_of(self.pretrain_jobs())
        if result.startswith("cells/"):
            return self._identity_of(self.cell_jobs(result.removeprefix("cells/")))
        table = self.config.tables[result]
        return self._identity_of(
            self.table_jobs(result),
            table=table.model_dump(),
            published=self.published(result),
            about=self.config.about,
        )

    def _identity_of(self, jobs: list[Job], **more) -> str:
        keys = {job.path: job.key for job in jobs}
        return key_of({"version": RESULTS_VERSION, "scale": self.scale, "jobs": keys, **more})

    def execution_json(self, stage: str) -> str:
        """How a stage is executed, as JSON for its `--execution`."""
        execution = getattr(self.config.execution, stage)
        return canonical_json(execution.model_dump(exclude={"resources", "processes"}))


def store_name(data: list[str], vocabulary: str) -> str:
    """Folder name of a token store: `books+wiki.character-30k`."""
    return f"{'+'.join(data)}.{vocabulary}"


def samples_name(cell: Cell, seed: int) -> str:
    """Folder name of a cell's samples; every cell with the same samples shares it."""
    separators = "" if cell.format.separators == "document" else f"-{cell.format.separators}"
    seeds = f"seed-{seed}" if cell.format.name in PAIR_FORMATS else "all-seeds"
    return f"{cell.format.name}-{cell.length}{separators}/{seeds}"
