"""What every stage command shares: arguments, one-line errors, exit codes.

Exit codes: 0 done (or an earlier result adopted), 2 bad input (one line on stderr), 75 stopped at
a checkpoint by SIGTERM or the time budget (run the same command again to go on).
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

from study.errors import StudyError
from study.identity import read_json_argument

EXIT_BAD_INPUT = 2
EXIT_RESUMABLE = 75


class Resumable(Exception):
    """Raised when a job saved its state and stops before its end (SIGTERM, time budget)."""


def command_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Parser of `python -m <module>`, with an example in `--help` and `--log`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--log", metavar="FILE", help="also write what is printed on stderr to this file"
    )
    return parser


def stage_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Parser of a stage command: `--recipe` and `--manifest` on top."""
    parser = command_parser(module, description, example)
    parser.add_argument(
        "--recipe",
        required=True,
        metavar="JSON",
        help="what to compute: JSON, or @FILE (a run directory keeps its own in recipe.json)",
    )
    parser.add_argument(
        "--manifest",
        required=True,
        metavar="FILE",
        help="manifest to publish; the run directory <key>/ lies beside it",
    )
    return parser


class _Tee(io.TextIOBase):
    """Writes to stderr and to a log file; a person watches one, the other is kept."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")
        self._terminal = sys.stderr

    def write(self, text: str) -> int:
        self._file.write(text)
        self._file.flush()
        # A terminal that went away must not stop a trainer before it saved its state.
        with contextlib.suppress(OSError):
            self._terminal.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._terminal.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._terminal.fileno()


def recipe_argument(arguments: argparse.Namespace, stage: str) -> dict:
    """The recipe named on the command line; StudyError if it is not one of `stage`."""
    recipe = read_json_argument(arguments.recipe, "--recipe")
    if recipe.get("stage") != stage:
        raise StudyError(f"--recipe: field stage: expected {stage}, found {recipe.get('stage')}")
    return recipe


def run_command(main: Callable[[list[str] | None], None]) -> None:
    """Run a command's `main` and turn its outcome into an exit code and at most one line."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--log", type=Path)
    log = early.parse_known_args()[0].log
    if log is not None:
        sys.stderr = _Tee(log)
    try:
        main(None)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except Resumable as reason:
        print(f"stopped: {reason}; run the same command again to go on", file=sys.stderr)
        sys.exit(EXIT_RESUMABLE)
