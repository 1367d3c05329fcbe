"""`python -m model.launch 2 model.stages.pretrain …`: a training command as several processes.

With `--gpu` it first takes slots on as many GPUs, which study.devices tells of, waits where all are
taken, and shows the command these GPUs alone; a single process then takes this one's place.

All run on this machine, with one rank each (RANK, LOCAL_RANK, WORLD_SIZE), and meet in a folder of
their own; or, with `--nodes`, on several machines of a SLURM job, and meet at the first. Where one
fails the others are ended at once, and what it said is said once. A signal to stop is handed on,
and the processes get all the time that they need to save. Ends with the code that the command alone
would have ended with. (`torchrun` starts the same command as well; it prints a page for every
failure and kills who saves for more than half a minute.)
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import uniform
from typing import NoReturn

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
FIRST_PORT, PORTS = 10_000, 20_000  # below those that a machine gives out by itself


@dataclass(frozen=True)
class Node:
    """This machine's place among those of a job; `address` is the first one's, None if alone."""

    number: int = 0
    of: int = 1
    address: str | None = None
    port: int = 0


ALONE = Node()


def take_slots(processes: int, memory_mb: float, stop: StopRequest) -> list[int]:
    """Wait for slots on as many GPUs as there are processes; the open files that hold them.

    Commands started from here see these GPUs only. Raises StudyError where fewer are visible,
    Resumable when `stop` gives a reason to wait no longer.
    """
    seen = devices = visible_devices()
    if processes > 1:
        # Of instances CUDA shows a command one, however many it is given.
        devices = [device for device in seen if not device.word.startswith("MIG-")]
    if len(devices) < processes:
        what = "visible here" if devices == seen else "here that are no MIG instances"
        raise StudyError(f"model.launch: {processes} GPUs asked for, {len(devices)} {what}")
    claim, told = Claim(devices, processes, memory_mb), False
    while (own := claim.taken()) is None or stop.reason():
        if reason := stop.reason():
            raise Resumable(f"{reason}, while waiting for a GPU")
        if not told:
            told = True
            names = ", ".join(device.shown for device in devices)
            print(f"waiting for a GPU: other jobs are on {names}", file=sys.stderr, flush=True)
        time.sleep(SLOT_PAUSE * uniform(0.5, 1.5))  # no two for ever at the same time
    print(f"runs on {', '.join(device.shown for device in own)}", file=sys.stderr, flush=True)
    os.environ[VISIBLE] = ",".join(device.word for device in own)
    held = [slot.detach() for slot in claim.held()]
    for descriptor in held:
        os.set_inheritable(descriptor, True)
    return held


def start(
    command: list[str], processes: int, folder: str, held: list[int], node: Node
) -> list[subprocess.Popen]:
    """Start this node's ranks of `python -m <command>`, which keep `held` open.

    Alone they meet in `folder`, else at the first node.
    """
    here = processes // node.of
    shared = {**os.environ, "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(here)}
    shared[RANKS_FOLDER] = folder
    shared.pop("MASTER_ADDR", None)
    if node.address is not None:
        shared |= {"MASTER_ADDR": node.address, "MASTER_PORT": str(node.port)}
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**shared, "RANK": str(here * node.number + rank), "LOCAL_RANK": str(rank)},
            pass_fds=held,
        )
        for rank in range(here)
    ]


def this_node(nodes: int) -> Node | None:
    """This task's place among the nodes of a SLURM job; None where no task was started yet.

    Computed in the task: what srun tells is not known to whoever calls srun. Raises StudyError
    outside of SLURM.
    """
    if "SLURM_JOB_ID" not in os.environ:
        raise StudyError(
            f"{nodes} nodes meet in a job of SLURM, and this is none: use snakemake --profile "
            "slurm, or have resources.nodes 1 in the execution"
        )
    if os.environ.get("SLURM_STEP_NUM_TASKS") != str(nodes):
        return None
    first = _ask("scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]).split()[0]
    address = re.search(r"NodeAddr=(\S+)", _ask("scontrol", "show", "node", first))
    port = FIRST_PORT + int(os.environ["SLURM_JOB_ID"]) % PORTS
    return Node(int(os.environ["SLURM_PROCID"]), nodes, address[1] if address else first, port)


def _ask(*command: str) -> str:
    """What a program prints; StudyError with its last words where it fails."""
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise StudyError(f"{' '.join(command)}: {told.stderr.strip() or told.returncode}")
    return told.stdout


def srun(nodes: int, arguments: list[str]) -> NoReturn:
    """Become srun, which starts this command once on each node, and ends all when one fails."""
    tasks = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--cpu-bind=none"]
    words = ["srun", *tasks, "--kill-on-bad-exit=1", sys.executable, "-m", "model.launch"]
    os.execvp("srun", [*words, *arguments])


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
    ranks: list[subprocess.Popen], ended: list[int], folder: str, reason: str | None, node: Node
) -> tuple[int, str]:
    """Exit code and last line of this node; of several failures the one that explains most.

    `reason` is why all were asked to stop: who has nothing to save yet ends by the signal itself.
    """
    outcomes = []
    for number in ended:
        rank = len(ranks) * node.number + number
        code, file = ranks[number].returncode, Path(folder, f"outcome-{rank}")
        line = f"error: process {rank + 1} of {len(ranks) * node.of} "
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
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="machines of this SLURM job (default: 1)"
    )
    parser.add_argument("processes", type=int, help="how many, on all nodes together")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="a module and its arguments, as after python -m"
    )
    args = parser.parse_args(arguments)
    if args.processes < 1 or not args.command:
        raise StudyError("model.launch: expected a number of processes and a module")
    if args.nodes < 1 or args.processes % args.nodes:
        raise StudyError(f"model.launch: {args.processes} processes on {args.nodes} nodes")
    node = ALONE if args.nodes == 1 else this_node(args.nodes)
    if node is None:
        srun(args.nodes, sys.argv[1:] if arguments is None else arguments)
    held = []
    if args.gpu is not None:
        with StopRequest() as stop:
            held = take_slots(args.processes // args.nodes, args.gpu, stop)
    if args.processes == 1:
        os.execv(sys.executable, [sys.executable, "-m", *args.command])
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder, StopRequest() as stop:
        ranks = start(args.command, args.processes, folder, held, node)
        ended = wait(ranks, stop)
        code, line = outcome(ranks, ended, folder, stop.reason(), node)
    if line:
        print(line, file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    run_command(main)
