"""Fine-tuning speed of this project and of transformers' Trainer, in one run.

    python -m benchmarks.finetuning --task sst2                       # generated data, laptop model
    python -m benchmarks.finetuning --task mnli --mirror DIR --model small --precision bf16

Both start from the same weights, tokenise the same rows with the same vocabulary to the same limit,
and take the same number of updates of the same batch with dropout 0.1 and AdamW. Ours is the engine
with the batches of the fine-tuning stage; theirs is the Trainer as run_glue.py sets it up, with
three ways to pad: each batch to its longest row, the same with rows grouped by length, and all rows
to the limit, which is run_glue's default. Rows are plain Python lists there, which costs less than
the arrow tables that run_glue reads.

The arms take turns, so that whatever else the machine does hits all alike. An arm's seconds run
from the end of its last warm-up update to the end of its last update: batches, logging and
callbacks count, tokenisation and set-up do not. They are in the second table, from raw rows to a
scored model, where only starting Python is left out.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.utils import logging

from benchmarks.finetuning_arms import PADDING, Ours, Theirs, Turn, Work, initial_state
from benchmarks.task_data import generate_mirror, read_task, task_examples, wiki_vocabulary
from model.training.hardware import device_name
from study.cells import Model
from study.command import command_parser, run_command
from study.errors import StudyError

MODELS = {  # layers, hidden, heads, ffn
    "laptop": (2, 128, 2, 512),
    "small": (4, 256, 4, 1024),
    "medium": (6, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
}
SEEDS = 5  # fine-tunings of one model, of which the second table tells the seconds


def report(turns: dict[str, list[Turn]]) -> None:
    """Print examples per second of every arm, ours over theirs by turn, and whole trainings."""
    ours = turns["ours"]
    print(
        f"{'':28}{'examples/s':>11}{'tokens/example':>16}{'ours faster by':>16}{'in CPU time':>13}"
    )
    for name, taken in turns.items():
        pace = statistics.median(turn.examples / turn.seconds for turn in taken)
        padded = statistics.mean(turn.padded_length for turn in taken)
        line = f"{name:28}{pace:11.0f}{padded:16.1f}"
        if name != "ours":
            pairs = list(zip(taken, ours, strict=True))
            line += f"{statistics.median(t.seconds / own.seconds for t, own in pairs):15.2f}x"
            ratio = statistics.median(t.cpu_seconds / own.cpu_seconds for t, own in pairs)
            line += f"{ratio:12.2f}x"
        print(line)
    print(f"\n{'seconds':28}{'tokenise':>11}{'build, train, score':>21}{f'{SEEDS} seeds':>10}")
    for name, taken in turns.items():
        prepared = taken[0].prepared
        whole = statistics.median(turn.whole for turn in taken)
        # Ours tokenises once for all seeds; run_glue is started once per seed.
        total = SEEDS * whole + prepared * (1 if name == "ours" else SEEDS)
        print(f"{name:28}{prepared:11.2f}{whole:21.2f}{total:10.1f}")


def make_work(args: argparse.Namespace, folder: Path) -> Work:
    """Data, vocabulary and initial weights."""
    task, _ = read_task(args.task)
    rows = args.updates * args.batch
    sizes = {"train": rows, task.dev: args.dev_rows}
    mirror = args.mirror or generate_mirror(folder / "generated", {args.task: sizes})
    vocabulary = wiki_vocabulary(mirror, "wordpiece", args.vocabulary, args.characters)
    layers, hidden, heads, ffn = MODELS[args.model]
    network = {"layers": layers, "hidden": hidden, "heads": heads, "ffn": ffn}
    network |= {"positions": args.length, "dropout": 0.1, "attention_dropout": 0.1}
    network |= {"layer_norm_eps": 1e-5, "init_std": 0.02, "vocabulary_multiple": 64}
    train_rows = task_examples(mirror, args.task, "train", rows)
    dev_rows = task_examples(mirror, args.task, "dev", args.dev_rows)
    if len(train_rows) < rows:
        raise StudyError(f"--updates: {rows} training rows are needed, there are {len(train_rows)}")
    work = Work(task, train_rows, dev_rows, vocabulary, Model(**network), args, folder)
    save_file(initial_state(work), folder / "model.safetensors")
    return work


def measure(work: Work, turns: int) -> dict[str, list[Turn]]:
    """Every turn by arm; the arms take turns."""
    arms = {"ours": Ours(work)} | {
        name: Theirs(work, options, to_limit)
        for name, (options, to_limit) in PADDING.items()
        if not (to_limit and work.args.dynamic_only)
    }
    taken: dict[str, list[Turn]] = {name: [] for name in arms}
    for number in range(turns):
        for name, arm in arms.items():
            taken[name].append(arm.turn(number))
    return taken


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = command_parser(
        "benchmarks.finetuning",
        "Fine-tuning speed: ours and transformers' Trainer.",
        "python -m benchmarks.finetuning --task mnli --turns 3",
    )
    parser.add_argument("--task", choices=("sst2", "mnli"), default="sst2")
    parser.add_argument("--mirror", type=Path, help="mirror of the hub; default: generated data")
    parser.add_argument("--model", choices=tuple(MODELS), default="laptop")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--mode", choices=("exact", "fast"), help="ours; default: exact, GPU fast")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--updates", type=int, default=160, help="of a turn, warm-up included")
    parser.add_argument("--warmup", type=int, default=16, help="updates that do not count")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="limit of a row in tokens")
    parser.add_argument("--dev-rows", type=int, default=800, help="rows to score")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--characters", type=int, default=4_000_000, help="for the vocabulary")
    parser.add_argument(
        "--dynamic-only", action="store_true", help="leave out the arm padded to the limit"
    )
    args = parser.parse_args(argv)
    args.mode = args.mode or ("fast" if args.device == "cuda" else "exact")
    if not 0 < args.warmup < args.updates:
        parser.error("--warmup: expected 1 to --updates - 1")
    return args


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = arguments_of(argv)
    logging.set_verbosity_error()
    device = torch.device(args.device)
    place = device_name(device) or f"{args.threads} CPU threads"
    with tempfile.TemporaryDirectory() as folder:
        work = make_work(args, Path(folder))
        data = "mirror" if args.mirror else "generated data"
        print(f"{args.task} ({data}), {args.model} model, {args.precision}, {place}")
        print(f"{args.turns} turns of {args.updates} updates of {args.batch} examples")
        print(f"the first {args.warmup} updates of a turn are not counted\n")
        report(measure(work, args.turns))


if __name__ == "__main__":
    run_command(main)
