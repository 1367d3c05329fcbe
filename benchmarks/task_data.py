"""Tasks and vocabularies for the benchmarks, without a study: from a mirror, or generated.

In: the folder of a mirror in the hub's layout. Out: a task as the study file defines it, the
examples of a split, and a vocabulary trained on the wiki corpus.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from language.write import CORPUS_PLACES, TASKS, write_source
from model.stages.features import read_examples
from model.tasks.columns import Examples
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study.jobs import Jobs
from study.places import split_files
from study.read import load_study_file
from study.recipes import RecipeTask

GENERATED_NAMES = {"squad11": "squad", "squad20": "squad_v2"}  # where the generator's differ
GENERATED_CHARACTERS = 1_000_000  # of the generated wiki
DOCUMENTS_PER_READ = 64


def read_task(name: str, separators: int = 1) -> tuple[RecipeTask, dict]:
    """The task as recipes hold it, and the recipe of its source."""
    jobs = Jobs(load_study_file("paper"))
    return RecipeTask(**jobs.task_fields(name, separators)), jobs.source(name).recipe


def generate_mirror(folder: Path, tasks: dict[str, dict[str, int]]) -> Path:
    """Write a generated wiki and the splits of `tasks` with these sizes; returns `folder`."""
    write_source(
        "wiki", folder / CORPUS_PLACES["wiki"], seed=0, sizes={"train": GENERATED_CHARACTERS}
    )
    for task, sizes in tasks.items():
        name = GENERATED_NAMES.get(task, task)
        write_source(name, folder / TASKS[name].place, seed=0, sizes=sizes)
    return folder


def task_examples(mirror: Path, name: str, split: str, limit: int | None = None) -> Examples:
    """Examples of a split (`train` or `dev`): all, or the study's own choice of so many."""
    task, source = read_task(name)
    paths = split_files(source, mirror / source["repo"], getattr(task, split))
    return read_examples(paths, task, limit)


def wiki_vocabulary(mirror: Path, kind: str, size: int, characters: int) -> Vocabulary:
    """A vocabulary of the mirror's wiki, from its first `characters`; WordPiece lower-cases."""
    paths = sorted((mirror / CORPUS_PLACES["wiki"]).glob("train-*.parquet"))

    def blocks() -> Iterator[list[str]]:
        left = characters
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(DOCUMENTS_PER_READ, columns=["text"]):
                lines = [line for text in batch.column(0).to_pylist() for line in text.splitlines()]
                yield [line for line in lines if line]
                left -= sum(map(len, lines))
                if left <= 0:
                    return

    tokenizer = train_vocabulary(blocks, kind, size, lowercase=kind == "wordpiece")
    return Vocabulary(tokenizer)
