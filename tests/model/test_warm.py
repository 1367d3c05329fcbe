"""A job that forks from the warm process is what a new process would be, however it ends.

The jobs are those of a copy of the project in which one stage runs Python code that it is given.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import smoke
from signals import heed_signals

from model import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs start warm on Linux only")

STAGE = "model.stages.throughput"
TOY = 'import sys\nif __name__ == "__main__":\n    exec(sys.argv[1])\n'
OWNER = "import os, sys; from model import warm; print(warm.start(1).pid, os.environ['PATH'])"
WAIT = "; sys.stdout.flush(); sys.stdin.read()"
IS_WARM = "import os, sys; print(os.getpid(), sys.orig_argv[1] == '-c', flush=True)"


class Owner:
    """A process that has started a warm one, as snakemake does, and what its jobs are told."""

    def __init__(self, project: Path, **environment: str):
        self.project = project
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.plain = {**os.environ, **dict.fromkeys(warm.THREADS, "1"), "PATH": path, **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER + WAIT],
            cwd=project,
            env=self.plain,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        pid, self.path = self.process.stdout.readline().split(maxsplit=1)
        self.server, self.folder = int(pid), Path(self.path.partition(":")[0])
        while not (self.folder / "socket").exists():
            assert is_alive(self.server)
            time.sleep(0.01)

    def start(self, code: str, before: str = "", **settings) -> subprocess.Popen:
        """Start a job that runs the code, as a rule's shell does, `before` it some other line."""
        line = f"{before}\npython -m {STAGE} \"$1\" 'a word'"
        return subprocess.Popen(
            ["bash", "-c", line, "bash", code],
            **{
                "cwd": self.project,
                "env": {**self.plain, "PATH": self.path.strip()},
                "stdin": subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "preexec_fn": heed_signals,
                "process_group": 0,
                **settings,
            },
        )


def make_project(folder: Path) -> Path:
    for name in ("study", "model", "language"):
        shutil.copytree(smoke.ROOT / name, folder / name)
    (folder / f"{STAGE.replace('.', '/')}.py").write_text(TOY)
    return folder


@contextlib.contextmanager
def owner_in(project: Path) -> Iterator[Owner]:
    owner = Owner(project)
    try:
        yield owner
    finally:
        owner.process.communicate("")
        assert not owner.folder.exists() and not is_alive(owner.server)


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    """A warm process that all may use and nobody may harm."""
    with owner_in(make_project(tmp_path_factory.mktemp("warm") / "project")) as owner:
        yield owner


@pytest.fixture
def own(owner, tmp_path):
    """A warm process that the test may harm."""
    shutil.copytree(owner.project, tmp_path / "project")
    with owner_in(tmp_path / "project") as own:
        yield own


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is not merely to be waited for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for_end(pid: int) -> None:
    while is_alive(pid):
        time.sleep(0.01)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def start_warm(owner: Owner, code: str = "", before: str = "", **settings):
    """A job that says where it runs and then runs the code; its shell, its process."""
    job = owner.start(f"{IS_WARM}\n{code}", before, **settings)
    pid, is_warm = job.stdout.readline().split()
    assert is_warm == "True"
    return job, int(pid)


def python_of(shell: int) -> int:
    """The job's `python`: what the shell became, or its child."""
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    return int(children[0]) if children else shell


def starts_plainly(owner: Owner, before: str = "", **settings) -> bool:
    job = owner.start(IS_WARM, before, **settings)
    output, errors = job.communicate()
    assert (job.returncode, errors) == (0, "")
    return output.split()[1] == "False"


