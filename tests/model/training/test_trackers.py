"""Trainings report to experiment trackers, and never depend on them.

Each training is a process of its own, for the packages read their environment while they are
loaded. Of packages that are not installed their absence is tested.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import ROOT

TRAIN = """\
import sys
from pathlib import Path
from training_toy import train_toy
from model.training.journal import Journal
{before}
if __name__ == "__main__":
    for name in ("toy", "again") if {twice} else ("toy",):
        train_toy(Path(sys.argv[1]), label=name, trackers=sys.argv[2:])
"""
# What a package refuses, after the first scalars.
BREAK = """\
sent = Journal.scalars
def scalars(self, step, values):
    sent(self, step, {"loss": object()} if step == 4 else values)
Journal.scalars = scalars
"""
RECIPE = {"stage": "toy", "model": {"layers": 2}, "seed": 7}


class Toy:
    """Trainings of the toy in a folder, with what they say."""

    def __init__(self, folder: Path):
        self.folder, self.run = folder, folder / "run"
        self.run.mkdir()
        (self.run / "recipe.json").write_text(json.dumps(RECIPE))
        self.variables = {
            "WANDB_MODE": "offline",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "TRACKIO_DIR": str(folder / "trackio"),
            "HOME": str(folder),
        }

    def train(self, *trackers: str, before: str = "", twice: bool = False) -> str:
        """Train to the end, once or twice in one process; what was said on stderr."""
        code = TRAIN.replace("{before}", before).replace("{twice}", str(twice))
        result = self.python(code, str(self.run), *trackers)
        assert result.stdout == ""
        log = (self.run / "log.jsonl").read_text().splitlines()
        assert json.loads(log[-1])["step"] == 20
        return result.stderr

    def python(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the packages' environment."""
        path = f"{ROOT}:{ROOT / 'tests/support'}"
        environment = os.environ | {"PYTHONPATH": path} | self.variables
        result = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result

    def read(self, code: str) -> dict:
        """What a program prints as JSON."""
        return json.loads(self.python(code).stdout.splitlines()[-1])

    def known(self, tracker: str) -> str:
        """The tracker's own name of the run."""
        return json.loads((self.run / f"trackers/{tracker}.json").read_text())["id"]


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def needs(package: str):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}")


def notices(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if "tracker" in line]


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_one_line(toy, package):
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    errors = toy.train(package)
    assert notices(errors) == [
        f"notice: toy: goes on without tracker {package}: pip install {package}"
    ]


TRACKIO = """\
import json, trackio
from trackio.sqlite_storage import SQLiteStorage
project = "roberta-ablations"
runs = trackio.Api().runs(project)
found = {run.name: [run.config, SQLiteStorage.get_logs(project, run.name)] for run in runs}
print(json.dumps(found))
"""


@needs("trackio")
def test_trackio_gets_scalars_recipe_and_place(toy):
    assert notices(toy.train("trackio")) == []
    (found,) = toy.read(TRACKIO).items()
    name, (config, history) = found
    assert name == toy.known("trackio")
    assert (config["model"], config["seed"]) == ({"layers": 2}, 7)
    assert config["run_directory"] == str(toy.run)
    logged = [json.loads(line) for line in (toy.run / "log.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in logged if "loss" in line}
    sent = {line["step"]: line["loss"] for line in history if line.get("loss") is not None}
    assert sent == pytest.approx(losses)
    assert {"evaluation/norm", "tokens_per_second"} <= {key for line in history for key in line}


@needs("trackio")
def test_a_training_that_goes_on_goes_on_in_the_same_run(toy):
    toy.train("trackio")
    name = toy.known("trackio")
    toy.train("trackio")
    assert list(toy.read(TRACKIO)) == [name]


@needs("trackio")
def test_a_tracker_that_cannot_write_costs_nothing(toy):
    """Trackio catches its failures itself and warns."""
    (toy.folder / "trackio").write_text("a file where its folder belongs")
    assert "trackio failed" in toy.train("trackio")


@needs("mlflow")
def test_a_tracker_that_fails_in_the_middle_is_one_line(toy):
    (notice,) = notices(toy.train("mlflow", before=BREAK))
    assert notice.startswith("notice: toy: goes on without tracker mlflow: ")


@pytest.mark.parametrize("package", [pytest.param(n, marks=needs(n)) for n in ("wandb", "mlflow")])
def test_a_server_that_does_not_answer_is_one_line_for_all_trainings_of_a_job(toy, package):
    nowhere = "http://127.0.0.1:9"
    toy.variables |= {"MLFLOW_TRACKING_URI": nowhere, "WANDB_BASE_URL": nowhere}
    toy.variables |= {"WANDB_MODE": "online", "WANDB_API_KEY": 40 * "a"}
    (notice,) = notices(toy.train(package, twice=True))
    assert notice.startswith(f"notice: toy: goes on without tracker {package}: ")


MLFLOW = """\
import json
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("roberta-ablations")
(run,) = client.search_runs([experiment.experiment_id])
history = client.get_metric_history(run.info.run_id, "loss")
losses = {metric.step: metric.value for metric in history}
print(json.dumps([run.info.run_id, run.info.status, run.data.params, losses]))
"""


@needs("mlflow")
def test_mlflow_gets_scalars_recipe_and_place(toy):
    for _ in range(2):
        assert notices(toy.train("mlflow")) == []
    name, status, parameters, losses = toy.read(MLFLOW)
    assert (name, status) == (toy.known("mlflow"), "FINISHED")
    assert (parameters["model.layers"], parameters["seed"]) == ("2", "7")
    assert parameters["run_directory"] == str(toy.run)
    assert len(losses) == 20


@needs("wandb")
def test_wandb_keeps_a_run_offline(toy):
    assert notices(toy.train("wandb")) == []
    (kept,) = toy.run.glob("trackers/wandb/offline-run-*/run-*.wandb")
    assert toy.known("wandb") in kept.name
    content = kept.read_bytes()
    assert b"evaluation/norm" in content and str(toy.run).encode() in content


@needs("wandb")
def test_wandb_without_a_key_is_one_line(toy):
    toy.variables |= {"WANDB_MODE": "online", "WANDB_API_KEY": ""}
    (notice,) = notices(toy.train("wandb"))
    assert notice.startswith("notice: toy: goes on without tracker wandb: ")
    assert "API key" in notice
