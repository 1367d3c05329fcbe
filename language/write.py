"""Writes a generated corpus or task as parquet files in the hub's layout, columns and labels.

In: a name (`CORPORA` or `TASKS`), a folder, a seed, sizes. Out: `<split>-00000-of-00001.parquet` in
the folder, one per split, and the number of rows of each. Everything that one study uses must have
one seed, for the seed names the world: corpora of one world teach nothing about the people of
another. Equal arguments give equal bytes (with one version of pyarrow).

`python -m language.write all DIR` writes a whole mirror, with the hub's folder names.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from language import grammar, pairs, passages, pronouns, single
from language.corpora import CORPORA, corpus_columns
from study.command import command_parser, run_command
from study.errors import StudyError

ROWS_PER_GROUP = 1024


@dataclass(frozen=True)
class TaskFiles:
    """How a task is made and stored; `place` is its folder in a mirror."""

    make: Callable[[int, str, int], dict]
    place: str
    classes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "validation", "test")
    hidden: bool = True  # the test split's labels are -1
    related: tuple[str, ...] = ()  # splits of other tasks that can be asked for with it


ENTAILMENT = ("entailment", "not_entailment")
TRAIN_DEV = ("train", "validation")
TASKS = {
    "sst2": TaskFiles(single.sst2, "nyu-mll/glue/sst2", ("negative", "positive")),
    "cola": TaskFiles(single.cola, "nyu-mll/glue/cola", ("unacceptable", "acceptable")),
    "mnli": TaskFiles(
        pairs.mnli,
        "nyu-mll/glue/mnli",
        ("entailment", "neutral", "contradiction"),
        tuple(pairs.REGISTERS_OF),
        related=("ax/test",),
    ),
    "ax": TaskFiles(
        pairs.ax, "nyu-mll/glue/ax", ("entailment", "neutral", "contradiction"), splits=("test",)
    ),
    "mrpc": TaskFiles(
        pairs.mrpc, "nyu-mll/glue/mrpc", ("not_equivalent", "equivalent"), hidden=False
    ),
    "qqp": TaskFiles(pairs.qqp, "nyu-mll/glue/qqp", ("not_duplicate", "duplicate")),
    "stsb": TaskFiles(pairs.stsb, "nyu-mll/glue/stsb"),
    "qnli": TaskFiles(pairs.qnli, "nyu-mll/glue/qnli", ENTAILMENT),
    "rte": TaskFiles(pairs.rte, "nyu-mll/glue/rte", ENTAILMENT),
    "wnli": TaskFiles(pronouns.wnli, "nyu-mll/glue/wnli", ("not_entailment", "entailment")),
    "wsc": TaskFiles(pronouns.wsc, "aps/super_glue/wsc", ("False", "True")),
    "squad": TaskFiles(passages.squad, "rajpurkar/squad/plain_text", splits=TRAIN_DEV),
    "squad_v2": TaskFiles(passages.squad_v2, "rajpurkar/squad_v2/squad_v2", splits=TRAIN_DEV),
    "race": TaskFiles(passages.race, "ehovy/race/all", hidden=False),
    "grammar": TaskFiles(
        grammar.grammar, "minimal-pairs-like/grammar/plain_text", splits=("train",), hidden=False
    ),
}
CORPUS_PLACES = {
    "books": "bookcorpus-like/gutenberg/plain_text",
    "wiki": "wikimedia/wikipedia/20231101.en",
    "news": "cc_news-like/news/plain_text",
    "web": "openwebtext-like/web/plain_text",
    "stories": "cc-stories-like/stories/plain_text",
}
ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
TYPES = {"answers": ANSWERS, "idx": pa.int32(), "label": pa.int64()}
TYPES |= dict.fromkeys(("span1_index", "span2_index", "pair_id"), pa.int32())
NAMES = (*CORPORA, *TASKS)


def write_source(
    name: str, folder: str | Path, *, seed: int, sizes: Mapping[str, int]
) -> dict[str, int]:
    """Write the splits that `sizes` names; returns their rows.

    A corpus has one split, train, and its size is its number of characters (documents are whole,
    so a little more is written); a task's sizes are numbers of rows. A split's first rows are the
    same whatever its size. Raises StudyError for an unknown name or split.
    """
    splits = ("train",) if name in CORPORA else (*_task(name).splits, *_task(name).related)
    for split in sizes:
        if split not in splits:
            raise StudyError(f"{name}: no split {split}; it has {', '.join(splits)}")
    rows = {}
    for split, size in sizes.items():
        if name in CORPORA:
            table = pa.table(corpus_columns(name, seed, size))
        else:
            task, _, own = split.rpartition("/")
            table = task_table(task or name, seed, own, size)
        path = Path(folder) / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=ROWS_PER_GROUP, compression="zstd")
        rows[split] = table.num_rows
    return rows


def task_table(name: str, seed: int, split: str, size: int) -> pa.Table:
    """One split of a task with the hub's columns, types and class names."""
    task = _task(name)
    rows = [task.make(seed, split, number) for number in range(size)]
    if task.hidden and split.startswith("test"):
        rows = [{**row, "label": -1} for row in rows]
    columns = list(rows[0]) if rows else []
    if "glue" in task.place:
        # super_glue has idx before label, glue after it.
        columns.insert(columns.index("label") + (name != "wsc"), "idx")
        rows = [{**row, "idx": number} for number, row in enumerate(rows)]
    types = TYPES | ({"label": pa.float32()} if name == "stsb" else {})
    types |= {"options": pa.list_(pa.string())}
    fields = [(column, types.get(column, pa.string())) for column in columns]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    return table.replace_schema_metadata(_class_names(table.schema, task.classes))


