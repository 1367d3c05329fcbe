"""Experiment trackers that a training reports to: W&B, MLflow, Trackio, as `trackers` names them.

Each is told the recipe, where the run lies, and the scalars of log.jsonl with the pace, by a thread
of its own: a training never waits for a tracker, and never fails for one. Where one is not
installed, or fails, a line says so and the training goes on without it. A training that goes on
after a stop goes on in the tracker's run too. Where trackers write to, and as what, their own
environment variables say (`study.trackers` has values for a study's jobs).
"""

import io
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from textwrap import shorten
from typing import Any
from uuid import uuid4

from study.file_locks import try_lock
from study.manifest import write_atomic
from study.run import RECIPE_NAME, code_version, if_known
from study.trackers import PROJECT, PROJECT_VARIABLES

FOLDER = "trackers"
# Seconds that a finished training waits: for the tracker's run to be opened (who is interrupted
# while making a database leaves a broken one), and then for what was not sent yet.
OPENING, PATIENCE = 600.0, 60.0
LOST: set[str] = set()  # that did not start in this process: further trainings do not wait for them
MOST_LETTERS = 300  # of what a tracker says when it fails
MOST_PARAMETERS = 100  # that MLflow takes at once


class Reporter(threading.Thread):
    """Sends one training's scalars to one tracker.

    Where the tracker's run has an address, `links` gets it, by the tracker's name.
    """

    def __init__(self, name: str, directory: Path, label: str, links: dict[str, str]):
        super().__init__(daemon=True, name=f"tracker {name}")
        self.tracker, self.directory, self.label, self.links = name, directory, label, links
        self.waiting: SimpleQueue[tuple[int, dict[str, float]] | None] = SimpleQueue()
        self._ready = threading.Event()  # its run is open, or will never be
        self.failed = name in LOST or not self._loaded()
        if not self.failed:
            self.start()

    def send(self, step: int, scalars: dict[str, float]) -> None:
        """Have scalars sent; returns at once."""
        if not self.failed:
            self.waiting.put((step, scalars))

    def close(self) -> None:
        """Have the tracker's run ended, and wait until all was sent, but not for ever."""
        if self.failed:
            return
        self.waiting.put(None)
        self._ready.wait(OPENING)
        self.join(PATIENCE)
        if self.is_alive():
            self._give_up(f"not all was sent within {PATIENCE:.0f} s")

    def run(self) -> None:
        """Send until `close`; whatever goes wrong is one line."""
        try:
            run = self._opened()
            self._ready.set()
            while (item := self.waiting.get()) is not None:
                run.log(*item)
            run.close()
        except BaseException as error:  # a package may even ask to exit
            self._give_up(f"{type(error).__name__}: {error}")

    def _loaded(self) -> bool:
        """Whether the package is there. Loaded here: no thread may do so while workers fork."""
        os.environ.update(QUIET[self.tracker] | os.environ)
        try:
            import_module(self.tracker)
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == self.tracker
            self._give_up(f"pip install {self.tracker}" if missing else str(error))
            return False
        return True

    def _opened(self) -> Any:
        """The tracker's run: the one of an earlier attempt at this training, or a new one."""
        file = self.directory / FOLDER / f"{self.tracker}.json"
        known = {}
        with suppress(OSError, ValueError):
            known = json.loads(file.read_text())
        file.parent.mkdir(parents=True, exist_ok=True)
        recipe = {}
        with suppress(OSError, ValueError):
            recipe = json.loads((self.directory / RECIPE_NAME).read_text())
        facts = {"run_directory": str(self.directory.absolute()), "code": if_known(code_version)}
        run = RUNS[self.tracker](self.label, known.get("id"), {**recipe, **facts}, file.parent)
        write_atomic(file, json.dumps({"id": run.id, "link": run.link}) + "\n")
        if run.link:
            self.links[self.tracker] = run.link
            say(f"{self.label}: {run.link}")
        return run

    def _give_up(self, reason: str) -> None:
        self.failed = True
        if not self._ready.is_set():
            LOST.add(self.tracker)
        self._ready.set()
        reason = shorten(reason, MOST_LETTERS, placeholder=" …")
        say(f"notice: {self.label}: goes on without tracker {self.tracker}: {reason}")


