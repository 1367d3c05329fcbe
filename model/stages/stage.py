"""What the stage commands share: arguments, checked recipe and inputs, run directory, progress.

A stage has one name: that of its module here, of its rule in rules/ and of the field `stage` in
its recipes and manifests. A command's `main` is `STAGE.parse(arguments).run(build)`, where `build`
does the stage's own work in a locked run directory.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from study.command import command_parser
from study.errors import StudyError
from study.identity import read_json_argument
from study.manifest import Manifest, load_manifest
from study.recipes import Recipe, parse_recipe
from study.run import open_run

STAGE_OF = {
    "init": "finetune",
    "start": "pretrain",
}  # inputs that are called otherwise than the stage that made them
PAUSE = 10.0  # seconds between two lines of progress
# Names of the files that `build` wrote, the figures, what its record of the run holds besides.
Result = tuple[list[str], dict] | tuple[list[str], dict, dict]


@dataclass(frozen=True)
class Work:
    """One call of a stage's command; each input is the manifest whose key the recipe names.

    `written` is the recipe as it was given, which its key is of.
    """

    arguments: argparse.Namespace
    written: dict
    recipe: Recipe
    inputs: dict[str, list[Manifest]]

    def input(self, name: str) -> Manifest:
        """The manifest of an input that is one."""
        (manifest,) = self.inputs[name]
        return manifest

    def run(self, build: Callable[["Work", Path], Result]) -> Manifest:
        """Take over what an earlier process finished, or build in the run directory and publish."""
        with open_run(self.arguments.manifest, self.written) as run:
            return run.adopt() or run.publish(*build(self, run.directory))


@dataclass(frozen=True)
class Stage:
    """A stage's command: its name, its description, its inputs.

    Each input is an option of the command and a field of the recipe, with the key of its manifest
    or a list of keys. `add` adds further options, of which the example in `--help` shows `example`.
    """

    name: str
    about: str
    inputs: tuple[str, ...] = ()
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    example: str = ""

    def parse(self, arguments: list[str] | None) -> Work:
        """Read the command line; StudyError for a recipe or an input that does not fit."""
        _leave_pandas_out()
        parsed = self._parser().parse_args(arguments)
        written = read_json_argument(parsed.recipe, "--recipe")
        recipe = parse_recipe(written, self.name)
        inputs = {name: _load(name, vars(parsed)[name], recipe) for name in self.inputs}
        return Work(parsed, written, recipe, inputs)

    def _parser(self) -> argparse.ArgumentParser:
        more = [f"--{name} {name}.json" for name in self.inputs] + [self.example]
        parser = command_parser(
            f"model.stages.{self.name}",
            self.about,
            f"python -m model.stages.{self.name} --recipe @runs/…/<key>/recipe.json "
            f"--manifest {self.name}.json {' '.join(more)}".rstrip(),
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
        for name in self.inputs:
            about = f"manifests of stage {STAGE_OF.get(name, name)}, in the recipe's order"
            parser.add_argument(f"--{name}", nargs="*", default=[], metavar="FILE", help=about)
        self.add(parser)
        return parser


class Progress:
    """Says on stderr, now and then, how much of something is done: "train: 3000 of 9000 tokens"."""

    def __init__(self, label: str, unit: str):
        self.label, self.unit, self.last = label, unit, time.monotonic()

    def told(self, done: int, of: int) -> None:
        """Hear that so many units of all are done; print it if the last line is old enough."""
        if time.monotonic() - self.last >= PAUSE:
            self.last = time.monotonic()
            print(f"{self.label}: {done} of {of} {self.unit}", file=sys.stderr, flush=True)


class _NoPandas:
    """Finds no module that is called pandas."""

    @staticmethod
    def find_spec(name: str, *_) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _leave_pandas_out() -> None:
    """Let pyarrow make its first array, for which it looks for pandas, and find none: 0.3 s of CPU.

    No stage uses pandas. A process that does has loaded it before, or loads it later as ever.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas)
        pa.array([0])
        sys.meta_path.remove(_NoPandas)


def _load(name: str, paths: list[str], recipe: Recipe) -> list[Manifest]:
    """The manifests of an input, whole and of the recipe's keys."""
    field = getattr(recipe, name) or []
    keys, stage = [field] if isinstance(field, str) else field, STAGE_OF.get(name, name)
    if len(paths) != len(keys):
        raise StudyError(
            f"--{name}: {len(paths)} manifests, but field {name} of the recipe has {len(keys)}"
        )
    return [
        load_manifest(path, key=key, stage=stage) for path, key in zip(paths, keys, strict=True)
    ]
