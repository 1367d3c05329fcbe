"""What happens to a training on SLURM, line by line of the table in docs/how-to/cluster.md.

All trainings run at the same time, each meets its own event and must go on from where it was, while
snakemake waits. What is tried is SLURM, the profile, and our run directory, lock, stop and budget;
test_recovery.py tries that a network which goes on ends with the bytes of an undisturbed run.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster as slurm
from project import ROOT

pytestmark = pytest.mark.slurm

NAMES = ("cancelled", "requeued", "limit", "failed")
SHARED = ("preempted.0.first", "preempted.0.second")  # one job, in turn
HEAD = "echo $$ > head.pid; exec snakemake --profile slurm {options} --config names={names}"


class Trainings:
    """The toy study on a cluster of its own, with a running snakemake."""

    def __init__(self, cluster: slurm.SlurmCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        shutil.copy(ROOT / "tests/support/slurm_events.smk", folder / "Snakefile")
        shutil.copy(ROOT / "tests/support/slurm_training.py", folder)
        for name in ("slurm", "profiles", "study"):
            shutil.copytree(ROOT / name, folder / name)
        self.head = self.start_snakemake()

    def start_snakemake(self) -> subprocess.Popen[str]:
        """The command of the page, which is the same after whatever happened."""
        options = " ".join([*slurm.IMPATIENT, "--retries", "20"])
        command = HEAD.format(options=options, names="+".join([*NAMES, *SHARED]))
        return self.cluster.start(["bash", "-c", command], self.folder)

    def stop_snakemake(self, how: signal.Signals) -> str:
        """Send snakemake alone a signal; what it had printed when it ended."""
        pid = (self.folder / "head.pid").read_text().strip()
        self.cluster.ask("kill", f"-{how.name.removeprefix('SIG')}", pid)
        output, _ = self.head.communicate()
        return output

    def events(self, name: str, kind: str) -> list[str]:
        """What a training noted at its starts (the step) or stops (the reason)."""
        path = self.folder / f"{name}.events"
        text = path.read_text() if path.exists() else ""
        return re.findall(rf"^{kind} (.*)$", text, re.MULTILINE)

    def shared(self, kind: str) -> dict[str, list[str]]:
        """The events of those trainings of the shared job that have had one of this kind."""
        return {name: found for name in SHARED if (found := self.events(name, kind))}

    def wait_for_start(self, name: str, number: int) -> None:
        """Wait until a training has started so many times."""
        slurm.wait_for(lambda: len(self.events(name, "start")) >= number or self.ended())
        assert self.head.poll() is None, self.head.communicate()[0]

    def ended(self) -> bool:
        """Whether snakemake has ended."""
        return self.head.poll() is not None

    def wait_for_steps(self, name: str) -> None:
        """Wait until a training that runs has made a step since now."""
        (kept,) = self.folder.glob(f"{self.run_directory(name)}/step")
        before = kept.read_text()
        slurm.wait_for(lambda: kept.read_text() not in ("", before))

    def run_directory(self, name: str) -> str:
        """The folder of a training's run, whose recipe names it."""
        for path in self.folder.glob("*/recipe.json"):
            if f'"{name}"' in path.read_text():
                return path.parent.name
        raise AssertionError(f"{name}: no run")

    def jobs(self, name: str, states: str = "all") -> list[tuple[str, str]]:
        """Number and state of SLURM's jobs of a training, oldest first."""
        asked = ["squeue", "--noheader", f"--states={states}", "--format=%i %T %k"]
        lines = sorted(
            (line.split() for line in self.cluster.ask(*asked)), key=lambda words: int(words[0])
        )
        marks = (f"_wildcards_{name}", f"_scores-{name}-seed-0_finetune")
        return [(job, state) for job, state, rule in lines if rule.endswith(marks)]

    def running(self, name: str) -> str:
        """Number of the job in which a training runs."""
        ((job, _),) = self.jobs(name, "running")
        return job

    def start_requeued(self, job: str) -> None:
        """Let a job that SLURM put back into its queue start without two minutes' delay."""
        state = ["squeue", "--noheader", f"--jobs={job}", "--format=%T"]
        slurm.wait_for(lambda: self.cluster.ask(*state) == ["PENDING"])
        self.cluster.ask("scontrol", "update", f"JobId={job}", "StartTime=now")


@pytest.fixture(scope="module")
def trainings(tmp_path_factory) -> Iterator[Trainings]:
    """All trainings, at work; the controller is restarted then, and each meets its event."""
    with slurm.started(nodes=3, cpus=4) as cluster:
        yield Trainings(cluster, tmp_path_factory.mktemp("trainings"))


