"""The claims of the paper, verdicts on them, and what would decide them."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results_toy
import yaml
from project import ROOT
from scipy.stats import ttest_1samp

from analysis import claims as claims_command
from analysis.calibration import CELLS, PAIRS, SPREADS, ours, runs
from analysis.claims_text import decisions
from study.claims import LOWER_IS_BETTER, Claim
from study.errors import StudyError
from study.graph import Study

# Differences of the paper's numbers, the row that is claimed to be better less the other.
TABLE2 = ("squad11.f1", "squad20.f1", "mnli.accuracy", "sst2.accuracy", "race.accuracy")
TABLE4 = ("squad11.f1", "squad20.f1", "mnli.accuracy", "sst2.accuracy")
GLUE = ("mnli.accuracy", "qnli.accuracy", "qqp.accuracy", "rte.accuracy", "sst2.accuracy",
        "mrpc.accuracy", "cola.matthews", "stsb.pearson")  # fmt: skip
TASKS3 = ("mnli.accuracy", "sst2.accuracy")
PUBLISHED = {
    "C01": dict(zip(("squad20.f1", *TASKS3), (2.0, 0.0, -0.3), strict=True)),
    "C02": dict(zip(("squad20.f1", *TASKS3), (0.4, -0.3, 0.4), strict=True)),
    "C03": dict(zip(TABLE2, (1.7, 2.5, 1.1, 0.8, 1.2), strict=True)),
    "C04": dict(zip(TABLE2, (0.2, 1.0, 0.7, -0.2, 1.4), strict=True)),
    "C05": dict(zip(TABLE2, (0.0, 0.4, 0.7, -0.4, 0.6), strict=True)),
    "C06": dict(zip(TABLE2, (0.2, 0.6, 0.0, 0.2, 0.8), strict=True)),
    "C07": dict(zip(TABLE2, (2.1, 3.4, 0.4, -0.1, 1.3), strict=True)),
    "C08a": {"perplexity": -0.31},
    "C08b": {"perplexity": -0.22},
    "C08c": {"perplexity": -0.09},
    "C08c-tasks": dict(zip(TASKS3, (0.6, 0.1), strict=True)),
    "C09a": dict(zip(TASKS3, (0.5, 0.2), strict=True)),
    "C09b": dict(zip(TASKS3, (-0.1, 0.1), strict=True)),
    "C12": dict(zip(TABLE4, (2.7, 5.5, 2.4, 1.6), strict=True)),
    "C12b": dict(zip(TABLE4, (-0.4, -0.5, 0.6, 0.9), strict=True)),
    "C13": dict(zip(TABLE4, (0.4, 0.4, 0.3, 0.3), strict=True)),
    "C13b": dict(zip(GLUE, (0.3, 0.1, 0.1, -1.8, 0.3, 1.2, -0.2, 0.6), strict=True)),
    "C14": dict(zip(TABLE4, (0.4, 1.0, 0.7, 0.5), strict=True)),
    "C14b": dict(zip(GLUE, (0.7, 0.5, 0.2, 0.6, 0.5, -0.3, 1.3, 0.1), strict=True)),
    "C15": dict(zip(TABLE4, (0.2, 0.7, 0.2, 0.3), strict=True)),
    "C15b": dict(zip(GLUE, (0.2, 0.2, 0.0, 3.3, 0.3, -0.2, 0.6, 0.1), strict=True)),
    "C16a": dict(zip(TABLE4, (-0.1, -0.1, 0.2, 0.5), strict=True)),
    "C16b": dict(zip(TABLE4, (0.1, 0.6, 0.4, 0.8), strict=True)),
    "C17a": dict(zip(GLUE, (3.6, 2.4, 0.9, 16.2, 3.2, 2.9, 7.4, 2.4), strict=True)),
    "C17b": dict(zip(GLUE, (0.4, 0.8, 0.4, 2.8, 0.8, 1.7, 4.4, 0.6), strict=True)),
    "C18": {"mnli.accuracy": 0.6, "mnli.mm_accuracy": 0.4, "qnli.accuracy": 0.3,
            "rte.accuracy": 1.9, "stsb.pearson": 0.6},
    "C19": {"squad11.em": -0.1, "squad11.f1": 0.1},
    "C20": {"squad20.em": 0.4, "squad20.f1": 0.6},
    "C21a": {"squad20.em": 0.5, "squad20.f1": 0.7},
    "C21b": {"squad20.em": 0.2, "squad20.f1": 0.1},
    "C22": {"race.accuracy": 1.5, "race.middle": 1.1, "race.high": 1.1},
    "C23": dict(zip(GLUE, (2.6, 1.9, 0.3, 7.9, 1.6, 0.7, 4.4, 1.2), strict=True)),
    "C24": {"rte_from_mnli.accuracy": 4.37, "mrpc_from_mnli.accuracy": 0.52,
            "stsb_from_mnli.pearson": 0.23},
    "C25c": {"perplexity": -0.01},
    "C25c-mnli": {"mnli.accuracy": 0.4},
}  # fmt: skip
ORDERED = {
    "C10": ("learning_rate", [1e-3, 7e-4, 1e-4]),
    "C25a": ("perplexity", [3.51, 3.59, 3.68]),
    "C25b": ("perplexity", [3.5, 3.6, 3.77]),
    "C25a-mnli": ("mnli.accuracy", [85.4, 85.3, 85.2]),
    "C25b-mnli": ("mnli.accuracy", [85.8, 85.3, 84.4]),
}
WITHOUT_NUMBERS = ("C11", "C26", "C27")


def test_every_claim_of_the_paper_is_there_with_its_published_differences():
    study = Study("paper")
    claims = study.config.claims
    assert {*PUBLISHED, *ORDERED, *WITHOUT_NUMBERS} <= set(claims)
    for name, expected in PUBLISHED.items():
        claim = claims[name]
        printed = study.published(claim.table)
        for column, other in zip(claim.columns, claim.against or claim.columns, strict=True):
            found = printed[claim.rows[0]][column] - printed[claim.rows[-1]][other]
            assert found == pytest.approx(expected[column]), (name, column)
        assert set(expected) == set(claim.columns)
    for name, (column, numbers) in ORDERED.items():
        printed = study.published(claims[name].table)
        assert [printed[row][column] for row in claims[name].rows] == numbers
        better = min if column in LOWER_IS_BETTER else max
        assert numbers[0] == better(numbers)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Makes a finished study with so many replicates; every cell's models are better than those
    of the cell before it by a multiple of the replicates' number.
    """
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def make(replicates: int, table: str | None = None, **changes: str) -> pd.DataFrame:
        for old, new in changes.items():
            path = tmp_path / "config/scales/smoke.yaml"
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))
        study = Study("smoke", replicates=replicates)
        results_toy.write_study(study)
        words = ["--scale", "smoke", "--replicates", str(replicates)]
        words = [table, *words] if table else words
        output = f"results/claims/{table}.csv" if table else "results/claims.csv"
        claims_command.main([*words, "--output", output])
        return pd.read_csv(output, keep_default_na=False).set_index(["claim", "column"])

    return make


