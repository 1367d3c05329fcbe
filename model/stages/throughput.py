"""Throughput stage: how fast a cell's training goes on this machine.

In: a recipe of stage `throughput` (network, lengths, batch, and the execution, which here decides
the outcome). Out: a manifest whose figures are measurements: seconds_per_update, which an update
takes besides its arithmetic, flops_per_second of this arithmetic (as it is worked out: read_share
of `flops_per_token`), both from the medians of small updates and of others four times as large;
tokens_per_second of the large ones; seconds_per_job (from the start until the first update is done,
less that update); at_once, the trainings that ran beside each other; updates, hardware. About ten
seconds.

Full rows of random ids are masked and go through the engine's own backward pass and optimiser. On a
CPU as many processes train as the cores hold, as in a run, for they share caches and memory; one of
them is measured, in CPU time where it has one thread, so that other programs count little. Left out
are evaluations, checkpoints and logs.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from model.network.pretraining import PretrainingModel
from model.network.sizes import flops_per_token
from model.samples.packed import Shape, pack
from model.stages.stage import Stage
from model.training.distributed import current_ranks
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.hardware import device_name
from model.training.precision import deterministic_kernels
from model.training.progress import short_count
from model.training.update import Update
from study.command import run_command
from study.execution import TrainingExecution
from study.recipes import Measured, ThroughputRecipe
from study.run import available_cores, processor_name

WARM_UP, ROUNDS, SECONDS = 2, 40, 8.0
# What snakemake's start of a job, its reading of inputs and its end take of a core, from a run of
# 150 jobs (docs/performance.md, "A study").
AROUND_JOB = 0.3
TIMES = 4  # rows of the large updates over those of the small ones
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


def make_update(recipe: ThroughputRecipe, rows: int) -> Update:
    """One update of `rows` full rows, cut into micro-batches as the execution says."""
    generator = torch.Generator().manual_seed(0)
    form = recipe.format
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


def sizes(recipe: ThroughputRecipe) -> tuple[int, int]:
    """Rows of a small and of a large update, which is about one of the recipe's."""
    small = max(1, recipe.sequences // TIMES)
    return small, TIMES * small


def make_training(
    recipe: ThroughputRecipe, execution: TrainingExecution, directory: Path
) -> Callable[[int], None]:
    """A function that makes an update of so many rows and trains on it, with a fresh network."""
    form = recipe.format
    torch.manual_seed(0)
    module = PretrainingModel(recipe.model, recipe.vocabulary_size, form.segments, form.nsp, PAD)
    first = make_update(recipe, sizes(recipe)[0])
    training = Training(module, [first], recipe.optimiser, directory, execution)
    device = training.ranks.device

    def train(rows: int) -> None:
        training.backward(make_update(recipe, rows))
        training.optimiser.step(1, training.precision)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return train


def keep_a_core_busy(recipe: ThroughputRecipe, execution: TrainingExecution, path: Path) -> None:
    """Train until the process that started this one is gone or ends it."""
    starter, train = os.getppid(), make_training(recipe, execution, path)
    while os.getppid() == starter:
        train(sizes(recipe)[1])


@contextmanager
def beside_others(
    recipe: ThroughputRecipe, execution: TrainingExecution, path: Path
) -> Iterator[int]:
    """Other trainings run on the cores that are left; yields how many there are with one's own."""
    at_once = available_cores() // execution.threads if execution.device == "cpu" else 1
    # Forked before torch has threads.
    context = multiprocessing.get_context("fork" if at_once > 1 else None)
    others = [
        context.Process(target=keep_a_core_busy, args=(recipe, execution, path), daemon=True)
        for _ in range(at_once - 1)
    ]
    for other in others:
        other.start()
    try:
        yield max(1, at_once)
    finally:
        for other in others:
            other.kill()
            other.join()


def measure(recipe: ThroughputRecipe, execution: TrainingExecution, directory: Path) -> dict:
    """The manifest's figures."""
    on_cpu, form = execution.device == "cpu", recipe.format
    clock = time.process_time if on_cpu and execution.threads == 1 else time.perf_counter
    seconds: dict[int, list[float]] = {rows: [] for rows in sizes(recipe)}
    with (
        beside_others(recipe, execution, directory) as at_once,
        deterministic_kernels(execution.mode == "exact", execution.compile),
    ):
        began = time.process_time()
        train = make_training(recipe, execution, directory)
        end = time.monotonic() + SECONDS
        for number in range(WARM_UP + ROUNDS):
            for rows, found in seconds.items():
                start = clock()
                train(rows)
                found.append(clock() - start)
                if len(found) == 1 and rows == sizes(recipe)[0]:
                    # On a CPU jobs fork from a process that has loaded what they load.
                    until_first = time.process_time() - began if on_cpu else process_seconds()
            if number > WARM_UP and time.monotonic() > end:
                break
    small, large = (median(found[WARM_UP:]) for found in seconds.values())
    useful = flops_per_token(
        recipe.model, form.length, recipe.vocabulary_size, recipe.rate, read_share=recipe.rate
    )
    tokens = [rows * form.length for rows in sizes(recipe)]
    # What both take besides arithmetic; noise must not make it less than nothing.
    besides = max(0.0, (TIMES * small - large) / (TIMES - 1))
    return {
        "seconds_per_update": besides,
        "flops_per_second": useful * tokens[1] / (large - besides),
        "tokens_per_second": tokens[1] / large,
        "seconds_per_job": max(0.0, until_first - small) + AROUND_JOB * on_cpu,
        "at_once": at_once,
        "updates": sum(len(found) - WARM_UP for found in seconds.values()),
        "hardware": device_name(current_ranks(execution.device).device) or processor_name(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, publish and print; StudyError for a recipe or device that does not fit."""
    work = STAGE.parse(arguments)
    execution = parse_execution({**work.recipe.execution.model_dump(), "tensorboard": False})
    figures = work.run(lambda _, folder: ([], measure(work.recipe, execution, folder))).figures
    print(
        f"throughput: {short_count(figures['tokens_per_second'])} tokens/s on "
        f"{figures['hardware']} ({execution.precision}, {figures['at_once']} at once): "
        f"{figures['flops_per_second'] / 1e9:.1f} GFLOP/s and "
        f"{1000 * figures['seconds_per_update']:.1f} ms an update",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
