"""How soon a pre-training has its first batches, at whatever step it begins.

    python -m benchmarks.first_updates --recipe @runs/…/<key>/recipe.json --manifest none.json \
        --store store.json --samples samples.json --vocabulary vocabulary.json --step 500000

opens the data as the stage does, in a process of its own, and makes ten updates from `--step` on.
Printed as JSON: seconds to open, of the first update (which finds its place in the epoch) and of
each of the next nine, on average, by the wall's clock and the processor's. Nothing is trained and
nothing published.
"""

import argparse
import json
import time

import numpy as np

from model.stages.pretrain import Data
from model.stages.stage import Stage
from model.training.execution import add_execution_arguments, execution_argument
from study.command import run_command

UPDATES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to begin, and how a training is executed."""
    add_execution_arguments(parser)
    parser.add_argument("--step", type=int, default=0, help="the first update; default 0")


STAGE = Stage("pretrain", __doc__, inputs=("store", "samples", "vocabulary"), add=add_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Open, make and print."""
    work = STAGE.parse(arguments)
    manifests = {name: work.input(name) for name in STAGE.inputs}
    times = [now()]
    data = Data.open(manifests, work.recipe, execution_argument(work.arguments), world=1)
    times.append(now())
    for step in range(work.arguments.step, work.arguments.step + UPDATES):
        _ = data.training[step]
        times.append(now())
    opening, first, following = times[1] - times[0], times[2] - times[1], times[-1] - times[2]
    seconds = {"open": opening, "first": first, "next": following / (UPDATES - 1)}
    print(json.dumps({name: value.round(3).tolist() for name, value in seconds.items()}))


def now() -> np.ndarray:
    """Seconds by both clocks."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    run_command(main)
