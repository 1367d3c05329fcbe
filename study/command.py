"""What every stage command shares: arguments, one-line errors, exit codes.

Exit codes: 0 done (or an earlier result adopted), 2 bad input (one line on stderr), 75 stopped at
a checkpoint by SIGTERM or the time budget (run the same command again to go on).
"""

import argparse
import sys
from collections.abc import Callable

from study.errors import StudyError
from study.identity import read_json_argument

EXIT_BAD_INPUT = 2
EXIT_RESUMABLE = 75


class Resumable(Exception):
    """Raised when a job saved its state and stops before its end (SIGTERM, time budget)."""


def stage_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Parser of a stage command: `--recipe`, `--manifest`, and an example in `--help`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def recipe_argument(arguments: argparse.Namespace, stage: str) -> dict:
    """The recipe named on the command line; StudyError if it is not one of `stage`."""
    recipe = read_json_argument(arguments.recipe, "--recipe")
    if recipe.get("stage") != stage:
        raise StudyError(f"--recipe: field stage: expected {stage}, found {recipe.get('stage')}")
    return recipe


def run_command(main: Callable[[list[str] | None], None]) -> None:
    """Run a command's `main` and turn its outcome into an exit code and at most one line."""
    try:
        main(None)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except Resumable as reason:
        print(f"stopped: {reason}; run the same command again to go on", file=sys.stderr)
        sys.exit(EXIT_RESUMABLE)
