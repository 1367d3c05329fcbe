"""Everything that a GPU is needed for, one part after the other, correctness first.

    benchmarks/on_gpu.sh                                     # writes runs/on-gpu/
    benchmarks/on_gpu.sh /tmp/try --device cpu --quick       # the same parts, small, on a CPU

It needs this checkout and a Python with torch 2.11 or later; what else a part needs and does not
find makes that part fail, not the others. Every part writes what it printed to FOLDER/<part>.txt,
with its seconds and exit status in the last line; a part that succeeded is not run again, so that
the same command goes on where another one ended. Exit status 1 if a part failed or had no time.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch

from model.training.hardware import device_name, matrix_peak
from study.command import command_parser, run_command

ENOUGH = 5  # seconds under which no further part is begun
CHECKS = ("model/network/test_packed_attention", "workflow/test_gpu", "model/samples/test_keyed")
CHECKS += ("model/samples/test_masking", "model/network/test_dropout", "model/training/test_lamb")
CHECKS += ("model/network/test_dropout_kernel",)


def parts(device: str, quick: bool) -> dict[str, list[str]]:
    """What is run, in order: arguments of `python -m` by name of the part."""
    here = ["--device", device]
    checks = [f"tests/{name}.py" for name in CHECKS]
    pretraining = ["benchmarks.pretraining", *here]
    formats = ["benchmarks.formats", *here]
    finetuning = ["benchmarks.finetuning", *here, "--dynamic-only"]
    if quick:
        pretraining += ["--turns", "1", "--batch", "4", "--eager", "--threads", "1"]
        formats += ["--turns", "1", "--batch", "4", "--tokens", "20000"]
        finetuning += ["--turns", "1", "--updates", "3", "--warmup", "1", "--dev-rows", "20"]
        finetuning += ["--vocabulary", "600", "--characters", "100000"]
        checks = checks[:1]
    else:
        pretraining += ["--model", "base", "--batch", "128", "--transformers-batch", "64"]
        pretraining += ["--turns", "8"]
        formats += ["--model", "base"]
        finetuning += ["--model", "base", "--precision", "bf16", "--turns", "2"]
    return {
        "facts": ["benchmarks.on_gpu", *here, "--facts"],
        "correctness": ["pytest", "-q", "-p", "no:cacheprovider", *checks],
        "pretraining": pretraining,
        "formats": formats,
        "finetuning-sst2": [*finetuning, "--task", "sst2"],
        "finetuning-mnli": [*finetuning, "--task", "mnli"],
    }


def print_facts(device: torch.device) -> None:
    """The device, what it multiplies and copies, and the versions."""
    print(f"torch {torch.__version__}, {device_name(device) or 'CPU'}")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    print(f"matrix product, {dtype}: {matrix_peak(device, dtype) / 1e12:.2f} TFLOP/s")
    if device.type == "cuda":
        source = torch.empty(2**30, dtype=torch.bfloat16, device=device)
        target = torch.empty_like(source)
        target.copy_(source)
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(10):
            target.copy_(source)
        torch.cuda.synchronize(device)
        moved = 10 * 2 * source.nbytes / (time.perf_counter() - began)
        print(f"copy, bytes read and written: {moved / 1e12:.2f} TB/s")


def run_part(arguments: list[str], path: Path, seconds: float) -> str:
    """Run one part, its output in `path`; "done in 3 s" or what went wrong."""
    began = time.monotonic()
    with path.open("w") as output:
        command = [sys.executable, "-u", "-W", "ignore", "-m", *arguments]
        try:
            status = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, timeout=seconds, check=False
            ).returncode
            outcome = "done" if status == 0 else f"exit status {status}"
        except subprocess.TimeoutExpired:
            outcome = "no time left"
        outcome += f" in {time.monotonic() - began:.0f} s"
        output.write(f"{outcome}\n")
    return outcome


def is_done(path: Path) -> bool:
    """Whether an earlier command ended this part well."""
    return path.exists() and path.read_text().rpartition("\n")[0].split("\n")[-1].startswith("done")


def main(argv: list[str] | None = None) -> None:
    """Run the parts that are not done yet."""
    parser = command_parser("benchmarks.on_gpu", __doc__, "benchmarks/on_gpu.sh runs/on-gpu")
    parser.add_argument("--folder", type=Path, default=Path("runs/on-gpu"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: a rehearsal")
    parser.add_argument("--facts", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.facts:
        print_facts(torch.device(args.device))
        return
    end = time.monotonic() + 60 * args.minutes
    args.folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name, arguments in parts(args.device, args.quick).items():
        path = args.folder / f"{name}.txt"
        left = end - time.monotonic()
        if is_done(path):
            outcome = "done before"
        elif left < ENOUGH:
            outcome = "no time left"
        else:
            outcome = run_part(arguments, path, left)
        failed |= not outcome.startswith("done")
        print(f"{name}: {outcome} ({path})", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    run_command(main)