def test_one_replicate_gives_no_verdict(toy):
    frame = toy(1, "table2")
    assert set(frame["verdict"]) == {"not testable"}
    assert frame.loc[("C03", ""), "reason"].startswith("one replicate: ")
    assert "BERT_BASE is published" in frame.loc[("C07", ""), "reason"]


def test_replicates_before_the_first_look_give_none(toy):
    frame = toy(2, "table2", **{"looks: [2]": "looks: [3, 6]"})
    said = "2 replicates; verdicts are planned at 3, 6"
    assert frame.loc[("C03", ""), "reason"] == said


def test_verdicts_of_table2(toy):
    """Three replicates of each cell, one point apart, the format of documents 12 points above that
    of segments: t = 12 / sqrt(2 / 3) with 4 degrees of freedom; four claims.
    """
    frame = toy(3, "table2", **{"looks: [2]": "looks: [3]"})
    line = frame.loc[("C04", "")]
    assert line["rows"] == "doc_sentences >= segment_pair"
    assert (line["replicates"], line["verdict"], line["unit"]) == ("3", "replicated", "points")
    assert float(line["difference"]) == 12
    half = 2.776445 * math.sqrt(2 / 3)
    assert float(line["low"]) == pytest.approx(12 - half, abs=1e-4)
    assert float(line["published"]) == pytest.approx((0.2 + 1.0 + 0.7 - 0.2 + 1.4) / 5)
    assert (float(line["effect"]), float(line["wins"])) == (12, 1)
    assert float(line["p_permutation"]) == pytest.approx(0.1)
    assert frame.loc[("C03", ""), "verdict"] == "contradicted"
    assert list(frame.loc["C04"].index) == ["", *TABLE2]
    assert frame.loc[("C04", "race.accuracy"), "published"] == "1.4"
    text = Path("results/claims/table2.md").read_text()
    assert "DOC-SENTENCES >= SEGMENT-PAIR" in text
    assert "| RACE" in text


