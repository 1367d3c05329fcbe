"""Variance components: against a plain calculation, on simulated data, from stored predictions."""

import math
import shutil
from itertools import product
from pathlib import Path
from statistics import mean, variance

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predictions_toy import publish_seeds
from project import ROOT
from results_toy import write_finetune
from smoke import set_key

from analysis import variance as command
from analysis.variance import between_replicates, components
from study.graph import Study
from study.manifest import publish_manifest


def simulated(draw, cells, replicates, seeds, examples, sd):
    """Scores (C, I, J) and examples (C, I, J, N) of known deviations, in points of a score."""
    shape = (cells, replicates, seeds, examples)
    score = 70 + draw.normal(0, sd["pretraining"], (cells, replicates, 1, 1))
    score = score + draw.normal(0, sd["seed"], (cells, 1, seeds, 1))
    score = score + draw.normal(0, sd["run"], (cells, replicates, seeds, 1))
    spread = math.sqrt(examples)
    hard = draw.normal(0, 30, (1, 1, 1, examples))  # of all models: in no component
    taken = draw.normal(0, sd["pretraining_dev"] * spread, (cells, replicates, 1, examples))
    noise = draw.normal(0, sd["run_dev"] * spread, shape)
    each = score + hard + taken + noise
    return each.mean(3), each


SD = {"pretraining": 2.0, "seed": 0.5, "run": 1.0, "pretraining_dev": 0.8, "run_dev": 1.2}
TRUTH = {
    "pretraining": 2.0,
    "finetuning": math.hypot(0.5, 1.0),
    "dev_set": math.hypot(0.8, 1.2),
}


