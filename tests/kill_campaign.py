"""`python -m tests.kill_campaign --kills 40 --seed 0`: SIGKILL at any moment costs no byte.

Builds a small study undisturbed, and then again and again from some point on: each time something
is killed at a random moment (snakemake alone, the process of one stage, the whole process group, a
fine-tuning that keeps its best epoch), and README's plain command runs to its end. Whatever the
undisturbed run has must then be there, byte for byte, and nothing half-written. Prints a line per
kill and ends with 1 unless all kills were without consequence.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does
sys.path.insert(0, str(Path(__file__).parent / "support"))

import small_study

from study.command import command_parser, run_command

# Stages from which on a study is built again, with a file that appears while the stage works.
STAGES = {
    "sentences": "sentences/*/*/*/lock",
    "vocabularies": "vocabularies/*/*/lock",
    "tokens": "tokens/*/*/*/*/lock",
    "stores": "stores/*/*/lock",
    "samples": "samples/*/*/*/*/lock",
    "pretrain": "pretrain/*/*/*/events.jsonl",
    "features": "features/*/*/*/lock",
    "finetune": "finetune/*/*/*/*/events.jsonl",
}
# What is built again with each: all that depends on it.
AFTER = {
    **{stage: list(STAGES)[place:] for place, stage in enumerate(STAGES)},
    "pretrain": ["pretrain", "finetune"],
}
BEST = "finetune/*/*/sst2/*/best.safetensors"
LONGEST_DELAY = 1.5  # seconds from the sign that the stage works to the kill


@dataclass(frozen=True)
class Kill:
    """Who is killed, in which stage, how long after the stage was seen at work."""

    victim: str  # snakemake, stage, group, or best: a stage that has just kept its best epoch
    stage: str
    delay: float

    @classmethod
    def draw(cls, number: int, draw: random.Random) -> "Kill":
        """The `number`-th kill: victims in turn, the rest by chance, trainings more often."""
        victim = ("snakemake", "stage", "group", "best")[number % 4]
        trainings = ["pretrain", "finetune"]
        stage = draw.choice([*STAGES, *2 * trainings]) if victim != "best" else "finetune"
        return cls(victim, stage, draw.uniform(0, LONGEST_DELAY if stage in trainings else 0.3))

    def __str__(self) -> str:
        who = {
            "snakemake": "snakemake alone",
            "stage": f"the process of {self.stage}",
            "group": "the whole process group",
            "best": "a fine-tuning that had kept its best epoch",
        }
        return f"{who[self.victim]} in {self.stage}"


def remove_from(project: Path, stage: str) -> None:
    """Delete what a stage and those after it made, and the results."""
    runs = project / "runs/smoke"
    for name in AFTER[stage]:
        shutil.rmtree(runs / name, ignore_errors=True)
    shutil.rmtree(project / "results")


def stage_processes(group: int, stage: str) -> list[int]:
    """Processes of the group that run a job of the stage."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, its_group, command in rows
        if int(its_group) == group
        and f"--manifest runs/smoke/{stage}/" in command
        and "bash" not in command.split()[0]
    ]


def strike(project: Path, kill: Kill) -> bool:
    """Start the plain command and kill once; whether the victim was alive."""
    child = small_study.start(
        project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    sign = BEST if kill.victim == "best" else STAGES[kill.stage]
    while child.poll() is None and not list((project / "runs/smoke").glob(sign)):
        time.sleep(0.01)
    time.sleep(0 if kill.victim == "best" else kill.delay)
    hit = False
    if child.poll() is None:
        # All stand still while the victim is looked for, however busy the machine is.
        os.killpg(child.pid, signal.SIGSTOP)
        hit = strike_stopped(child.pid, kill)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGCONT)
    # Of a killed snakemake its jobs live on: the next command meets them.
    child.wait()
    return hit


def strike_stopped(group: int, kill: Kill) -> bool:
    """Kill the victims in the group of a snakemake; whether there were any."""
    if kill.victim == "group":
        os.killpg(group, signal.SIGKILL)
        return True
    victims = [group]
    if kill.victim in ("stage", "best"):
        victims = stage_processes(group, kill.stage)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    return bool(victims)


def difference(project: Path, reference: dict[str, bytes]) -> str | None:
    """What a project has that the reference has not, or the other way round; None if nothing."""
    found = small_study.outcome(project)
    for name in sorted(found.keys() | reference.keys()):
        if found.get(name) != reference.get(name):
            kind = "differs" if name in found and name in reference else "is there in one only"
            return f"{name} {kind}"
    remains = [path for path in project.glob("r*/**/.*") if path.is_file()]
    remains += (project / "runs").rglob("checkpoints/*")
    return f"{remains[0]} remains" if remains else None


def survive(kill: Kill, finished: Path, reference: dict[str, bytes], folder: Path) -> str | None:
    """Build again from the kill's stage on, kill, go on; what is wrong afterwards, None if nothing.

    Where the victim was gone before it was killed, the whole is done again, and sooner.
    """
    project = folder / "project"
    while True:
        shutil.copytree(finished, project)
        remove_from(project, kill.stage)
        if strike(project, kill):
            break
        shutil.rmtree(project)
        kill = replace(kill, delay=kill.delay / 2)
    child = small_study.start(project)
    output, _ = child.communicate()
    wrong = f"exit {child.returncode}: {output}" if child.returncode else None
    wrong = wrong or difference(project, reference)
    if not wrong:
        shutil.rmtree(project)
    return wrong


def campaign(kills: list[Kill], finished: Path, folder: Path) -> int:
    """Do all kills against the finished project; how many were without consequence."""
    reference, well = small_study.outcome(finished), 0
    for number, kill in enumerate(kills, start=1):
        place = folder / f"kill-{number}"
        place.mkdir()
        wrong = survive(kill, finished, reference, place)
        well += wrong is None
        told = "byte-identical" if wrong is None else f"WRONG, see {place}: {wrong}"
        print(f"{number}/{len(kills)} SIGKILL of {kill}: {told}", flush=True)
    print(f"{well} of {len(kills)}")
    return well


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    """Command line of the campaign."""
    parser = command_parser(
        "tests.kill_campaign", __doc__, "python -m tests.kill_campaign --kills 40 --seed 0"
    )
    parser.add_argument("--kills", type=int, default=40, help="how many (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="of victims and moments (default: 0)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the campaign; keeps the folders of kills that went wrong."""
    args = arguments_of(arguments)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    finished = small_study.make_project(folder / "finished")
    small_study.build(finished)
    draw = random.Random(args.seed)
    kills = [Kill.draw(number, draw) for number in range(args.kills)]
    well = campaign(kills, finished, folder)
    if well < args.kills:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    run_command(main)
