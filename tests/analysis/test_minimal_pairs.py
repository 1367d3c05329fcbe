"""Tables of minimal pairs, from hand-written manifests of known figures."""

import contextlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import results_toy
import smoke
from project import ROOT

from analysis import listings, table
from analysis.figures import table as table_figure
from analysis.provenance import build_provenance
from analysis.trace import trace_text
from study.errors import StudyError
from study.graph import Study
from study.manifest import publish_manifest

FINE = ("article", "verb_form")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A finished smoke study with two replicates; minimal pairs as `score` gives them."""
    results_toy.finish_study(tmp_path, replicates=2)
    monkeypatch.chdir(tmp_path)
    study = Study("smoke", replicates=2)
    cells = study.table_cells("table_grammar")
    for job in study.all_minimal_pairs_jobs():
        publish(job, 50.0 + 2 * cells.index(job.names["cell"]) + job.names["seed"])
    return study


def publish(job, accuracy, terms=FINE):
    """`accuracy` on all pairs, one and two points more on the terms."""

    def summary(more):
        value = None if accuracy is None else accuracy + more
        return {"pairs": 10, "accuracy": value, "ties": 0}

    groups = {"linguistics_term": {term: summary(1 + n) for n, term in enumerate(terms)}}
    figures = {**summary(0), "groups": groups, "tokens": 99, "diverged": accuracy is None}
    publish_manifest(job.path, job.recipe, files=[], figures=figures)


def make(command, name):
    output = Path("results") / f"{name}.csv"
    command.main([name, "--scale", "smoke", "--replicates", "2", "--output", str(output)])
    return pd.read_csv(output)


def add_column(name, column, **changes):
    """Put a column into a table of the study file."""

    def change(data):
        data["tables"][name]["columns"].append(column)
        data["tables"][name].update(changes)

    smoke.edit(Path(), "study.yaml", change)
    return Study("smoke", replicates=2)


def test_the_table_has_a_column_for_all_pairs_and_one_for_each_term_of_the_data(study):
    frame = make(table, "table_grammar")
    medians = [name for name in frame.columns if name.endswith(".median")]
    assert medians == ["grammar.median", "grammar.article.median", "grammar.verb_form.median"]
    rows = frame.set_index("row")
    assert rows.loc["static", medians].tolist() == [50.5, 51.5, 52.5]
    assert rows.loc["static", "grammar.min"] == 50.0
    assert rows.loc["static", "grammar.replicates"] == 2
    assert rows.loc["human", "grammar.published"] == 88.6
    assert pd.isna(rows.loc["human", "grammar.article.published"])
    markdown = Path("results/table_grammar.md").read_text()
    header = next(line for line in markdown.splitlines() if "overall" in line)
    assert [part.strip() for part in header.split("|")[2:5]] == ["overall", "article", "verb form"]
    assert "50.5 [50.0, 51.0] / –" in markdown
    assert "over pre-training seeds; after the slash" in markdown
    assert "Minimal pairs (grammar): percent whose grammatical sentence has" in markdown
    assert (
        "each token masked in turn, without fine-tuning; of a word's pieces one is hid" in markdown
    )
    assert "fine-tuning seed" not in markdown
    assert Path("results/table_grammar.tex").read_text().count(r"\midrule") == 2


# How many of BLiMP's paradigms its data count to each term.
PARADIGMS = {
    "anaphor_agreement": 2,
    "argument_structure": 7,
    "binding": 7,
    "control_raising": 5,
    "determiner_noun_agreement": 8,
    "ellipsis": 2,
    "filler_gap_dependency": 7,
    "irregular_forms": 2,
    "island_effects": 8,
    "npi_licensing": 7,
    "quantifiers": 4,
    "s-selection": 2,
    "subject_verb_agreement": 6,
}


def test_published_values_by_term_come_to_those_of_all_pairs(study):
    published = study.published("table_grammar")
    some = {row for row, values in published.items() if "grammar" not in values}
    assert some == {"babylm_opt", "babylm_roberta"}  # printed by term alone, s-selection in another
    for row in some:
        own = {name.removeprefix("grammar.") for name in published[row]}
        assert PARADIGMS.keys() - own == {"argument_structure", "s-selection"}
    by_term = {
        row: values for row, values in published.items() if len(values) > 1 and row not in some
    }
    assert list(by_term) == ["five_gram", "lstm", "transformer_xl", "gpt2_large", "human"]
    for row, values in by_term.items():
        terms = {name.removeprefix("grammar."): value for name, value in values.items()}
        overall = terms.pop("grammar")
        assert terms.keys() == PARADIGMS.keys(), row
        total = sum(terms[term] * count for term, count in PARADIGMS.items())
        assert total / sum(PARADIGMS.values()) == pytest.approx(overall, abs=0.06), row


def test_rows_of_families_show_the_selected_member(study):
    frame = make(table, "table_grammar").set_index("row")
    cells = study.table_cells("table_grammar")
    winner = study.config.families["batch-2k"].cell
    assert frame.loc["batch_2k", "cell"] == winner
    assert frame.loc["batch_2k", "grammar.median"] == 50.5 + 2 * cells.index(winner)


def test_any_table_may_show_them_with_differences(study):
    study = add_column("table2", {"pairs": "grammar", "label": "grammar"}, baseline="segment_pair")
    for number, job in enumerate(study.minimal_pairs_jobs("table2")):
        publish(job, 60.0 + number)
    frame = make(table, "table2").set_index("row")
    assert frame["grammar.median"].tolist()[:4] == [60.5, 62.5, 64.5, 66.5]
    assert frame.loc["doc_sentences", "grammar.difference"] == 6.0
    assert frame.loc["doc_sentences", "grammar.low"] < 6.0
    assert "squad11.f1.median" in frame.columns
    assert "of a word's pieces" in Path("results/table2.md").read_text()


def test_a_column_of_one_group_and_a_group_that_the_data_lack(study):
    column = {"pairs": "grammar", "by": "linguistics_term", "label": "form", "group": "verb_form"}
    study = add_column("table1", column)
    frame = make(table, "table1").set_index("row")
    assert frame.loc["dynamic", "grammar.verb_form.median"] > 50
    for job in study.minimal_pairs_jobs("table1"):
        publish(job, 60.0, terms=["article"])
    told = (
        "tables.table1.columns.grammar.verb_form: the pairs have no linguistics_term verb_form; "
        "known: article"
    )
    with pytest.raises(StudyError) as error:
        make(table, "table1")
    assert str(error.value) == told


def test_pairs_without_groups_show_the_accuracy_alone(study):
    for job in study.all_minimal_pairs_jobs():
        publish_manifest(
            job.path,
            job.recipe,
            files=[],
            figures={"pairs": 3, "accuracy": 60.0, "ties": 0, "groups": {}, "diverged": False},
        )
    medians = [name for name in make(table, "table_grammar").columns if name.endswith(".median")]
    assert medians == ["grammar.median"]


def test_a_diverged_model_counts_as_the_worst(study):
    publish(study.jobs.minimal_pairs("doc-sentences", 1, "grammar"), None)
    frame = make(table, "table_grammar").set_index("row")
    assert frame.loc["doc_sentences", "grammar.diverged"] == 1
    assert pd.isna(frame.loc["doc_sentences", "grammar.median"])


def test_the_listing_has_a_line_per_pretraining_and_group(study):
    frame = make(listings, "minimal_pairs")
    one = frame[(frame["cell"] == "doc-sentences") & (frame["pretraining_seed"] == 0)]
    assert one["group"].fillna("").tolist() == ["", *FINE]
    first = one["accuracy"].iloc[0]
    assert one["accuracy"].tolist() == [first, first + 1, first + 2]
    assert one["key"].unique().tolist() == [
        study.jobs.minimal_pairs("doc-sentences", 0, "grammar").key
    ]


def test_scores_of_another_recipe_are_refused(study):
    Path(study.jobs.minimal_pairs("doc-sentences", 1, "grammar").path).unlink()
    with pytest.raises(StudyError, match="minimal_pairs/doc-sentences/seed-1/grammar"):
        make(table, "table_grammar")


def test_figure_and_provenance_know_them(study):
    arguments = ["table_grammar", "--scale", "smoke", "--replicates", "2", "--output", "x.png"]
    table_figure.main(arguments)
    assert Path("x.pdf").stat().st_size > 10_000
    record = build_provenance(study, ["table_grammar"])
    entry = record["tables"]["table_grammar"]["static"]["grammar.article"]
    jobs = [study.jobs.minimal_pairs("static-segment-pair", seed, "grammar") for seed in (0, 1)]
    assert entry["minimal_pairs"] == [job.key for job in jobs]
    text = trace_text(record, "table_grammar", "static", "grammar.article")
    assert "minimal_pairs runs/smoke/minimal_pairs/static-segment-pair/seed-1/grammar" in text


FAULTS = [
    ({"pairs": "gramar", "label": "x"}, "gramar"),
    ({"pairs": "grammar", "group": "article", "label": "x"}, "or pairs (by, group)"),
    ({"pairs": "grammar", "value": "steps", "label": "x"}, "or pairs (by, group)"),
    ({"pairs": "grammar", "by": "term", "label": "x"}, "by: "),
    ({"pairs": "grammar", "ensemble_task": "mnli", "label": "x"}, "ensemble_task needs a task"),
]


@pytest.mark.parametrize(("column", "told"), FAULTS)
def test_a_column_that_cannot_be_is_one_line(tmp_path, monkeypatch, column, told):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError) as error:
        add_column("table2", column)
    assert told in str(error.value)
    assert str(error.value).startswith("config/study/tables.yaml: tables.table2.columns")
    assert "\n" not in str(error.value)


def test_ensembles_have_no_minimal_pairs(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="minimal pairs have no ensemble"):
        add_column("table5", {"pairs": "grammar", "label": "x"})


def test_pairs_of_ones_own_are_a_set_of_the_study(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    row = {"sentence_good": "A cat.", "sentence_bad": "An cat."}
    (tmp_path / "mine" / "train.jsonl").write_text(json.dumps(row) + "\n")

    def change(data):
        data["minimal_pairs"]["mine"] = {
            "source": {"folder": "mine"},
            "splits": ["train"],
            "within_words": "left-to-right",
        }
        data["tables"]["table2"]["columns"].append({"pairs": "mine", "label": "mine"})

    smoke.edit(Path(), "study.yaml", change)
    study = Study("smoke")
    job = study.jobs.minimal_pairs("doc-sentences", 0, "mine")
    assert job.recipe["within_words"] == "left-to-right"
    assert list(job.inputs["source"][0].recipe["files"]) == ["train"]
    other = Study("smoke").jobs.minimal_pairs("doc-sentences", 0, "grammar")
    assert job.recipe["pretrain"] == other.recipe["pretrain"]
    with contextlib.suppress(StudyError):
        study.jobs.minimal_pairs("byte-level", 0, "mine")
        raise AssertionError("no table shows it")
