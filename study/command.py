"""What every command shares: arguments, one boundary for whatever goes wrong, exit codes.

Exit codes: 0 done (or an earlier result adopted), 2 bad input or a machine that cannot do it (one
line on stderr), 1 what nobody foresaw (one line as well; `--debug` shows its traceback), 75 stopped
with its state saved by a signal or the time budget (run the same command again to go on), 130
stopped by Ctrl-C where there is no state to save, 141 when nobody reads standard output any more.
"""

import argparse
import atexit
import contextlib
import errno
import io
import json
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from study.errors import StudyError

EXIT_UNFORESEEN = 1
EXIT_BAD_INPUT = 2
EXIT_RESUMABLE = 75
EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141

# Where `model.launch` has its processes leave what they would say at their end: it says it once.
RANKS_FOLDER = "RANKS_FOLDER"

ROOT = Path(__file__).parent.parent

# What a person typed to reach a module, where that is not `python -m` (`study.console`).
CALLED_AS: dict[str, str] = {}


class Resumable(Exception):
    """Raised when a job saved its state and stops before its end (a signal, time budget)."""


class CommandParser(argparse.ArgumentParser):
    """Parser whose errors are StudyErrors and whose options are written in full."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise StudyError with the command's name and where to read more."""
        raise StudyError(f"{self.prog}: {message} (--help shows all)")


def command_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Parser of `python -m <module>`, with an example in `--help`, `--log` and `--debug`."""
    return CommandParser(
        prog=CALLED_AS.get(module, f"python -m {module}"),
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[COMMON],
    )


COMMON = CommandParser(add_help=False)
COMMON.add_argument("--log", metavar="FILE", help="also write what is printed on stderr there")
COMMON.add_argument("--debug", action="store_true", help="show where an error arose")


class _Tee(io.TextIOBase):
    """Writes to stderr and to a log file; a person watches one, the other is kept.

    Neither may stop a job: a terminal can go away and a disk can be full before a trainer saved
    its state.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._path, self._terminal = path, sys.stderr
        self._log_failed = False

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._terminal.write(text)
        try:
            self._file.write(text.encode(errors="backslashreplace"))
        except OSError as error:
            if not self._log_failed and text.endswith("\n"):
                self._log_failed = True
                with contextlib.suppress(OSError):
                    self._terminal.write(f"notice: {self._path}: {error.strerror}\n")
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._terminal.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._terminal.fileno()


def run_command(main: Callable[[list[str] | None], None]) -> None:
    """Run a command's `main` and turn its outcome into an exit code and at most one line."""
    threading.excepthook = _tell_of_thread
    code = 0
    try:
        COMMON.prog = f"python {sys.argv[0]}"
        log = COMMON.parse_known_args()[0].log
        # Of several processes that train together the first one keeps the log.
        rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
        if log is not None and rank == "0":
            sys.stderr = _Tee(Path(log))
        main(None)
        _flush_output()
    except SystemExit:
        with contextlib.suppress(OSError):
            _flush_output()
        raise
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and not _has_reader():
            _drop_output()
            code = EXIT_NO_READER
        else:
            if "--debug" in sys.argv:
                traceback.print_exc()
            code, line = outcome_of(error)
            _say(code, line)
    if main.__module__ == "__main__":
        _end_at_once(code)
    if code:
        sys.exit(code)


def _end_at_once(code: int) -> None:
    """End this process; without taking apart all that it loaded: of torch, 0.4 s.

    Whatever is registered for the exit is done. Where threads are left, Python ends as ever.
    """
    if threading.active_count() == 1:
        atexit._run_exitfuncs()
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None is a closed one
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def outcome_of(error: BaseException) -> tuple[int, str]:
    """Exit code and the one line that tells a person what became of a command."""
    message = _message(error)
    if isinstance(error, StudyError):
        return EXIT_BAD_INPUT, f"error: {message}"
    if isinstance(error, Resumable):
        return EXIT_RESUMABLE, f"stopped: {message}; run the same command again to go on"
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED, "stopped: Ctrl-C; run the same command again to make it anew"
    if _is_about_memory(error):
        detail = f": {message}" if message else ""
        return EXIT_BAD_INPUT, f"error: not enough memory{detail} ({_place(error)})"
    if isinstance(error, ModuleNotFoundError):
        return EXIT_BAD_INPUT, f"error: {message}: pip install -r requirements.txt"
    if isinstance(error, OSError) and error.errno is not None:
        reason = error.strerror or os.strerror(error.errno)
        names = " -> ".join(os.fsdecode(n) for n in (error.filename, error.filename2) if n)
        return EXIT_BAD_INPUT, f"error: {names or _place(error)}: {reason}"
    return EXIT_UNFORESEEN, (
        f"error: {type(error).__name__}: {message} ({_place(error)}). Nobody foresaw this: if no "
        "file of yours explains it, it is a fault of this program; please report what the same "
        "command prints with --debug"
    )


def _message(error: BaseException) -> str:
    """The error's own words on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "in DataLoader worker process" in lines[0]:
        # torch hands a worker's error over as text, its traceback first.
        return lines[-1].partition(": ")[2] or lines[-1]
    if isinstance(error, StudyError):
        return " ".join(lines)
    return lines[0] if lines else ""


def _is_about_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's and numpy's error, or one of torch's (CPU, GPU)."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _place(error: BaseException) -> str:
    """The last line of this project the error passed through: `model/text/store.py, line 12`."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
            return f"{path.relative_to(ROOT).as_posix()}, line {frame.lineno}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no place known"


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    """A line for a library's helper thread that failed; who waits for it gets the error itself."""
    if "--debug" in sys.argv:
        traceback.print_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
    error = failed.exc_value or failed.exc_type()
    what = f"{failed.exc_type.__name__}: {_message(error)}"
    with contextlib.suppress(OSError):
        print(f"notice: a helper thread ended: {what}", file=sys.stderr, flush=True)


def _say(code: int, line: str) -> None:
    """Print a command's last line; as one of several processes, leave it to `model.launch`."""
    folder = os.environ.get(RANKS_FOLDER)
    if folder is not None:
        with contextlib.suppress(OSError):
            outcome = Path(folder, f"outcome-{os.environ['RANK']}")
            outcome.write_text(json.dumps([code, line]))
            return
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _flush_output() -> None:
    """Write out what was printed; OSError where standard output takes no more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _drop_output()
        raise OSError(error.errno, error.strerror, "standard output") from None


def _has_reader() -> bool:
    """Whether somebody still reads standard output; `| head` leaves early."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not any(flags & select.POLLERR for _, flags in poll.poll(0))


def _drop_output() -> None:
    """Send what is left of standard output nowhere, so that nobody complains at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
