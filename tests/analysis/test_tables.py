"""Values, families and hyperparameters in tables, from manifests of known figures."""

import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import smoke
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from analysis import hyperparameters, listings, table
from analysis.figures import table as table_figure
from analysis.provenance import build_provenance
from analysis.trace import trace_text
from model.stages import selection
from model.stages.selection import choose
from study.errors import StudyError
from study.graph import Study
from study.manifest import publish_manifest

CORPUS = {
    **{"documents": 5, "sentences": 50, "words": 1000, "characters": 6000, "bytes": 6144},
    **{"tokens": 1300, "unknown_tokens": 13, "empty_sentences": 0},
}
HELDOUT = {**CORPUS, "tokens": 650, "bytes": 3072}


def publish(job, figures):
    Path(job.path).parent.joinpath(job.key).mkdir(parents=True, exist_ok=True)
    publish_manifest(job.path, job.recipe, files=[], figures=figures)


def pretrain_figures(loss):
    perplexity = None if loss is None else math.exp(loss)
    return {
        **{"heldout_loss": loss, "heldout_perplexity": perplexity, "heldout_nsp_loss": None},
        "heldout_nsp_accuracy": None if loss is None else 100 - 10 * loss,
        "heldout_nsp_majority": 52.5,
        **{"corpora": {"wiki": {"loss": loss, "perplexity": perplexity}}, "curve": []},
        **{"steps": 20, "diverged": 3 if loss is None else None, "epochs": 8.25},
        **{"parameters": 123456, "tokens": 1000, "masked": 150, "samples": 10},
    }


def samples_figures(shown=1000, follows=50):
    """Of a pair format: `shown` of 1,000 tokens, `follows` of 100 pairs labelled NEXT."""
    counts = {"samples": 100, "next": follows, "store_tokens": 1000, "shown_tokens": shown}
    return {"train": counts, "heldout": counts}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A smoke study with three replicates: losses are 2, lower by 0.1 per letter of `lr` cells."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    study = Study("smoke", replicates=3)
    for job in study.jobs.values():
        if job.stage == "store":
            names = list(dict.fromkeys(job.recipe["corpora"]))
            split = {"train": CORPUS, "heldout": HELDOUT}
            figures = {key: dict.fromkeys(names, value) for key, value in split.items()}
            publish(job, {"corpora": names, "dtype": "uint16", "unigram_entropy": 6.0, **figures})
        elif job.stage == "vocabulary":
            publish(job, {"size": 400})
        elif job.stage == "samples":
            publish(job, samples_figures())
        elif job.stage == "pretrain":
            seed = job.names["seed"]
            publish(
                job, pretrain_figures((2.0 if "-lr-" not in job.names["cell"] else 1.5) + seed / 10)
            )
        elif job.stage == "finetune":
            metrics = {
                metric: 50.0
                for metric in study.config.tasks[job.recipe["task"]["name"]].reported_metrics
            }
            score = {"metrics": metrics, "diverged": False, "key": "k"}
            seeds = dict.fromkeys(map(str, job.recipe["seeds"]), score)
            publish(job, {"seeds": seeds})
    for family in study.config.families:
        select(study, family)
    return study


def select(study, family):
    job = study.jobs.selection(family)
    shutil.rmtree(Path(job.path).parent, ignore_errors=True)
    manifests = ["--pretrain", *job.input_paths["pretrain"]]
    selection.main(["--recipe", job.recipe_json, "--manifest", job.path, *manifests])


def make(command, *name):
    output = Path("results") / f"{(*name, 'x')[0]}.csv"
    command.main([*name, "--scale", "smoke", "--replicates", "3", "--output", str(output)])
    markdown = output.with_suffix(".md")
    return pd.read_csv(output), markdown.read_text() if markdown.exists() else ""