def test_the_next_look_is_told_with_its_command_and_cost(toy):
    frame = toy(3, "table3", **{"looks: [2]": "looks: [3, 6, 12]"})
    line = frame.loc[("C08c-tasks", "")]
    assert line["verdict"] == "undecided"
    assert float(line["target"]) == 0.5  # the study's margin, for sizes are not the paper's
    assert 3 < float(line["needed_low"]) < float(line["needed"])
    command = "--config scale=smoke replicates=12 mirror=DIR -- results/claims/table3.csv"
    assert line["command"].endswith(command)
    assert float(line["core_hours"]) > 0


def test_learning_rates_are_compared_as_each_replicate_chooses(toy):
    frame = toy(3, "table3", **{"looks: [2]": "looks: [3]"})
    line = frame.loc[("C10", "")]
    assert (line["kind"], line["unit"]) == ("ordering", "nats")
    assert float(line["published"]) == pytest.approx(math.log(1e-3 / 7e-4), abs=1e-5)
    perplexity = frame.loc[("C08a", "")]
    assert float(perplexity["published"]) == pytest.approx(math.log(3.99 / 3.68), abs=1e-5)


def test_a_table_of_which_nothing_is_published_has_verdicts_too(toy):
    frame = toy(2, "table_calibration")
    assert list(frame.loc["A-A"].index) == ["", *TABLE2]
    assert set(frame["published"]) == {""}
    assert set(frame["replicates"]) == {2}
    # The toy's cells differ by points: here the second one is better than the first.
    assert frame.loc[("A-A", ""), "verdict"] == "contradicted"


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        ((6, 4, 16), "a difference of 2 points shows with about 6 replicates (4 to 16)"),
        ((31, 15, math.inf), "a difference of 2 points shows with about 31 replicates (15 to over"),
        ((math.inf, math.inf, math.inf), "shows with more than 1000 replicates; no planned look"),
        ((math.nan, math.nan, math.nan), "C1: nothing tells how many replicates would decide it;"),
    ],
)
def test_what_would_decide_a_claim_is_told_in_words(needed, said):
    line = {"claim": "C1", "verdict": "undecided", "column": "", "kind": "direction", "target": 2.0}
    counts = dict(zip(("needed", "needed_low", "needed_high"), needed, strict=True))
    (told,) = decisions(pd.DataFrame([{**line, "unit": "points", "command": math.nan, **counts}]))
    assert said in told


def test_all_claims_are_in_one_file(toy):
    frame = toy(1)
    claims = [name for name, column in frame.index if not column]
    assert set(claims) == set(Study("smoke").config.claims)
    assert len(claims) == len(set(claims))
    assert set(frame["verdict"]) == {"not testable"}
    assert frame.loc[("C27", ""), "reason"].startswith("arithmetic")


def test_what_a_study_does_not_have_it_does_not_claim(toy):
    path = Path("config/paper/claims.yaml")
    text = path.read_text().replace("table: table3_extended", "table: table33")
    text = text.replace("rows: [dynamic, static]", "rows: [dynamik, static]")
    path.write_text(text.replace("columns: [squad11.em, squad11.f1]", "columns: [squad12.em]"))
    frame = toy(2)
    reasons = frame["reason"].xs("", level="column")
    assert reasons["C25a"] == "no table table33, did you mean table3?"
    assert reasons["C02"] == "table1 has no row dynamik, did you mean dynamic?"
    assert reasons["C19"] == "table6 has no column squad12.em, did you mean squad20.em?"
    assert frame.loc[("C04", ""), "verdict"] != "not testable"


