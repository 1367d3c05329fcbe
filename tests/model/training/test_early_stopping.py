"""Early stopping on the best epoch, further splits, and starting from another task's model."""

import shutil
import signal

import pyarrow.parquet as pq
import pytest
import torch
from finetune_toy import Study
from forked import Child, kill_at
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from model.stages import features
from model.tasks.tuning import BEST, best_keeper, best_point, scored_point
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest

# A rate at which accuracy goes up and down, so that the last epoch is not the best.
WILD = {"early_stopping": True, "learning_rate": 0.3, "epochs": 5}
QUICK = '{"tensorboard": false, "micro_batch_tokens": 1024, "checkpoint_minutes": 1e-9}'


def test_the_best_epoch_is_scored_and_recorded(tmp_path):
    study = Study(tmp_path, "pairs", **WILD)
    result = study.finetune()["0"]
    selection = result["selection"]
    assert selection["best_epoch_by"] == "accuracy"
    assert len(selection["epochs"]) == 5 and len(set(selection["epochs"])) > 1
    assert result["metrics"]["accuracy"] == max(selection["epochs"])
    assert selection["epochs"].index(max(selection["epochs"])) == selection["epoch"] - 1
    rows = pq.read_table(study.seed_files(0)["predictions.parquet"]).to_pylist()
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert 100 * right / len(rows) == pytest.approx(result["metrics"]["accuracy"])
    assert not list(tmp_path.rglob(BEST))
    plain = study.finetune(settings={**study.recipe["settings"], "early_stopping": False})["0"]
    assert plain["selection"] == "last update"
    assert plain["metrics"]["accuracy"] == selection["epochs"][-1]


def test_killed_and_resumed_it_chooses_the_same_epoch_and_bytes(tmp_path):
    (tmp_path / "whole").mkdir()
    whole = Study(tmp_path / "whole", "pairs", **WILD)
    expected = whole.finetune()
    files = {name: path.read_bytes() for name, path in whole.seed_files(0).items()}
    (tmp_path / "killed").mkdir()
    study = Study(tmp_path / "killed", "pairs", **WILD)
    # Before and after writes of the logs, of the best epoch's weights and of checkpoints.
    for call in (9, 16, 23, 30, 37, 44):

        def attempt(call=call):
            kill_at(call)
            study.finetune("--execution", QUICK)

        assert Child(attempt).wait() == -signal.SIGKILL
    found = study.finetune("--execution", QUICK)
    assert found["0"]["selection"] == expected["0"]["selection"]
    assert {name: path.read_bytes() for name, path in study.seed_files(0).items()} == files


def test_further_splits_are_scored_or_predicted(tmp_path):
    splits = (("more_dev", "mm", "other"), ("test", "one", "hidden"), ("test", "two", "hidden2"))
    study = Study(tmp_path, "pairs", splits=splits)
    result = study.finetune()["0"]
    assert set(result["metrics"]) == {"accuracy", "mm_accuracy"}
    assert result["metrics"]["mm_accuracy"] > 90
    files = study.seed_files(0)
    other = pq.read_table(files["predictions-dev-mm.parquet"]).to_pylist()
    right = sum(row["label"] == row["prediction"] for row in other)
    assert 100 * right / 40 == pytest.approx(result["metrics"]["mm_accuracy"])
    hidden = pq.read_table(files["predictions-test-one.parquet"])
    assert hidden.column_names == ["id", "prediction", "probabilities"]
    assert hidden.num_rows == 40
    assert "predictions-test-two.parquet" in files


def test_regressions_are_trained_on_scaled_targets_and_predict_in_the_task_s_unit(tmp_path):
    study = Study(tmp_path, "values")
    plain = study.finetune()["0"]["metrics"]["pearson"]
    task = {**study.recipe["task"], "scale": 5}
    (tmp_path / "scaled").mkdir()
    scaled = Study(tmp_path / "scaled", "values")
    scaled.features["task"] = scaled.recipe["task"] = task
    scaled.recipe["features"] = key_of(scaled.features)
    scaled.run(features, scaled.features, source="source", vocabulary="vocabulary")
    assert scaled.finetune()["0"]["metrics"]["pearson"] == pytest.approx(plain, abs=8)
    rows = pq.read_table(scaled.seed_files(0)["predictions.parquet"]).to_pylist()
    highest = max(row["prediction"] for row in rows)
    assert 0.7 < highest < 1.3  # labels reach 1.01: back in their unit


def test_a_task_starts_from_the_best_setting_of_another(tmp_path):
    first = Study(tmp_path, "pairs", epochs=1)
    manifests = []
    for rate in (1e-9, 3e-3):
        settings = {**first.recipe["settings"], "learning_rate": rate, "epochs": 3}
        recipe = {**first.recipe, "settings": settings, "keep_weights": True}
        first.finetune(settings=settings, keep_weights=True)
        place = tmp_path / "finetune" / f"rate-{rate}.json"
        shutil.copy(first.path("finetune"), place)
        manifests.append((place, key_of(recipe)))
    best = load_manifest(manifests[1][0])
    kept = tmp_path / "finetune" / best.figures["seeds"]["0"]["key"] / "model.safetensors"
    recipe = {"init": [key for _, key in manifests]}
    settings = {**first.recipe["settings"], "learning_rate": 1e-12, "epochs": 1}
    init = ["--init", *(str(place) for place, _ in manifests)]
    result = first.finetune(*init, settings=settings, keep_weights=True, **recipe)["0"]
    assert result["init"] == kept.parent.name
    started = tmp_path / "finetune" / result["key"] / "model.safetensors"
    encoder = {n: t for n, t in load_file(kept).items() if n.startswith("encoder.")}
    for name, tensor in load_file(started).items():
        if name in encoder:
            assert (tensor - encoder[name]).abs().max() < 1e-6, name
    assert "head.dense.weight" in result["fresh_tensors"]
    kept.unlink()
    with pytest.raises(StudyError, match=r"model\.safetensors: missing, though .*make it anew"):
        first.finetune(*init, settings=settings, seeds=[0], **recipe)


@given(st.lists(st.one_of(st.none(), st.just(float("nan")), st.floats(-100, 100)), min_size=1))
def test_the_best_point_is_the_first_of_the_highest(values):
    curve = [(step, {"m": value}) for step, value in enumerate(values)]
    place = best_point(curve, "m")
    numbers = [value for value in values if value is not None and value == value]
    if numbers:
        assert values[place] == max(numbers)
        assert max(numbers) not in values[:place]
    else:
        assert place == 0


def test_kept_weights_tell_after_which_update_they_were_the_best(tmp_path):
    module, path = torch.nn.Linear(2, 1), tmp_path / BEST
    keep = best_keeper("m", path)
    curve = []
    for step, value in ((5, 1.0), (10, 3.0), (15, 2.0)):
        curve.append((step, {"m": value}))
        keep(module, curve)
    assert scored_point(path, curve, "m") == 1
    # Gone back to update 5, the same epoch comes out worse than what was kept the first time.
    again = [*curve[:1], (10, {"m": 0.5})]
    keep(module, again)
    assert scored_point(path, again, "m") == 1
    assert best_point(again, "m") == 0
    # The kept epoch is not in the curve where training diverged before it came round again.
    assert scored_point(path, curve[:1], "m") == 0
    save_file(module.state_dict(), path)
    assert scored_point(path, curve, "m") == 1