def test_table3_shows_the_selected_member_of_each_family(study):
    frame, markdown = make(table, "table3")
    assert list(frame["cell"]) == [
        "full-sentences-lr-0.002",
        "batch-2k-lr-0.001",
        "batch-8k-lr-0.002",
    ]
    first = frame.iloc[0]
    assert (first["batch.value"], first["batch.published"]) == (8, 256)
    assert first["learning_rate.value"] == 0.002
    assert first["perplexity.median"] == pytest.approx(math.exp(1.6))
    assert first["perplexity.min"] == pytest.approx(math.exp(1.5))
    line = "| 8 / 256   | 20 / 1,000,000 | 8.2    | 0.002 / 0.0001 | not yet "
    assert line in markdown
    assert "| 4.95 [4.48, 5.47] / 3.99 |" in markdown
    assert "256: the chosen learning rate is at the edge of its grid (0.001, 0.002)" in markdown
    assert "lowest held-out perplexity" in markdown


def test_a_diverged_grid_point_is_never_selected(study):
    for job in study.pretrain_jobs(["batch-2k-lr-0.001"]):
        publish(job, pretrain_figures(None))
    select(study, "batch-2k")
    frame, _ = make(table, "table3")
    assert frame.iloc[1]["cell"] == "batch-2k"
    rates, _ = make(listings, "learning_rates")
    of_family = rates[rates["family"] == "batch-2k"]
    assert of_family["expected_best_of_1"].isna().all()  # no mean has an infinite perplexity
    other = rates[rates["family"] == "batch-8k"]  # medians over replicates: exp 1.6 and exp 2.1
    low, high = math.exp(1.6), math.exp(2.1)
    assert other["expected_best_of_1"].tolist() == pytest.approx([(low + high) / 2] * 6)
    assert other["expected_best_of_2"].tolist() == pytest.approx([(3 * low + high) / 4] * 6)
    assert of_family["selected"].tolist() == [False] * 3 + [True] * 3
    assert of_family["heldout_perplexity"].isna().tolist() == [True] * 3 + [False] * 3


def test_a_selection_of_another_recipe_is_refused(study):
    Path(study.jobs.selection("batch-2k").path).unlink()
    with pytest.raises(StudyError, match="selections/batch-2k"):
        make(table, "table3")


@pytest.mark.parametrize("winner", ["nonsense", "doc-sentences"])
@pytest.mark.parametrize("command", [table, listings, table_figure])
def test_a_winner_that_is_no_member_is_refused(study, command, winner):
    job = study.jobs.selection("batch-2k")
    publish(job, {"winner": winner})
    output = "x.png" if command is table_figure else "x.csv"
    name = ["learning_rates"] if command is listings else ["table3"]
    arguments = [*name, "--scale", "smoke", "--replicates", "3", "--output", output]
    with pytest.raises(StudyError) as error:
        command.main(arguments)
    told = f"{job.path}: field figures.winner: {winner} is no member of batch-2k; to make it anew"
    assert str(error.value).startswith(told)


def test_selection_refuses_manifests_that_are_not_its_members(study, tmp_path):
    job = study.jobs.selection("batch-2k")
    arguments = ["--recipe", job.recipe_json, "--manifest", str(tmp_path / "x.json"), "--pretrain"]
    with pytest.raises(StudyError, match="no manifest of batch-2k with key"):
        selection.main([*arguments, study.jobs.pretrain("batch-8k", 0).path])


def test_encoding_table_measures_vocabularies(study):
    frame, markdown = make(table, "table_encoding")
    row = frame.iloc[0]
    assert row["vocabulary_size.value"] == 400
    assert row["vocabulary_parameters.value"] == 448 * 32 + 400  # rows in multiples of 64
    assert row["fertility.value"] == pytest.approx(1.3)
    assert row["unknown_rate.value"] == pytest.approx(1.0)
    assert row["bits_per_byte.median"] == pytest.approx(2.1 * 1300 / 6144 / math.log(2))
    assert "| character-level 30K | 400        | 14,736         | 123,456        | 1.30" in markdown
    assert "not comparable" in markdown