SAME = [
    "print(sys.argv, __name__, __file__, __spec__.name, sys.path, sys.flags, sys.executable)",
    "import os; print(os.getcwd(), sorted(i for i in os.environ.items() if i[0] not in "
    "('PATH', '_')), os.umask(0o22))",
    "import signal; print([signal.getsignal(n) for n in signal.valid_signals()], "
    "signal.pthread_sigmask(0, []))",
    "import os, resource; print(os.nice(0), sorted(os.sched_getaffinity(0)), "
    "[resource.getrlimit(n) for n in range(10)])",
    "print([(s.encoding, s.errors, s.line_buffering, s.isatty()) for s in (sys.stdin, sys.stdout, "
    "sys.stderr)]); print(sys.stdin.read())",
    "import torch; print(torch.__config__.parallel_info(), torch.get_num_threads())",
    "import torch; torch.set_num_threads(2); torch.manual_seed(1); print(torch.get_num_threads(), "
    "torch.rand(999, 99) @ torch.rand(99, 50))",
    "import tempfile; print(tempfile.gettempdir())",
    "import threading; print(threading.active_count(), threading.main_thread().is_alive())",
    "import os, time; print(time.process_time() < 9, os.listdir('/proc/self/fd'))",
    "import atexit; atexit.register(print, 'exit'); print('main', end=' ')",
    "print('out'); print('err', file=sys.stderr); sys.exit(3)",
    "sys.exit('a text')",
    "sys.exit(True)",
    "import os; print('unwritten'); os._exit(7)",
    "from study.command import run_command\nfrom study.errors import StudyError\ndef main(_): "
    "raise StudyError('a.bin: cut')\nsys.argv += ['--debug']\nrun_command(main)",
    "from study.command import run_command\ndef main(_): pass\nsys.argv[1:] = ['--log']\n"
    "run_command(main)",
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)",
    "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
]


@pytest.mark.parametrize("code", SAME)
def test_a_warm_job_finds_and_leaves_what_a_plain_one_does(owner, code):
    found = {}
    for way, path in (("plain", owner.plain["PATH"]), ("warm", owner.path.strip())):
        env = {**owner.plain, "PATH": path, "TMPDIR": str(owner.project)}
        job = owner.start(f"open('way', 'w').write(sys.orig_argv[1])\n{code}", env=env)
        output, errors = job.communicate("typed")
        assert (owner.project / "way").read_text() == {"plain": "-m", "warm": "-c"}[way]
        # The frames of an error that nobody caught lead through another beginning.
        errors = [line for line in errors.splitlines() if not line.startswith("    ")]
        errors = [line for line in errors if not line.startswith('  File "') or STAGE in line]
        found[way] = (job.returncode, output.splitlines(), errors)
    assert found["warm"] == found["plain"]


