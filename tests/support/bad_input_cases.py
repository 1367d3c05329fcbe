"""The faults of docs/errors.md, by the words that stand there: what damages the smoke study how."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import smoke
from bad_input_toy import World

MNLI = "hub/nyu-mll/glue/mnli"
SST2 = "hub/nyu-mll/glue/sst2"
SQUAD = "hub/rajpurkar/squad_v2/squad_v2"
RACE = "hub/ehovy/race/all"
WIKI = "hub/wikimedia/wikipedia/20231101.en"


def flip(path: Path, at: float = 0.5, mask: int = 0xFF, count: int = 8) -> None:
    """Flip bits of `count` bytes from the middle of a file; its size stays."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    for i in range(start, min(start + count, len(data))):
        data[i] ^= mask
    path.write_bytes(data)


def change_json(path: Path, change) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(change(data) or data))


def change_array(path: Path, change) -> None:
    array = np.load(path).copy()
    change(array)
    np.save(path, array)


def change_column(path: str, column: str, values) -> None:
    """Write a parquet file anew with another column."""
    table = pq.read_table(path)
    index = table.column_names.index(column)
    pq.write_table(table.set_column(index, column, values(table.column(column))), path)


def invalid_utf8(column: pa.ChunkedArray) -> pa.Array:
    """The texts of a column, the first of them two bytes that are no UTF-8."""
    texts = [b"\xff\xfe", *(text.encode() for text in column.to_pylist()[1:])]
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return pa.StringArray.from_buffers(
        len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))
    )


# ---------------------------------------------------------------- configuration


def edited(file: str, dotted: str, value) -> None:
    """Set a key of a file of config/; its parts stand between slashes."""
    smoke.set_key(file, dotted.split("/"), value)


def renamed(section: str, old: str, new: str) -> None:
    """Give an entry of a section of study.yaml another name."""

    def rename(data: dict) -> None:
        names = data[section].items()
        data[section] = {new if name == old else name: value for name, value in names}

    smoke.edit(Path(), "study.yaml", rename)


SMOKE = "scales/smoke.yaml"
CONFIGURATION = {
    "a scale names a cell that the study lacks": lambda: edited(
        SMOKE, "cells/static-segment-pairr", {"masking": {"copies": 2}}
    ),
    "a section that should be a mapping": lambda: edited(
        "study.yaml", "cells/batch-2k/optimiser", 5
    ),
    "a number in quotes": lambda: edited(SMOKE, "base/steps", "20"),
    "a family whose cell is a list": lambda: edited("study.yaml", "families/batch-256/cell", ["a"]),
    "a like that is a list": lambda: edited("study.yaml", "cells/batch-8k/like", ["batch-2k"]),
    "a fine-tuning recipe that is null": lambda: edited("study.yaml", "finetuning/bert", None),
    "a fine-tuning recipe that is a list": lambda: edited("study.yaml", "finetuning/bert", [1]),
    "a key that is a list": lambda: Path("config", SMOKE).write_text(
        "? [a, b]\n: 1\n" + Path("config", SMOKE).read_text()
    ),
    "a file that is no UTF-8": lambda: Path("config", SMOKE).write_bytes(
        b"# \xff\n" + Path("config", SMOKE).read_bytes()
    ),
    "a NUL byte": lambda: Path("config", SMOKE).write_bytes(
        b"# \x00\n" + Path("config", SMOKE).read_bytes()
    ),
    "lists in lists in lists": lambda: Path("config", SMOKE).write_text("a: " + "[" * 5000),
    "an infinite number": lambda: edited(
        SMOKE, "hardware", {"name": "x", "flops_per_second": float("inf")}
    ),
    "a number that no computer counts to": lambda: edited(SMOKE, "base/steps", 10**30),
    "a name with a slash": lambda: renamed("cells", "doc-sentences", "doc/sentences"),
    "a name that leads elsewhere": lambda: renamed("cells", "doc-sentences", ".."),
    "a name without a letter": lambda: renamed("cells", "doc-sentences", ""),
    "a name with braces": lambda: renamed("cells", "doc-sentences", "{doc}"),
    "a table's name with a parenthesis": lambda: renamed("tables", "table2", "table2("),
    "a table named as another result": lambda: renamed("tables", "table2", "scores"),
    "a task's name with a slash": lambda: renamed("tasks", "sst2", "sst/2"),
    "two rows of one id": lambda: edited(
        "study.yaml",
        "tables/table7/rows",
        [{"id": "roberta", "label": "a", "cell": "large-160gb-500k"}] * 2,
    ),
    "a published value that is text": lambda: edited(
        "paper/table2.yaml", "bert_base", {"mnli.accuracy": "high"}
    ),
    "a published value that is a list": lambda: edited(
        "paper/table2.yaml", "bert_base", {"mnli.accuracy": [1]}
    ),
    "a cell named as a member of a family": lambda: edited(
        "study.yaml", "cells/full-sentences-lr-0.002", {"masking": {"rate": 0.4}}
    ),
}

