"""From manifests of known scores to medians and tables; stale scores are refused."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import results_toy
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from analysis import hyperparameters, plan
from analysis import scores as scores_command
from analysis import table as table_command
from analysis.medians import summarise
from analysis.render import markdown_table
from study.errors import StudyError
from study.graph import Study
from study.manifest import publish_manifest


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A finished smoke study whose scores are 50 + row + seed / 4, in the current directory."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    study = Study("smoke")
    for number, job in enumerate(study.all_table_jobs()):
        publish(study, job, dict.fromkeys(metrics_of(study, job), 50.0 + number // 5))
    counts = {"samples": 8, "next": 4, "store_tokens": 100, "shown_tokens": 98}
    for job in study.pair_samples_jobs("table2_extended"):
        Path(job.path).parent.joinpath(job.key).mkdir(parents=True, exist_ok=True)
        publish_manifest(job.path, job.recipe, files=[], figures={"train": counts})
    results_toy.write_pretrainings(study)
    return study


def metrics_of(study, job):
    return study.config.tasks[job.recipe["task"]["name"]].reported_metrics


def publish(study, job, metrics, diverged=False):
    seeds = {
        str(seed): {
            "metrics": {metric: value + seed / 4 for metric, value in metrics.items()},
            "diverged": diverged,
            "key": f"{job.key}-{seed}",
        }
        for seed in job.recipe["seeds"]
    }
    Path(job.path).parent.joinpath(job.key).mkdir(parents=True, exist_ok=True)
    publish_manifest(job.path, job.recipe, files=[], figures={"seeds": seeds})


def make_table(study, name="table2"):
    output = Path(f"results/{name}.csv")
    table_command.main([name, "--scale", "smoke", "--output", str(output)])
    return pd.read_csv(output), output.with_suffix(".md").read_text()


def test_table2_has_the_papers_rows_beside_published_values(study):
    frame, markdown = make_table(study)
    assert list(frame["label"]) == [
        "SEGMENT-PAIR",
        "SENTENCE-PAIR",
        "FULL-SENTENCES",
        "DOC-SENTENCES",
        "BERT_BASE",
        "XLNet_BASE (K=7)",
        "XLNet_BASE (K=6)",
    ]
    ours = frame[frame["row"] == "full_sentences"].iloc[0]
    assert (ours["squad11.f1.median"], ours["squad11.f1.min"], ours["squad11.f1.max"]) == (
        52.125,
        52.0,
        52.25,
    )
    assert (ours["squad11.f1.seeds"], ours["squad11.f1.replicates"]) == (2, 1)
    assert ours["squad11.f1.published"] == 90.4
    reference = frame[frame["row"] == "xlnet_base_k6"].iloc[0]
    assert reference["race.accuracy.published"] == 66.7
    assert pd.isna(reference["race.accuracy.median"])
    assert pd.isna(reference["squad11.f1.published"])
    assert "| FULL-SENTENCES   | 52.1 [52.0, 52.2] / 90.4 |" in markdown
    assert "Scale: smoke" in markdown
    assert "One pre-training seed" in markdown


def test_latex_uses_booktabs_and_separates_the_references(study):
    make_table(study)
    latex = Path("results/table2.tex").read_text()
    assert latex.count(r"\midrule") == 2
    assert r"BERT\_BASE &  & 88.5 &  & 76.3 &  & 84.3 &  & 92.8 &  & 64.3 \\" in latex
    # Labels, metrics and whose number it is; four rows of ours with their ranges, three references.
    assert latex.count(r"\\") == 3 + 4 * 2 + 3


def test_extended_table_adds_the_row_that_the_paper_lacks(study):
    frame, _ = make_table(study, "table2_extended")
    row = frame[frame["row"] == "segment_pair_no_nsp"].iloc[0]
    assert row["sst2.accuracy.median"] > 50
    assert pd.isna(row["sst2.accuracy.published"])


def test_diverged_runs_stay_and_are_told(study):
    job = study.jobs.finetune("doc-sentences", 0, "sst2")
    publish(study, job, {"accuracy": 40.0}, diverged=True)
    frame, markdown = make_table(study)
    row = frame[frame["row"] == "doc_sentences"].iloc[0]
    assert row["sst2.accuracy.diverged"] == 2
    assert row["sst2.accuracy.min"] == 40.0
    assert "| 40.1 [40.0, 40.2] (2 failed) / 92.7 |" in markdown
    assert "2 scores are of fine-tunings that diverged or have no score" in markdown


def test_a_score_that_is_missing_shows_as_failed_not_as_zero(study):
    job = study.jobs.finetune("doc-sentences", 0, "sst2")
    failed = {"metrics": {"accuracy": None}, "diverged": True, "key": "k"}
    seeds = {"0": failed, "1": failed}
    publish_manifest(job.path, job.recipe, files=[], figures={"seeds": seeds})
    frame, markdown = make_table(study)
    assert pd.isna(frame[frame["row"] == "doc_sentences"].iloc[0]["sst2.accuracy.median"])
    assert "failed / 92.7" in markdown


def test_scores_of_another_recipe_are_refused_with_the_command(study):
    job = study.jobs.finetune("full-sentences", 0, "mnli")
    recipe = {**job.recipe, "seeds": [7, 8]}
    Path(job.path).parent.joinpath("other").mkdir()
    publish_manifest(job.path, recipe, files=[], figures={"seeds": {}})
    with pytest.raises(StudyError) as error:
        make_table(study)
    message = str(error.value)
    assert message.startswith("1 of 20 scores are missing or of another recipe")
    assert message.endswith("--config scale=smoke mirror=DIR -- results/table2.csv")
    assert "\n" not in message
    assert not Path("results/table2.csv").exists()


def test_missing_scores_are_counted_and_named(study):
    for task in ("mnli", "sst2"):
        Path(study.jobs.finetune("full-sentences", 0, task).path).unlink()
    with pytest.raises(StudyError, match="2 of 20 scores are missing"):
        make_table(study)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda seeds: seeds.pop("1"), "field figures.seeds.1: missing"),
        (lambda seeds: seeds["1"].pop("metrics"), "field figures.seeds.1.metrics: missing"),
        (
            lambda seeds: seeds["0"]["metrics"].pop("accuracy"),
            "field figures.seeds.0.metrics.accuracy: missing",
        ),
        (
            lambda seeds: seeds["0"]["metrics"].update(accuracy="84"),
            "field figures.seeds.0.metrics.accuracy: cannot be '84'",
        ),
        (
            lambda seeds: seeds["0"]["metrics"].update(accuracy=True),
            "field figures.seeds.0.metrics.accuracy: cannot be true",
        ),
        (lambda seeds: seeds["1"].pop("key"), "field figures.seeds.1.key: missing"),
        (
            lambda seeds: seeds["0"].update(diverged=0),
            "field figures.seeds.0.diverged: cannot be 0",
        ),
    ],
)
def test_a_manifest_without_a_seed_or_a_metric_is_refused(study, damage, message):
    job = study.jobs.finetune("doc-sentences", 0, "sst2")
    figures = json.loads(Path(job.path).read_text())["figures"]
    damage(figures["seeds"])
    publish_manifest(job.path, job.recipe, files=[], figures=figures)
    with pytest.raises(StudyError) as error:
        make_table(study)
    assert str(error.value).startswith(f"{job.path}: {message}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_a_number_that_no_stage_writes_is_refused(study, value):
    path = Path(study.jobs.finetune("doc-sentences", 0, "sst2").path)
    text = path.read_text()
    shown = json.loads(text)["figures"]["seeds"]["1"]["metrics"]["accuracy"]
    path.write_text(text.replace(f'"accuracy": {shown}', f'"accuracy": {value}'))
    with pytest.raises(StudyError, match=r"metrics\.accuracy: cannot be (nan|inf);"):
        make_table(study)


def test_scores_csv_is_tidy(study):
    scores_command.main(["--scale", "smoke", "--output", "results/scores.csv"])
    frame = pd.read_csv("results/scores.csv")
    assert len(frame) == 2 * sum(len(metrics_of(study, job)) for job in study.all_table_jobs())
    formats = frame[frame["cell"].isin(study.table_cells("table2_extended"))]
    assert len(formats) == 6 * 2 * (2 + 9 + 2 + 1 + 3)
    keys = ["cell", "pretraining_seed", "task", "setting", "finetuning_seed", "metric"]
    assert not frame.duplicated(keys).any()
    # Every seed is a run of its own.
    assert (frame["run_key"] == frame["key"] + "-" + frame["finetuning_seed"].astype(str)).all()
    scores_command.main(
        ["--cell", "doc-sentences", "--scale", "smoke", "--output", "results/cells/d.csv"]
    )
    assert set(pd.read_csv("results/cells/d.csv")["cell"]) == {"doc-sentences"}
    with pytest.raises(StudyError, match="--cell none: no such cell; known: segment-pair, "):
        scores_command.main(["--cell", "none", "--scale", "smoke", "--output", "x.csv"])


def test_json_of_a_manifest_is_what_the_table_shows(study):
    """A changed figure changes the table: nothing is hard-coded."""
    job = study.jobs.finetune("segment-pair", 0, "sst2")
    publish(study, job, {"accuracy": 77.0})
    frame, _ = make_table(study)
    assert frame.iloc[0]["sst2.accuracy.median"] == 77.125
    assert json.loads(Path(job.path).read_text())["figures"]["seeds"]["0"]["metrics"] == {
        "accuracy": 77
    }


def make_scores(values):
    rows = [
        {
            "cell": "a",
            "task": "t",
            "metric": "m",
            "pretraining_seed": i,
            "finetuning_seed": j,
            "value": value,
            "diverged": False,
        }
        for i, replicate in enumerate(values)
        for j, value in enumerate(replicate)
    ]
    return pd.DataFrame(rows)


def test_median_is_taken_within_replicates_first():
    row = summarise(make_scores([[1.0, 2.0, 9.0], [4.0, 5.0, 6.0], [0.0, 0.0, 100.0]])).iloc[0]
    assert (row["median"], row["min"], row["max"]) == (2.0, 0.0, 100.0)
    assert (row["seeds"], row["replicates"]) == (9, 3)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=7), st.randoms())
def test_order_of_scores_does_not_matter_and_the_median_lies_inside(values, draw):
    frame = make_scores([values])
    row = summarise(frame).iloc[0]
    mixed = summarise(frame.sample(frac=1, random_state=draw.randint(0, 999))).iloc[0]
    assert row["median"] == mixed["median"]
    assert row["min"] <= row["median"] <= row["max"]


@pytest.mark.parametrize(
    ("command", "name"),
    [(table_command, ["table2"]), (hyperparameters, ["table9"]), (plan, [])],
)
def test_the_csv_has_a_name_of_its_own(study, command, name):
    arguments = [*name, "--scale", "smoke", "--output"]
    for output in ("results/table2.md", "results/table2", "results"):
        with pytest.raises(StudyError) as error:
            command.main([*arguments, output])
        assert str(error.value) == f"--output {output}: expected a name that ends in .csv"
    Path("results/x.md").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"^results/x\.md: a folder lies where this file belongs$"):
        command.main([*arguments, "results/x.csv"])
    assert [path.name for path in Path("results").iterdir()] == ["x.md"]


def test_labels_cannot_break_a_table():
    rows = [["", "a|b"], ["x\ny", "1"]]
    assert markdown_table("one\ntwo", rows, ["three\nfour"]) == (
        "**one two**\n\n|     | a\\|b |\n|-----|------|\n| x y | 1    |\n\n- three four\n"
    )