def end(job: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code and what was printed since the last line that was read."""
    job.stdin.close()
    output, errors = job.stdout.read(), job.stderr.read()
    return job.wait(), output, errors


def test_no_two_jobs_draw_alike_where_nothing_was_seeded(owner):
    code = (
        "import random, numpy, torch; print(random.random(), numpy.random.random(), torch.seed())"
    )
    drawn = [end(start_warm(owner, code)[0])[1].split() for _ in range(2)]
    assert len({*drawn[0], *drawn[1]}) == 6


WAITS = """
import signal, time
from study.command import run_command
from study.stopping import StopRequest
def main(arguments):
    with StopRequest() as stop:
        print("waits", flush=True)
        while not stop.reason():
            time.sleep(0.01)
        time.sleep(0.3)
        print(stop.reason(), "saved", flush=True)
        sys.exit(75)
main(None)
"""
COUNTS = """
import signal, time
signal.signal(signal.SIGINT, lambda *_: print("interrupt", flush=True))
print("waits", flush=True)
sys.stdin.read()
time.sleep(0.3)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("group", [False, True])
def test_a_signal_to_the_job_or_its_group_reaches_it_and_it_has_its_time(owner, number, group):
    job, _ = start_warm(owner, WAITS)
    assert job.stdout.readline() == "waits\n"
    if group:
        os.killpg(job.pid, number)
    else:
        os.kill(python_of(job.pid), number)
    code, output, errors = end(job)
    assert (output, errors) == (f"{signal.Signals(number).name} saved\n", "")
    assert code == 75 or (group and code == -number)  # the shell heeds some signals too


def test_ctrl_c_interrupts_once(owner):
    job, _ = start_warm(owner, COUNTS)
    assert job.stdout.readline() == "waits\n"
    os.killpg(job.pid, signal.SIGINT)
    assert job.stdout.readline() == "interrupt\n"
    assert end(job)[1:] == ("", "")


def test_ctrl_z_stops_the_job_until_it_goes_on(owner):
    job, pid = start_warm(owner, WAITS)
    assert job.stdout.readline() == "waits\n"
    python = python_of(job.pid)

    def wait_for(state: str) -> None:
        while {Path(f"/proc/{each}/stat").read_text().split()[2] for each in (pid, python)} != set(
            state
        ):
            time.sleep(0.01)

    os.kill(python, signal.SIGTSTP)
    wait_for("T")
    os.kill(python, signal.SIGCONT)
    wait_for("S")
    os.kill(python, signal.SIGTERM)
    assert end(job) == (75, "SIGTERM saved\n", "")


def test_a_job_that_nohup_deafened_starts_plainly(owner):
    assert starts_plainly(owner, "trap '' HUP")


@pytest.mark.parametrize(
    "before",
    [
        "export OMP_NUM_THREADS=2",
        "export NEW=1",
        "umask 077",
        "ulimit -n 99",
        "cd /; PYTHONPATH=$OLDPWD",
    ],
)
def test_a_job_that_inherits_something_else_starts_plainly(owner, before):
    assert starts_plainly(owner, "export PYTHONPATH; " + before)


def test_the_plain_interpreter_does_all_else(owner):
    line = 'python -c "import sys; print(sys.executable)"; python -m model.stages.nix; exit'
    job = owner.start("", line)
    code, output, errors = end(job)
    assert (code, output) == (1, f"{sys.executable}\n")
    assert errors.endswith("No module named model.stages.nix\n")


def test_a_killed_job_ends_at_once(owner):
    job, pid = start_warm(owner, WAITS)
    os.kill(python_of(job.pid), signal.SIGKILL)
    wait_for_end(pid)
    os.killpg(start_warm(owner, WAITS)[0].pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["guard", "job"])
def test_a_job_whose_guard_is_killed_starts_again_plainly(owner, victim):
    """It ends with its guard. Killed itself, it is killed for its shell too."""
    job, pid = start_warm(owner, "import time; time.sleep(9) if sys.orig_argv[1] == '-c' else 0")
    os.kill(parent(pid) if victim == "guard" else pid, signal.SIGKILL)
    wait_for_end(pid)
    code, output, _ = end(job)
    if victim == "guard":
        assert code == 0 and output.split()[1] == "False"
    else:
        assert (abs(code), output) in ((9, ""), (137, ""))


@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_signal_to_the_guard_is_the_job_s(owner, all_of_them):
    """As where everything is asked to stop at once: a time limit, a logout."""
    job, pid = start_warm(owner, WAITS)
    assert job.stdout.readline() == "waits\n"
    told = [parent(pid), *([python_of(job.pid), pid] if all_of_them else [])]
    for process in told:
        os.kill(process, signal.SIGTERM)
    code, output, _ = end(job)
    assert code == 75
    assert set(output.split("\n")) == {"SIGTERM saved", ""}


def test_without_its_warm_process_a_job_goes_on_and_the_next_starts_plainly(own):
    job, _ = start_warm(own, WAITS)
    assert job.stdout.readline() == "waits\n"
    os.kill(own.server, signal.SIGKILL)
    assert starts_plainly(own)
    os.kill(python_of(job.pid), signal.SIGTERM)
    assert end(job) == (75, "SIGTERM saved\n", "")


def test_the_warm_process_ends_with_who_started_it_and_jobs_go_on(own):
    job, _ = start_warm(own, WAITS)
    assert job.stdout.readline() == "waits\n"
    own.process.kill()
    wait_for_end(own.server)
    assert not own.folder.exists()
    assert starts_plainly(own)
    os.kill(python_of(job.pid), signal.SIGTERM)
    assert end(job) == (75, "SIGTERM saved\n", "")


def test_while_the_code_differs_jobs_start_plainly(own):
    for name in ("study/errors.py", "language/write.py", "model/new.py"):
        assert not starts_plainly(own)
        path = own.project / name
        before = path.stat() if path.exists() else None
        with path.open("a") as file:
            file.write("\n")
        assert starts_plainly(own), name
        if before is None:
            path.unlink()
        else:
            os.truncate(path, before.st_size)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
def test_a_warm_process_that_does_not_answer_is_done_without(own):
    os.kill(own.server, signal.SIGSTOP)
    job = own.start(IS_WARM)
    assert job.stdout.readline().split()[1] == "False"
    assert job.wait() == 0
    os.kill(own.server, signal.SIGCONT)


def test_a_lock_of_one_job_holds_for_the_next(owner):
    asks = "import os; from study.file_locks import try_lock; file = open('lock', 'a'); "
    first, _ = start_warm(owner, asks + "print(try_lock(file), flush=True); sys.stdin.read()")
    assert first.stdout.readline() == "True\n"
    second, _ = start_warm(owner, asks + "print(try_lock(file))")
    assert end(second)[1] == "False\n"
    assert end(first)[0] == 0


def test_the_switch_leaves_all_as_it_is(owner):
    environment = {**owner.plain, warm.SWITCH: "no"}
    code = "from model import warm; import os; print(warm.start(1), os.environ['PATH'])"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert told.stdout.decode() == f"None {environment['PATH']}\n"
