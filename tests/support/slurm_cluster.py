"""A private SLURM on one machine for tests: real daemons, nothing of the system's touched.

munged, slurmctld and slurmd run as root in namespaces of their own. In the mount namespace the
configuration lies at /etc/slurm, where the daemons look for it (naming it by SLURM_CONF is not
enough: the SLURM executor drops that variable inside a job). In the process namespace the first
process waits for its standard input to close: when the test ends, or is killed, the kernel ends
every process of the cluster with it, jobs included.

The machine stands for several nodes, each with a few CPUs and one fake GPU (a plain file). Jobs of
the partition `urgent` preempt those of `main`. There is no accounting database, as on many small
clusters. It forgets no job, and no message is late: the machine may be as busy as it likes.
"""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CPUS = 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "unshare", "nsenter")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# It may be asked often; jobs are short and its disk is local.
IMPATIENT = [
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "1"),
    *("--latency-wait", "5"),
]
# After so long something hangs, on however busy a machine.
HANGS = 3600

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
MpiDefault=none
MinJobAge=1000000
MessageTimeout=600
TCPTimeout=600
BatchStartTimeout=600
SlurmctldTimeout=3600
SlurmdTimeout=0
UnkillableStepTimeout=3600
ReturnToService=2
GresTypes=gpu
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=3600
PartitionName=urgent Nodes=ALL PriorityTier=2
"""
NODE = """\
NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} \
RealMemory=1000000 Gres=gpu:1
"""

# Runs as the first process of the namespace; the last line waits for the end of the test.
DAEMONS = """\
set -e
mount --bind {folder}/etc /etc/slurm
munged --foreground --force --socket={folder}/munge.socket --key-file={folder}/munge.key \
  --pid-file={folder}/munge.pid --seed-file={folder}/munge.seed --log-file={folder}/munge.log \
  < /dev/null > {folder}/munged.out 2>&1 &
while [ ! -S {folder}/munge.socket ]; do sleep 0.1; done
slurmctld -D -c < /dev/null > {folder}/slurmctld.out 2>&1 &
for node in {nodes}; do
  slurmd -D -N $node < /dev/null > {folder}/slurmd-$node.out 2>&1 &
done
cat > /dev/null
"""


def missing() -> str | None:
    """Why a private SLURM cannot run here, or None if it can."""
    if sys.platform != "linux":
        return "SLURM needs Linux"
    if os.geteuid() != 0:
        return "a private SLURM needs root"
    absent = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install slurm-wlm munge"
    trial = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
    )
    if trial.returncode:
        return f"no namespaces here: {trial.stderr.strip()}"
    return None


@contextlib.contextmanager
def started(**size) -> Iterator["SlurmCluster"]:
    """A cluster for some tests; they are skipped where none can run, and fail in CI."""
    reason = missing()
    if reason and os.environ.get("REQUIRE_SLURM"):
        pytest.fail(f"REQUIRE_SLURM is set, but {reason}")
    if reason:
        pytest.skip(reason)
    # Not pytest's folder: a socket's path is at most 107 characters long.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = SlurmCluster(Path(folder), **size)
        try:
            yield cluster
        finally:
            cluster.stop()


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens on, below those that it gives out by itself."""
    found: list[int] = []
    while len(found) < number:
        port = random.randrange(10000, 30000)
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            found.append(port)
    return found


def wait_for(condition: Callable[[], bool], seconds: float = HANGS) -> None:
    """Return when `condition()` holds; TimeoutError if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"still waiting after {seconds} seconds")
        time.sleep(0.1)


class SlurmCluster:
    """A running cluster; `folder` (short path, root's own) takes its state and logs."""

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = CPUS) -> None:
        self.folder, self.cpus = folder, cpus
        self.nodes = [f"node{number + 1}" for number in range(nodes)]
        self._write_files()
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("bash", "-c", DAEMONS.format(folder=folder, nodes=" ".join(self.nodes))),
            ],
            stdin=subprocess.PIPE,
            env=os.environ | {"PATH": SYSTEM_PATH},
        )
        try:
            self._wait_until_idle()
        except BaseException:
            self.stop()
            raise

    def _write_files(self) -> None:
        controller_port, *node_ports = free_ports(1 + len(self.nodes))
        for name in ("etc", "state"):
            (self.folder / name).mkdir()
        host = socket.gethostname().split(".")[0]
        text = SLURM_CONF.format(host=host, folder=self.folder, controller_port=controller_port)
        for name, port in zip(self.nodes, node_ports, strict=True):
            text += NODE.format(name=name, host=host, port=port, cpus=self.cpus)
        (self.folder / "etc" / "slurm.conf").write_text(text)
        (self.folder / "gpu0").touch()
        (self.folder / "etc" / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu0\n")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def _is_idle(self) -> bool:
        return self.run(["sinfo", "-h", "-p", "main", "-o", "%T"]).stdout.strip() == "idle"

    def _wait_until_idle(self) -> None:
        """Wait until the node takes jobs; RuntimeError with the daemons' last words if not."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self._process.poll() is not None or self._is_idle())
        if self._is_idle():
            return
        words = [
            f"{path.name}: {line}"
            for path in sorted([*self.folder.glob("*.out"), *self.folder.glob("*.log")])
            for line in path.read_text(errors="replace").splitlines()[-5:]
        ]
        raise RuntimeError("the private SLURM did not start\n" + "\n".join(words))

    def start(self, args: list[str], cwd: Path) -> subprocess.Popen[str]:
        """Start a command on the cluster's machine, this Python's programs first in its PATH.

        Standard output and error are captured as one text. A command that hangs is ended and
        returns 124 (137 where it had to be killed).
        """
        process = self._process.pid
        limit = ["timeout", "--kill-after=10", str(HANGS)]
        return subprocess.Popen(
            [
                "nsenter",
                f"--mount=/proc/{process}/ns/mnt",
                f"--pid=/proc/{process}/ns/pid_for_children",
                # Not nsenter's own --wd: that is the folder as the outer namespace mounts it, where
                # a file cannot be renamed between a relative and an absolute path.
                *("env", f"--chdir={cwd}"),
                *limit,
                *args,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}"},
        )

    def run(self, args: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`start` a command, in the cluster's folder unless told, and wait for its end."""
        process = self.start(args, cwd or self.folder)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(args, process.returncode, output)

    def ask(self, *args: str) -> list[str]:
        """The lines that a command of SLURM prints; it must succeed."""
        told = self.run(list(args))
        if told.returncode:
            raise RuntimeError(f"{args}: {told.stdout}")
        return told.stdout.splitlines()

    def restart_controller(self) -> None:
        """Kill slurmctld, and start another one on the state that it left."""
        pid = (self.folder / "slurmctld.pid").read_text().strip()
        self.ask("kill", "-KILL", pid)
        self.ask("slurmctld")
        wait_for(self._answers)

    def _answers(self) -> bool:
        return self.run(["squeue", "--noheader"]).returncode == 0

    def stop(self) -> None:
        """End every process of the cluster."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=HANGS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
