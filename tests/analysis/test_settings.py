"""Grids of fine-tuning settings: which point counts, and ensembles of its models."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import results_toy
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from predictions_toy import publish_seeds, rewrite
from project import ROOT

from analysis import listings
from analysis import table as table_command
from analysis.choices import choose_settings, compare_settings
from analysis.ensembles import ensemble_metrics, ensemble_of, ensembles
from analysis.shown import read_rows
from analysis.table import wide_table
from study.errors import StudyError
from study.graph import Study
from study.read import load_study_file
from study.tasks import Finetuning, Grid

LOW, HIGH = "learning-rate-0.001", "learning-rate-0.002"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A smoke study in a copy of the configuration."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Study("smoke")


def wide_rows(study: Study, name: str) -> pd.DataFrame:
    return wide_table(study, name, read_rows(study, name, "x")).set_index("row")


def frame(values: dict[tuple[str, str], list[float]], metric="accuracy", task="rte"):
    """Scores of one cell: (setting, metric) -> values over fine-tuning seeds."""
    rows = [
        {
            **{"cell": "c", "pretraining_seed": 0, "task": task, "setting": setting},
            **{"finetuning_seed": seed, "metric": name, "value": value, "diverged": False},
        }
        for (setting, name), series in values.items()
        for seed, value in enumerate(series)
    ]
    return pd.DataFrame(rows)


def test_the_setting_with_the_best_median_counts_not_the_best_score(study):
    scores = frame({(LOW, "accuracy"): [70, 71, 72], (HIGH, "accuracy"): [60, 61, 99]})
    compared = compare_settings(study, scores)
    assert compared["selected"].tolist() == [True, False]
    assert compared["median"].tolist() == [71, 61]
    assert choose_settings(study, scores)["setting"].unique().tolist() == [LOW]


def test_the_first_metric_of_the_task_decides(study):
    scores = frame(
        {
            **{(LOW, "accuracy"): [70, 70], (LOW, "f1"): [90, 90]},
            **{(HIGH, "accuracy"): [71, 71], (HIGH, "f1"): [50, 50]},
        },
        task="mrpc",
    )
    chosen = choose_settings(study, scores)
    assert chosen["setting"].unique().tolist() == [HIGH]
    assert sorted(chosen["metric"].unique()) == ["accuracy", "f1"]


def test_a_setting_that_mostly_fails_is_not_chosen_for_its_one_good_score(study):
    failing = [90.0, None, None, None, 91.0]
    scores = frame({(LOW, "accuracy"): failing, (HIGH, "accuracy"): [1.0] * 5})
    compared = compare_settings(study, scores)
    assert compared["median"].isna().tolist() == [True, False]
    assert compared["diverged"].tolist() == [3, 0]
    assert choose_settings(study, scores)["setting"].unique().tolist() == [HIGH]
    scores = frame({(LOW, "accuracy"): [90.0, 91.0, None], (HIGH, "accuracy"): [1.0] * 3})
    assert compare_settings(study, scores)["median"].tolist() == [90.0, 1.0]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 100), min_size=3, max_size=3), min_size=1, max_size=5))
def test_choosing_loses_no_score_and_keeps_one_setting(series):
    scores = frame({(f"s{i}", "accuracy"): values for i, values in enumerate(series)})
    study = type("S", (), {"config": load_study_file("paper", ROOT / "config/study.yaml")})
    chosen = choose_settings(study, scores)
    assert len(chosen) == 3
    assert chosen["value"].median() == max(np.median(values) for values in series)


def test_points_of_a_grid_have_names(study):
    settings = study.config.finetuning["roberta"]["rte"].settings()
    assert list(settings) == [LOW, HIGH]
    assert [one.learning_rate for one in settings.values()] == [1e-3, 2e-3]
    assert all(one.grid is None for one in settings.values())
    assert Grid(batch=[16, 32], learning_rate=[1e-5]).points() == [
        {"batch": 16, "learning_rate": 1e-5},
        {"batch": 32, "learning_rate": 1e-5},
    ]
    bert = study.config.finetuning["bert"]["sst2"]
    assert bert.settings() == {"": bert}
    assert isinstance(bert, Finetuning)


def test_recipes_tell_settings_and_their_starting_models_apart(study):
    single = study.jobs.finetune("large-160gb-500k", 0, "rte", HIGH)
    assert single.recipe["settings"]["learning_rate"] == 2e-3
    assert single.recipe["settings"]["early_stopping"] is True
    assert "init" not in single.recipe
    tuned = study.jobs.finetune("large-160gb-500k", 0, "rte_from_mnli", HIGH)
    mnli = [study.jobs.finetune("large-160gb-500k", 0, "mnli", s) for s in (LOW, HIGH)]
    assert tuned.recipe["init"] == [job.key for job in mnli]
    assert tuned.inputs["init"] == mnli
    assert all(job.recipe["keep_weights"] for job in mnli)
    # A cell without such a task keeps no weights, and the BERT recipe selects nothing.
    other = study.jobs.finetune("segment-pair", 0, "mnli")
    assert "keep_weights" not in other.recipe
    assert "early_stopping" not in other.recipe["settings"]


def publish_cola(study, outputs, replicate=0, diverged=()):
    """Finished fine-tunings of one pre-training on CoLA; of the seeds `diverged`, as diverged."""
    job = study.jobs.finetune("large-160gb-500k", replicate, "cola", LOW)
    publish_seeds(job, 50, outputs, diverged=diverged)
    return job


def cola_ensembles(study):
    return ensembles(study, "large-160gb-500k", "cola", LOW)


def seeds_of(study):
    """Pre-training and fine-tuning seeds of the models of every ensemble."""
    return [
        [(model.pretraining_seed, model.finetuning_seed) for model in ensemble.models]
        for ensemble in cola_ensembles(study)
    ]


COLA = {
    "id": ["a", "b", "c", "d"],
    "label": [0, 1, 0, 1],
    "probabilities": [[0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]],
}
BETTER = {**COLA, "probabilities": [[0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]]}


def test_ensembles_average_probabilities(study):
    publish_cola(study, COLA)
    assert seeds_of(study) == [[(0, 0), (0, 1)]]
    members = cola_ensembles(study)[0].models
    assert ensemble_metrics(study, "cola", members) == {"matthews": pytest.approx(57.735, abs=1e-3)}
    rewrite(
        members[0].run, "predictions.parquet", lambda path: pq.write_table(pa.table(BETTER), path)
    )
    members = cola_ensembles(study)[0].models
    assert ensemble_of(members, "classification").predictions.tolist() == [0, 1, 0, 1]
    assert ensemble_metrics(study, "cola", members)["matthews"] == pytest.approx(100)


def test_every_pretraining_has_an_ensemble_of_its_own_without_what_diverged(study):
    study = Study("smoke", replicates=3)
    publish_cola(study, COLA)
    publish_cola(study, BETTER, replicate=1, diverged=[0])
    publish_cola(study, COLA, replicate=2, diverged=[0, 1])
    assert seeds_of(study) == [[(0, 0), (0, 1)], [(1, 1)], []]
    assert [ensemble.left_out for ensemble in cola_ensembles(study)] == [0, 1, 2]


def test_full_replicates_make_one_ensemble_of_at_most_seven(study):
    path = Path("config/scales/smoke.yaml")
    scale = yaml.safe_load(path.read_text())
    scale["seeds"] = {"pretraining": list(range(9)), "finetuning": "own"}
    path.write_text(yaml.safe_dump(scale))
    study = Study("smoke")
    for replicate in range(9):
        publish_cola(study, COLA, replicate, diverged=[1])
    assert seeds_of(study) == [[(seed, seed) for seed in (0, 2, 3, 4, 5, 6, 7)]]


def test_ensembles_average_values_and_refuse_what_they_cannot(study):
    cell = "large-160gb-500k"
    outputs = {"id": ["a", "b", "c"], "label": [0.0, 2.5, 5.0], "prediction": [1.0, 3.0, 4.0]}
    publish_seeds(study.jobs.finetune(cell, 0, "stsb", LOW), 50, outputs)
    members = ensembles(study, cell, "stsb", LOW)[0].models
    assert ensemble_metrics(study, "stsb", members)["spearman"] == pytest.approx(100)
    other = pa.table({**outputs, "id": ["a", "b", "x"]})
    rewrite(members[1].run, "predictions.parquet", lambda path: pq.write_table(other, path))
    members = ensembles(study, cell, "stsb", LOW)[0].models
    with pytest.raises(StudyError, match="column id: other examples"):
        ensemble_of(members, "regression")
    with pytest.raises(StudyError, match=r"predictions-test-x\.parquet: missing"):
        ensemble_of(members, "regression", "test-x")
    with pytest.raises(StudyError, match="answers in words"):
        ensemble_of(members, "span")


def test_table5_shows_the_chosen_setting_an_ensemble_and_a_defined_average(study):
    results_toy.write_pretrainings(study)
    for job in study.table_jobs("table5"):
        publish_seeds(job, 60 if job.recipe["settings"]["learning_rate"] == 2e-3 else 50)
    table_command.main(["table5", "--scale", "smoke", "--output", "results/table5.csv"])
    table = pd.read_csv("results/table5.csv").set_index("row")
    assert table.loc["roberta", "qnli.accuracy.median"] == 60.5
    assert table.loc["roberta", "mnli.mm_accuracy.median"] == 60.5
    assert table.loc["ensemble", "stsb.pearson.median"] == 100
    assert table.loc["ensemble", ["qnli.accuracy.seeds", "qnli.accuracy.replicates"]].tolist() == [
        2,
        1,
    ]
    assert pd.isna(table.loc["ensemble", "qnli.accuracy.min"])
    assert table.loc["ensemble", "qnli.accuracy.median"] == 0  # ranked the wrong way round
    assert table.loc["ensemble", "wsc.accuracy.median"] == 100
    # Eight tasks at the better setting of their grids; WSC has none at this scale.
    assert table.loc["roberta", "average.value"] == pytest.approx((8 * 60.5 + 50.5) / 9, abs=1e-4)
    assert table.loc["test_roberta", "average.published"] == 88.5
    markdown = Path("results/table5.md").read_text()
    assert "Average: the mean over nine tasks" in markdown
    assert "the point of the grid with the best median" in markdown


def test_ensembles_without_a_score_count_as_the_worst(study):
    study = Study("smoke", replicates=3)
    results_toy.write_pretrainings(study)
    constant = {"id": ["a", "b"], "label": [0.0, 5.0], "prediction": [1.0, 1.0]}
    for job in study.table_jobs("table5"):
        failing = "stsb" in job.path and "seed-0" not in job.path
        publish_seeds(job, 50, constant if failing else None, diverged=[1])
    arguments = [
        "table5",
        "--scale",
        "smoke",
        "--replicates",
        "3",
        "--output",
        "results/table5.csv",
    ]
    table_command.main(arguments)
    row = pd.read_csv("results/table5.csv").set_index("row").loc["ensemble"]
    assert pd.isna(row["stsb.pearson.median"])
    assert row["stsb.pearson.max"] == 100
    fields = ("seeds", "replicates", "diverged")
    assert [row[f"stsb.pearson.{name}"] for name in fields] == [3, 3, 2 + 3]
    assert [row[f"cola.matthews.{name}"] for name in fields] == [3, 3, 3]
    markdown = Path("results/table5.md").read_text()
    assert "scores are of fine-tunings that diverged or have no score" in markdown


def test_a_pretraining_whose_models_all_diverged_counts_as_an_ensemble_without_a_score(study):
    """Two pre-trainings with three fine-tuning seeds each: all of the second one diverged."""
    path = Path("config/scales/smoke.yaml")
    scale = yaml.safe_load(path.read_text())
    scale["seeds"] = {"pretraining": [4, 5], "finetuning": [0, 1, 2]}
    path.write_text(yaml.safe_dump(scale))
    study = Study("smoke")
    for job in study.table_jobs("table5"):
        publish_seeds(job, 50, diverged=[0, 1, 2] if "seed-5" in job.path else [])
    frame = wide_rows(study, "table5")
    fields = ("seeds", "replicates", "diverged")
    assert [frame.loc["ensemble", f"cola.matthews.{name}"] for name in fields] == [3, 2, 3]
    assert [frame.loc["roberta", f"cola.matthews.{name}"] for name in fields] == [6, 2, 3]
    # The worst of two and the other one: no median.
    assert pd.isna(frame.loc["ensemble", "cola.matthews.median"])
    assert not pd.isna(frame.loc["ensemble", "cola.matthews.max"])
    scale["seeds"] = {"pretraining": [4, 5], "finetuning": "own"}
    path.write_text(yaml.safe_dump(scale))
    study = Study("smoke")
    for job in study.table_jobs("table5"):
        publish_seeds(job, 50, diverged=[4, 5])
    frame = wide_rows(study, "table5")
    assert [frame.loc["ensemble", f"cola.matthews.{name}"] for name in fields] == [0, 1, 2]
    assert pd.isna(frame.loc["ensemble", "cola.matthews.median"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": [[0.6, 0.4], [0.2, 0.8], [0.7], [0.1, 0.9]]}, "column probabilities"),
        ({"probabilities": [[0.6, 0.4]] * 3 + [[float("nan"), 1.0]]}, "column probabilities: exp"),
        ({"id": [], "label": [], "probabilities": []}, "column probabilities: expected a number"),
        ({"label": None}, "predictions on dev: no column label"),
    ],
)
def test_predictions_that_cannot_be_averaged_or_scored_are_refused(study, change, message):
    outputs = {name: column for name, column in (COLA | change).items() if column is not None}
    publish_cola(study, outputs)
    with pytest.raises(StudyError, match=message):
        ensemble_metrics(study, "cola", cola_ensembles(study)[0].models)


def test_ensembles_are_not_compared_with_single_models(study):
    path = Path("config/study/tables.yaml")
    data = yaml.safe_load(path.read_text())
    rows = data["tables"]["table5"]["rows"]
    rows.append({"id": "smaller", "label": "16 GB", "cell": "large-16gb-100k"})
    data["tables"]["table5"] |= {"baseline": "smaller", "published": None}
    path.write_text(yaml.safe_dump(data))
    study = Study("smoke", replicates=2)
    for job in study.table_jobs("table5"):
        publish_seeds(job, 60 if "160gb" in job.path else 50)
    frame = wide_rows(study, "table5")
    assert frame.loc["roberta", "cola.matthews.difference"] == 10
    assert pd.isna(frame.loc["ensemble", "cola.matthews.difference"])
    data["tables"]["table5"]["baseline"] = "ensemble"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(StudyError, match="ensemble is no row with a cell or family of single"):
        Study("smoke")


def test_settings_csv_keeps_every_setting_and_tells_the_expected_best_of_fewer(study):
    for job in study.all_table_jobs():
        publish_seeds(job, 46 if job.names["setting"] == HIGH else 50)
    listings.main(["settings", "--scale", "smoke", "--output", "results/settings.csv"])
    found = pd.read_csv("results/settings.csv", keep_default_na=False)
    rows = found[(found["cell"] == "large-160gb-500k") & (found["task"] == "rte")]
    assert rows["setting"].tolist() == [LOW, HIGH]
    assert rows["selected"].tolist() == [True, False]
    assert rows["median"].tolist() == [50.5, 46.5]
    assert rows["expected_best_of_1"].tolist() == [48.5, 48.5]
    assert rows["expected_best_of_2"].astype(float).tolist() == [49.5, 49.5]
    alone = found[(found["cell"] == "full-sentences") & (found["task"] == "sst2")].iloc[0]
    assert (alone["expected_best_of_1"], alone["expected_best_of_2"]) == (50.5, "")
    assert found.groupby(["cell", "task"])["selected"].sum().eq(1).all()
