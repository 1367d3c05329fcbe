"""`python -m model.launch 2 model.stages.pretrain …`: a training command as several processes.

All run on this machine, with one rank each (RANK, LOCAL_RANK, WORLD_SIZE), and meet in a folder of
their own. Where one fails the others are ended at once, and what it said is said once. A signal to
stop is handed on, and the processes get all the time that they need to save. Ends with the code
that the command alone would have ended with. (`torchrun` starts the same command as well; it prints
a page for every failure and kills who saves for more than half a minute.)
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.command import (
    EXIT_BAD_INPUT,
    EXIT_RESUMABLE,
    RANKS_FOLDER,
    Resumable,
    command_parser,
    outcome_of,
    run_command,
)
from study.errors import StudyError
from study.stopping import SIGNALS, StopRequest

PAUSE = 0.05  # seconds between looks at the processes


def start(command: list[str], processes: int, folder: str) -> list[subprocess.Popen]:
    """Start the ranks of `python -m <command>`, which meet in `folder`."""
    shared = {**os.environ, "WORLD_SIZE": str(processes), RANKS_FOLDER: folder}
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(processes)
    ]


def wait(ranks: list[subprocess.Popen], stop: StopRequest) -> list[int]:
    """Wait for all; ranks that ended by themselves, when one of them failed.

    Ranks that stop to go on later (75) leave together; any other failure leaves the rest waiting
    for ever, so they are killed: what they hold is in the last checkpoint.
    """
    stopping = False
    while any(rank.poll() is None for rank in ranks):
        if stop.reason() and not stopping:
            stopping = True
            for rank in ranks:
                rank.send_signal(signal.SIGTERM)
        ended = [number for number, rank in enumerate(ranks) if rank.poll() is not None]
        if any(ranks[number].returncode not in (0, EXIT_RESUMABLE) for number in ended):
            for rank in ranks:
                rank.kill()
                rank.wait()
            return ended
        time.sleep(PAUSE)
    return list(range(len(ranks)))


def outcome(
    ranks: list[subprocess.Popen], ended: list[int], folder: str, reason: str | None
) -> tuple[int, str]:
    """Exit code and last line of the whole; of several failures the one that explains most.

    `reason` is why all were asked to stop: who has nothing to save yet ends by the signal itself.
    """
    outcomes = []
    for number in ended:
        code, file = ranks[number].returncode, Path(folder, f"outcome-{number}")
        line = f"error: process {number + 1} of {len(ranks)} "
        if file.is_file():
            code, line = json.loads(file.read_text())
        elif reason and -code in SIGNALS:
            code, line = outcome_of(Resumable(reason))
        elif code < 0:
            code, line = EXIT_BAD_INPUT, f"{line}was ended by {signal.Signals(-code).name}"
        elif code:
            line += "failed"
        if code:
            outcomes.append((code != EXIT_BAD_INPUT, code, number, line))
    _, code, _, line = min(outcomes, default=(False, 0, 0, ""))
    return code, line


def main(arguments: list[str] | None = None) -> None:
    """Command line of the launcher."""
    example = "python -m model.launch 2 model.stages.pretrain --recipe @recipe.json …"
    parser = command_parser("model.launch", __doc__, example)
    parser.add_argument("processes", type=int, help="how many")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="a module and its arguments, as after python -m"
    )
    args = parser.parse_args(arguments)
    if args.processes < 1 or not args.command:
        raise StudyError("model.launch: expected a number of processes and a module")
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder, StopRequest() as stop:
        ranks = start(args.command, args.processes, folder)
        ended = wait(ranks, stop)
        code, line = outcome(ranks, ended, folder, stop.reason())
    if line:
        print(line, file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    run_command(main)
