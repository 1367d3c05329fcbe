"""The whole text path timed: documents -> sentences -> tokens -> store -> all formats.

    python -m benchmarks.text_pipeline --mirror ../shared/data/hub --kind wordpiece --size 30000

runs the stage commands as the workflow does, each in its own process, shards side by side, and
prints wall-clock and processor seconds, the largest resident memory of one process and, where
several run side by side, the sum of their maxima. The load average before the start is printed
too: on a busy machine only the processor seconds mean much.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.command import command_parser, run_command
from study.formats import FORMATS
from study.identity import key_of
from study.run import available_cores


class Pipeline:
    """Runs stage commands in a folder and keeps their seconds and memory."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.seconds = self.cpu_seconds = 0.0
        self.peak_process = self.peak_together = 0.0

    def step(self, name: str, commands: list[tuple[str, str, dict, list[str]]]) -> None:
        """Run (module, manifest name, recipe, more arguments) side by side; print one row."""
        started = time.perf_counter()
        running = [self._start(*command) for command in commands]
        peaks, cpu_seconds = [], 0.0
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{name}: exit status {process.returncode}")
            peaks.append(usage.ru_maxrss / 1024)
            cpu_seconds += usage.ru_utime + usage.ru_stime
        seconds = time.perf_counter() - started
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        self.peak_process = max(self.peak_process, *peaks)
        self.peak_together = max(self.peak_together, sum(peaks))
        self._print(name, len(running), seconds, cpu_seconds, max(peaks), sum(peaks))

    def print_total(self) -> None:
        """The last row: sums of the seconds, maxima of the memory."""
        memory = (self.peak_process, self.peak_together)
        self._print("total", "", self.seconds, self.cpu_seconds, *memory)

    @staticmethod
    def _print(name: str, processes: int | str, *numbers: float) -> None:
        seconds, cpu_seconds, largest, together = numbers
        print(
            f"| {name} | {processes} | {seconds:.1f} | {cpu_seconds:.1f} "
            f"| {largest:.0f} | {together:.0f} |",
            flush=True,
        )

    def path(self, name: str) -> str:
        """A manifest's path."""
        return str(self.folder / f"{name}.json")

    def _start(self, module: str, name: str, recipe: dict, more: list[str]) -> subprocess.Popen:
        arguments = ["--recipe", json.dumps(recipe), "--manifest", self.path(name), *more]
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL
        )


def main(argv: list[str] | None = None) -> None:
    """Run and print the table."""
    parser = command_parser(
        "benchmarks.text_pipeline",
        __doc__.splitlines()[0],
        "python -m benchmarks.text_pipeline --mirror DIR",
    )
    parser.add_argument("--mirror", required=True, help="offline mirror of the hub")
    parser.add_argument("--repo", default="wikimedia/wikipedia")
    parser.add_argument("--config", default="20231101.en")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--documents", type=int, help="only the first so many")
    parser.add_argument("--kind", choices=("wordpiece", "byte-bpe"), default="wordpiece")
    parser.add_argument("--size", type=int, default=30_000)
    parser.add_argument("--characters", type=int, default=20_000_000, help="for the vocabulary")
    parser.add_argument("--length", type=int, default=512)
    args = parser.parse_args(argv)
    print(f"load average before: {os.getloadavg()[0]:.2f}; cores: {available_cores()}\n")
    print("| step | processes | seconds | CPU seconds | largest process, MiB | together, MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(Path(folder))
        run_text(pipeline, args)
        pipeline.print_total()


def run_text(pipeline: Pipeline, args: argparse.Namespace) -> None:
    """All stages, in order."""
    source = {"stage": "source", "version": 1, "repo": args.repo, "config": args.config}
    source |= {"revision": "0" * 40, "splits": ["train"]}
    pipeline.step("source", [("model.stages.source", "source", source, ["--mirror", args.mirror])])

    common = {"stage": "sentences", "version": 1, "source": key_of(source), "corpus": "wiki"}
    common |= {"column": "text", "split": "train", "documents": args.documents}
    common |= {"shards": args.shards, "splitter": "sentencex", "language": "en"}
    common |= {"heldout_fraction": 0.01}
    shards = range(args.shards)
    sentences = [{**common, "shard": shard} for shard in shards]
    more = ["--source", pipeline.path("source")]
    commands = [("model.stages.sentences", f"sentences-{i}", sentences[i], more) for i in shards]
    pipeline.step("sentences", commands)

    vocabulary = {"stage": "vocabulary", "version": 1, "kind": args.kind, "size": args.size}
    vocabulary |= {"sentences": [key_of(s) for s in sentences], "characters": args.characters}
    vocabulary |= {"lowercase": True} if args.kind == "wordpiece" else {}
    more = ["--sentences", *(pipeline.path(f"sentences-{i}") for i in shards)]
    pipeline.step("vocabulary", [("model.stages.vocabulary", "vocabulary", vocabulary, more)])

    shared = {"stage": "tokens", "version": 1, "vocabulary": key_of(vocabulary)}
    tokens = [{**shared, "sentences": key_of(s)} for s in sentences]
    named = ["--vocabulary", pipeline.path("vocabulary"), "--sentences"]
    commands = [
        ("model.stages.tokens", f"tokens-{i}", tokens[i], [*named, pipeline.path(f"sentences-{i}")])
        for i in shards
    ]
    pipeline.step("tokens", commands)

    store = {"stage": "store", "version": 1, "tokens": [key_of(t) for t in tokens]}
    store |= {"vocabulary": key_of(vocabulary), "corpora": ["wiki"] * args.shards}
    more = ["--tokens", *(pipeline.path(f"tokens-{i}") for i in shards)]
    pipeline.step("store", [("model.stages.store", "store", store, more)])

    more = ["--store", pipeline.path("store")]
    shared = {"stage": "samples", "version": 1, "store": key_of(store), "length": args.length}
    for name, facts in FORMATS.items():
        separators = [{"separators": "document"}, {"separators": "sentence"}]
        for number, own in enumerate([{"seed": 0}] if facts.pairs else separators):
            samples = {**shared, "format": name, **own}
            row = f"{name} {json.dumps(own)}"
            pipeline.step(row, [("model.stages.samples", f"{name}-{number}", samples, more)])


if __name__ == "__main__":
    run_command(main)
