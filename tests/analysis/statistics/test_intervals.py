"""Means over replicates, differences between cells, and the tables that show them."""

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results_toy
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT
from scipy.stats import t, ttest_ind

from analysis import table as table_command
from analysis.statistics.intervals import replicate_mean, welch_difference
from study.errors import StudyError
from study.graph import Study
from study.manifest import publish_manifest

VALUES = st.lists(st.floats(0, 100), min_size=2, max_size=6)


def test_a_known_interval():
    """Means 3 and 1, variances 1 and 1 over three each: 4 degrees of freedom."""
    found = welch_difference([2.0, 3.0, 4.0], [0.0, 1.0, 2.0])
    half = t.ppf(0.975, 4) * math.sqrt(2 / 3)
    assert found == pytest.approx((2.0, 2.0 - half, 2.0 + half))


@settings(deadline=None)
@given(VALUES, VALUES)
def test_it_is_scipys_and_swapping_the_cells_flips_it(ours, theirs):
    found = welch_difference(ours, theirs)
    assert found.difference == pytest.approx(np.mean(ours) - np.mean(theirs), abs=1e-9)
    if np.ptp(ours) > 1e-3 and np.ptp(theirs) > 1e-3:
        interval = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        other = welch_difference(theirs, ours)
        assert (other.low, other.high) == pytest.approx((-found.high, -found.low))


def test_it_covers_the_truth_as_often_as_it_says():
    """Five replicates, unequal spreads: 95 % within what 2,000 simulations can tell."""
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        low, high = welch_difference(draw.normal(1, 1, 5), draw.normal(0, 3, 5))[1:]
        hits += low <= 1 <= high
    assert 0.935 <= hits / 2000 <= 0.975


def test_without_replicates_there_is_no_interval():
    assert welch_difference([1.0], [1.0, 2.0]) is None
    assert welch_difference([1.0, math.nan], [1.0, 2.0]) is None
    assert welch_difference([3.0, 3.0], [1.0, 1.0]) == (2.0, 2.0, 2.0)


def test_a_known_interval_of_a_mean():
    """Mean 3, variance 1 over three: 2 degrees of freedom."""
    half = t.ppf(0.975, 2) / math.sqrt(3)
    assert replicate_mean([2.0, 3.0, 4.0]) == pytest.approx((3.0, 3.0 - half, 3.0 + half))
    assert replicate_mean([3.0, 3.0]) == (3.0, 3.0, 3.0)
    assert replicate_mean([3.0]) is None
    assert replicate_mean([3.0, math.nan, 4.0]) is None
    assert replicate_mean([]) is None


@given(st.lists(st.integers(0, 100), min_size=2, max_size=6), st.integers(-50, 50))
def test_the_order_of_replicates_and_a_constant_do_not_matter_to_a_mean(values, shift):
    mean, low, high = replicate_mean(values)
    assert low <= mean <= high
    assert replicate_mean(values[::-1]) == pytest.approx((mean, low, high))
    moved = replicate_mean([value + shift for value in values])
    assert moved == pytest.approx((mean + shift, low + shift, high + shift), abs=1e-9)


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(0)
    found = [replicate_mean(draw.normal(1, 1, 3)) for _ in range(2000)]
    assert 0.935 <= sum(low <= 1 <= high for _, low, high in found) / 2000 <= 0.965


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Three replicates: random weights score 40 + seed, the others 60 + seed."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    study = Study("smoke", replicates=3)
    for job in study.table_jobs("pretraining_effect"):
        base = 40.0 if job.names["cell"] == "random-initialisation" else 60.0
        names = study.config.tasks[job.recipe["task"]["name"]].reported_metrics
        metrics = dict.fromkeys(names, base + job.names["seed"])
        score = {"metrics": metrics, "diverged": False, "key": "k"}
        seeds = dict.fromkeys(map(str, job.recipe["seeds"]), score)
        Path(job.path).parent.joinpath(job.key).mkdir(parents=True)
        publish_manifest(job.path, job.recipe, files=[], figures={"seeds": seeds})
    counts = {"samples": 8, "next": 4, "store_tokens": 100, "shown_tokens": 98}
    for job in study.pair_samples_jobs("pretraining_effect"):
        Path(job.path).parent.joinpath(job.key).mkdir(parents=True)
        publish_manifest(job.path, job.recipe, files=[], figures={"train": counts})
    results_toy.write_pretrainings(study)
    return study


def test_the_table_shows_differences_from_random_weights(study):
    output = "results/pretraining_effect.csv"
    arguments = ["--scale", "smoke", "--replicates", "3", "--output", output]
    table_command.main(["pretraining_effect", *arguments])
    table = pd.read_csv(output).set_index("row")
    low, high = welch_difference([60.0, 61.0, 62.0], [40.0, 41.0, 42.0])[1:]
    row = table.loc["full_sentences"]
    assert row["sst2.accuracy.difference"] == 20
    assert (row["sst2.accuracy.low"], row["sst2.accuracy.high"]) == pytest.approx(
        (low, high), abs=1e-4
    )
    assert pd.isna(table.loc["random", "sst2.accuracy.difference"])
    half = t.ppf(0.975, 2) / math.sqrt(3)
    means = [row[f"sst2.accuracy.{name}"] for name in ("mean", "mean_low", "mean_high")]
    assert means == pytest.approx([61, 61 - half, 61 + half], abs=1e-4)
    markdown = Path("results/pretraining_effect.md").read_text()
    assert "**Means over replicates**" in markdown
    assert f"| 41.0 [{41 - half:.1f}, {41 + half:.1f}] |" in markdown
    assert "**Differences from random initialisation**" in markdown
    assert f"| +20.0 [{low:+.1f}, {high:+.1f}] p < 0.001 better |" in markdown
    p = ttest_ind([60.0, 61.0, 62.0], [40.0, 41.0, 42.0], equal_var=False).pvalue
    assert row["sst2.accuracy.p"] == pytest.approx(2 * p, abs=1e-5)  # Holm, two rows alike
    assert row["sst2.accuracy.verdict"] == "better"
    assert pd.isna(table.loc["random", "sst2.accuracy.verdict"])
    assert Path("results/pretraining_effect.tex").read_text().count(r"\begin{table}") == 3


def test_one_replicate_shows_neither_means_nor_differences(study):
    output = "results/pretraining_effect.csv"
    table_command.main(["pretraining_effect", "--scale", "smoke", "--output", output])
    table = pd.read_csv(output).set_index("row")
    assert table["sst2.accuracy.mean"].isna().all()
    assert table["sst2.accuracy.difference"].isna().all()
    assert table.loc["full_sentences", "sst2.accuracy.median"] == 60
    markdown = Path("results/pretraining_effect.md").read_text()
    assert markdown.count("\n**") == 0
    assert "- One pre-training seed: differences would have no interval" in markdown


def test_a_baseline_must_be_a_row_of_ours(study):
    path = Path("config/study/tables.yaml")
    path.write_text(path.read_text().replace("baseline: random", "baseline: bert_base"))
    with pytest.raises(StudyError, match="baseline: bert_base is no row with a cell or family"):
        Study("smoke")
