"""The graph of a study, said once: a method per stage, which asks for the jobs that it reads.

A job that stands in a field of a recipe is an input. The recipe holds its key, so that a key stands
for everything upstream as well: a change of one cell changes the keys of that cell's jobs and of
nothing else. Its manifest is what the stage's command reads, as an argument of the field's name.

A job's own manifest lies at `runs/<scale>/<names>/<key>.json` (PATHS): names for people, the key so
that results of another recipe are other files. Whatever happens to Snakemake's own metadata, a
changed recipe asks for a manifest that is not there yet, and going back finds the old one. The
rules read this registry and add nothing but resources and the shell line.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from study.errors import StudyError
from study.fields import given, without_defaults
from study.identity import canonical_json, key_of
from study.places import source_contents
from study.recipes import RECIPES
from study.stages import PATHS, VERSIONS, generator_version
from study.starts import TOKENIZER, folder_digests, tokenizer_digest
from study.study_file import StudyFile
from study.texts import store_name


@dataclass(frozen=True, eq=False)
class Job:
    """One stage's work: its manifest's path, its recipe, the jobs that it reads by argument name.

    `names` tell what it is of: `{"cell": "byte-level", "seed": 0}`; of cells that share a job,
    the first. A path holds them for people; programs read them here.
    """

    stage: str
    names: dict[str, Any]
    recipe: dict
    inputs: dict[str, list["Job"]] = field(repr=False)
    key: str
    path: str

    @property
    def recipe_json(self) -> str:
        """The recipe as canonical JSON."""
        return canonical_json(self.recipe)

    @property
    def input_paths(self) -> dict[str, list[str]]:
        """The manifests that it reads, by argument name."""
        return {name: [job.path for job in jobs] for name, jobs in self.inputs.items()}


def needed(jobs: Iterable[Job]) -> list[Job]:
    """These jobs and all that their inputs come from, each once."""
    behind: dict[Job, None] = {}
    todo = list(jobs)
    while todo:
        job = todo.pop()
        if job not in behind:
            behind[job] = None
            todo += [read for jobs in job.inputs.values() for read in jobs]
    return list(behind)


def once(stage: Callable[..., Job]) -> Callable[..., Job]:
    """A stage's method, run once per job: hundreds of jobs ask for the same one."""

    @wraps(stage)
    def job(self, *names) -> Job:
        if (stage, names) not in self._made:
            self._made[stage, names] = stage(self, *names)
        return self._made[stage, names]

    return job