def test_published_numbers_are_compared_where_sizes_are_the_papers(toy):
    """Without a scale `paper` beside it, this scale's sizes are the paper's."""
    Path("config/scales/paper.yaml").unlink()
    own = {
        "value": {"rows": ["dynamic"], "columns": ["mnli.accuracy"]},
        "direction": {"rows": ["dynamic", "reference"], "columns": ["mnli.accuracy"]},
        "ordering": {"rows": ["dynamic", "static", "reference"], "columns": ["sst2.accuracy"]},
    }
    common = {"statement": "s", "where": "w", "table": "table1"}
    claims = {f"own-{kind}": {**common, "kind": kind, **rest} for kind, rest in own.items()}
    gap = {**common, "table": "table2", "kind": "direction", "columns": ["squad11.f1"]}
    claims["own-gap"] = {**gap, "rows": ["full_sentences", "xlnet_base_k7"]}
    Path("config/paper/claims.yaml").write_text(json.dumps({"claims": claims}))
    frame = toy(3, **{"looks: [2]": "looks: [3]"}).xs("", level="column")
    reference = frame.loc["own-direction"]
    values = [float(reference["difference"]) + 84.3 + step for step in (-1, 0, 1)]
    assert float(reference["p"]) == pytest.approx(ttest_1samp(values, 84.3).pvalue, abs=1e-5)
    assert reference["verdict"] == "contradicted"
    assert frame.loc["own-value", "verdict"] == "contradicted"
    assert float(frame.loc["own-value", "published"]) == 84.0
    ordering = frame.loc["own-ordering"]
    assert (ordering["verdict"], ordering["p_permutation"], ordering["reason"]) == (
        "contradicted", "", ""
    )  # fmt: skip
    assert frame.loc["own-gap", "reason"] == "XLNet_BASE (K=7) has no published squad11.f1"


def test_the_example_of_the_docs_is_a_claim():
    text = (ROOT / "docs/verdicts.md").read_text().split("```yaml\n")[1].split("```")[0]
    study = Study("demo").config
    for claim in yaml.safe_load(text)["claims"].values():
        assert Claim.model_validate(claim).lacking(study.tables) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": ["a"]}, "kind direction compares 2, found 1"),
        ({"rows": ["a", "a"]}, "the same row twice"),
        ({"kind": None}, "expected kind, table, rows and columns"),
        ({"not_testable": "so"}, "not_testable: expected no kind"),
        ({"margin": 1.0}, "reason: why this margin"),
        ({"against": ["x", "y"]}, "kind direction compares 1"),
    ],
)
def test_half_a_claim_is_refused(change, said):
    whole = {"statement": "s", "where": "w", "kind": "direction", "table": "t",
             "rows": ["a", "b"], "columns": ["c"]}  # fmt: skip
    Claim.model_validate(whole)
    with pytest.raises(ValueError, match=said):
        Claim.model_validate({**whole, **change})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("columns: [perplexity]", "columns: [perplexity, sst2.accuracy]", "claims.C08a.columns: a"),
        (
            "columns: [perplexity]",
            "columns: [batch]",
            "claims.C08a.columns: batch: replicates do not",
        ),
        ("rows: [roberta, bert_large]", "rows: [ensemble, bert_large]", "ensemble is an ensemble"),
        ("rows: [static, reference]", "rows: [reference, static]", "only the last row may be"),
    ],
)
def test_a_claim_that_nothing_could_test_is_refused(tmp_path, monkeypatch, old, new, said):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config/paper/claims.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StudyError, match=r"claims\.yaml: ") as raised:
        Study("smoke")
    assert said in str(raised.value)


@pytest.mark.parametrize("spread", SPREADS, ids=lambda spread: spread.name)
def test_false_verdicts_are_as_rare_as_they_say(spread, monkeypatch):
    """400 studies: a rate of 5 % comes out below 8 % with 99.7 % certainty."""
    monkeypatch.setattr("analysis.calibration.STUDIES", 400)
    values = np.median(runs(np.random.default_rng(5), spread, 5, 5), axis=-1)
    assert values.shape == (400, CELLS, 5)
    for rates in ours(values, (5,)):
        assert rates["per_claim"] <= 0.08
        assert rates["per_table"] <= 0.08
    nothing, _ = ours(values, (3, 5))
    assert nothing["per_table"] <= 0.08
    alone, _ = ours(values, (5,), claims=1)
    assert alone["per_claim"] <= 0.08
    assert len(PAIRS) == 4
