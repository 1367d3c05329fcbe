"""The report shows what is finished, for any reader, and names what is missing."""

import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import browser
import pytest
import results_toy
from page_reader import read_page

from analysis import claims, hyperparameters, listings, provenance, table, variance
from analysis.figures import curves
from analysis.figures import table as table_figure
from analysis.report import __main__ as report
from analysis.report.contents import stamp_text
from analysis.report.reading import Field, read_tables, split_field
from study.graph import Study
from study.record import identity_of, is_current

STUDY = ("--scale", "smoke", "--replicates", "2")
REPORT = "results/report.html"
PUBLISHED = "Our median [minimum, maximum]"
COMMAND = "snakemake --cores all --config scale=smoke replicates=2 mirror=DIR --"


def write_stores(study):
    """Token stores whose counts are there for all corpora, as a run has them."""
    counts = dict.fromkeys(listings.COUNTS, 2000) | {"words": 1600, "unknown_tokens": 5}
    for job in study.store_jobs():
        parts = {corpus: counts for corpus in job.recipe["corpora"]}
        figures = {"train": parts, "heldout": parts, "unigram_entropy": 6.0}
        results_toy.write_run(job.path, job.recipe, job.key, figures, {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke study with some of its results, for tests that read."""
    folder = tmp_path_factory.mktemp("finished")
    results_toy.finish_study(folder, replicates=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_stores(Study("smoke", replicates=2))
        for name in ("table1", "table2", "pretraining_effect"):
            table.main([name, *STUDY, "--output", f"results/{name}.csv"])
        hyperparameters.main(["table9", *STUDY, "--output", "results/table9.csv"])
        claims.main(["table2", *STUDY, "--output", "results/claims/table2.csv"])
        listings.main(["corpora", *STUDY, "--output", "results/corpora.csv"])
        table_figure.main(["table2", *STUDY, "--output", "results/figures/table2.png"])
        curves.main([*STUDY, "--output", "results/figures/curves.png"])
        report.main([*STUDY, "--output", REPORT])
    return folder


@pytest.fixture
def html(finished, monkeypatch):
    """The report of that study, in whose folder the test is."""
    monkeypatch.chdir(finished)
    return Path(REPORT).read_text()


@pytest.fixture
def own_study(finished, tmp_path, monkeypatch):
    """A copy that the test may change, in the current directory."""
    shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return Study("smoke", replicates=2)


def test_a_table_stands_as_in_results_beside_what_the_paper_has(html):
    rows = read_page(html).table(PUBLISHED, place=1)
    assert rows[0] == ["", "SQuAD 1.1", "SQuAD 2.0", "MNLI-m", "SST-2", "RACE"]
    assert rows[1][:2] == ["SEGMENT-PAIR", "50.6 [50.0, 51.2] paper 90.4"]
    assert rows[6][:4] == ["XLNet_BASE (K=7)", "", "paper 81.3", "paper 85.8"]
    markdown = Path("results/table2.md").read_text()
    assert "| SEGMENT-PAIR     | 50.6 [50.0, 51.2] / 90.4 |" in markdown


def test_it_says_in_plain_words_what_was_run(html):
    text = " ".join(read_page(html).text.split())
    assert "RoBERTa's ablations at scale smoke A size for tests; its scores mean nothing." in text
    assert "13,000,000 of the paper's pre-training tokens: compares directions only" in text
    # Five cells of Table 2, one with three tasks only of Table 1, all with 2 x 2 seeds.
    assert "12 pre-trainings of 6 cells (ways to pre-train a masked language model) and 112" in text
    assert "112 fine-tunings on 5 tasks stand behind the 4 tables below." in text
    books, wiki = "books (bookcorpus-like/gutenberg)", "wiki (wikimedia/wikipedia)"
    assert f"Pre-training reads {books}, {wiki}." in text
    assert "Seeds: 2 pre-training (0, 1), each with 2" in text
    assert "Cost: " in text and " of GPU time, 2026-01-01 00:00 to 2026-01-01 00:00 UTC." in text
    assert "Energy is not known" in text


def test_means_differences_recipes_and_corpora_have_tables_of_their_own(html):
    page = read_page(html)
    assert (
        page.table("Differences from random initialisation")[0][1:]
        == page.table("Means over replicates")[0][1:]
    )
    assert page.table("Our recipe")[1] == ["Number of layers", "2 paper 24", "1 paper 12"]
    corpora = page.table("Corpora and their tokens")
    assert corpora[0][:4] == ["corpus", "split", "trained with", "vocabulary"]
    assert corpora[1][4:] == ["2,000", "1,600", "2,000", "1.25", "0.250"]


def test_claims_have_their_verdicts_in_words(html):
    page = read_page(html)
    text = " ".join(page.text.split())
    assert "5 claims: 2 replicated, 2 undecided, 1 not testable." in text
    claims = page.table("Claims of the paper")
    assert claims[0] == [
        *("claim", "verdict", "difference", "paper", "replicates", "what would decide it")
    ]
    # Replicates of 50.125 and 51.125 less those of 54.125 and 55.125: t has two degrees of freedom.
    short = claims[1]
    assert short[0].startswith("C03: Single sentences instead of segments hurt")
    assert short[1:5] == ["undecided", "-4.0 [-7.0, -1.0] points", "+1.5", "2"]
    assert short[5].startswith("a difference of 0.5 points shows with about ")
    assert claims[5][1] == "not testable: BERT_BASE is published; sizes here are not the paper's"
    columns = page.table("SEGMENT-PAIR > SENTENCE-PAIR: the mean over the columns")
    assert [row[0] for row in columns[1:]] == [
        *("all columns", "SQuAD 1.1", "SQuAD 2.0", "MNLI-m", "SST-2", "RACE")
    ]
    assert columns[2][1:5] == ["-4.0 [-7.0, -1.0] points", "+1.7", "0.15", "0 %"]
    headings = [text for level, text in page.headings if level == 4]
    assert headings[0] == claims[1][0].removesuffix(" section 4.2, Table 2")


def test_every_number_has_the_command_that_leads_to_its_runs(html, capsys):
    rows = read_page(html).table("Each command prints", place=1)
    assert len(rows) == 1 + 4 * 5
    row, column, number, command = rows[8]
    assert (row, column, number) == ("SENTENCE-PAIR", "MNLI-m", "54.6")
    module = ["python", "-m", "analysis.provenance"]
    words = shlex.split(command)
    assert words[:3] == module
    provenance.main(words[3:])
    assert "runs/smoke/finetune/sentence-pair/seed-1/mnli" in capsys.readouterr().out


def test_what_is_missing_is_named_with_the_command(html):
    text = " ".join(read_page(html).text.split())
    missing = text.split("What is missing")[-1]
    assert "not made yet: table2_extended, " in missing
    assert f"{COMMAND} results/table2_extended.csv " in missing
    assert "results/figures/table1.png" in missing
    assert "results/table2.csv" not in missing and "results/corpora.csv" not in missing


def test_what_is_out_of_date_is_named_and_not_shown(own_study):
    job = own_study.jobs.finetune("segment-pair", 0, "mnli")
    results_toy.write_finetune(own_study, job, {0: 1.0, 1: 2.0})
    report.main([*STUDY, "--output", REPORT])
    page = read_page(Path(REPORT).read_text())
    assert [text for level, text in page.headings if level == 2][2] == (
        "What pre-training is worth (not in the paper)"
    )
    why = "made for another scale, recipe or number of replicates, or changed since: table1, table2"
    assert why in " ".join(page.text.split())


def test_without_any_result_it_says_how_to_make_them(tmp_path, monkeypatch, edit):
    report.main(["--scale", "smoke", "--output", REPORT])
    page = read_page(Path(REPORT).read_text())
    assert "No table whose numbers come from runs is finished yet." in page.text
    assert "not made yet: table1, table2, " in page.text
    assert page.tables == []


def test_it_is_due_when_another_result_is_there_or_changed(own_study):
    assert is_current(REPORT, identity_of(own_study, "report"))
    table.main(["table_masking", *STUDY, "--output", "results/table_masking.csv"])
    assert not is_current(REPORT, identity_of(own_study, "report"))
    report.main([*STUDY, "--output", REPORT])
    first = Path(REPORT).read_bytes()
    assert is_current(REPORT, identity_of(own_study, "report"))
    Path("results/table1.md").write_text("edited by hand")
    assert not is_current(REPORT, identity_of(own_study, "report"))
    table.main(["table1", *STUDY, "--output", "results/table1.csv"])
    assert is_current(REPORT, identity_of(own_study, "report"))
    report.main([*STUDY, "--output", REPORT])
    assert Path(REPORT).read_bytes() == first


def test_where_spread_comes_from_is_shown_where_it_was_asked_for(own_study, monkeypatch):
    assert "Where the spread of table2" not in Path(REPORT).read_text()
    told = "**Where the spread of table2 comes from**\n\n|   | row |\n|---|---|\n| SST-2 | all |\n"
    monkeypatch.setattr(variance, "variance_files", lambda study, name: ("column\nSST-2\n", told))
    variance.main(["table2", *STUDY, "--output", "results/variance/table2.csv"])
    report.main([*STUDY, "--output", REPORT])
    page = read_page(Path(REPORT).read_text())
    assert page.table("Where the spread of table2") == [["", "row"], ["SST-2", "all"]]


def test_a_screen_reader_finds_its_way(html):
    page = read_page(html)
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.tables) >= 10
    assert all(one.caption.strip() for one in page.tables)
    assert all(scope in ("row", "col") for one in page.tables for scope in one.scopes)
    images = [named for tag, named in page.elements if tag == "img"]
    assert len(images) == 2 and all(len(named["alt"]) > 40 for named in images)
    names = page.attributes("id")
    assert len(names) == len(set(names))
    pointed = [name.removeprefix("#") for name in page.attributes("href") if name[0] == "#"]
    assert pointed[0] == "main"
    assert {*pointed, *page.attributes("aria-labelledby")} <= {*names}
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "nav", "main")] == [1, 1, 1]
    boxes = [named for _, named in page.elements if named.get("role") == "region"]
    assert len(boxes) == len(page.tables) and all(box["tabindex"] == "0" for box in boxes)
    assert ":focus-visible" in html and '<html lang="en">' in html


def test_it_holds_all_that_it_shows(html):
    page = read_page(html)
    places = [*page.attributes("src"), *page.attributes("href")]
    assert all(place.startswith(("data:", "#")) for place in places)
    assert "script" not in {tag for tag, _ in page.elements}
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


@pytest.mark.skipif(browser.MISSING, reason="needs Debian's chromium")
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_nothing_is_cut_off_fetched_or_faint(html, tmp_path, width, scheme):
    found = browser.measure(html, width, scheme, tmp_path)
    assert found["width"] <= width and found["beyond"] == []
    assert bool(found["scrolling"]) == (width == 360)
    assert found["fetched"] == []
    assert len(found["images"]) == 2 and all(found["images"])
    assert found["texts"] > 300 and found["faint"] == []
    assert found["ground"] == {"light": [255, 255, 255], "dark": [21, 23, 27]}[scheme]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, ""),
        (1 / 75_851, "1/76,000 of the paper's pre-training tokens: compares directions only"),
        (0.9, "0.9 of the paper's pre-training tokens: compares directions only"),
    ],
)
def test_a_scale_is_stamped_with_what_it_can_say(share, text):
    assert stamp_text(share) == text


@pytest.mark.parametrize(
    ("text", "reference", "field"),
    [
        ("84.3 [83.9, 84.6] / 84.7", False, Field("84.3", "[83.9, 84.6]", "84.7")),
        ("84.3 (1 failed) / –", False, Field("84.3 (1 failed)", "", "")),
        ("failed / 84.7", False, Field("failed", "", "84.7")),
        ("2", False, Field("2")),
        ("84.7", True, Field("", "", "84.7")),
        ("–", True, Field("")),
    ],
)
def test_a_field_is_split_into_ours_and_the_papers(text, reference, field):
    assert split_field(text, reference) == field


def test_markdown_is_read_as_it_was_written():
    text = "**A | B**\n\n|   | x \\| y |\n|---|---|\n| a | 1 |\n\n- a note\n\n"
    text += "**Next**\n\n| q |\n|---|\n"
    first, second = read_tables(text)
    assert (first.caption, first.header, first.rows) == ("A | B", ["", "x | y"], [["a", "1"]])
    assert (first.notes, second.caption, second.header) == (["a note"], "Next", ["q"])