class Jobs(dict[str, Job]):
    """A study's jobs by manifest path, each behind those that it reads.

    With `root`, the folder of the scale's runs, all are made at once, and no others afterwards: a
    method then finds the job of these names, and raises StudyError where the study has none.
    Without it a job is made when it is asked for, and files of one's own are not read, which is
    enough to compare recipes.

    `places` tell by key where folders and tokenizer files lie; `documents`, by key, how many of a
    repository's are read where that is not all.
    """

    def __init__(self, config: StudyFile, root: str | None = None):
        super().__init__()
        self.config = config
        self.root = root
        self.places: dict[str, str] = {}
        self.documents: dict[str, int] = {}
        self._made: dict[tuple, Job] = {}
        self._complete = False
        if root is not None:
            self._make_all()

    def _make_all(self) -> None:
        for cell in self.config.cells:
            for seed in self.config.pretraining_seeds(cell):
                self.pretrain(cell, seed)
                for task in self.config.cell_tasks(cell):
                    for setting in self.config.settings(cell, task):
                        self.finetune(cell, seed, task, setting)
                for pairs in self.config.shown_pairs.get(cell, ()):
                    self.minimal_pairs(cell, seed, pairs)
        for family in self.config.families:
            self.selection(family)
        self.throughput()
        self._complete = True

    def pattern(self, stage: str) -> str:
        """The manifests of a stage, with wildcards for names and key."""
        return f"{self.root}/{PATHS[stage]}/{{key}}.json"

    def _add(
        self, stage: str, names: dict, *, folders=None, version: int = 0, place: str = "", **fields
    ) -> Job:
        """The job of a stage whose recipe has these fields, of which jobs are its inputs.

        `folders` are the names in its path that `names` does not hold; `version` is given where it
        is not the stage's own, `place` where its files lie in one.
        """
        inputs: dict[str, list[Job]] = {}
        recipe = {"stage": stage, "version": version or VERSIONS[stage]}
        recipe |= without_defaults(RECIPES[stage], _as_data(fields, inputs))
        key = key_of(recipe)
        self.places |= {key: place} if place else {}
        path = self.pattern(stage).format(**names, **folders or {}, key=key)
        if path not in self:
            if self._complete:
                raise _unread(*names.values())
            self[path] = Job(stage, names, recipe, inputs, key, path)
        return self[path]

    @once
    def source(self, name: str) -> Job:
        """The files of the corpus, the task or the set of minimal pairs `name`."""
        corpus = self.config.corpora.get(name)
        spec = corpus or self.config.tasks.get(name) or self.config.minimal_pairs.get(name)
        if spec is None:
            raise _unread(name)
        names, source, splits = {"source": name}, spec.source, sorted(set(spec.splits))
        if source.own:
            files = source_contents(self.root, name, source.own, splits)
            own: dict[str, Any] = {"boundary": corpus.boundary if corpus else "file"}
            return self._add("source", names, place=source.own, files=files, splits=splits, **own)
        texts = [split.split("/")[0] for split in source.sizes or {} if "/" in split]
        generator = source.generated and max(map(generator_version, [source.generated, *texts]))
        job = self._add("source", names, **source.in_recipe(), generator=generator, splits=splits)
        if source.repo and corpus and corpus.documents:
            self.documents[job.key] = max(corpus.documents, self.documents.get(job.key, 0))
        return job

    @once
    def weights(self, name: str) -> Job:
        """A model that is there already, under our names."""
        place = self.config.weights[name].in_recipe()
        if folder := place.get("folder", ""):
            place = {"files": folder_digests(self.root, name, folder)}
        return self._add("weights", {"weights": name}, place=folder, **place)

    @once
    def sentences(self, corpus: str, shard: int) -> Job:
        """Sentences of one shard of a corpus."""
        spec = self.config.corpora[corpus]
        return self._add(
            "sentences",
            {"corpus": corpus, "shard": shard},
            source=self.source(corpus),
            corpus=corpus,
            column=spec.column,
            split=spec.split,
            language=spec.language,
            documents=spec.documents,
            bytes=spec.bytes,
            shard=shard,
            shards=spec.shards,
            splitter=spec.splitter or self.config.splitter,
            heldout_fraction=spec.heldout_fraction or self.config.heldout_fraction,
        )

    def _shards(self, corpora: Sequence[str]) -> list[tuple[str, int]]:
        """(corpus, shard) pairs in the order in which they are concatenated."""
        shards = {corpus: range(self.config.corpora[corpus].shards) for corpus in corpora}
        return [(corpus, shard) for corpus in corpora for shard in shards[corpus]]

    @once
    def vocabulary(self, name: str) -> Job:
        """A vocabulary (section 4.4)."""
        names, spec = {"vocabulary": name}, self.config.vocabularies[name]
        if spec.kind == "file":
            place = self.config.weights[spec.weights].in_recipe() if spec.weights else {}
            if "repo" in place:
                beside = self.weights(spec.weights)
                return self._add("vocabulary", names, kind="file", size=spec.size, weights=beside)
            path = spec.path or f"{place['folder']}/{TOKENIZER}"
            contents = tokenizer_digest(self.root, name, path)
            return self._add("vocabulary", names, place=path, kind="file", **contents)
        return self._add(
            "vocabulary",
            names,
            kind=spec.kind,
            size=spec.size,
            lowercase=bool(spec.lowercase),
            characters=spec.characters,
            sentences=[self.sentences(*shard) for shard in self._shards(given(spec.corpora))],
        )

    @once
    def tokens(self, vocabulary: str, corpus: str, shard: int) -> Job:
        """Token ids of one shard."""
        return self._add(
            "tokens",
            {"vocabulary": vocabulary, "corpus": corpus, "shard": shard},
            sentences=self.sentences(corpus, shard),
            vocabulary=self.vocabulary(vocabulary),
        )

    @once
    def store(self, data: tuple[str, ...], vocabulary: str) -> Job:
        """The token store of a mixture of corpora, plainly concatenated (section 3.2)."""
        shards = self._shards(data)
        return self._add(
            "store",
            {"data": data, "vocabulary": vocabulary},
            folders={"store": store_name(data, vocabulary)},
            tokens=[self.tokens(vocabulary, *shard) for shard in shards],
            corpora=[corpus for corpus, _ in shards],
            vocabulary=self.vocabulary(vocabulary).key,  # no input: the tokens are of it
        )

    def store_of(self, cell: str) -> Job:
        """The token store that a cell is trained on."""
        spec = self.config.cells[cell]
        return self.store(tuple(spec.data), spec.vocabulary)

    @once
    def samples(self, cell: str, seed: int) -> Job:
        """Index arrays of a cell's format; only the pair formats draw anything at random."""
        spec = self.config.cells[cell]
        pairs = spec.format.pairs
        return self._add(
            "samples",
            {"cell": cell, "seed": seed},
            folders={
                "store": store_name(spec.data, spec.vocabulary),
                "samples": spec.samples_name(seed),
            },
            version=VERSIONS["pair samples" if pairs else "samples"],
            store=self.store_of(cell),
            format=spec.format.name,
            length=spec.length,
            seed=seed if pairs else None,
            negatives=spec.format.negatives,
            separators=None if pairs else spec.format.separators,
        )

    @once
    def pretrain(self, cell: str, seed: int) -> Job:
        """One pre-training of a cell."""
        spec = self.config.cells[cell]
        return self._add(
            "pretrain",
            {"cell": cell, "seed": seed},
            store=self.store_of(cell),
            samples=self.samples(cell, seed),
            vocabulary=self.vocabulary(spec.vocabulary),
            format=spec.format.in_recipe(("separators", "negatives")) | {"length": spec.length},
            model=spec.model.in_recipe(),
            masking=spec.masking.in_recipe(),
            batch=spec.batch.in_recipe(),
            steps=spec.steps,
            optimiser=spec.optimiser.in_recipe(),
            evaluation=spec.evaluation.in_recipe(),
            seed=seed,
            **self._start(cell, seed),
        )

    def _start(self, cell: str, seed: int) -> dict:
        """What a pre-training starts from; of another cell the pre-training of its replicate."""
        start = self.config.cells[cell].start
        if start is None:
            return {}
        if start.cell is None:
            return {"weights": self.weights(start.weights), "fresh": start.fresh}
        seed = self.config.same_replicate(cell, seed, given(start.cell))
        return {"start": self.pretrain(given(start.cell), seed), "fresh": start.fresh}

    @once
    def selection(self, family: str) -> Job:
        """The choice of a family's member by held-out perplexity (section 4.3)."""
        seeds = self.config.pretraining_seeds
        return self._add(
            "selection",
            {"family": family},
            by="heldout_perplexity",
            members={
                cell: {
                    "learning_rate": learning_rate,
                    "pretrain": [self.pretrain(cell, seed) for seed in seeds(cell)],
                }
                for learning_rate, cell in self.config.families[family].members.items()
            },
        )

    def task_fields(self, task: str, separators: int) -> dict:
        """The part of a task that features and fine-tuning read."""
        fields = self.config.tasks[task].in_recipe(without=("source", "planned"))
        return {"name": task, "separators": separators, **fields}

    @once
    def features(self, task: str, cell: str) -> Job:
        """A task's tokenised features, shared by all cells with the same vocabulary."""
        spec = self.config.cells[cell]
        settings = self.config.finetuning[spec.finetuning][task]
        return self._add(
            "features",
            {"task": task, "cell": cell},
            folders={"features": f"{spec.vocabulary}-{settings.length}-{settings.separators}"},
            version=VERSIONS["features"] + self.config.tasks[task].facts.changed_features,
            source=self.source(task),
            vocabulary=self.vocabulary(spec.vocabulary),
            task=self.task_fields(task, settings.separators),
            length=settings.length,
        )

    @once
    def finetune(self, cell: str, seed: int, task: str, setting: str = "") -> Job:
        """All fine-tuning seeds of one pre-trained model on one task at one setting.

        Raises StudyError where no table asks for it.
        """
        tasks = self.config.cell_tasks(cell)
        if task not in tasks or setting not in self.config.settings(cell, task):
            raise StudyError(f"cells.{cell}: no table shows it on task {task}")
        settings, spec = self.config.settings(cell, task)[setting], self.config.tasks[task]
        starts = self.config.settings(cell, spec.init) if spec.init else ()
        return self._add(
            "finetune",
            {"cell": cell, "seed": seed, "task": task, "setting": setting},
            folders={"tuning": f"{task}.{setting}" if setting else task},
            pretrain=self.pretrain(cell, seed),
            features=self.features(task, cell),
            vocabulary=self.vocabulary(self.config.cells[cell].vocabulary),
            task=self.task_fields(task, settings.separators),
            settings=settings.in_recipe(without=("separators", "length", "grid", "keep_weights")),
            seeds=self.config.seeds.finetuning_of(seed),
            init=[self.finetune(cell, seed, spec.init, start) for start in starts] or None,
            keep_weights=settings.keep_weights or self.config.starts_others(cell, task),
        )

    @once
    def minimal_pairs(self, cell: str, seed: int, pairs: str) -> Job:
        """The accuracy of one pre-trained model on a set of minimal pairs, without fine-tuning."""
        return self._add(
            "minimal_pairs",
            {"cell": cell, "seed": seed, "pairs": pairs},
            pretrain=self.pretrain(cell, seed),
            source=self.source(pairs),
            vocabulary=self.vocabulary(self.config.cells[cell].vocabulary),
            **self.config.minimal_pairs[pairs].in_recipe(("source", "splits", "planned")),
        )

    @once
    def throughput(self) -> Job:
        """A measurement of speed, on the first cell of a table: the execution is in its recipe."""
        names, cells = [*self.config.shown, *self.config.cells], self.config.cells
        cell, spec = next((name, cells[name]) for name in names if cells[name].steps)
        return self._add(
            "throughput",
            {"cell": cell},
            vocabulary_size=self.vocabulary(spec.vocabulary).recipe["size"],
            format=spec.format.model_dump(include={"nsp", "segments"}) | {"length": spec.length},
            model=spec.model.in_recipe(),
            rate=spec.masking.rate,
            sequences=spec.batch.sequences,
            optimiser=spec.optimiser.in_recipe(),
            execution=self.config.execution.pretrain.measured(),
        )


def _as_data(value: Any, inputs: dict[str, list[Job]], name: str = "") -> Any:
    """`value` as a recipe holds it: jobs as their keys. They are added to the inputs of `name`."""
    if isinstance(value, Job):
        inputs.setdefault(name, []).append(value)
        return value.key
    if isinstance(value, dict):
        return {inner: _as_data(item, inputs, inner) for inner, item in value.items()}
    if isinstance(value, list):
        return [_as_data(item, inputs, name) for item in value]
    return value


def _unread(*names: Any) -> StudyError:
    return StudyError(f"{', '.join(map(str, names))}: no cell of this study reads it")
