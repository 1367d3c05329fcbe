"""`roberta-ablations COMMAND ...`: every command of the project by one name, from any folder.

`pip install -e .` puts it beside Python. It works in the project that the current folder lies in,
else in the checkout that was installed, and says which where that is another folder. A command is
the module that `python -m` runs, which parses what follows.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from study import command
from study.errors import StudyError
from study.messages import hint

PROGRAM = "roberta-ablations"
PROJECT = ("Snakefile", "config/study.yaml")  # what its folder holds


@dataclass(frozen=True)
class Command:
    """A module with a `main`, and what it does."""

    module: str
    about: str


COMMANDS = {
    "run": Command("study.watch", "make a result, or all, and show how far it is"),
    "status": Command("study.status", "show what is done, what runs where and what failed"),
    "doctor": Command("study.doctor", "tell what this machine lacks, with the remedy"),
    "plan": Command("analysis.plan", "write what results will cost, before anything runs"),
    "devices": Command("study.devices", "tell which GPUs jobs may use, and what of each is taken"),
    "page": Command("analysis.page", "write the tables that are finished as one page"),
    "compare": Command("analysis.compare", "tell how two folders of results differ"),
    "provenance": Command("analysis.provenance", "tell where a number comes from: --trace"),
    "export": Command("model.export", "write a model as a folder for transformers"),
    "pack": Command("study.pack", "write a finished study into one archive"),
    "forget": Command("study.forget", "delete runs, so that they are made from nothing"),
    "prune": Command("study.prune", "list or delete the runs that nothing asks for any more"),
}


def listing() -> str:
    """What there is, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {one.about}" for name, one in COMMANDS.items()]
    return "\n".join([f"usage: {PROGRAM} COMMAND ...", "", "commands (--help tells more):", *lines])


def project_folder() -> Path:
    """The project that the current folder lies in, else the checkout of this module.

    Raises StudyError where neither is one: what is installed as a copy has no configuration.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, command.ROOT):
        if all((folder / name).is_file() for name in PROJECT):
            return folder
    wanted = " and ".join(PROJECT)
    raise StudyError(f"{here}: no project here or above it (a folder with {wanted}); go to one")


def _run(arguments: list[str] | None) -> None:
    """Hand over to the module of the command that is named first."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(f"{listing()}\n\nexample:\n  {PROGRAM} run results/table2.csv --scale demo")
        return
    name, *rest = words
    if name not in COMMANDS:
        raise StudyError(f"{name}: no such command{hint(name, COMMANDS)}")
    folder = project_folder()
    if folder != Path.cwd():
        print(f"in {folder}", file=sys.stderr)
        os.chdir(folder)
    module = COMMANDS[name].module
    command.CALLED_AS[module] = f"{PROGRAM} {name}"
    importlib.import_module(module).main(rest)


def main() -> None:
    """The console script."""
    command.run_command(_run)
