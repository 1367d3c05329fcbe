"""The plateau of word frequencies: literal transitions, and what tables and figures tell."""

import math
from pathlib import Path

import pandas as pd
import pytest
import results_toy

from analysis import listings, table
from analysis.figures import style
from analysis.figures.curves import curves_figure, read_curves
from analysis.plateau import curve_of, transition
from study.graph import Study
from study.manifest import load_manifest

ENTROPY = 6.0  # of the toy's held-out text


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A finished smoke study with two replicates, all of whose pre-trainings leave the plateau."""
    results_toy.finish_study(tmp_path, replicates=2)
    monkeypatch.chdir(tmp_path)
    return Study("smoke", replicates=2)


def write(study, cell, losses, **how):
    for job in study.pretrain_jobs([cell]):
        results_toy.write_pretrain(job, losses, **how)


CURVES = [
    # Twenty updates of 512 tokens, evaluated after 10 and 20, or after 5, 10, 15 and 20.
    ([6.0, 5.0], 20 * 512),
    ([5.5, 4.5], 15 * 512),
    ([4.9, 4.0], 10 * 512),
    ([5.2, 5.01], math.inf),
    ([6.0, 6.0, 4.0, 5.5], 12.5 * 512),
    ([5.5, None, 4.5, 4.0], 10 * 512),
    ([None, None], math.nan),
]


@pytest.mark.parametrize(("losses", "tokens"), CURVES)
def test_the_transition_is_where_the_loss_lies_a_nat_under_word_frequencies(study, losses, tokens):
    write(study, "doc-sentences", losses)
    run = load_manifest(study.jobs.pretrain("doc-sentences", 0).path)
    assert [loss for _, _, loss in curve_of(run)] == losses
    assert transition(run, ENTROPY) == pytest.approx(tokens, nan_ok=True)
    assert math.isnan(transition(run, math.nan))


def test_what_was_not_trained_or_diverged_has_no_transition(study):
    (job,) = study.pretrain_jobs(["random-initialisation"])[:1]
    assert math.isnan(transition(load_manifest(job.path), ENTROPY))
    write(study, "doc-sentences", [5.0, 4.0], diverged=13)
    assert math.isnan(transition(load_manifest(study.jobs.pretrain("doc-sentences", 0).path), 6.0))


def test_a_table_tells_which_rows_stayed_on_the_plateau(study):
    make = ["--scale", "smoke", "--replicates", "2", "--output"]
    table.main(["table3", *make, "results/table3.csv"])
    assert "Still on the plateau" not in Path("results/table3.md").read_text()
    winner = study.config.families["batch-8k"].cell
    write(study, winner, [5.6, 5.3])
    results_toy.write_pretrain(study.jobs.pretrain("doc-sentences", 1), [5.6, 5.3])
    table.main(["table3", *make, "results/table3.csv"])
    told = (
        "Still on the plateau of word frequencies at the end: 8K (2 of 2 pre-trainings). Their "
        "held-out loss never came 1 nat under that of the frequencies alone"
    )
    assert told in Path("results/table3.md").read_text()
    table.main(["table2", *make, "results/table2.csv"])
    assert "end: DOC-SENTENCES (1 of 2 pre-trainings)." in Path("results/table2.md").read_text()


def test_tables_and_the_listing_have_the_tokens_before_it(study):
    write(study, study.config.families["batch-256"].cell, [5.5, 4.5])
    winner = study.config.families["batch-8k"].cell
    write(study, winner, [5.6, 5.3])
    make = ["--scale", "smoke", "--replicates", "2", "--output"]
    table.main(["table3", *make, "results/table3.csv"])
    rows = pd.read_csv("results/table3.csv").set_index("row")
    assert rows.loc["batch_256", "transition.median"] == pytest.approx(15 * 512 / 1e6)
    assert rows.loc["batch_8k", ["transition.median", "transition.min"]].isna().all()
    listings.main(["pretraining", *make, "results/pretraining.csv"])
    listed = pd.read_csv("results/pretraining.csv").set_index(["cell", "pretraining_seed"])
    cell = study.config.families["batch-256"].cell
    assert listed["transition"].loc[[(cell, 0), (winner, 1)]].tolist() == [15 * 512, math.inf]


def test_the_figure_shows_where_each_cell_leaves_the_plateau(study):
    write(study, "static-segment-pair", [5.5, 4.5])
    write(study, "segment-pair", [5.5, 5.4])
    frame = read_curves(study)
    figure = curves_figure(frame, {"table1": study.table_cells("table1")}, "Scale smoke")
    axes = figure.axes[0]
    (dotted,) = [line for line in axes.lines if list(line.get_ydata()) == [ENTROPY, ENTROPY]]
    assert dotted.get_linestyle() != "-"
    (dot,) = [line for line in axes.lines if line.get_markersize() == style.TRANSITION["ms"]]
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([7.68], [5.0])
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == ["static-segment-pair", "segment-pair (2 of 2 on the plateau)"]
