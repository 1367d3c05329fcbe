"""Everything that a GPU is needed for, one part after the other, correctness first.

    benchmarks/on_gpu.sh                                     # writes runs/on-gpu/
    benchmarks/on_gpu.sh /tmp/try --device cpu --quick       # the same parts, small, on a CPU

It needs this checkout and a Python with torch 2.11 or later; what else a part needs and does not
find makes that part fail, not the others. Every part writes what it printed to FOLDER/<part>.txt,
with its seconds and exit status in the last line; a part that succeeded is not run again, so that
the same command goes on where another one ended. Exit status 1 if a part failed or had no time.

Tables come last: Table 2 at scale smoke in FOLDER/smoke, then as much as time allows of Tables 1 to
4 at scale h200, in this checkout, where its text stages are finished or --mirror names its data.
Who runs when the time is up is told to save its state and end.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch

from model.training.hardware import device_name, matrix_peak
from study.command import ROOT, command_parser, run_command
from study.stopping import StopRequest, signal_group, start_group

NO_TIME = "no time left"
POLL = 0.1  # seconds
SAVING = 50  # seconds, of the tenth of the time that StopRequest keeps for it
CHECKS = ("model/network/test_packed_attention", "workflow/test_gpu", "model/samples/test_keyed")
CHECKS += ("model/samples/test_masking", "model/network/test_dropout", "model/training/test_lamb")
CHECKS += ("model/network/test_dropout_kernel", "model/samples/test_packed")
CHECKS += ("model/samples/test_whole_words", "model/network/test_cross_entropy")
# What snakemake is told to `set`. To compile such small networks takes longer than to train them.
ON_ONE_GPU = "execution.like=gpu execution.pretrain.processes=1 execution.pretrain.compile=false"
ONE_CELL = (
    "tables.table2.rows=[{id: doc_sentences, label: DOC-SENTENCES, cell: doc-sentences}] "
    "tables.table2.columns=[{task: sst2, metric: accuracy, label: SST-2}] "
    "tables.table2.published=null"
)
TABLES = [f"results/table{number}.csv" for number in (1, 2, 3, 4)]
TEXTS = Path("runs/h200/samples")  # the last of the text stages


def parts(folder: Path, device: str, quick: bool, mirror: str | None) -> dict[str, list[str]]:
    """What is run, in order: arguments of `python -m` by name of the part."""
    here = ["--device", device]
    checks = [f"tests/{name}.py" for name in CHECKS]
    pretraining = ["benchmarks.pretraining", *here]
    formats = ["benchmarks.formats", *here]
    smoke = ["benchmarks.on_gpu", "--folder", str(folder), *here, "--smoke"]
    h200 = ["snakemake", "--cores", "all", "--keep-going", "--prioritize", "results/table2.csv"]
    finetuning = ["benchmarks.finetuning", *here, "--dynamic-only"]
    if quick:
        pretraining += ["--turns", "1", "--batch", "4", "--eager", "--threads", "1"]
        formats += ["--turns", "1", "--batch", "4", "--tokens", "20000"]
        finetuning += ["--turns", "1", "--updates", "3", "--warmup", "1", "--dev-rows", "20"]
        finetuning += ["--vocabulary", "600", "--characters", "100000"]
        checks = checks[:1]
        smoke += ["--quick"]
        h200 += ["--dry-run", "--quiet"]
    else:
        pretraining += ["--model", "base", "--batch", "128", "--transformers-batch", "64"]
        pretraining += ["--turns", "8"]
        formats += ["--model", "base"]
        finetuning += ["--model", "base", "--precision", "bf16", "--turns", "2"]
    h200 += ["--config", "scale=h200", *([f"mirror={mirror}"] if mirror else []), "--", *TABLES]
    has_texts = quick or mirror or TEXTS.is_dir()
    return {
        "facts": ["benchmarks.on_gpu", *here, "--facts"],
        "correctness": ["pytest", "-q", "-p", "no:cacheprovider", *checks],
        "pretraining": pretraining,
        "formats": formats,
        "finetuning-sst2": [*finetuning, "--task", "sst2"],
        "finetuning-mnli": [*finetuning, "--task", "mnli"],
        "table2-smoke": smoke,
        **({"tables-h200": h200} if has_texts else {}),
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


def make_smoke_table(project: Path, device: str, quick: bool) -> NoReturn:
    """Become the snakemake that makes Table 2 of the tests' data, in a folder of its own."""
    sys.path.insert(0, str(ROOT / "tests"))
    import smoke

    project.mkdir(exist_ok=True)
    for part in smoke.PARTS:
        (project / part).unlink(missing_ok=True)
        (project / part).symlink_to(ROOT / part)
    smoke.write_hub(project / "hub")
    os.chdir(project)
    settings = [ON_ONE_GPU if device == "cuda" else "execution.like=cpu"]
    settings += [ONE_CELL] if quick else []
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--config", "scale=smoke"]
    command += ["mirror=hub", f"set={' '.join(settings)}", "--", smoke.TABLE]
    os.execv(sys.executable, command)


def run_part(arguments: list[str], path: Path, stop: StopRequest) -> str:
    """Run one part, its output in `path`; "done in 3 s" or what went wrong.

    When `stop` has a reason the part gets SIGINT and SAVING seconds to end. None of its processes
    is left behind, for it would keep its GPU from the next part.
    """
    began = time.monotonic()
    with path.open("w") as output:
        process = start_group([sys.executable, "-u", "-W", "ignore", "-m", *arguments], output)
        while process.poll() is None and not stop.reason():
            time.sleep(POLL)
        stopped = process.poll() is None
        if stopped:
            signal_group(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(SAVING)
        signal_group(process, signal.SIGKILL)
        status = process.wait()
        outcome = NO_TIME if stopped else f"exit status {status}"
        outcome = f"{'done' if status == 0 else outcome} in {time.monotonic() - began:.0f} s"
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
    parser.add_argument("--mirror", metavar="DIR", help="data of scale h200, in the hub's layout")
    parser.add_argument("--facts", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--smoke", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.facts:
        print_facts(torch.device(args.device))
        return
    if args.smoke:
        make_smoke_table(args.folder / "smoke", args.device, args.quick)
    args.folder.mkdir(parents=True, exist_ok=True)
    failed = False
    with StopRequest(args.minutes) as stop:
        for name, arguments in parts(args.folder, args.device, args.quick, args.mirror).items():
            path = args.folder / f"{name}.txt"
            if is_done(path):
                outcome = "done before"
            else:
                outcome = NO_TIME if stop.reason() else run_part(arguments, path, stop)
            failed |= not outcome.startswith("done")
            print(f"{name}: {outcome} ({path})", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    run_command(main)
