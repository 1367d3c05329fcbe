"""Pre-training pace of every input format, in real tokens.

    python -m benchmarks.formats                                 # laptop model, one CPU thread
    python -m benchmarks.formats --device cuda --model base      # one GPU

Random sentences and documents of about the lengths of an encyclopedia's are packed by each format;
updates of them go through the engine as in a study: padded rows on a CPU, packed samples on a GPU.
The formats take turns. Printed per format: real tokens/s and their share of FULL-SENTENCES', tokens
with padding per real one (a CPU leaves out much of it), shapes of micro-batches, and the
milliseconds to make an update's batches.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models

from benchmarks.pretraining import OPTIMISER, Workload, workload
from model.network.pretraining import PretrainingModel
from model.samples.batches import PretrainingBatches
from model.samples.formats import build
from model.text.store import TokenStore
from model.text.tokenizer import Vocabulary
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.hardware import device_name
from study.command import command_parser, run_command
from study.formats import FORMATS
from study.recipes import parse_recipe

SENTENCE = (3.1, 0.5)  # log-normal: a median of 22 tokens
DOCUMENT = (2.6, 1.0)  # log-normal: a median of 13 sentences
BASELINE = "full-sentences"


@dataclass
class Arm:
    """One format's updates, how to take the next, and what was seen."""

    batches: PretrainingBatches
    training: Training
    seconds: list[float] = field(default_factory=list)
    making: list[float] = field(default_factory=list)
    real: list[int] = field(default_factory=list)
    padded: list[int] = field(default_factory=list)
    shapes: set[tuple] = field(default_factory=set)

    def turn(self, step: int, device: torch.device) -> None:
        """Make and train one update."""
        began = time.perf_counter()
        update = self.batches[step]
        self.making.append(time.perf_counter() - began)
        self.seconds.append(timed(self._step(update), device))
        self.real.append(update.figures["tokens"])
        self.padded.append(update.figures["padded"])
        self.shapes |= {tuple(micro["ids"].shape) for micro in update.micro_batches}

    def _step(self, update) -> Callable[[], None]:
        def step() -> None:
            self.training.backward(update)
            self.training.optimiser.step(1, self.training.precision)

        return step


def timed(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of one step."""
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def random_store(tokens: int, vocabulary: int) -> TokenStore:
    """About `tokens` random ids in sentences and documents."""
    draw = np.random.default_rng(0)
    documents, total = [], 0
    while total < tokens:
        count = max(1, int(draw.lognormal(*DOCUMENT)))
        documents.append(np.clip(draw.lognormal(*SENTENCE, count), 3, 200).astype(np.uint16))
        total += int(documents[-1].sum())
    sizes = np.concatenate(documents)
    sentences, bounds = np.cumsum([0, *sizes]), np.cumsum([0, *map(len, documents)])
    return TokenStore(
        shards=(draw.integers(4, vocabulary - 1, sizes.sum(), dtype=np.uint32),),
        sentences=sentences,
        documents=bounds,
        document_tokens=sentences[bounds],
        corpora=np.zeros(len(documents), np.uint8),
        corpus_names=("corpus",),
    )


def random_vocabulary(size: int) -> Vocabulary:
    """A vocabulary of `size` words without meaning."""
    words = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(4, size - 1)), "<mask>"]
    entries = {word: number for number, word in enumerate(words)}
    return Vocabulary(Tokenizer(models.WordLevel(entries, unk_token="<unk>")))


def pretrain_recipe(name: str, work: Workload, steps: int) -> dict:
    """A pretrain recipe of format `name` as JSON, of inputs called "random"."""
    paired = FORMATS[name].pairs
    return {
        "stage": "pretrain",
        "version": 1,
        **dict.fromkeys(("store", "samples", "vocabulary"), "random"),
        "model": work.network.in_recipe(),
        "optimiser": OPTIMISER.in_recipe(),
        "evaluation": {"points": 1, "samples": 1},
        "format": {"name": name, "nsp": paired, "segments": paired, "length": work.length},
        "masking": {"policy": "dynamic", "rate": 0.15, "mask": 0.8, "random": 0.1}
        | {"special_tokens": False},
        "batch": {"sequences": work.batch, "unit": "tokens"},
        "steps": steps,
        "seed": 0,
    }


def make_arm(name: str, store: TokenStore, args: argparse.Namespace, folder: str) -> Arm:
    """Batches and training of one format."""
    work = workload(args.model, args.batch)
    paired = FORMATS[name].pairs
    on_gpu = args.device == "cuda"
    execution = parse_execution(
        {
            "device": args.device,
            "precision": "bf16" if on_gpu else "fp32",
            "mode": "fast",
            "compile": on_gpu and not args.eager,
            "threads": args.threads,
            "tensorboard": False,
        }
    )
    batches = PretrainingBatches(
        store,
        build(store, Path(folder, name), name, work.length, seed=0),
        random_vocabulary(work.vocabulary),
        parse_recipe(pretrain_recipe(name, work, args.turns + 1), "pretrain"),
        args.micro_batch_tokens or (65_536 if args.model == "base" else 4096),
        packed=on_gpu,
    )
    torch.manual_seed(0)
    module = PretrainingModel(work.network, work.vocabulary, paired, paired)
    return Arm(batches, Training(module, batches, OPTIMISER, folder, execution))


def report(arms: dict[str, Arm]) -> None:
    """A line per format; the first update of each warmed up and does not count."""
    pace = {
        name: statistics.median(
            real / seconds for real, seconds in zip(arm.real[1:], arm.seconds[1:], strict=True)
        )
        for name, arm in arms.items()
    }
    print(f"{'':16}{'real tokens/s':>14}{'of FULL':>9}{'padded/real':>15}{'shapes':>8}{'ms':>7}")
    for name, arm in arms.items():
        share, waste = pace[name] / pace[BASELINE], sum(arm.padded) / sum(arm.real)
        making = 1000 * statistics.median(arm.making)
        print(
            f"{name:16}{pace[name]:14.0f}{100 * share:8.1f}%{waste:15.3f}{len(arm.shapes):8}"
            f"{making:7.1f}"
        )


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = command_parser(
        "benchmarks.formats", __doc__, "python -m benchmarks.formats --turns 3 --batch 8"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", choices=("laptop", "base"), default="laptop")
    parser.add_argument("--batch", type=int, help="rows of an update; default 32, base 256")
    parser.add_argument("--micro-batch-tokens", type=int, help="default 4096, base 65536")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="of the random text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    args = parser.parse_args(argv)
    device = torch.device(args.device)
    work = workload(args.model, args.batch)
    store = random_store(args.tokens, work.vocabulary)
    print(
        f"{args.model} model, {work.batch} x {work.length} tokens, {device_name(device) or 'CPU'}"
    )
    with tempfile.TemporaryDirectory() as folder:
        arms = {name: make_arm(name, store, args, folder) for name in FORMATS}
        for step in range(args.turns + 1):
            for arm in arms.values():
                arm.turn(step, device)
    report(arms)


if __name__ == "__main__":
    run_command(main)