def heldout_text(job, books, wiki, nsp=None):
    """A pre-training with these losses on the held-out text of books and wiki, None for no text."""
    losses = {name: loss for name, loss in (("books", books), ("wiki", wiki)) if loss is not None}
    corpora = {name: {"loss": x, "perplexity": math.exp(x)} for name, x in losses.items()}
    publish(job, {**pretrain_figures(1.5), "corpora": corpora, "heldout_nsp_accuracy": nsp})


def test_held_out_text_is_shown_by_corpus_with_intervals(study):
    for name, books in (("full-sentences", 1.0), ("doc-sentences", 0.7), ("segment-pair", 2.0)):
        for seed, job in enumerate(study.pretrain_jobs([name])):
            nsp = 60.0 + seed if name == "segment-pair" else None
            heldout_text(job, books + seed / 10, 2.0, nsp)
    frame, markdown = make(table, "table_heldout")
    rows = frame.set_index("row")
    row = rows.loc["full_sentences"]
    assert row["perplexity.books.median"] == pytest.approx(math.exp(1.1))
    assert row["perplexity.wiki.max"] == pytest.approx(math.exp(2.0))
    assert row["bits_per_byte.median"] == pytest.approx(1.5 * 1300 / 6144 / math.log(2))
    # Means are those of the losses; 2 degrees of freedom, a deviation of 0.1 over three replicates.
    half = 4.302652729911275 * 0.1 / math.sqrt(3)
    means = [row[f"perplexity.books.{name}"] for name in ("mean", "mean_low", "mean_high")]
    assert means == pytest.approx([math.exp(1.1 + sign * half) for sign in (0, -1, 1)])
    difference = rows.loc["doc_sentences", "perplexity.books.difference"]
    assert difference == pytest.approx(-0.3)
    assert rows["nsp_accuracy.median"].notna().tolist() == [True, True, True] + [False] * 5
    assert rows.loc["segment_pair", "nsp_accuracy.mean"] == 61
    # Where the other cells hold no text of books out, there is nothing to show and nothing failed.
    assert rows["perplexity.books.median"].notna().sum() == 3
    assert "failed" not in markdown
    _, means, differences = markdown.split("\n**")
    assert "| 3.00 [2.34, 3.85]" in means
    assert "| -0.300 [-0.527, -0.073]" in differences
    assert "| ln perplexity of books " in differences
    assert "next sentence" in means
    assert "next sentence" not in differences  # the baseline has none
    assert "- Perplexities are compared as held-out losses: their mean is the geo" in markdown
    assert "- Next-sentence accuracy: percent of the evaluated held-out pairs" in markdown
    assert "label reaches 52.5 (segment-pair), 52.5 (sentence-pair). Cells" in markdown
    assert "- Numbers: median [minimum, maximum] over pre-training seeds." in markdown


def test_a_diverged_pretraining_fails_on_every_corpus_and_has_no_interval(study):
    lost = {**pretrain_figures(None), "corpora": {"wiki": {"loss": None, "perplexity": None}}}
    jobs = study.pretrain_jobs(["segment-pair"])
    publish(jobs[0], lost)
    frame, _ = make(table, "table_heldout")
    row = frame.set_index("row").loc["segment_pair"]
    assert row["perplexity.wiki.median"] == pytest.approx(math.exp(2.2))
    assert row["nsp_accuracy.median"] == pytest.approx(78)  # the lower of the two that are left
    assert pd.isna(row["perplexity.wiki.mean"])
    assert pd.isna(row["nsp_accuracy.difference"])
    publish(jobs[1], lost)
    frame, markdown = make(table, "table_heldout")
    assert pd.isna(frame.set_index("row").loc["segment_pair", "perplexity.wiki.median"])
    assert "failed" in next(line for line in markdown.splitlines() if "| SEGMENT-PAIR  " in line)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (
            {"value": "perplexity", "corpus": "book"},
            "config/study/tables.yaml: tables.table3.columns.perplexity.book.corpus: book is not "
            "defined, did you mean books?",
        ),
        (
            {"value": "nsp_accuracy", "corpus": "books"},
            "tables.table3.columns.8: corpus: nsp_accuracy is no value of one corpus",
        ),
        (
            {"task": "mnli", "metric": "accuracy", "corpus": "books"},
            "expected either task and metric, or value (corpus), or pairs (by, group)",
        ),
    ],
)
def test_a_column_of_a_corpus_that_cannot_be_is_one_line(study, column, told):
    def change(data):
        data["tables"]["table3"]["columns"].append({"label": "x", **column})

    smoke.edit(Path(), "study.yaml", change)
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert told in str(error.value)