def _task(name: str) -> TaskFiles:
    if name not in TASKS:
        raise StudyError(f"{name}: no such corpus or task; known: {', '.join(NAMES)}")
    return TASKS[name]


def _class_names(schema: pa.Schema, classes: tuple[str, ...]) -> dict[str, str] | None:
    """The hub's schema metadata, which names the classes of a label."""
    if not classes:
        return None
    features: dict = {field.name: {"dtype": str(field.type), "_type": "Value"} for field in schema}
    features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write_mirror(
    folder: str | Path, *, seed: int, characters: int, train: int, dev: int, test: int
) -> dict[str, dict[str, int]]:
    """Write all corpora and tasks as a mirror of the hub; rows by place and split."""
    written = {}
    for name in NAMES:
        place = CORPUS_PLACES.get(name) or TASKS[name].place
        sizes = default_sizes(name, characters, train, dev, test)
        written[place] = write_source(name, Path(folder) / place, seed=seed, sizes=sizes)
    return written


def default_sizes(name: str, characters: int, train: int, dev: int, test: int) -> dict[str, int]:
    """Sizes of the splits of a corpus or task."""
    if name in CORPORA:
        return {"train": characters}
    sizes = {"train": train, "validation": dev, "test": test}
    return {split: sizes[pairs.pools_split(split)] for split in _task(name).splits}


def main(arguments: list[str] | None = None) -> None:
    """Command line: write one source, or a whole mirror."""
    parser = command_parser(
        "language.write",
        __doc__,
        "python -m language.write mnli DIR --seed 0 --train 4000 --dev 1000",
    )
    parser.add_argument("name", choices=(*NAMES, "all"), help="corpus or task; all: a mirror")
    parser.add_argument("folder", help="where the parquet files go")
    parser.add_argument("--seed", type=int, default=0, help="names the world (default: 0)")
    sizes = {"characters": 4_000_000, "train": 4000, "dev": 1000, "test": 500}
    units = {"characters": "characters of a corpus"}
    for size, default in sizes.items():
        what = units.get(size, f"rows of a task's {size} split")
        parser.add_argument(f"--{size}", type=int, default=default, help=f"{what} ({default})")
    args = parser.parse_args(arguments)
    asked = {size: vars(args)[size] for size in sizes}
    if args.name == "all":
        written = write_mirror(args.folder, seed=args.seed, **asked)
    else:
        split_sizes = default_sizes(args.name, **asked)
        written = write_source(args.name, args.folder, seed=args.seed, sizes=split_sizes)
    json.dump(written, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    run_command(main)