def test_a_large_design_gives_back_what_was_put_in():
    draw = np.random.default_rng(0)
    found = components(*simulated(draw, 40, 12, 12, 100, SD))
    for name, truth in TRUTH.items():
        assert found[name].sd == pytest.approx(truth, rel=0.08), name


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Two cells of five by three: 95 % within what 600 simulations can tell, or a little more."""
    draw, hits = np.random.default_rng(1), dict.fromkeys(TRUTH, 0)
    for _ in range(600):
        found = components(*simulated(draw, 2, 5, 3, 200, SD))
        for name, truth in TRUTH.items():
            hits[name] += found[name].low <= truth <= found[name].high
    for name, count in hits.items():
        assert 0.93 <= count / 600 <= 0.985, (name, count)


def test_where_there_is_no_component_its_interval_begins_at_zero():
    draw, hits = np.random.default_rng(2), 0
    for _ in range(400):
        found = components(*simulated(draw, 1, 4, 4, 200, {**SD, "pretraining": 0.0}))
        hits += found["pretraining"].low == 0
    assert hits / 400 >= 0.95


def plain(scores):
    """Variance between and within rows of a list of lists, from textbook mean squares."""
    rows, columns = len(scores), len(scores[0])
    by_row, by_column = (
        [mean(row) for row in scores],
        [mean(one) for one in zip(*scores, strict=True)],
    )
    rest = sum(
        (scores[i][j] - by_row[i] - by_column[j] + mean(by_row)) ** 2
        for i, j in product(range(rows), range(columns))
    )
    interaction = rest / ((rows - 1) * (columns - 1))
    between = (columns * variance(by_row) - interaction) / columns
    return between, mean(map(variance, scores))


def test_a_plain_calculation_of_scores_alone():
    scores = [[70.0, 71.5, 69.0], [74.0, 75.0, 74.5], [72.0, 70.5, 73.0], [68.0, 71.0, 70.0]]
    between, within = plain(scores)
    found = components(np.array([scores]), None)
    assert found["pretraining"].sd == pytest.approx(math.sqrt(between))
    assert found["finetuning"].sd == pytest.approx(math.sqrt(within))
    assert all(map(math.isnan, found["dev_set"]))
    for name in ("pretraining", "finetuning"):
        assert found[name].low < found[name].sd < found[name].high


def test_a_plain_calculation_of_the_dev_set():
    """Example by example, over N - 1; what is left of the scores is the two others."""
    draw = np.random.default_rng(3)
    scores, examples = simulated(draw, 1, 4, 3, 50, SD)
    centred = examples[0] - examples[0].mean(2, keepdims=True)
    each = [plain(centred[:, :, number].tolist()) for number in range(50)]
    shares = [mean(parts) / 49 for parts in zip(*each, strict=True)]
    between, within = plain(scores[0].tolist())
    found = components(scores, examples)
    assert found["dev_set"].sd == pytest.approx(math.sqrt(sum(shares)))
    assert found["pretraining"].sd == pytest.approx(math.sqrt(between - shares[0]))
    assert found["finetuning"].sd == pytest.approx(math.sqrt(within - shares[1]))


def test_what_one_seed_cannot_tell_is_not_told():
    scores, examples = simulated(np.random.default_rng(4), 2, 5, 1, 80, SD)
    found = components(scores, examples)
    assert math.isnan(found["pretraining"].sd) and math.isnan(found["finetuning"].sd)
    assert found["dev_set"].low < found["dev_set"].sd < found["dev_set"].high
    found = components(*simulated(np.random.default_rng(5), 2, 1, 5, 80, SD))
    assert math.isnan(found["pretraining"].sd) and found["finetuning"].sd > 0
    assert math.isnan(between_replicates(np.array([[70.0], [71.0]])).sd)


@given(st.integers(2, 4), st.integers(2, 4), st.floats(-50, 50), st.integers(0, 2**31))
def test_a_shift_changes_nothing_and_a_scale_scales(replicates, seeds, shift, seed):
    scores, examples = simulated(np.random.default_rng(seed), 2, replicates, seeds, 20, SD)
    found = components(scores, examples)
    moved = components(2 * scores + shift, 2 * examples + shift)
    for name, deviation in found.items():
        assert moved[name] == pytest.approx(tuple(2 * end for end in deviation), abs=1e-6)


def test_between_replicates_is_pooled_over_cells():
    """Variances 1 and 9 of three each: 5, with the chi-square interval of four degrees."""
    found = between_replicates(np.array([[69.0, 70.0, 71.0], [60.0, 63.0, 66.0]]))
    assert found == pytest.approx((math.sqrt(5), math.sqrt(20 / 11.1433), math.sqrt(20 / 0.484419)))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two replicates of two fine-tunings each: of two examples all models get one right."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    set_key("scales/smoke.yaml", ["seeds", "finetuning"], [0, 1])
    study = Study("smoke", replicates=2)
    span = {"id": ["a", "b"], "f1": [1.0, 0.5], "em": [1.0, 0.0], "prediction": ["x", "y"]}
    for job in study.table_jobs("table2"):
        kind = job.recipe["task"]["kind"]
        pair = {"id": ["a", "b"], "label": [0, 1], "prediction": [0, 0]}
        publish_seeds(job, 50.0 + 2 * job.names["seed"], span if kind == "span" else pair)
    for job in study.pair_samples_jobs("table2"):
        Path(job.path).parent.joinpath(job.key).mkdir(parents=True)
        counts = {"samples": 8, "next": 4, "store_tokens": 100, "shown_tokens": 98}
        publish_manifest(job.path, job.recipe, files=[], figures={"train": counts})
    return study


def test_the_command_pools_the_cells_of_a_table(study):
    output = "results/variance/table2.csv"
    command.main(["table2", "--scale", "smoke", "--replicates", "2", "--output", output])
    table = pd.read_csv(output).set_index(["column", "cell"])
    assert list(table.loc["SST-2"].index) == [
        *("all", "segment-pair", "sentence-pair", "full-sentences", "doc-sentences")
    ]
    line = table.loc["SST-2", "all"]
    assert (line["replicates"], line["finetuning_seeds"], line["examples"]) == (2, 2, 2)
    # Scores 50, 51 and 52, 53; the models answer alike, so that no example tells them apart.
    assert line["mean"] == 51.5
    assert line["pretraining.sd"] == pytest.approx(math.sqrt(2), abs=1e-4)
    assert line["finetuning.sd"] == pytest.approx(math.sqrt(0.5), abs=1e-4)
    assert line["dev_set.sd"] == 0
    assert line["replicate.sd"] == pytest.approx(math.sqrt(2), abs=1e-4)
    markdown = Path("results/variance/table2.md").read_text()
    assert "| SST-2 | all | 51.5 | 1.41 [" in markdown


def test_a_row_with_a_score_that_diverged_is_left_out(study):
    arguments = ["table2", "--scale", "smoke", "--replicates", "2", "--output", "x.csv"]
    job = study.jobs.finetune("doc-sentences", 0, "sst2")
    write_finetune(study, job, {0: 50.0, 1: None}, diverged=True)
    command.main(arguments)
    table = pd.read_csv("x.csv").set_index("column")
    assert list(table.loc["SST-2", "cell"]) == [
        *("all", "segment-pair", "sentence-pair", "full-sentences")
    ]
    assert "doc-sentences" in list(table.loc["MNLI-m", "cell"])
    assert "- A row with a score that diverged or is missing" in Path("x.md").read_text()
    for job in study.table_jobs("table2"):
        write_finetune(study, job, dict.fromkeys(job.recipe["seeds"]), diverged=True)
    command.main(arguments)
    (line,) = Path("x.csv").read_text().splitlines()
    assert line.startswith("column,task,metric,row,cell,replicates,finetuning_seeds,examples,mean,")
    assert line.endswith("replicate.sd,replicate.low,replicate.high")
