"""Throughput stage: how many useful FLOP/s a cell's training reaches on this machine.

In: a recipe of stage `throughput` (network, lengths, batch, and the execution, which here decides
the outcome). Out: a manifest whose figures are measurements: flops_per_second (median update),
tokens_per_second, flops_per_token, seconds_per_job (from the start of the process until the first
update is done, less that update), updates, hardware. One device, about ten seconds.

Full rows of random ids go through the engine's own backward pass and optimiser. Left out are what
surrounds updates: reading and masking batches, evaluations, checkpoints, other processes.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from model.network.pretraining import PretrainingModel
from model.network.sizes import flops_per_token
from model.samples.packed import Shape, pack
from model.stages.stage import Stage
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.hardware import device_name
from model.training.precision import deterministic_kernels
from model.training.progress import short_count
from model.training.update import Update
from study.command import run_command
from study.execution import TrainingExecution
from study.recipes import Measured, ThroughputRecipe
from study.run import processor_name

WARM_UP, UPDATES, SECONDS = 2, 20, 8.0
PAD, FIRST_ORDINARY = 1, 4
STAGE = Stage("throughput", __doc__)


def process_seconds() -> float:
    """Wall-clock since this process began; where the kernel does not tell, its processor time."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # start time, field 22 of proc(5)
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, AttributeError):
        return time.process_time()


def make_micro(
    form: Measured, vocabulary_size: int, rate: float, rows: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """A micro-batch of `rows` full rows of random ids, each with distinct targets."""
    length = form.length
    frame = 3 if form.nsp or form.segments else 2
    slots = max(1, round(rate * (length - frame)))
    ids = torch.randint(FIRST_ORDINARY, vocabulary_size, (rows, length), generator=generator)
    positions = torch.rand(rows, length, generator=generator).argsort(dim=1)[:, :slots]
    micro = {
        "ids": ids,
        "lengths": torch.full((rows,), length),
        "positions": positions.contiguous(),
        "labels": ids.gather(1, positions),
        "weights": torch.ones(rows, slots),
        "keys": torch.randint(-(2**63), 2**63 - 1, ids.shape, generator=generator),
    }
    if form.segments:
        micro["segments"] = (torch.arange(length) >= length // 2).long().repeat(rows, 1)
    if form.nsp:
        micro["nsp"] = torch.randint(0, 2, (rows,), generator=generator)
        micro["nsp_weights"] = torch.ones(rows)
    return micro


def make_update(recipe: ThroughputRecipe) -> Update:
    """One update of `sequences` full rows, cut into micro-batches as the execution says."""
    generator = torch.Generator().manual_seed(0)
    form, rows = recipe.format, recipe.sequences
    most = max(1, recipe.execution.micro_batch_tokens // form.length)
    heights = [min(most, rows - start) for start in range(0, rows, most)]
    micro_batches = [
        make_micro(form, recipe.vocabulary_size, recipe.rate, height, generator)
        for height in heights
    ]
    counts = {"mlm": sum(micro["labels"].numel() for micro in micro_batches)}
    if recipe.execution.device == "cuda":
        micro_batches = [pack(micro, Shape.of_rows(micro), PAD) for micro in micro_batches]
    if form.nsp:
        counts["nsp"] = rows
    return Update(micro_batches, counts)


def measure(recipe: ThroughputRecipe, execution: TrainingExecution, directory: Path) -> dict:
    """The manifest's figures."""
    form, size = recipe.format, recipe.vocabulary_size
    torch.manual_seed(0)
    module = PretrainingModel(recipe.model, size, form.segments, form.nsp, PAD)
    update = make_update(recipe)
    training = Training(module, [update], recipe.optimiser, directory, execution)
    device = training.ranks.device
    seconds: list[float] = []
    with deterministic_kernels(execution.mode == "exact", execution.compile):
        for step in range(1, WARM_UP + UPDATES + 1):
            began = time.perf_counter()
            training.backward(update)
            training.optimiser.step(1, training.precision)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - began)
            if step == 1:
                until_first = process_seconds()
            if step > WARM_UP and sum(seconds[WARM_UP:]) > SECONDS:
                break
    median = statistics.median(seconds[WARM_UP:])
    tokens = sum(micro["ids"].numel() for micro in update.micro_batches)
    useful = flops_per_token(recipe.model, form.length, size, recipe.rate)
    return {
        "flops_per_second": useful * tokens / median,
        "tokens_per_second": tokens / median,
        "flops_per_token": useful,
        "seconds_per_job": max(0.0, until_first - median),
        "updates": len(seconds) - WARM_UP,
        "hardware": device_name(device) or processor_name(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, publish and print; StudyError for a recipe or device that does not fit."""
    work = STAGE.parse(arguments)
    execution = parse_execution({**work.recipe.execution.model_dump(), "tensorboard": False})
    figures = work.run(lambda _, folder: ([], measure(work.recipe, execution, folder))).figures
    print(
        f"throughput: {figures['flops_per_second'] / 1e9:.1f} GFLOP/s, "
        f"{short_count(figures['tokens_per_second'])} tokens/s on {figures['hardware']} "
        f"({execution.precision}); a job starts in {figures['seconds_per_job']:.1f} s",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