def test_provenance_leaves_out_what_a_cell_does_not_have(study):
    record = build_provenance(study, ["table_heldout"])
    shown = record["tables"]["table_heldout"]
    columns = ["transition", "perplexity", "perplexity.wiki", "bits_per_byte"]
    assert list(shown["full_sentences"]) == columns
    assert list(shown["segment_pair"]) == [*columns, "nsp_accuracy"]
    text = trace_text(record, "table_heldout", "segment_pair", "nsp_accuracy")
    assert "79 [78, 80], published –" in text
    with pytest.raises(
        StudyError, match="full_sentences: shows no nsp_accuracy; it shows: transition, p"
    ):
        trace_text(record, "table_heldout", "full_sentences", "nsp_accuracy")


def test_table1_says_how_often_the_masks_came_round(study):
    frame, markdown = make(table, "table1")
    assert list(frame["row"]) == ["reference", "static", "dynamic"]
    assert (
        "Static masking (static-segment-pair): 2 fixed masks of every sample over 8.2" in markdown
    )
    latex = Path("results/table1.tex").read_text()
    assert latex.count(r"\midrule") == 2


def test_notes_tell_the_text_that_a_pair_format_does_not_show(study):
    _, markdown = make(table, "table2")
    assert "of the training tokens" not in markdown
    assert "B follows A" not in markdown
    for seed, shown in ((0, 960), (1, 894), (2, 960)):
        publish(study.jobs.samples("segment-pair", seed), samples_figures(shown, follows=30))
    _, markdown = make(table, "table2")
    notes = [line for line in markdown.splitlines() if line.startswith("- segment-pair:")]
    assert notes == [
        "- segment-pair: an epoch shows 89.4 % of the training tokens; the rest is cut off where "
        "two parts are longer than the input. Formats without pairs show all.",
        "- segment-pair: in 30.0 % of the pairs B follows A, not in half of them: so many "
        "documents end after the first part.",
    ]
    _, extended = make(table, "table2_extended")
    # Without next-sentence prediction the labels are not trained on.
    assert "- segment-pair-no-nsp: an epoch shows 89.4 %" in extended
    assert "- segment-pair-no-nsp: in" not in extended


def test_notes_tell_which_corpora_a_perplexity_leaves_out(study):
    _, markdown = make(table, "table3")
    assert "held out, so" not in markdown
    job = study.jobs.store_of("batch-2k")
    counts = {"books": {**HELDOUT, "documents": 0, "tokens": 0}, "wiki": HELDOUT}
    train = {"books": CORPUS, "wiki": CORPUS}
    figures = {"train": train, "heldout": counts, "unigram_entropy": 6.0}
    publish(job, {"corpora": ["books", "wiki"], **figures})
    _, markdown = make(table, "table3")
    assert "- Perplexity: no document of books is held out, so it leaves them out." in markdown


def test_table4_counts_the_data_of_each_row(study):
    frame, _ = make(table, "table4")
    assert frame["gigabytes.value"].tolist()[:4] == pytest.approx([12288e-9] + [30720e-9] * 3)
    assert frame["gigabytes.published"].tolist() == [16, 160, 160, 160, 13, 13, 126]