# ---------------------------------------------------------------- data


def answers(change):
    """Change the list of SQuAD's answers, each {"text": [...], "answer_start": [...]}."""

    def changed(column):
        rows = column.to_pylist()
        change(rows)
        return pa.array(rows, column.type)

    return lambda world: change_column(f"{SQUAD}/train-00000-of-00001.parquet", "answers", changed)


def first_answerable(rows: list[dict]) -> dict:
    return next(row for row in rows if row["text"])


def answer_start_as_text(column: pa.ChunkedArray) -> pa.Array:
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.string()))])
    return pa.array(
        [
            {**row, "answer_start": list(map(str, row["answer_start"]))}
            for row in column.to_pylist()
        ],
        kind,
    )


def with_null(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None, *column.to_pylist()[1:]], column.type)


def option_null(column: pa.ChunkedArray) -> pa.Array:
    rows = column.to_pylist()
    rows[0][2] = None
    return pa.array(rows, column.type)


def broken_link() -> None:
    """Let the corpus `books` be a folder of texts with a link to nowhere among them."""
    folder = Path("texts")
    folder.mkdir()
    for number in range(6):
        text = smoke.document(random.Random(number), 40)
        (folder / f"{number}.txt").write_text(text)
    (folder / "3a.txt").symlink_to("nowhere.txt")
    edited(SMOKE, "corpora/books/source", {"folder": "texts"})


CONFIGURATION["a link to nowhere among the files of a folder"] = broken_link


# fault -> (damage, stage, name of the job whose command meets it)
DATA = {
    "a corpus whose text is no UTF-8": (
        lambda world: change_column(f"{WIKI}/train-00000-of-00002.parquet", "text", invalid_utf8),
        *("sentences", "wiki/shard-0"),
    ),
    "two sets of numbered parts": (
        lambda world: shutil.copy(
            f"{WIKI}/train-00000-of-00002.parquet", f"{WIKI}/train-00000-of-00001.parquet"
        ),
        *("source", "wiki"),
    ),
    "a part that is missing": (
        lambda world: Path(f"{WIKI}/train-00001-of-00002.parquet").unlink(),
        *("source", "wiki"),
    ),
    "a task's text that is no UTF-8": (
        lambda world: change_column(
            f"{SST2}/train-00000-of-00001.parquet", "sentence", invalid_utf8
        ),
        *("features", "sst2"),
    ),
    "a damaged page of a parquet file": (
        lambda world: flip(Path(f"{SST2}/train-00000-of-00001.parquet"), 0.2, count=200),
        *("features", "sst2"),
    ),
    "an answer whose offset is null": (
        answers(lambda rows: first_answerable(rows).update(answer_start=[None])),
        *("features", "squad20"),
    ),
    "an answer whose text is null": (
        answers(lambda rows: first_answerable(rows).update(text=[None])),
        *("features", "squad20"),
    ),
    "more texts than offsets": (
        answers(lambda rows: first_answerable(rows).update(text=["a", "b"])),
        *("features", "squad20"),
    ),
    "an offset that is negative": (
        answers(lambda rows: first_answerable(rows).update(answer_start=[-4])),
        *("features", "squad20"),
    ),
    "offsets that are text": (
        lambda world: change_column(
            f"{SQUAD}/train-00000-of-00001.parquet", "answers", answer_start_as_text
        ),
        *("features", "squad20"),
    ),
    "a question without id": (
        lambda world: change_column(f"{SQUAD}/train-00000-of-00001.parquet", "id", with_null),
        *("features", "squad20"),
    ),
    "an option that is null": (
        lambda world: change_column(f"{RACE}/train-00000-of-00001.parquet", "options", option_null),
        *("features", "race"),
    ),
}

# ---------------------------------------------------------------- runs


NAMES = {"pretrain": "doc-sentences", "features": "sst2"}


def damaged(stage: str, file: str, change, then: tuple[str, str]):
    """Change a file of a stage's run directory and let the job `then` be made again."""

    def damage(world: World) -> None:
        world.forget(*then)
        change(world.directory(stage, NAMES.get(stage, "")) / file)

    return damage, *then


