"""A training without a network, for the tests of SLURM: our run directory, lock, stop and budget.

`NAME.json` is its manifest. A step takes a tenth of a second, and each is kept. NAME.events tells
its starts and stops. It ends with its first step where it, or trainings whose names begin as its
own up to a dot, were started so often before (`--again`).
"""

import argparse
import time
from pathlib import Path

from study.command import Resumable, run_command
from study.manifest import write_atomic
from study.run import open_run
from study.stopping import StopRequest


def main(arguments: list[str] | None = None) -> None:
    """Train until it has been started often enough."""
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--again", type=int, required=True)
    parser.add_argument("--time-budget", type=float)
    args = parser.parse_args(arguments)
    name = args.manifest.stem
    with (
        StopRequest(args.time_budget) as stop,
        Path(f"{name}.events").open("a", buffering=1) as events,
        open_run(args.manifest, {"stage": "toy", "name": name}, stop.reason) as run,
    ):
        if run.adopt():
            return
        kept = run.directory / "step"
        step = int(kept.read_text()) if kept.exists() else 0
        events.write(f"start {step}\n")
        began, together = step, Path.cwd().glob(f"{name.split('.')[0]}*.events")
        enough = sum(path.read_text().count("start") for path in together) > args.again
        while not (enough and step > began):
            if reason := stop.reason():
                events.write(f"stop {reason}\n")
                raise Resumable(reason)
            time.sleep(0.1)
            step += 1
            write_atomic(kept, f"{step}")
        run.publish(["step"], {})


if __name__ == "__main__":
    run_command(main)