def test_corpora_and_pretraining_have_a_line_per_corpus_and_run(study):
    found, _ = make(listings, "corpora")
    everything = found[found["data"] == "books+wiki+news+web+stories"]
    assert everything["corpus"].tolist() == ["books", "wiki", "news", "web", "stories"] * 2
    assert (found["fertility"] > 0).all()
    runs, _ = make(listings, "pretraining")
    assert not runs.duplicated(["cell", "pretraining_seed"]).any()
    assert runs.columns[-1] == "key"
    assert runs["heldout_perplexity.wiki"].notna().all()


def test_table9_at_the_papers_scale_is_the_papers(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    hyperparameters.main(["table9", "--scale", "paper", "--output", "results/table9.csv"])
    frame = pd.read_csv("results/table9.csv", dtype=str)
    assert len(frame) == 17
    for column in ("large", "base"):
        for ours, printed in zip(frame[column], frame[f"{column}.published"], strict=True):
            assert ours == printed or float(ours) == float(printed)
    assert " / " not in Path("results/table9.md").read_text().split("\n- ")[0]


def test_table9_follows_the_recipe(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    path = Path("config/study/cells.yaml")
    path.write_text(path.read_text().replace("learning_rate: 6e-4", "learning_rate: 5e-4"))
    hyperparameters.main(["table9", "--scale", "paper", "--output", "results/table9.csv"])
    text = Path("results/table9.md").read_text()
    assert "| Peak learning rate    | 0.0004        | 0.0005 / 0.0006 |" in text
    with pytest.raises(StudyError, match="no such table of hyperparameters; known: table9"):
        hyperparameters.main(["table2", "--scale", "paper", "--output", "x.csv"])


@given(
    st.dictionaries(st.text("abc", min_size=1), st.lists(st.floats(1, 100), min_size=1), min_size=1)
)
def test_the_chosen_member_has_the_lowest_median(perplexities):
    best = pd.Series(perplexities[choose(perplexities)]).median()
    assert all(best <= pd.Series(values).median() for values in perplexities.values())


def test_the_first_stands_for_a_family_whose_members_all_diverged():
    assert choose({"a": [None, 2.0, 3.0], "b": [4.0, 4.0, 4.0]}) == "a"
    assert choose({"a": [None], "b": [None]}) == "a"
    assert choose({"a": [None, None], "b": [None, 5.0], "c": [9.0, None]}) == "b"


def test_a_family_of_which_all_diverged_is_shown_as_failed_and_told(study):
    for cell in study.config.families["batch-2k"].members.values():
        for job in study.pretrain_jobs([cell]):
            publish(job, pretrain_figures(None))
    lost = study.jobs.pretrain("batch-8k", 1)
    publish(lost, pretrain_figures(None))
    for job in study.pretrain_jobs(["batch-8k-lr-0.002"]):
        publish(job, pretrain_figures(None))
    select(study, "batch-2k")
    select(study, "batch-8k")
    frame, markdown = make(table, "table3")
    assert frame["cell"].tolist()[1:] == ["batch-2k", "batch-8k"]
    assert frame["perplexity.median"].isna().tolist() == [False, True, False]
    # Of batch-8k one of three diverged, which counts as the worst: the median is the higher of two.
    assert frame["perplexity.median"][2] == pytest.approx(math.exp(2.2))
    assert frame["perplexity.min"][2] == pytest.approx(math.exp(2.0))
    assert "failed / 3.68" in markdown
    assert "- Pre-trainings that diverged: 2K: 3 of 3; 8K: 1 of 3; each counts" in markdown
    assert "- 2K: too many pre-trainings of every learning rate of the grid diverged" in markdown
    assert "2K: the chosen learning rate is at the edge" not in markdown


def test_selection_keeps_every_members_figures(study):
    job = study.jobs.selection("batch-256")
    figures = json.loads(Path(job.path).read_text())["figures"]
    assert set(figures["heldout_perplexity"]) == {"full-sentences", "full-sentences-lr-0.002"}
    assert all(len(values) == 3 for values in figures["heldout_perplexity"].values())
