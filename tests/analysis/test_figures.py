"""Figures: what they show of known scores and losses, odd values, equal bytes, bad input."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results_toy
from matplotlib.text import Text
from predictions_toy import publish_seeds

from analysis.figures import claims, curves, learning_rate, style
from analysis.figures import table as table_command
from analysis.figures.claims import claims_figure
from analysis.figures.curves import curves_figure, read_curves, unfinished
from analysis.figures.learning_rate import learning_rate_figure, rate_text
from analysis.figures.table import scale_of, table_figure
from analysis.listings import read_learning_rates
from analysis.scores import read_scores
from analysis.shown import shown_rows
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest, publish_manifest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished smoke study, for tests that only read its runs."""
    folder = tmp_path_factory.mktemp("finished")
    results_toy.finish_study(folder, replicates=3)
    return folder


@pytest.fixture
def study(finished, monkeypatch):
    """The finished study, in the current directory."""
    monkeypatch.chdir(finished)
    return Study("smoke", replicates=3)


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """A finished study that the test may change, in the current directory."""
    results_toy.finish_study(tmp_path, replicates=3)
    monkeypatch.chdir(tmp_path)
    return Study("smoke", replicates=3)


def arguments(output, *more):
    return [*more, "--scale", "smoke", "--replicates", "3", "--output", output]


def marks(axes, look):
    """Points that were drawn with this look, as (x, y)."""
    lines = [
        line
        for line in axes.lines
        if line.get_marker() == look["marker"]
        and line.get_markerfacecolor() == look.get("mfc", line.get_markerfacecolor())
    ]
    return [tuple(map(float, point)) for line in lines for point in line.get_xydata()]


def told(figure):
    """What the line at the foot of a figure says."""
    return figure.texts[-1].get_text().replace("\n", " ")