@pytest.fixture(scope="module")
def restarted(trainings: Trainings) -> Trainings:
    """The controller was killed and started again while all trainings ran."""
    for name in NAMES:
        trainings.wait_for_start(name, 1)
    slurm.wait_for(lambda: trainings.shared("start"))
    trainings.cluster.restart_controller()
    for name in NAMES:
        trainings.wait_for_steps(name)
    return trainings


@pytest.fixture(scope="module")
def hit(restarted: Trainings) -> Trainings:
    """Each training has met its event."""
    ask, running = restarted.cluster.ask, restarted.running
    ask("scancel", running("cancelled"))
    requeued, failed = running("requeued"), running("failed")
    ask("scontrol", "requeue", requeued)
    ask("scontrol", "update", "NodeName=node3", "State=DOWN", "Reason=test")
    ask("sbatch", "--partition=urgent", "--nodelist=node2", "--exclusive", "--wrap=true")
    for job in (requeued, failed):
        restarted.start_requeued(job)
    # Refused where SLURM has taken the node back by itself.
    restarted.cluster.run(["scontrol", "update", "NodeName=node3", "State=RESUME"])
    return restarted


def test_controller_restart(restarted: Trainings):
    """Nothing happens to jobs, nor to snakemake."""
    for name in NAMES:
        assert restarted.events(name, "start")[0] == "0"
        assert len(restarted.jobs(name)) == 1 or name == "limit"


@pytest.mark.parametrize(
    "name, states",
    [
        ("cancelled", {"CANCELLED"}),
        ("requeued", set()),
        ("failed", set()),
        ("limit", {"FAILED", "TIMEOUT"}),
    ],
)
def test_a_training_goes_on_after(hit: Trainings, name: str, states: set[str]):
    """It saved its state; SLURM, in the same job, or snakemake's retries start it again."""
    hit.wait_for_start(name, 2)
    first, second, *_ = map(int, hit.events(name, "start"))
    assert first == 0 < second
    reasons = {"limit": {"SIGTERM", "time budget"}, "failed": {"SIGTERM", None}}
    assert next(iter(hit.events(name, "stop")), None) in reasons.get(name, {"SIGTERM"})
    ended = {state for _, state in hit.jobs(name)} - {"PENDING", "RUNNING", "COMPLETED"}
    assert ended <= states and bool(ended) == bool(states)


def test_preemption_of_a_job_that_several_share(hit: Trainings):
    """Who runs saves, and the next one does not begin while the other job waits for the node."""
    slurm.wait_for(lambda: len(hit.jobs("preempted")) == 2 or hit.ended())
    ((name, (reason,)),) = hit.shared("stop").items()
    assert reason == "SIGTERM"
    for each in SHARED:
        slurm.wait_for((hit.folder / f"{each}.json").exists)
    first, second = hit.events(name, "start")
    assert first == "0" and int(second) > 0
    (other,) = {*SHARED} - {name}
    assert hit.events(other, "start") == ["0"]
    (_, state), *_ = hit.jobs("preempted")
    assert state == "FAILED"


def test_snakemake_is_killed_and_interrupted(hit: Trainings):
    """Jobs outlive a snakemake that is killed, and end with one that is told to stop."""
    hit.wait_for_start("cancelled", 2)
    for name in [*NAMES[1:], *SHARED]:
        slurm.wait_for((hit.folder / f"{name}.json").exists)
    first = hit.running("cancelled")
    hit.stop_snakemake(signal.SIGKILL)
    hit.wait_for_steps("cancelled")
    hit.head = hit.start_snakemake()
    slurm.wait_for(lambda: len(hit.jobs("cancelled", "running")) == 2 or hit.ended())
    # The second job waits for the first one's lock: only one trains.
    assert len(hit.events("cancelled", "start")) == 2
    hit.cluster.ask("scancel", first)
    hit.wait_for_start("cancelled", 3)
    printed = hit.stop_snakemake(signal.SIGINT)
    slurm.wait_for(lambda: not hit.jobs("cancelled", "running"))
    assert hit.events("cancelled", "stop")[-1] == "SIGTERM", printed
    hit.head = hit.start_snakemake()
    output, _ = hit.head.communicate()
    assert hit.head.returncode == 0, output
    steps = [int(step) for step in hit.events("cancelled", "start")]
    assert len(steps) == 4 and steps == sorted(set(steps))
    assert all((hit.folder / f"{name}.json").exists() for name in [*NAMES, *SHARED])
