"""A finished corner of the smoke study, and commands on it whose input somebody damaged.

`World` is a copy of it that a test may damage; `World.run` runs one job's own command, as the rules
print it, and returns its exit status and what it wrote on stderr.
"""

import importlib
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import smoke

from study.command import run_command
from study.graph import Study
from study.identity import canonical_json
from study.jobs import Job, needed

CELL, TASKS = "doc-sentences", ("sst2", "squad20", "race")
MODULES = {
    "source": "model.stages.source",
    "sentences": "model.stages.sentences",
    "vocabulary": "model.stages.vocabulary",
    "tokens": "model.stages.tokens",
    "store": "model.stages.store",
    "samples": "model.stages.samples",
    "pretrain": "model.stages.pretrain",
    "features": "model.stages.features",
    "finetune": "model.stages.finetune",
}
NEEDS_MIRROR = ("source", "sentences", "features")


@dataclass
class World:
    """A project folder, which is the current directory, with runs of one cell at scale smoke."""

    folder: Path
    with_mirror: bool = True
    change_recipe: Callable[[dict], object] = field(default=lambda recipe: None)

    @property
    def study(self) -> Study:
        """The study as its files say now."""
        return Study("smoke")

    def job(self, stage: str, name: str = "") -> Job:
        """The job of a stage behind the cell's fine-tunings whose path contains `name`."""
        study = self.study
        ends = [study.jobs.finetune(CELL, 0, task) for task in TASKS]
        jobs = [job for job in needed(ends) if job.stage == stage]
        return next(job for job in jobs if f"/{name}" in job.path)

    def directory(self, stage: str, name: str = "") -> Path:
        """The run directory of such a job."""
        job = self.job(stage, name)
        return Path(job.path).parent / job.key

    def path(self, stage: str, name: str = "") -> Path:
        """The manifest of such a job."""
        return Path(self.job(stage, name).path)

    def forget(self, stage: str, name: str = "") -> None:
        """Delete a job's manifest and run directory, so that its command has work to do."""
        job = self.job(stage, name)
        if not Path(job.path).exists():
            return
        Path(job.path).unlink()
        shutil.rmtree(Path(job.path).parent / job.key)
        if stage == "finetune":
            for path in Path(job.path).parent.iterdir():
                path.unlink() if path.is_file() else shutil.rmtree(path)

    def arguments(self, job: Job) -> list[str]:
        """The command line of a job, without the program."""
        stage = job.stage
        recipe = json.loads(job.recipe_json)
        self.change_recipe(recipe)
        words = ["--recipe", json.dumps(recipe), "--manifest", job.path]
        for name, paths in job.input_paths.items():
            words += [f"--{name}", *paths]
        if stage in NEEDS_MIRROR and self.with_mirror:
            words += ["--mirror", "hub"]
        if stage in NEEDS_MIRROR and self.study.jobs.places:
            words += ["--places", canonical_json(self.study.jobs.places)]
        if stage in ("pretrain", "finetune"):
            words += ["--execution", self.study.execution_json(stage)]
        return words

    def run(self, stage: str, name: str = "") -> tuple[int, str]:
        """Run a job's command in a process of its own; its exit status and stderr."""
        words = self.arguments(self.job(stage, name))
        return command(MODULES[stage], *words)


def command(module: str, *words: str) -> tuple[int, str]:
    """`python -m MODULE WORDS…` in a fork of this process: exit status and stderr."""
    return outcome(importlib.import_module(module).main, module, *words)


def outcome(main: Callable[[list[str] | None], object], *words: str) -> tuple[int, str]:
    """A command's `main` in a fork of this process, which has imported all: status and stderr."""
    with tempfile.TemporaryFile() as stderr:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.dup2(stderr.fileno(), 2)
            sys.stderr = os.fdopen(2, "w", buffering=1)
            sys.argv = ["command", *words[1:]]
            code = 70
            try:
                run_command(main)
                code = 0
            except SystemExit as error:
                code = error.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stderr.seek(0)
        return code, stderr.read().decode()


def finish(folder: Path) -> None:
    """Make the project and run every job behind the cell's fine-tunings, in this process."""
    project = smoke.copy_project(folder)
    smoke.write_hub(project / "hub")
    before = Path.cwd()
    os.chdir(project)
    try:
        world = World(project)
        study = world.study
        ends = [study.jobs.finetune(CELL, 0, task) for task in TASKS]
        wanted = {job.path for job in needed(ends)}
        waiting = [job for path, job in study.jobs.items() if path in wanted]
        while waiting:
            for job in list(waiting):
                if all(Path(path).exists() for paths in job.input_paths.values() for path in paths):
                    main = importlib.import_module(MODULES[job.stage]).main
                    main(world.arguments(job))
                    waiting.remove(job)
    finally:
        os.chdir(before)
