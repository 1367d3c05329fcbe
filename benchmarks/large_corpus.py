"""The stages between tokens and training at any number of sentences, without a text.

    python -m benchmarks.large_corpus --folder DIR --sentences 1440000000 --documents 57600000 \
        --formats full-sentences doc-sentences

Shards of random sentence lengths, all the same file by other names, whose tokens are a hole in the
disk, go through the stages' own commands: store, samples of each format, and the data of a
pre-training opened, at its first update and in the middle of its second epoch. 1.44 G sentences are
160 GB of text. Printed per process: seconds, processor seconds, the largest anonymous memory (what
it allocates: a file that is mapped is not of it) and resident memory (the pages of mapped files
too, which the system takes back when it needs them), and the bytes of its files that are on disk.
The last column is what hours and files become at 1.44 G sentences. DIR is deleted at the end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.formats import pretrain_recipe, random_vocabulary
from benchmarks.pretraining import workload
from model.text.store import PART_FILES, SPLITS
from study.command import command_parser, run_command
from study.digests import MEMORY, inherit_digests
from study.errors import StudyError
from study.formats import FORMATS
from study.identity import key_of
from study.manifest import MANIFEST_NAME, Manifest, load_manifest, publish_manifest

TEXT_160_GB = 1.44e9  # sentences, of 118 characters
SENTENCE = (3.05, 0.6)  # log-normal: 25 tokens on average
DOCUMENT = (0.0, 1.0)  # log-normal, in units of the average
LONGEST = 600  # tokens of a sentence, some more than an input has
BLOCK = 1 << 20  # sentences that are drawn at once
HELDOUT = 100  # one of so many documents
EXECUTION = {"micro_batch_tokens": 65_536}
MEGABYTE = 1 << 20
POLL = 0.005  # seconds between two looks at a process's memory


@dataclass
class Measured:
    """What a process took."""

    output: str
    seconds: float
    cpu_seconds: float
    anonymous: int  # bytes, the most at any time
    resident: int


def measure(command: list[str]) -> Measured:
    """Run a command and look at its memory; StudyError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Not ru_maxrss, which has that of this process too, from before the command took its place.
    anonymous, resident = [0], [0]
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for seen, found in zip((anonymous, resident), memory_of(process.pid), strict=True):
            seen.append(found)
        time.sleep(POLL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    output, errors = process.communicate()
    if process.returncode:
        raise StudyError(f"{command[2]}: exit status {process.returncode}: {errors.strip()}")
    used = usage.ru_utime + usage.ru_stime
    return Measured(output, seconds, used, max(anonymous), max(resident))


def memory_of(process: int) -> tuple[int, int]:
    """Bytes of anonymous memory that a process has, and the most it had resident; 0 and 0 when it
    has ended, or nothing tells.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(1024 * int(fields.get(name, "0").split()[0]) for name in ("RssAnon", "VmHWM"))


def write_split(folder: Path, documents: int, sentences: int, draw: np.random.Generator) -> dict:
    """One split of a shard (model.text.store) without ids, and its figures."""
    folder.mkdir(parents=True)
    sizes = draw.lognormal(*DOCUMENT, documents)
    sizes = 1 + np.floor(sizes / sizes.sum() * (sentences - documents)).astype(np.int32)
    sizes[0] += sentences - sizes.sum()
    sizes.tofile(folder / "documents.bin")
    tokens = 0
    with (folder / "sentences.bin").open("wb") as file:
        for start in range(0, sentences, BLOCK):
            drawn = draw.lognormal(*SENTENCE, min(BLOCK, sentences - start))
            lengths = np.clip(drawn, 1, LONGEST).astype(np.int32)
            file.write(lengths.tobytes())
            tokens += int(lengths.sum(dtype=np.int64))
    with (folder / "tokens.bin").open("wb") as file:
        file.truncate(2 * tokens)
    return {"documents": documents, "sentences": sentences, "tokens": tokens} | dict.fromkeys(
        ("unknown_tokens", "empty_sentences"), 0
    )


def publish_shards(folder: Path, args: argparse.Namespace, vocabulary: str) -> list[Manifest]:
    """Manifests of the tokens stage: one shard is written, the others are links to it."""
    recipes = [
        {"stage": "tokens", "version": 1, "sentences": f"s{number}", "vocabulary": vocabulary}
        for number in range(args.shards)
    ]
    written, draw, figures = folder / key_of(recipes[0]), np.random.default_rng(0), {}
    documents, sentences = args.documents // args.shards, args.sentences // args.shards
    for split, part in zip(SPLITS, (1, HELDOUT), strict=True):
        some = max(2, documents // part), max(4, sentences // part)
        figures[split] = write_split(written / split, *some, draw)
    first = publish_manifest(
        folder / "tokens-0.json",
        recipes[0],
        files=PART_FILES,
        figures={"dtype": "uint16", **figures},
    )
    manifests = [first]
    for number, recipe in enumerate(recipes[1:], 1):
        run = folder / key_of(recipe)
        for name in PART_FILES:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).hardlink_to(written / name)
        names = {name: name for name in PART_FILES}
        inherit_digests(run, names, run / MEMORY, written / MEMORY)
        text = json.loads(first.path.read_text()) | {"recipe": recipe, "key": key_of(recipe)}
        for path in (run / MANIFEST_NAME, folder / f"tokens-{number}.json"):
            path.write_text(json.dumps(text))
        manifests.append(load_manifest(folder / f"tokens-{number}.json"))
    return manifests


class Runs:
    """Runs commands on the files of a folder and prints a row of each."""

    def __init__(self, folder: Path, sentences: int):
        self.folder, self.sentences = folder, sentences
        print(
            "| process | sentences | seconds | CPU seconds | anonymous, MiB | resident, MiB "
            "| files, MB | at 160 GB: CPU hours, files in GB |\n|---|---|---|---|---|---|---|---|"
        )

    def step(self, name: str, module: str, more: list[str], grows: bool) -> Measured:
        """Run a module's command with more arguments; `grows`: its work does with the corpus."""
        before = bytes_on_disk(self.folder)
        measured = measure([sys.executable, "-m", module, *more])
        written = bytes_on_disk(self.folder) - before
        times = TEXT_160_GB / self.sentences
        hours, gigabytes = measured.cpu_seconds * times / 3600, written * times / 1e9
        print(
            f"| {name} | {self.sentences} | {measured.seconds:.1f} | {measured.cpu_seconds:.1f} "
            f"| {measured.anonymous / MEGABYTE:.0f} | {measured.resident / MEGABYTE:.0f} "
            f"| {written / 1e6:.1f} | {f'{hours:.2f}, {gigabytes:.1f}' if grows else ''} |",
            flush=True,
        )
        return measured

    def stage(self, stage: str, name: str, recipe: dict, inputs: dict[str, list[str]]) -> str:
        """Run a stage's command with these manifests; the path of its own."""
        manifest = str(self.folder / f"{name}.json")
        more = ["--recipe", json.dumps(recipe), "--manifest", manifest]
        self.step(name, f"model.stages.{stage}", more + options(inputs), grows=True)
        return manifest


def options(inputs: dict[str, list[str]]) -> list[str]:
    """Manifests as the options of a stage's command."""
    return [text for name, paths in inputs.items() for text in (f"--{name}", *paths)]


def bytes_on_disk(folder: Path) -> int:
    """Bytes that the files of a folder take, holes left out and links counted once."""
    states = {state.st_ino: state for state in map(Path.stat, folder.rglob("*"))}
    return sum(512 * state.st_blocks for state in states.values())


def run_all(args: argparse.Namespace, folder: Path) -> None:
    """All processes, in order."""
    work = workload("base", None)
    vocabulary = {"stage": "vocabulary", "version": 1, "kind": "file", "path": "random"}
    place = folder / key_of(vocabulary)
    place.mkdir()
    random_vocabulary(work.vocabulary).tokenizer.save(str(place / "tokenizer.json"))
    manifest = folder / "vocabulary.json"
    publish_manifest(manifest, vocabulary, files=["tokenizer.json"], figures={})

    shards = publish_shards(folder, args, key_of(vocabulary))
    store = {"stage": "store", "version": 1, "tokens": [shard.key for shard in shards]}
    store |= {"corpora": ["corpus"] * args.shards, "vocabulary": key_of(vocabulary)}
    runs = Runs(folder, args.sentences)
    tokens = [str(shard.path) for shard in shards]
    inputs = {"store": [runs.stage("store", "store", store, {"tokens": tokens})]}
    for name in args.formats:
        own = {"seed": 0} if FORMATS[name].pairs else {"separators": "document"}
        samples = {"stage": "samples", "version": 1, "store": key_of(store), "format": name}
        samples |= {"length": work.length, **own}
        of_format = {
            **inputs,
            "samples": [runs.stage("samples", name, samples, inputs)],
            "vocabulary": [str(manifest)],
        }
        recipe = pretrain_recipe(name, work, steps=10**7)
        recipe |= {made["stage"]: key_of(made) for made in (store, samples, vocabulary)}
        figures = load_manifest(of_format["samples"][0]).figure("train")
        per_epoch = figures["tokens"] / (work.batch * work.length)
        for where, step in (("start", 0), ("middle of epoch 2", round(1.5 * per_epoch))):
            more = ["--recipe", json.dumps(recipe), "--manifest", str(folder / "none.json")]
            more += ["--execution", json.dumps(EXECUTION), "--step", str(step)]
            command = "benchmarks.first_updates", more + options(of_format)
            made = runs.step(f"{name}: {where}", *command, grows=False)
            for what, (wall, processor) in json.loads(made.output).items():
                print(f"  {what}: {wall} s, {processor} CPU-s")


def main(argv: list[str] | None = None) -> None:
    """Run all and print."""
    parser = command_parser(
        "benchmarks.large_corpus",
        __doc__,
        "python -m benchmarks.large_corpus --folder DIR --sentences 10000000 --documents 400000",
    )
    parser.add_argument("--folder", required=True, help="where to work; must not exist")
    parser.add_argument("--sentences", type=int, required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--keep", action="store_true", help="delete nothing")
    args = parser.parse_args(argv)
    folder = Path(args.folder)
    if folder.exists():
        raise StudyError(f"--folder: {folder}: exists already")
    folder.mkdir(parents=True)
    try:
        run_all(args, folder)
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    run_command(main)
