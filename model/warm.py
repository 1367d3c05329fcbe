"""Warm starts: local jobs fork from a process that has torch and the stages' modules loaded.

    snakemake (onstart) ── starts ──> the warm process: loads, then only listens
      └ bash -c "python -m model.stages.X …"                        │ fork
          └ FOLDER/python (warm_job.py) <── Unix socket ──>   a guard of this one job
              arguments, environment, streams; signals;             │ fork
              exit code                                       the job itself

Loading takes a second, more than many jobs work. Snakemake's jobs find FOLDER/python first, which
hands commands of stages to the warm process and is the plain interpreter for all else. It is safe
because the warm process

- has loaded modules and done nothing else: it has one thread (or ends), no pool of OpenMP, no run,
  no lock and no torch operation behind it, and CUDA is never begun there;
- takes only jobs that inherited the very same as itself (`warm_job.circumstances`), for example
  the same OMP_NUM_THREADS, which libraries read once, while they are loaded;
- takes none any more once a file of this project's code changed;
- lives no longer than snakemake, whose end of a pipe it holds the other end of.

The guard hands signals on, its own too, and the exit code back. Should the job's `python` be
killed, the guard kills the job; should the guard be killed, the kernel does. Whatever fails on the
way, the job starts plainly, as with WARM_JOBS=no in the environment and everywhere but on Linux.
`ps` shows a job's command at its `python`, which waits for processes that bear this module's name.
"""

import atexit
import ctypes
import marshal
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from model import warm_job
from study.stages import PATHS

SWITCH = "WARM_JOBS"
ROOT = Path(__file__).parent.parent
CODE = ("study", "model", "language")
STAGES = {f"model.stages.{stage}" for stage in PATHS}
# What snakemake tells jobs about their threads.
THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl
SHIM = """\
#!/bin/sh
case "$1 $2" in
"-m model.stages."*) exec {python} -I -S -E -c {client} {socket} "$@" ;;
esac
exec {python} "$@"
"""


def start(threads: int) -> subprocess.Popen | None:
    """Have this process's jobs of so many threads start warm, until it ends; the warm process."""
    if sys.platform != "linux" or os.environ.get(SWITCH) == "no":
        return None
    with suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        try:
            return _start(folder, threads)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, threads: int) -> subprocess.Popen:
    shim = folder / "python"
    client = (
        f"import sys; sys.path.append({str(ROOT)!r}); from model import warm_job; warm_job.main()"
    )
    words = {"python": sys.executable, "client": client, "socket": f"{folder}/socket"}
    shim.write_text(SHIM.format(**{name: shlex.quote(word) for name, word in words.items()}))
    shim.chmod(0o700)
    process = subprocess.Popen(
        [sys.executable, "-c", "from model import warm; warm.main()", str(folder)],
        env={**os.environ, **dict.fromkeys(THREADS, str(threads))},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    for end in (lambda: shutil.rmtree(folder, ignore_errors=True), process.wait, process.kill):
        atexit.register(end)  # the last one first
    return process


class Job(NamedTuple):
    """A command that was taken: words after `python -m`, environment, folder, standard streams."""

    arguments: list[bytes]
    environment: dict[bytes, bytes]
    folder: str
    streams: list[int]


def code_files() -> dict[str, tuple[int, int]]:
    """Time and size of every file of this project's code that a stage may load."""
    paths = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def load() -> None:
    """Load what the stages load, and start no thread; jobs get an environment of their own."""
    # Arrow's spare allocator has a thread of its own unless told otherwise while it is loaded.
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    for name in sorted(STAGES):
        import_module(name)
    for path in (ROOT / "model/training/optimisers").glob("[!_]*.py"):
        import_module(f"model.training.optimisers.{path.stem}")


def wait_for_job(folder: Path) -> Job:
    """Load, and fork a guard for every job that is offered; returns in processes of jobs only."""
    inherited, code = warm_job.circumstances(), code_files()
    load()
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("a fork takes along no thread but one")
    os.chdir("/")  # to stand in nobody's way
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards need not be waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:  # snakemake has ended
                shutil.rmtree(folder, ignore_errors=True)
                os._exit(0)
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    return guard_job(connection, inherited, code)


def guard_job(connection: socket.socket, inherited: tuple, code: dict) -> Job:
    """Take the offered job, if it is for us, and see it to its end; returns in its process only."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, warm_job.LENGTH_BYTES, 3)
    with connection.makefile("rb") as file:
        request = file.read(int.from_bytes(length, "big"))
    (_, *arguments), environment, theirs = marshal.loads(request)
    if os.fsdecode(arguments[0]) not in STAGES or theirs != inherited or code_files() != code:
        os._exit(0)
    guard = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, warm_job.FORWARDED)  # until there is who takes them
    pid = os.fork()
    if pid == 0:
        connection.close()
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != guard:  # it died before the line above
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, warm_job.FORWARDED)
        return Job(arguments, environment, inherited[1], streams)
    _pass_on(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, warm_job.FORWARDED)
    for stream in streams:
        os.close(stream)
    threading.Thread(target=_hand_on, args=(connection, pid), daemon=True).start()
    with suppress(OSError):
        connection.send(warm_job.TAKEN)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        connection.send(str(code).encode())
    os._exit(0)


def _pass_on(pid: int) -> None:
    """Have signals to this guard reach the job: where all processes get one, none may die of it
    before the job has saved its state.
    """

    def pass_on(number: int, frame) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in warm_job.FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)


def _hand_on(connection: socket.socket, pid: int) -> None:
    """Send the job the signals that come over the connection, and SIGKILL when that ends."""
    with suppress(OSError):
        while number := connection.recv(1):
            os.kill(pid, number[0])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def run(job: Job) -> None:
    """Do in this process what `python -m model.stages.X …` does in a new one."""
    os.setpgid(0, 0)
    for number, stream in enumerate(job.streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    os.environb.clear()
    os.environb.update(job.environment)
    os.chdir(job.folder)
    tempfile.tempdir = None  # TMPDIR is the job's own
    # No two jobs draw alike where nothing was seeded; random sees to that itself.
    import_module("numpy").random.seed()
    import_module("torch").default_generator.seed()
    module, *words = map(os.fsdecode, job.arguments)
    sys.argv = ["-m", *words]
    del sys.modules[module]  # loaded anew, as __main__
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Be the warm process of a folder, then its guards and jobs."""
    sys.path[0] = str(Path.cwd())  # as for `python -m`
    run(wait_for_job(Path(sys.argv[1])))