def damaged_manifest(stage: str, change, then: tuple[str, str], name: str = ""):
    """Change the manifest of a stage and let the job `then` be made again."""

    def damage(world: World) -> None:
        world.forget(*then)
        change_json(Path(world.job(stage, name or NAMES.get(stage, "")).path), change)

    return damage, *then


PRETRAIN, FINETUNE = ("pretrain", "doc-sentences"), ("finetune", "doc-sentences/seed-0/sst2")


def swap_letters(path: Path) -> None:
    """Swap two entries of a tokenizer.json."""
    text = path.read_text()
    path.write_text(text.replace('"a":', '"\0":').replace('"e":', '"a":').replace('"\0":', '"e":'))


def swap_labels(path: Path) -> None:
    change_array(path, lambda array: np.subtract(1, array, out=array))


def figures_null(data: dict) -> None:
    data["figures"] = None


def seeds_missing(data: dict) -> None:
    del data["figures"]["seeds"]


# fault -> (damage, stage, name of the job whose command meets it)
RUNS = {
    "a store's token ids with flipped bits": damaged(
        "store", "train/tokens-0.bin", lambda path: flip(path, mask=1), PRETRAIN
    ),
    "a store's token ids out of range": damaged("store", "train/tokens-0.bin", flip, PRETRAIN),
    "a store's offsets changed": damaged("store", "train/sentences.npy", flip, PRETRAIN),
    "a store's corpora flipped": damaged(
        "store", "heldout/corpora.npy", lambda path: flip(path, 0.99, mask=1), PRETRAIN
    ),
    "samples beyond the store": damaged("samples", "train/starts.npy", flip, PRETRAIN),
    "two letters of a tokenizer swapped": damaged(
        "vocabulary", "tokenizer.json", swap_letters, FINETUNE
    ),
    "all labels of a task swapped": damaged("features", "train/labels.npy", swap_labels, FINETUNE),
    "a task's examples damaged": damaged(
        "features", "dev/examples.parquet", lambda path: flip(path, 0.2), FINETUNE
    ),
    "weights with flipped bits": damaged("pretrain", "model.safetensors", flip, FINETUNE),
    "a manifest whose files are null": damaged_manifest(
        "pretrain", lambda data: data.update(files=None), FINETUNE
    ),
    "a manifest whose figures are null": damaged_manifest(
        "features", figures_null, FINETUNE, "sst2"
    ),
    "a manifest without the figures of a split": damaged_manifest(
        "features", lambda data: data["figures"].pop("dev") and None, FINETUNE, "sst2"
    ),
    "a source's manifest without files": damaged_manifest(
        "source", lambda data: data["figures"].pop("files") and None, ("sentences", "wiki"), "wiki"
    ),
    "a manifest that is a list": damaged_manifest("store", lambda data: [data], PRETRAIN),
    "a location that is a list": (
        lambda world: (
            world.forget("sentences", "wiki"),
            (world.directory("source", "wiki") / "location.json").write_text("[1]"),
            setattr(world, "with_mirror", False),
        ),
        *("sentences", "wiki"),
    ),
}


def instead_of_run(make):
    """Put something else where a run directory of a pre-training belongs."""

    def damage(world: World) -> None:
        directory = world.directory(*PRETRAIN)
        world.forget(*PRETRAIN)
        make(directory)

    return damage, *PRETRAIN


RUNS |= {
    "a broken link instead of a run directory": instead_of_run(
        lambda path: path.symlink_to("nowhere")
    ),
    "a file instead of a run directory": instead_of_run(lambda path: path.write_text("")),
    "a folder instead of log.jsonl": instead_of_run(
        lambda path: (path / "log.jsonl").mkdir(parents=True)
    ),
    "a vocabulary of one character of text": (
        lambda world: edited(SMOKE, "vocabularies/character-30k/characters", 1),
        *("vocabulary", "character"),
    ),
    "counts that are no numbers": damaged_manifest(
        "tokens",
        lambda data: data["figures"]["train"].update(tokens="many"),
        ("store", ""),
        "wiki/shard-0",
    ),
    "a source's manifest that lists no file of a split": damaged_manifest(
        "source",
        lambda data: data["figures"]["files"].update(train=[]),
        ("features", "sst2"),
        "sst2",
    ),
    "a manifest that lost a line of its files": damaged_manifest(
        "features",
        lambda data: data["files"].pop("test-test/examples.parquet") and None,
        FINETUNE,
        "sst2",
    ),
}
