"""A page says what results/ hold and what they rest on, and names what it cannot show."""

import json
import re
import shutil
from pathlib import Path

import pytest
import results_toy
from hypothesis import given
from hypothesis import strategies as st

from analysis import hyperparameters, page, table
from analysis.figures import learning_rate
from analysis.figures import table as table_figure
from analysis.gathering import busy_seconds, period_of
from analysis.scaling import scaling_lines, token_share, values_text
from study.errors import StudyError
from study.graph import Study

STUDY = ("--scale", "smoke", "--replicates", "2")
SHOWN = ("table1", "table2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke study with the files of two tables and of Table 9, for tests that read."""
    folder = tmp_path_factory.mktemp("finished")
    results_toy.finish_study(folder, 2, [*SHOWN, "table9"])
    return folder


@pytest.fixture
def study(finished, monkeypatch):
    """The finished study, in the current directory."""
    monkeypatch.chdir(finished)
    return Study("smoke", replicates=2)


@pytest.fixture
def own_study(finished, tmp_path, monkeypatch):
    """A copy that the test may change, in the current directory."""
    shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return Study("smoke", replicates=2)


def make(*arguments, output="results/page.md"):
    page.main([*arguments, *STUDY, "--output", output])
    return Path(output).read_text()


def fields_of(text):
    """The two-column rows of the first table: name -> value."""
    return dict(re.findall(r"^\| (\w+) +\| (.*?) +\|$", text.split("## Time")[0], re.MULTILINE))


def section(text, title):
    return text.split(f"\n## {title}\n\n")[1].split("\n## ")[0]


def test_a_page_says_what_was_run_by_which_code_where_and_when(study):
    text = make(*SHOWN)
    assert text.startswith(
        "# Results at scale smoke\n\nA size for tests; its scores mean nothing. Written from"
    )
    command = "python -m analysis.page table1 table2 --scale smoke --replicates 2 --output "
    assert f"```\n{command}results/page.md\n```" in text
    assert fields_of(text) == {
        "scale": "smoke, of `config/study.yaml`",
        "seeds": "2 pre-training (0, 1), each with 2 fine-tuning (0, 1)",
        "when": "2026-01-01 00:00 to 2026-01-01 00:00 UTC",
        "code": "commit `abc123`, clean (128 runs)",
        "precision": "fp32",
        "machine": "Processor, 2 cores (118 runs); Processor, 2 cores, GPU (10 runs)",
        "versions": "python 3.11.7, torch 2.13.0",
    }


def test_time_adds_up_what_runs_took_each_once(study):
    time = section(make(*SHOWN), "Time")
    # 12.5 s each: 5 cells x 2 seeds on a GPU; 4 cells x 5 tasks and 1 x 3, 4 fine-tunings of each;
    # 7 sources, 3 shards of sentences and of tokens, 2 vocabulary and store, 6 samples, 5 features.
    assert "| pre-training | 10   | 0 s            | 2.08 min |" in time
    assert "| fine-tuning  | 92   | 19.2 min       | 0 s      |" in time
    assert "| text         | 26   | 5.42 min       | 0 s      |" in time
    assert "| together     | 128  | 24.6 min       | 2.08 min |" in time
    assert "- At least one of the runs was at work for 12.5 s, programs still starting not" in time
    assert "do not tell" not in time


def test_a_table_stands_as_in_results_with_the_command_that_makes_it(study):
    text = make(*SHOWN)
    title = "Input formats, with and without next-sentence prediction (Table 2, section 4.2)"
    part = section(text, title)
    made = Path("results/table2.md").read_text().split("\n\n")
    assert made[0] == f"**{title}**"
    assert part.startswith(made[1])
    notes = made[2].splitlines()
    common = section(text, "Notes on all tables").splitlines()
    assert common[0] == "- Scale: smoke (a size for tests; its scores mean nothing)."
    for note in notes:
        assert (note in common) != (note in part)
    assert "The rows' recipes differ in: format.name segment-pair (SEGMENT-PAIR)" in part
    command = "snakemake --cores all --config scale=smoke replicates=2 mirror=DIR"
    assert f"`{command} -- results/table2.csv`\n(114 runs, 22.1 min of processor time" in part


def test_sizes_are_told_beside_the_papers(study):
    rows = section(make(*SHOWN), "What differs from the paper's sizes").splitlines()
    told = {tuple(field.strip() for field in row.strip("|").split("|")) for row in rows[2:]}
    assert told >= {
        ("cells: length", "64", "512"),
        ("cells: steps", "20", "1,000,000"),
        ("cells: masking.copies", "2", "10"),
        ("vocabularies: size", "400", "30,000"),
        ("finetuning: batch", "8; 4", "48; 32; 16"),
    }
    assert not any("weight_decay" in setting for setting, _, _ in told)
    assert scaling_lines(Study("paper"), SHOWN) == []


def test_the_share_of_the_papers_tokens_is_over_all_cells_that_are_shown(study, edit):
    # 20 updates of 8 inputs of 64 tokens, and the paper's 1M of 256 of 512.
    assert token_share(study, ["table1"]) == 10_240 / 131_072_000_000
    assert token_share(study, ["table9"]) is None
    assert token_share(Study("paper"), ["table1"]) is None
    edit("scales/smoke.yaml", "cells.static-segment-pair.steps", 100)
    assert token_share(Study("smoke"), SHOWN) == (10_240 * 4 + 51_200) / (5 * 131_072_000_000)


def test_a_column_that_a_scale_leaves_out_is_no_difference(edit):
    everything = [setting for setting, *_ in scaling_lines(Study("smoke"), ["table1"])]
    edit("scales/smoke.yaml", "left_out", {"squad20": "nothing is learnt"})
    lines = scaling_lines(Study("smoke"), ["table1"])
    assert [setting for setting, *_ in lines] == everything
    assert ("finetuning: batch", "8", "32") in lines


def test_sizes_that_hold_only_here_are_told_beside_those_of_the_study_that_they_are_like(edit):
    Path("mine.yaml").write_text(
        "like: config/study.yaml\nbase: {model: {positions: 64}}\n"
        "cells: {rate-30: {like: segment-pair, masking: {rate: 0.3}}}\n"
        "tables: {mine: {caption: x, columns: [{value: perplexity, label: x}], rows: "
        "[{id: a, label: a, cell: segment-pair}, {id: b, label: b, cell: rate-30}]}}\n"
    )
    mine = Study("smoke", "mine.yaml")
    assert ("cells: length", "64", "512") in scaling_lines(mine, ["mine"])
    assert token_share(mine, ["mine"]) == 10_240 / 131_072_000_000


def test_a_page_of_one_table_keeps_its_notes_and_one_of_recipes_has_no_runs(study):
    alone = make("table2")
    assert "Notes on all tables" not in alone
    assert "- Scale: smoke (" in alone
    recipes = make("table9")
    assert "| Number of layers " in recipes
    assert "## Time" not in recipes
    assert "of processor time" not in recipes


def test_tables_that_are_missing_are_named_with_the_command(study):
    text = make()
    assert "| BERT_BASE " in text
    assert "| Number of layers " in text
    missing = section(text, "Not shown")
    assert missing.startswith("- not made yet: table2_extended, pretraining_effect, ")
    assert " results/table3.csv " in missing
    assert "results/table1.csv" not in missing


@pytest.mark.parametrize("how", ["by hand", "its runs", "its record"])
def test_a_table_that_is_out_of_date_is_named_and_not_shown(own_study, how):
    if how == "by hand":
        file = Path("results/table1.tex")
        file.write_text(file.read_text() + "\n")
    elif how == "its runs":
        job = own_study.jobs.finetune("static-segment-pair", 0, "mnli")
        results_toy.write_finetune(own_study, job, {0: 1.0, 1: 2.0})
    else:
        Path("runs/identity/results/table1.csv.json").unlink()
    text = make(*SHOWN)
    assert "(Table 1, section 4.1)" not in text
    why = "made for another scale, recipe or number of replicates, or changed since"
    assert section(text, "Not shown").startswith(f"- {why}: table1\n")
    assert "(Table 2, section 4.2)" in text


def test_a_scale_is_shown_while_results_hold_another_one(own_study):
    before = make("table9")
    hyperparameters.main(["table9", "--scale", "demo", "--output", "results/table9.csv"])
    assert make("table9") == before


def test_equal_results_give_equal_bytes_and_what_was_there_counts_for_nothing(study):
    first = make()
    Path("results/page.md").write_text("edited by hand")
    assert make() == first
    assert not list(Path("runs/identity/results").glob("page*"))


def test_code_that_was_changed_and_time_that_is_unknown_are_told(own_study):
    jobs = [own_study.jobs.pretrain("doc-sentences", seed) for seed in (0, 1)]
    gone, other = (Path(job.path).with_suffix("") / "provenance.json" for job in jobs)
    gone.unlink()
    facts = json.loads(other.read_text()) | {"code": "def456-dirty", "wall_seconds": 30}
    # Of a training that was interrupted, the seconds of all attempts count.
    facts["training"] |= {"training_seconds": 60, "processes": 4, "resumed_from": 7}
    other.write_text(json.dumps(facts))
    text = make("table2")
    code = fields_of(text)["code"]
    assert code.startswith("commit `abc123`, clean (112 runs); ")
    assert "unknown, outside git (1 runs)" in code
    assert "commit `def456`, with uncommitted changes (1 runs)" in code
    # Six runs of 12.5 s on one device, one of 60 s on four.
    assert re.search(r"\| pre-training +\| 8 +\| 0 s +\| 5.25 min \|", text)
    assert "- 1 runs do not tell how long they took." in text


def test_energy_is_that_of_the_trainings_that_could_read_it(own_study):
    assert "Energy" not in make("table2")
    for seed, (joules, processes) in enumerate([(1.8e6, 4), (3.6e6, 1)]):
        job = own_study.jobs.pretrain("doc-sentences", seed)
        record = Path(job.path).with_suffix("") / "provenance.json"
        facts = json.loads(record.read_text())
        facts["training"] |= {"energy_joules": joules, "processes": processes}
        record.write_text(json.dumps(facts))
    assert "- Energy of GPUs: 3 kWh in the 2 trainings that could read it: " in make("table2")


def test_threads_of_a_run_are_those_that_it_tells(own_study):
    job = own_study.jobs.finetune("doc-sentences", 0, "mnli")
    (folder, *_) = (path.parent for path in Path(job.path).parent.glob("*/metrics.json"))
    record = folder / "provenance.json"
    facts = json.loads(record.read_text())
    facts["execution"]["threads"] = 9
    record.write_text(json.dumps(facts))
    # 80 runs of 12.5 s, one of them with nine threads.
    assert re.search(r"\| fine-tuning +\| 80 +\| 18.3 min +\|", make("table2"))


def test_a_cell_with_seeds_of_its_own_has_them_told(own_study):
    table.main(["table_calibration", *STUDY, "--output", "results/table_calibration.csv"])
    seeds = (
        "2 pre-training (0, 1; of full-sentences-again 100, 101), each with 2 fine-tuning (0, 1)"
    )
    assert fields_of(make("table_calibration"))["seeds"] == seeds


def test_figures_are_linked_where_they_lie_beside(own_study):
    table_figure.main(["table2", *STUDY, "--output", "results/figures/table2.png"])
    learning_rate.main([*STUDY, "--output", "results/figures/learning_rate.png"])
    beside = make("table1", "table2")
    title = "Input formats, with and without next-sentence prediction (Table 2, section 4.2)"
    assert beside.count("![") == 2
    assert f"![{title}](figures/table2.png)" in section(beside, title)
    about = (
        "held-out perplexity over the peak learning rate, and which one was chosen, of the "
        "families that are finished"
    )
    assert f"![{about}](figures/learning_rate.png)" in section(beside, "Figures")
    assert "![" not in make("table2", output="docs/page.md")
    Path("docs/figures").mkdir()
    shutil.copy("results/figures/table2.png", "docs/figures")
    assert make("table2", output="docs/page.md").count("![") == 1
    Path("docs/figures/table2.png").write_bytes(b"of an older study")
    assert "![" not in make("table2", output="docs/page.md")


def test_bad_input_is_one_line_and_leaves_the_page_as_it_was(study):
    make()
    before = Path("results/page.md").read_text()
    for arguments, message in (
        (["tabel2", *STUDY], "tabel2: no such table; known: table1, table2"),
        (["table3", *STUDY], "no table to show; not made yet: table3; to make: snakemake --cores"),
        (["table1", "--scale", "smoke"], "no table to show; made for another scale, recipe or nu"),
        (["table1", *STUDY, "--output", "x.csv"], "--output x.csv: expected a name that ends in"),
    ):
        with pytest.raises(StudyError) as error:
            page.main(arguments)
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)
    assert Path("results/page.md").read_text() == before