def say(line: str) -> None:
    """Print a line on stderr, if anybody still reads it."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def project_of(tracker: str) -> str:
    """What the tracker's project is called."""
    return os.environ.get(PROJECT_VARIABLES[tracker]) or PROJECT


class WandbRun:
    """A run of Weights & Biases."""

    def __init__(self, label: str, known: str | None, config: dict, folder: Path):
        wandb = import_module("wandb")
        self.id = known or uuid4().hex[:8]
        self._run = wandb.init(
            project=project_of("wandb"),
            name=label,
            id=self.id,
            resume="allow",
            config=config,
            dir=str(folder),
            reinit="create_new",
        )
        self.link = None if self._run.offline else self._run.url

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of a step; steps below the run's last one are known already."""
        self._run.log(scalars, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


class MlflowRun:
    """A run of MLflow, in an experiment."""

    def __init__(self, label: str, known: str | None, config: dict, folder: Path):
        mlflow = import_module("mlflow")
        self._entities = import_module("mlflow.entities")
        address = mlflow.get_tracking_uri()
        with alone(address):
            self._client = mlflow.MlflowClient()
            if known is None:
                experiment = mlflow.set_experiment(project_of("mlflow"))
                run = self._client.create_run(experiment.experiment_id, run_name=label)
            else:
                run = self._client.get_run(known)
                self._client.set_terminated(known, "RUNNING")
        self.id = run.info.run_id
        self.link = None
        if address.startswith("http"):
            place = f"experiments/{run.info.experiment_id}/runs/{self.id}"
            self.link = f"{address.rstrip('/')}/#/{place}"
        if known is None:
            parameters = [self._entities.Param(*pair) for pair in flat(config).items()]
            for first in range(0, len(parameters), MOST_PARAMETERS):
                part = parameters[first : first + MOST_PARAMETERS]
                self._client.log_batch(self.id, params=part)

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of a step."""
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(name, value, now, step) for name, value in scalars.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self) -> None:
        """Mark the run as over."""
        self._client.set_terminated(self.id)


class TrackioRun:
    """A run of Trackio; names are unique there."""

    link = None

    def __init__(self, label: str, known: str | None, config: dict, folder: Path):
        trackio = import_module("trackio")
        self.id = known or f"{label} {uuid4().hex[:6]}".strip()
        with redirect_stdout(io.StringIO()):  # it has several lines to say
            self._run = trackio.init(
                project=project_of("trackio"),
                name=self.id,
                config=config,
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of a step."""
        self._run.log(scalars, step=step)

    def close(self) -> None:
        """Write what is left."""
        with redirect_stdout(io.StringIO()):
            self._run.finish()


RUNS = {"wandb": WandbRun, "mlflow": MlflowRun, "trackio": TrackioRun}
# Settings of the packages: a training's lines are its own, and its end is not theirs to hold up.
QUIET = {
    "wandb": {
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_INIT_TIMEOUT": "30",
        "WANDB_FINISH_TIMEOUT": "50",
    },
    "mlflow": {
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    },
    "trackio": {},
}


@contextmanager
def alone(address: str) -> Iterator[None]:
    """Where `address` is a file, let no other process in: the first one makes its tables."""
    _, is_file, path = address.partition("sqlite:///")
    if not is_file:
        yield
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{path}.lock").open("w") as lock:
        try_lock(lock, wait=True)
        yield


def flat(config: dict, prefix: str = "") -> dict[str, str]:
    """Nested mappings as one, `model.layers`, with texts as values."""
    texts: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            texts |= flat(value, f"{prefix}{name}.")
        else:
            texts[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return texts
