"""The stages features and finetune on toy tasks that a tiny random encoder learns."""

import json
import os
import shutil
import signal
import sys
import time

import pyarrow.parquet as pq
import pytest
import torch
from finetune_toy import TASKS, Study
from forked import Child
from safetensors.torch import load_file, save_file

from model.tasks.squad_metric import squad11_metrics
from model.tasks.tuning import BEST
from study.command import Resumable
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest
from study.run import open_run


@pytest.mark.parametrize("segments", [False, True])
def test_classification_is_learned(tmp_path, segments):
    study = Study(tmp_path, "pairs", segments)
    result = study.finetune()["0"]
    assert result["metrics"]["accuracy"] > 95
    assert not result["diverged"] and not result["constant"]
    assert result["selection"] == "last update"
    assert "head.dense.weight" in result["fresh_tensors"]
    files = study.seed_files(0)
    assert json.loads(files["metrics.json"].read_text()) == result["metrics"]
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert [row["id"] for row in rows] == [str(i) for i in range(96)]
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert 100 * right / 96 == result["metrics"]["accuracy"]
    assert all(sum(row["probabilities"]) == pytest.approx(1, abs=1e-5) for row in rows)


def test_regression_is_learned(tmp_path):
    metrics = Study(tmp_path, "values").finetune()["0"]["metrics"]
    assert metrics["pearson"] > 90
    assert metrics["spearman"] > 50


def test_choice_is_learned_and_levels_are_reported_apart(tmp_path):
    study = Study(tmp_path, "race")
    metrics = study.finetune()["0"]["metrics"]
    assert metrics["accuracy"] > 90
    ids = pq.read_table(study.seed_files(0)["predictions.parquet"])["id"].to_pylist()
    middle = sum(name.startswith("middle") for name in ids)
    mean = (metrics["middle"] * middle + metrics["high"] * (96 - middle)) / 96
    assert metrics["accuracy"] == pytest.approx(mean)


def test_squad11_is_learned_over_windows(tmp_path):
    study = Study(tmp_path, "squad11")
    metrics = study.finetune()["0"]["metrics"]
    assert set(metrics) == {"em", "f1"}
    assert metrics["em"] > 90
    files = study.seed_files(0)
    predictions = json.loads(files["predictions.json"].read_text())
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert all(predictions.values())
    texts, golds = [row["prediction"] for row in rows], [row["golds"] for row in rows]
    assert [predictions[row["id"]] for row in rows] == texts
    assert squad11_metrics(texts, golds) == pytest.approx(metrics)


def test_squad20_learns_when_to_answer(tmp_path):
    study = Study(tmp_path, "squad20")
    metrics = study.finetune()["0"]["metrics"]
    assert metrics["f1"] > 85
    assert metrics["no_answer_f1"] > 80 and metrics["has_answer_f1"] > 80
    assert metrics["best_f1"] >= metrics["f1"] and metrics["best_em"] >= metrics["em"]
    files = study.seed_files(0)
    predictions = json.loads(files["predictions.json"].read_text())
    odds = json.loads(files["null_odds.json"].read_text())
    assert {name for name, text in predictions.items() if not text} == {
        name for name, value in odds.items() if value > 0
    }
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert all(row["span"] for row in rows)


def test_a_finished_seed_is_adopted_and_a_further_seed_trains_only_itself(tmp_path, capsys):
    study = Study(tmp_path, "pairs", epochs=1)
    first = study.finetune(seeds=[0, 1])
    assert first["0"]["key"] != first["1"]["key"]
    assert study.seed_files(0)["predictions.parquet"].read_bytes() != (
        study.seed_files(1)["predictions.parquet"].read_bytes()
    )
    written = study.seed_files(0)["metrics.json"].stat().st_mtime_ns
    more = study.finetune(seeds=[0, 1, 2])
    assert {seed: more[seed] for seed in first} == first
    assert set(more) == {"0", "1", "2"}
    assert study.seed_files(0)["metrics.json"].stat().st_mtime_ns == written
    assert " seed 2: accuracy" in capsys.readouterr().err


def test_stopped_between_seeds_it_goes_on_where_it_was(tmp_path):
    study = Study(tmp_path, "pairs", epochs=1)
    with pytest.raises(Resumable):
        study.finetune("--time-budget", "0", seeds=[0])
    assert not study.path("finetune").exists()
    whole = study.finetune(seeds=[0])
    with pytest.raises(Resumable, match="before seed 3"):
        study.finetune("--time-budget", "0", seeds=[0, 3])
    assert study.finetune(seeds=[0, 3])["0"] == whole["0"]


def test_the_same_seed_gives_the_same_files(tmp_path):
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = Study(tmp_path / name, "race", epochs=1)
        study.finetune()
        files.append({name: path.read_bytes() for name, path in study.seed_files(0).items()})
    assert files[0] == files[1]


OPTIONAL = {"decay_all": True, "clip_norm": 0.01, "head_dropout": 0.5, "group_by_length": False}
USUAL = {"decay_all": False, "clip_norm": 0.0, "head_dropout": 0.0, "group_by_length": True}