def names_in(axes):
    """The names in a panel's legend."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def scores_of(study, name="table2"):
    return read_scores(study, study.table_jobs(name), "x")


def figure_of(study, name, scores):
    return table_figure(study, name, shown_rows(study, name, scores))


def test_table_figure_has_a_panel_a_column_and_a_mark_a_seed(study):
    figure = figure_of(study, "table2", scores_of(study))
    panels = [axes for axes in figure.axes if axes.get_visible()]
    labels = [column.label for column in study.config.tables["table2"].columns]
    assert [axes.get_title() for axes in panels] == labels
    rows = [text.get_text() for text in panels[0].get_yticklabels()]
    assert rows == [row.label for row in study.config.tables["table2"].rows]
    assert panels[0].yaxis_inverted()
    sst2 = panels[labels.index("SST-2")]
    assert sst2.get_xlabel() == "accuracy (%)"
    assert sorted(marks(sst2, style.REPLICATE))[:3] == [
        (50.125, -0.19),
        (51.125, -0.19),
        (52.125, -0.19),
    ]
    assert len(marks(sst2, style.SEED)) == 4 * 3 * 2
    assert marks(sst2, style.MEDIAN)[0] == (51.125, 0)
    assert "3 replicates x 2 fine-tuning seeds" in told(figure)
    assert "Scale smoke" in told(figure)


def test_full_replicates_are_one_mark_each(study):
    scores = scores_of(study)
    axes = figure_of(study, "table2", scores[scores["finetuning_seed"] == 0]).axes[0]
    assert marks(axes, style.SEED) == []
    assert (50.0, 0.0) in marks(axes, style.REPLICATE)


def test_figures_show_the_setting_that_counts_and_ensembles_their_own_score(tmp_path, monkeypatch):
    shutil.copytree(results_toy.ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    study = Study("smoke")
    for job in study.table_jobs("table5"):
        publish_seeds(job, 60 if job.recipe["settings"]["learning_rate"] == 2e-3 else 50)
    table = study.config.tables["table5"]
    rows = [row.id for row in table.rows]
    figure = figure_of(study, "table5", scores_of(study, "table5"))
    axes = next(one for one in figure.axes if one.get_title() == "STS")
    single, ensemble = rows.index("roberta"), rows.index("ensemble")
    # Seeds 0 and 1 at the better rate; the average of two equal predictions correlates fully.
    assert sorted(marks(axes, style.SEED)) == [(60.0, single + 0.19), (61.0, single + 0.19)]
    assert sorted(marks(axes, style.MEDIAN)) == [(60.5, single), (100.0, ensemble)]
    assert (100.0, ensemble) in marks(axes, style.REPLICATE)


def test_far_published_values_stand_in_a_margin_and_do_not_squeeze_ours(study):
    axes = figure_of(study, "table2", scores_of(study)).axes[3]
    low, high = axes.get_xlim()
    assert high < 80
    assert "92.9 →" in [text.get_text() for text in axes.texts]
    assert all(low <= x <= high for x, _ in marks(axes, style.PUBLISHED))
    assert max(axes.get_xticks()) < 67


@pytest.mark.parametrize(
    ("ours", "published", "margin"),
    [
        ([84.0, 85.0], [84.5, 85.5], None),
        ([40.0, 45.0], [84.0], "right"),
        ([90.0, 92.0], [20.0, 21.0], "left"),
        ([47.5, 47.5], [78.0], "right"),
        ([], [78.0, 79.0], None),
        ([], [], None),
        ([50.0], [], None),
    ],
)
def test_scale_of_a_panel(ours, published, margin):
    scale = scale_of(ours, published)
    assert all(scale.low < value < scale.high for value in ours)
    if margin is None:
        assert scale.margin is None
        assert all(scale.low < value < scale.high for value in published)
    else:
        side = "right" if scale.margin[0] == scale.high else "left"
        assert side == margin
        assert scale.high - scale.low < 8


def test_diverged_seeds_are_crosses_at_the_edge_with_their_number(study):
    scores = scores_of(study)
    worst = (scores["cell"] == "doc-sentences") & (scores["task"] == "sst2")
    some = worst & (scores["pretraining_seed"] == 1)
    scores.loc[some, ["value", "diverged"]] = [3.0, True]
    axes = figure_of(study, "table2", scores).axes[3]
    ((x, y),) = marks(axes, style.DIVERGED)
    low, high = axes.get_xlim()
    assert y == 3
    assert low < x < low + 0.05 * (high - low)
    assert "2" in [text.get_text() for text in axes.texts]
    assert low > 40
    scores.loc[worst, ["value", "diverged"]] = [np.nan, True]
    axes = figure_of(study, "table2", scores).axes[3]
    assert "all" in [text.get_text() for text in axes.texts]
    assert [y for _, y in marks(axes, style.MEDIAN)] == [0, 1, 2]


def test_nothing_but_failures_still_gives_a_figure(study):
    scores = scores_of(study).assign(value=np.nan, diverged=True)
    png, pdf = style.figure_files(figure_of(study, "table2", scores))
    assert min(len(png), len(pdf)) > 1000


def test_two_renderings_are_equal_bytes_and_hold_no_dates(study):
    def render():
        table_command.main(arguments("two/table2.png", "table2"))
        curves.main(arguments("two/curves.pdf"))
        return {path.name: path.read_bytes() for path in Path("two").iterdir()}

    first = render()
    assert sorted(first) == ["curves.pdf", "curves.png", "table2.pdf", "table2.png"]
    assert render() == first
    for name, data in first.items():
        assert not re.search(rb"CreationDate|Matplotlib v|tEXt", data), name
        if name.endswith(".pdf"):
            assert b"/FontFile2" in data, "TrueType fonts are embedded"
            assert b"/Type3" not in data


def test_a_users_matplotlibrc_changes_nothing(study, tmp_path, monkeypatch):
    import matplotlib

    def render():
        return style.figure_files(figure_of(study, "table2", scores_of(study)))

    first = render()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "pdf.fonttype": 3}):
        assert render() == first


def test_curves_are_losses_over_tokens_per_table(study):
    frame = read_curves(study)
    run = frame[(frame["cell"] == "segment-pair") & (frame["pretraining_seed"] == 0)]
    assert list(run["tokens"]) == [10 * 512, 20 * 512]
    assert list(run["heldout_loss"]) == [5.0, 4.0]
    groups = study.cells_of_tables()
    assert groups["table1"] == ["static-segment-pair", "segment-pair"]
    assert groups["table2_extended"] == study.table_cells("table2_extended")
    assert not {"table3", "table4"} - groups.keys()
    assert not {"table6", "table_grammar"} & groups.keys()  # of cells that others show
    figure = curves_figure(frame, groups, "Scale smoke")
    shown = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert shown == list(groups)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "tokens seen (thousands)"
    assert names_in(axes) == groups["table1"]
    # Three seeds thin, their median with a marker: here the seed in the middle.
    thick = next(line for line in axes.lines if line.get_marker() == "s")
    assert thick.get_ydata().tolist() == pytest.approx([4.9, 3.9])
    looks = [
        (line.get_linestyle(), line.get_marker())
        for line in axes.lines
        if len(line.get_xdata()) == 2
    ]
    assert len({look for look in looks if look[1] != "None"}) == 2


@pytest.mark.parametrize("point", [[1], ["a", "b"], 5, [1, "x"], [True, 2.0]])
def test_a_curve_with_other_points_is_refused(own_study, point):
    job = own_study.jobs.pretrain("doc-sentences", 0)
    figures = load_manifest(job.path).figures
    publish_manifest(job.path, job.recipe, files=[], figures={**figures, "curve": [point]})
    with pytest.raises(StudyError, match=r"field figures\.curve: .*, expected a step and a loss"):
        read_curves(own_study)


def test_diverged_pretrainings_are_crosses_and_named(own_study):
    jobs = [own_study.jobs.pretrain("doc-sentences", seed) for seed in (0, 1, 2)]
    results_toy.write_pretrain(jobs[0], [5.0], diverged=7)
    lost = [own_study.jobs.pretrain("sentence-pair", seed) for seed in (0, 1, 2)]
    for job in lost:
        results_toy.write_pretrain(job, [], diverged=3)
    figure = curves_figure(read_curves(own_study), own_study.cells_of_tables(), "Scale smoke")
    axes = figure.axes[1]
    assert "doc-sentences (1 of 3 diverged)" in names_in(axes)
    assert "sentence-pair (3 of 3 diverged): no finite loss" in names_in(axes)
    assert len(marks(axes, style.DIVERGED)) == 1 + 3
    assert "crosses: diverged" in told(figure)
    results_toy.write_pretrain(jobs[1], [None, None])
    style.figure_files(curves_figure(read_curves(own_study), own_study.cells_of_tables(), ""))


def rates():
    values = {1e-4: [5.0, 5.2, None], 3e-4: [4.0, 4.4, 9.0], 1e-3: [4.5, None, None]}
    return pd.DataFrame(
        {
            "family": "batch-256",
            "learning_rate": rate,
            "cell": f"batch-256-lr-{rate:g}",
            "pretraining_seed": seed,
            "selected": rate == 3e-4,
            "heldout_perplexity": value,
        }
        for rate, seeds in values.items()
        for seed, value in enumerate(seeds)
    )


def test_learning_rates_show_seeds_medians_and_the_winner():
    figure = learning_rate_figure(rates(), "Scale smoke")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "batch-256"
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1e-4", "3e-4", "1e-3"]
    assert marks(axes, learning_rate.WINNER) == [(3e-4, 4.4)]
    assert marks(axes, style.DIVERGED) == [(1e-4, 1.0), (1e-3, 1.0)]
    line = next(line for line in axes.lines if line.get_linestyle() == "-")
    # A diverged seed counts as infinite, as in the selection: two of three leave no median.
    assert line.get_ydata().tolist() == pytest.approx([5.2, 4.4, np.nan], nan_ok=True)
    again = learning_rate_figure(rates(), "Scale smoke")
    assert style.figure_files(figure) == style.figure_files(again)


def test_learning_rates_that_all_diverged_or_differ_widely_are_drawn():
    nothing = rates().assign(heldout_perplexity=None)
    style.figure_files(learning_rate_figure(nothing, ""))
    wide = rates()
    wide.loc[0, "heldout_perplexity"] = 900.0
    assert learning_rate_figure(wide, "").axes[0].get_yscale() == "log"


def test_learning_rates_of_the_study_have_a_panel_per_family(study):
    learning_rate.main(arguments("rates/learning_rate.png"))
    assert sorted(path.name for path in Path("rates").iterdir()) == [
        "learning_rate.pdf",
        "learning_rate.png",
    ]
    figure = learning_rate_figure(read_learning_rates(study), "")
    shown = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert shown == list(study.config.families)


def test_learning_rates_that_do_not_fit_are_refused():
    with pytest.raises(StudyError, match="learning rates: no column selected"):
        learning_rate_figure(rates().drop(columns="selected"), "")
    with pytest.raises(StudyError, match="learning rates: no runs"):
        learning_rate_figure(rates()[:0], "")


@pytest.mark.parametrize(
    "name", ["table1", "table2_extended", "table3", "table4", "table_encoding"]
)
def test_every_table_has_a_figure_of_its_score_columns(study, name):
    table = study.config.tables[name]
    figure = figure_of(study, name, scores_of(study, name))
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == [column.label for column in table.score_columns]
    # Of a family the member that was selected is shown, and no other.
    ours = sum(row.ours for row in table.rows)
    assert len(marks(figure.axes[0], style.REPLICATE)) == 3 * ours
    published = "published" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert published == (table.published is not None)


def test_rates_are_written_as_in_papers():
    assert [rate_text(rate) for rate in (3e-4, 2.5e-5, 0.1)] == ["3e-4", "2.5e-5", "1e-1"]


def test_bad_input_is_one_line_and_leaves_nothing(own_study):
    with pytest.raises(StudyError, match="none: no such table; known: table1, table2, "):
        table_command.main(arguments("f/x.png", "none"))
    with pytest.raises(StudyError, match=r"--output f/x.svg: expected a name that ends in .png"):
        table_command.main(arguments("f/x.svg", "table2"))
    Path(own_study.jobs.finetune("doc-sentences", 0, "sst2").path).unlink()
    with pytest.raises(StudyError, match=r"1 of 60 scores .* -- results/figures/table2.png"):
        table_command.main(arguments("f/x.png", "table2"))
    assert not Path("f").exists()


def test_curves_show_what_is_there_and_name_what_is_not(own_study):
    whole = read_curves(own_study)
    assert unfinished(own_study) == ""
    gone = [own_study.jobs.pretrain("doc-sentences", seed) for seed in (0, 1, 2)]
    gone += [own_study.jobs.pretrain("static-segment-pair", 1)]
    for job in gone:
        Path(job.path).unlink()
    frame = read_curves(own_study)
    assert len(whole) - len(frame) == 2 * len(gone)
    missing = unfinished(own_study)
    assert missing == "static-segment-pair (1 of 3), doc-sentences (3 of 3)"
    figure = curves_figure(frame, own_study.cells_of_tables(), "Scale smoke", missing)
    assert f"Not finished: {missing}." in told(figure)
    assert names_in(figure.axes[1]) == ["segment-pair", "sentence-pair", "full-sentences"]
    # A cell looks as it will once all are there.
    whole_figure = curves_figure(whole, own_study.cells_of_tables(), "Scale smoke")
    looks = [figure.axes[1].get_legend().legend_handles[2] for figure in (figure, whole_figure)]
    assert looks[0].get_marker() == looks[1].get_marker()
    curves.main(arguments("f/curves.png"))
    assert Path("f/curves.pdf").exists()


def test_curves_of_one_table_stand_alone(own_study):
    Path(own_study.jobs.pretrain("static-segment-pair", 1).path).unlink()
    frame, groups = read_curves(own_study, "table1"), own_study.cells_of_tables("table1")
    missing = unfinished(own_study, "table1")
    assert missing == "static-segment-pair (1 of 3)"
    figure = curves_figure(frame, groups, "Scale smoke", missing)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [""]
    assert names_in(figure.axes[0]) == ["static-segment-pair", "segment-pair"]
    assert set(frame["cell"]) == {"static-segment-pair", "segment-pair"}
    curves.main(["table1", *arguments("f/curves/table1.png")])
    assert Path("f/curves/table1.pdf").exists()
    for table in ("table9", "table11"):
        with pytest.raises(StudyError, match=f"{table}: no such table; known: table1, table2"):
            curves.main([table, *arguments("f/curves/x.png")])


def test_a_run_whose_text_is_due_again_is_no_finished_one(own_study):
    Path(own_study.jobs.store_of("byte-level").path).unlink()
    assert "byte-level (3 of 3)" in unfinished(own_study)


def test_without_any_pretraining_there_are_no_curves(own_study):
    for job in own_study.pretrain_jobs():
        Path(job.path).unlink()
    with pytest.raises(
        StudyError, match="no pre-training is finished; some are made by: snakemake"
    ):
        curves.main(arguments("f/x.png"))
    with pytest.raises(StudyError, match=r"no family is finished; one is made by: .*/selections/"):
        learning_rate.main(arguments("f/x.png"))
    assert not Path("f").exists()


def test_learning_rates_show_the_families_that_are_finished(own_study):
    Path(own_study.jobs.selection("batch-2k").path).unlink()
    learning_rate.main(arguments("f/x.png"))
    frame = read_learning_rates(own_study, ["batch-256", "batch-8k"])
    figure = learning_rate_figure(frame, "Scale smoke", "batch-2k")
    shown = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert shown == ["batch-256", "batch-8k"]
    assert "Not finished: batch-2k." in told(figure)


def test_figures_have_the_size_at_which_they_are_printed(study):
    """5.5 inches wide, text of 8 points, nothing cut off, no title but of panels."""
    frame, groups = read_curves(study), study.cells_of_tables()
    figures = [
        *(figure_of(study, name, scores_of(study, name)) for name in ("table1", "table3")),
        curves_figure(frame, groups, "Scale smoke"),
        curves_figure(frame, study.cells_of_tables("table1"), "Scale smoke"),
        learning_rate_figure(read_learning_rates(study), "Scale smoke"),
        claims_figure(claims_of(), {}, "Scale smoke"),
    ]
    for figure in figures:
        png, _ = style.figure_files(figure)
        assert figure.get_figwidth() == 5.5
        assert int.from_bytes(png[16:20], "big") == 5.5 * 200  # the width in PNG's header
        assert figure.get_suptitle() == ""
        texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
        assert {text.get_fontsize() for text in texts} == {8}
        drawn, room = figure.get_tightbbox(), 0.02
        assert -room <= drawn.x0 and drawn.x1 <= 5.5 + room
        assert -room <= drawn.y0 and drawn.y1 <= figure.get_figheight() + room


INF = np.inf  # more replicates than are counted


def claims_of():
    """Lines of `analysis.claims`: two claims in points, one in nats, one without a verdict."""

    def line(claim, table, kind, rows, difference, verdict, **more):
        low, high = difference - 1.5, difference + 1.5
        return {
            **{"claim": claim, "table": table, "kind": kind, "rows": rows, "column": ""},
            **{"unit": "points", "margin": 1.0, "published": np.nan, "needed": np.nan},
            **{"difference": difference, "low": low, "high": high, "verdict": verdict, **more},
        }

    c03 = line("C03", "table2", "direction", "a > b", 4.0, "replicated", published=2.0)
    return pd.DataFrame(
        [
            c03,
            {**c03, "column": "sst2.accuracy"},
            line("C04", "table2", "at_least", "c >= b", -1.0, "undecided", published=99, needed=12),
            line("C08a", "table3", "direction", "d > e", -2.0, "contradicted", unit="nats"),
            line("C08b", "table3", "direction", "d > g", 1.0, "undecided", unit="nats", needed=INF),
            line("C01", "table1", "equivalent", "f = g", np.nan, "not testable"),
        ]
    )


def test_claims_are_a_forest_plot_by_unit():
    figure = claims_figure(claims_of(), {"table2": {"a": "SEGMENT-PAIR"}}, "Scale smoke")
    points, nats = figure.axes
    assert [text.get_text() for text in points.get_yticklabels()] == [
        "C03  SEGMENT-PAIR > b",
        "C04  c >= b",
    ]
    assert nats.get_xlabel().startswith("difference (nats)")
    assert [text.get_text() for text in points.texts] == ["replicated", "+99", "undecided (12)"]
    assert [text.get_text() for text in nats.texts] == ["contradicted", "undecided (>1000)"]
    intervals = [[*line.get_xdata()] for line in points.lines if len(line.get_xdata()) == 2]
    assert [2.5, 5.5] in intervals and [-2.5, 0.5] in intervals
    assert [-1, 1] in intervals  # the margin of `at_least`
    assert marks(points, style.PUBLISHED) == [(2.0, 0.0)]
    assert "Not drawn, as results/claims.md explains: C01." in told(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["replicated", "contradicted", "undecided", "published", "margin"]


def test_marks_differ_by_more_than_their_colours():
    shapes = [(mark["marker"], mark["mfc"] == "white") for mark in claims.MARKS.values()]
    assert len(set(shapes)) == len(shapes)
    for number in range(13):
        looks = [(look["ls"], look["marker"]) for look in map(curves.look_of, range(number))]
        assert len(set(looks)) == len(looks)


def test_no_testable_claim_leaves_a_figure_that_says_so(study):
    none = claims_of().assign(verdict="not testable")
    figure = claims_figure(none, {}, "Scale smoke")
    assert figure.axes == []
    assert "C03, C04, C08a, C08b, C01" in told(figure)
    style.figure_files(figure)
    claims.main(arguments("claims/claims.png"))
    assert sorted(path.name for path in Path("claims").iterdir()) == ["claims.pdf", "claims.png"]