def run_at(begin, seconds):
    return {"started": f"2026-01-01T00:{begin:02}:00Z", "wall_seconds": seconds}


def test_busy_seconds_count_each_moment_once():
    runs = [run_at(10, 60), run_at(0, 90.5), run_at(1, 60), run_at(0, None), {"started": None}]
    assert busy_seconds(runs) == 120 + 60
    assert busy_seconds([]) == 0
    assert period_of(runs) == "2026-01-01 00:00 to 2026-01-01 00:11 UTC"
    assert period_of([run_at(0, None)]) is None


@given(st.lists(st.tuples(st.integers(0, 59), st.floats(0, 4000)), min_size=1))
def test_busy_seconds_lie_between_the_longest_run_and_all(spans):
    runs = [run_at(*span) for span in spans]
    seconds = [seconds for _, seconds in spans]
    assert max(seconds) - 1e-3 <= busy_seconds(runs) <= sum(seconds) + 1e-3
    assert busy_seconds(runs) == busy_seconds(runs[::-1])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([32, 32], "32"),
        ([2, None, 3], "2; 3"),
        ([None], "–"),
        ([400, 2000, 3, 4, 5], "3 to 2,000"),
        (list("abcde"), "a; b; c; d; e"),
    ],
)
def test_values_are_listed_or_bounded(values, text):
    assert values_text(values) == text