def test_optional_settings_change_the_training_and_their_usual_values_do_not(tmp_path):
    def predictions(name, **settings):
        (tmp_path / name).mkdir()
        study = Study(tmp_path / name, "squad20", epochs=1, weight_decay=0.5, **settings)
        study.finetune()
        return study.seed_files(0)["predictions.parquet"].read_bytes()

    plain = predictions("plain")
    assert predictions("usual", **USUAL) == plain
    others = {plain} | {predictions(name, **{name: value}) for name, value in OPTIONAL.items()}
    assert len(others) == 5


def test_a_diverged_run_is_recorded_not_dropped(tmp_path):
    result = Study(tmp_path, "squad20", learning_rate=1e30, epochs=1).finetune()["0"]
    assert result["diverged"]
    assert result["metrics"]["f1"] is not None


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("value", [torch.nan, 1e38])
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_pretraining_that_diverged_is_fine_tuned_scored_and_counted(
    tmp_path, name, value, early_stopping
):
    study = Study(tmp_path, name, epochs=1, early_stopping=early_stopping)
    weights = load_manifest(study.path("pretrain")).file("model.safetensors")
    save_file({n: torch.full_like(t, value) for n, t in load_file(weights).items()}, weights)
    study.publish(study.pretrain, ["model.safetensors"])
    result = study.finetune()["0"]
    assert (result["diverged"], result["updates"]) == (True, 1)
    assert set(study.recipe["task"]["metrics"]) <= set(result["metrics"])


@pytest.mark.parametrize("rate", [10, 1e3, 1e6, 1e30])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_learning_rate_stops_the_stage(tmp_path, rate, precision):
    study = Study(tmp_path, "pairs", learning_rate=rate, epochs=2, early_stopping=True)
    execution = json.dumps({"tensorboard": False, "precision": precision})
    result = study.finetune("--execution", execution)["0"]
    assert result["diverged"] or result["updates"] == 32
    assert result["metrics"]["accuracy"] is not None


def test_a_single_update_trains(tmp_path):
    study = Study(tmp_path, "pairs", batch=256, epochs=1, warmup=0.0, learning_rate=1e-3)
    result = study.finetune(keep_weights=True)["0"]
    assert result["updates"] == 1
    pretrained = load_file(load_manifest(study.path("pretrain")).file("model.safetensors"))
    tuned = load_file(study.seed_files(0)["model.safetensors"])
    shared = [name for name in tuned if name.startswith("encoder.")]
    moved = [(tuned[name] - pretrained[name]).abs().max().item() for name in shared]
    assert max(moved) == pytest.approx(1e-3, rel=0.01)


def test_an_undefined_metric_is_recorded_as_such(tmp_path, capsys):
    result = Study(tmp_path, "values", learning_rate=1e30, epochs=1).finetune()["0"]
    assert result["diverged"]
    assert result["metrics"] == {"pearson": None, "spearman": None}
    assert "pearson undefined" in capsys.readouterr().err


def test_features_list_their_files_and_figures(tmp_path):
    study = Study(tmp_path, "squad11")
    manifest = load_manifest(study.path("features"), key=key_of(study.features))
    assert "dev/characters.npy" in manifest.files and "dev/examples.parquet" in manifest.files
    assert "train/characters.npy" not in manifest.files
    assert manifest.figures["train"]["examples"] == 256
    assert manifest.figures["dev"]["rows"] > 96
    golds = manifest.figures["dev"]["gold_answers"]
    assert golds["answers"] == golds["exact"] == 96


def test_inputs_of_another_recipe_are_refused(tmp_path):
    study = Study(tmp_path, "pairs")
    with pytest.raises(StudyError, match="made from recipe"):
        study.finetune(pretrain="0" * 12)
    task = study.recipe["task"] | {"dev": "other"}
    with pytest.raises(StudyError, match=r"field recipe\.task: differs"):
        study.finetune(task=task)


def test_an_unknown_metric_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS["pairs"][1], "metrics", ["bleu"])
    with pytest.raises(
        StudyError, match="task: kind classification has no metric bleu; known: accuracy, f1"
    ):
        Study(tmp_path, "pairs")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_the_lock_obeys_a_signal(tmp_path, number):
    study = Study(tmp_path, "pairs")

    def wait():
        sys.stderr = (tmp_path / "told").open("w", buffering=1)
        study.finetune()

    with open_run(study.path("finetune"), study.recipe):
        child = Child(wait)
        while not (tmp_path / "told").exists() or not (tmp_path / "told").read_text():
            time.sleep(0.01)
        os.kill(child.pid, number)
        assert child.wait() == 75


def test_a_run_that_was_killed_before_it_tidied_up_is_tidied_when_adopted(tmp_path):
    study = Study(tmp_path, "pairs")
    study.finetune()
    (run,) = {path.parent for path in study.seed_files(0).values()}
    (run / BEST).write_text("weights")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "step-000000001").write_text("weights")
    study.path("finetune").unlink()
    shutil.rmtree(study.path("finetune").parent / key_of(study.recipe))
    study.finetune()
    assert not (run / BEST).exists()
    assert not (run / "checkpoints").exists()
