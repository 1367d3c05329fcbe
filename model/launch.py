"""`python -m model.launch 2 model.stages.pretrain …`: a training command as several processes.

With `--gpu` it first takes slots on as many GPUs, which study.devices tells of, waits where all are
taken, and shows the command these GPUs alone; a single process then takes this one's place.

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
from random import uniform

from study.command import (
    EXIT_BAD_INPUT,
    EXIT_RESUMABLE,
    RANKS_FOLDER,
    Resumable,
    command_parser,
    outcome_of,
    run_command,
)
from study.devices import VISIBLE, Claim, visible_devices
from study.errors import StudyError
from study.stopping import SIGNALS, StopRequest

PAUSE = 0.05  # seconds between looks at the processes
SLOT_PAUSE = 0.2  # seconds, about, between looks for slots


def take_slots(processes: int, memory_mb: float, stop: StopRequest) -> list[int]:
    """Wait for slots on as many GPUs as there are processes; the open files that hold them.

    Commands started from here see these GPUs only. Raises StudyError where fewer are visible,
    Resumable when `stop` gives a reason to wait no longer.
    """
    devices = visible_devices()
    if len(devices) < processes:
        raise StudyError(f"model.launch: {processes} GPUs asked for, {len(devices)} visible here")
    claim, told = Claim(devices, processes, memory_mb), False
    while (own := claim.taken()) is None or stop.reason():
        if reason := stop.reason():
            raise Resumable(f"{reason}, while waiting for a GPU")
        if not told:
            told = True
            names = ", ".join(device.shown for device in devices)
            print(f"waiting for a GPU: other jobs are on {names}", file=sys.stderr, flush=True)
        time.sleep(SLOT_PAUSE * uniform(0.5, 1.5))  # no two for ever at the same time
    os.environ[VISIBLE] = ",".join(device.word for device in own)
    held = [slot.detach() for slot in claim.held()]
    for descriptor in held:
        os.set_inheritable(descriptor, True)
    return held


def start(
    command: list[str], processes: int, folder: str, held: list[int]
) -> list[subprocess.Popen]:
    """Start the ranks of `python -m <command>`, which meet in `folder` and keep `held` open."""
    shared = {**os.environ, "WORLD_SIZE": str(processes), RANKS_FOLDER: folder}
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            pass_fds=held,
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
    parser.add_argument(
        "--gpu",
        type=float,
        metavar="MB",
        help="take slots on a GPU for each process, as its tensors of so many MB need; 0: all",
    )
    parser.add_argument("processes", type=int, help="how many")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="a module and its arguments, as after python -m"
    )
    args = parser.parse_args(arguments)
    if args.processes < 1 or not args.command:
        raise StudyError("model.launch: expected a number of processes and a module")
    held = []
    if args.gpu is not None:
        with StopRequest() as stop:
            held = take_slots(args.processes, args.gpu, stop)
    if args.processes == 1:
        os.execv(sys.executable, [sys.executable, "-m", *args.command])
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder, StopRequest() as stop:
        ranks = start(args.command, args.processes, folder, held)
        ended = wait(ranks, stop)
        code, line = outcome(ranks, ended, folder, stop.reason())
    if line:
        print(line, file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    run_command(main)
