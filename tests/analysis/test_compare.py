"""Two results folders: what moved, whether beyond noise, which recipes and machines differ."""

import csv
import json
import math
import shutil
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import results_toy
import smoke
from project import ROOT

from analysis import compare, provenance
from study.errors import StudyError
from study.graph import Study
from study.jobs import needed

OPTIONS = ("--scale", "smoke", "--replicates", "5")
TABLES = ("table1", "batch")
# A part of Table 3.
BATCH = {
    "caption": "Batch",
    "columns": [
        *({"value": value, "label": value} for value in ("batch", "steps", "perplexity")),
        {"task": "mnli", "metric": "accuracy", "label": "MNLI"},
        {"task": "sst2", "metric": "accuracy", "label": "SST-2"},
    ],
    "rows": [{"id": "batch_2k", "label": "2K", "family": "batch-2k"}],
}


def make_results(folder, changes=()):
    """`folder`/results/provenance of a finished study, in whose scale some keys are changed."""
    shutil.copytree(ROOT / "config", folder / "config")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        smoke.set_key("study/tables.yaml", ["tables", "batch"], BATCH)
        for keys, value in changes:
            smoke.set_key("scales/smoke.yaml", keys.split("."), value)
        study = Study("smoke", replicates=5)
        jobs = needed(job for table in TABLES for job in study.shown_jobs(table))
        results_toy.write_study(study, jobs)
        for table in TABLES:
            file = f"results/provenance/{table}.json"
            provenance.main([table, *OPTIONS, "--output", file])
    return folder / "results"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The results of one study, six numbers of Table 1 and five of batches; leave as they are."""
    return make_results(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def theirs(ours, tmp_path):
    """A copy of these results, for `change` to alter."""
    return Path(shutil.copytree(ours, tmp_path / "theirs"))


def change(folder, alter):
    """Alter every replicate of ours: `alter(table, row, column, seed, value)` gives its new value.

    Of medians and values without replicates the seed is None.
    """
    for file in (folder / "provenance").iterdir():
        record = json.loads(file.read_text())
        for table, rows in record["tables"].items():
            for row, entries in rows.items():
                for column, entry in entries.items():
                    place, shown = (table, row, column), entry["shown"]
                    if values := entry.get("replicates"):
                        for seed, key in enumerate(values):
                            values[key] = alter(*place, seed, values[key])
                        known = [value for value in values.values() if value is not None]
                        middle = median(known) if known else None
                        perplexity = known and column == "perplexity"
                        shown["median"] = math.exp(middle) if perplexity else middle
                    elif "value" in shown:
                        shown["value"] = alter(*place, None, shown["value"])
        file.write_text(json.dumps(record))


def told(capsys, *arguments):
    """Exit status and text of a comparison."""
    status = 0
    try:
        compare.main([str(argument) for argument in arguments])
    except SystemExit as exit:
        status = exit.code
    return status, capsys.readouterr().out


def section(text, title):
    return text.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def rows_of(text):
    """Numbers in a Markdown table: name -> the other fields."""
    lines = [
        line.strip("|").split("|")
        for line in text.splitlines()
        if line.startswith(("| table", "| batch"))
    ]
    return {name.strip(): [field.strip() for field in fields] for name, *fields in lines}


def test_equal_studies_of_other_thread_counts_are_the_same(ours, theirs, capsys):
    for file in (theirs / "provenance").iterdir():
        record = json.loads(file.read_text())
        for run in record["runs"].values():
            run |= {"threads": 2} if run["stage"] in ("pretrain", "finetune-seed") else {}
        file.write_text(json.dumps(record))
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Recipes") == "The same."
    assert section(text, "Numbers").strip() == "11 in both: 11 equal."
    facts = {line.split("|")[1].strip(): line.split("|")[2:4] for line in text.splitlines()[2:9]}
    assert [field.strip() for field in facts["threads"]] == ["unknown", "2"]
    assert [field.strip() for field in facts["pre-training seeds"]] == ["0, 1, 2, 3, 4"] * 2
    assert "processor" not in facts


def test_numbers_that_moved_by_chance_are_within_noise(ours, theirs, capsys):
    noise = np.random.default_rng(0)
    last_digits = {}

    def alter(table, row, column, seed, value):
        if seed is None:
            return value
        return value + last_digits.setdefault((row, column, seed), noise.normal(0, 0.01))

    change(theirs, alter)
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Numbers").startswith("11 in both: 2 equal, 9 within noise.")
    row = rows_of(text)["batch batch_2k perplexity (nats)"]
    assert row[-1] == "5 / 5, paired"


def test_a_number_that_moved_in_every_replicate_is_beyond_noise(ours, theirs, capsys, tmp_path):
    jitter = [0.0, 0.1, -0.1, 0.05, 0.0]

    def alter(table, row, column, seed, value):
        moved = (table, row, column) == ("table1", "static", "sst2.accuracy")
        return value + 4 + jitter[seed] if moved else value

    change(theirs, alter)
    output = tmp_path / "moved.csv"
    status, text = told(capsys, ours, theirs, "--output", output)
    assert status == 1
    assert section(text, "Recipes") == "The same."
    assert section(text, "Numbers").startswith("11 in both: 10 equal, 1 beyond noise.")
    (row,) = rows_of(text).values()
    # Differences of 4, 4.1, 3.9, 4.05 and 4: their mean 4.01, with Student's interval.
    assert row[2:4] == ["+4.01", "[+3.918, +4.102]"]
    with output.open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 11
    (line,) = [line for line in lines if line["outcome"] == "beyond noise"]
    assert (line["table"], line["row"], line["column"]) == ("table1", "static", "sst2.accuracy")
    assert float(line["difference"]) == pytest.approx(4.01)
    assert line["paired"] == "True"
    assert float(line["p_adjusted"]) < 0.001


def test_changed_recipes_are_named_where_the_change_began(ours, tmp_path, capsys):
    changes = [
        ("cells.static-segment-pair.steps", 30),
        ("vocabularies.character-30k.size", 390),
        ("finetuning.all.sst2", {"epochs": 2}),
    ]
    status, text = told(capsys, ours, make_results(tmp_path, changes))
    assert status == 1
    assert set(section(text, "Recipes").splitlines()) == {
        "- pretrain of static-segment-pair: steps 20 → 30",
        "- vocabulary of character-30k: size 400 → 390",
        "- finetune of batch-2k sst2, segment-pair sst2, static-segment-pair sst2: "
        "settings.epochs 1 → 2",
    }


def test_replicates_of_other_seeds_are_not_paired(ours, theirs, capsys):
    for file in (theirs / "provenance").iterdir():
        record = json.loads(file.read_text())
        names = {key: f"{key[:-1]}x" for key in record["runs"]}
        text = file.read_text()
        for key, name in names.items():
            text = text.replace(key, name)
        file.write_text(text)
    change(theirs, lambda *place: place[-1] if place[-2] is None else place[-1] * 1.001)
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Recipes") == "The same."
    assert rows_of(text)["table1 static sst2.accuracy"][-1] == "5 / 5"


def test_a_study_with_fewer_replicates_is_compared_in_those_that_both_have(ours, theirs, capsys):
    for file in (theirs / "provenance").iterdir():
        record = json.loads(file.read_text())
        for rows in record["tables"].values():
            for entry in (entry for row in rows.values() for entry in row.values()):
                entry["replicates"] = dict([*entry.get("replicates", {}).items()][:3])
        file.write_text(json.dumps(record))
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Numbers").startswith("11 in both: 2 equal, 9 within noise.")
    row = rows_of(text)["table1 static sst2.accuracy"]
    assert row[0] == row[1]
    assert row[2:] == ["+0", "[+0, +0]", "1", "5 / 3, paired"]


def test_a_study_whose_runs_all_failed_is_not_the_same(ours, theirs, capsys):
    change(theirs, lambda *place: place[-1] if place[-2] is None else None)
    status, text = told(capsys, ours, theirs)
    assert status == 1
    assert "beyond noise" in section(text, "Numbers")


def test_what_no_seed_varies_has_no_noise(ours, theirs, capsys):
    change(theirs, lambda *place: 17 if place[1:3] == ("batch_2k", "batch") else place[-1])
    status, text = told(capsys, ours, theirs)
    assert status == 1
    assert rows_of(text) == {"batch batch_2k batch": ["16", "17", "", "", "", ""]}


def test_another_member_of_a_family_is_a_choice_and_no_difference(ours, theirs, capsys):
    file = theirs / "provenance/batch.json"
    record = json.loads(file.read_text())
    for entry in record["tables"]["batch"]["batch_2k"].values():
        entry["cell"] = "batch-2k-lr-0.002"
    file.write_text(json.dumps(record))
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Numbers").startswith("11 in both: 6 equal, 5 another choice.")


def test_one_replicate_is_no_evidence(ours, theirs, capsys):
    change(theirs, lambda *place: place[-1] if place[-2] is None else place[-1] * 2)
    for file in (theirs / "provenance").iterdir():
        record = json.loads(file.read_text())
        for rows in record["tables"].values():
            for entry in (entry for row in rows.values() for entry in row.values()):
                entry["replicates"] = dict([*entry.get("replicates", {}).items()][:1])
        file.write_text(json.dumps(record))
    status, text = told(capsys, ours, theirs)
    assert status == 0
    assert section(text, "Numbers").startswith("11 in both: 2 equal, 9 one replicate.")


def test_a_partial_folder_is_compared_as_far_as_it_goes(ours, theirs, capsys):
    (theirs / "provenance/batch.json").unlink()
    file = theirs / "provenance/table1.json"
    record = json.loads(file.read_text())
    del record["tables"]["table1"]["dynamic"]["mnli.accuracy"]
    for run in record["runs"].values():
        run["environment"] = None
    file.write_text(json.dumps(record))
    status, text = told(capsys, ours, file)
    assert status == 0
    assert section(text, "Numbers").startswith("5 in both: 5 equal.")
    assert section(text, "Missing").splitlines() == [
        "- only in A: batch",
        "- only in A: table1 dynamic mnli.accuracy",
        f"- {len(record['runs'])} runs of B do not tell their machine",
    ]


@pytest.mark.parametrize("kind", ["zip", "gztar"])
@pytest.mark.parametrize("base", [".", "results", "theirs/results"])
def test_an_archive_of_results_is_read_as_it_is(ours, tmp_path, capsys, kind, base):
    """Whatever folder it was packed from; runs have files of the same name."""
    root = tmp_path / "root"
    shutil.copytree(ours, root / base, dirs_exist_ok=True)
    for place in ("runs/smoke/pretrain/0123456789ab", f"{base}/scales/demo"):
        (root / place).mkdir(parents=True)
        (root / place / "provenance.json").write_text("{}")
    archive = shutil.make_archive(str(tmp_path / "theirs"), kind, root)
    status, text = told(capsys, ours, archive)
    assert status == 0
    assert section(text, "Numbers").strip() == "11 in both: 11 equal."


def test_an_archive_without_a_record_says_what_makes_one(ours, tmp_path):
    (tmp_path / "empty").mkdir()
    archive = shutil.make_archive(str(tmp_path / "theirs"), "zip", tmp_path / "empty")
    with pytest.raises(StudyError, match=r"theirs\.zip: no provenance\.json in it; ask snakemake"):
        compare.main([str(ours), archive])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("nothing", "no such file or folder"),
        ("empty", "no provenance.json; ask snakemake for results/provenance.json, or results/"),
        ("no JSON", "table1.json: not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("a field", "provenance/table1.json: field scale: missing"),
        ("an older version", ".names: missing"),
        ("a run", "provenance/table1.json: runs: no 0123456789ab, which others read"),
        ("scales", "table1.json: of scale smoke, batch.json of scale demo; name a folder of one"),
        ("other tables", "no table has a number in both"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(ours, theirs, how, message):
    file, other = theirs / "provenance/table1.json", theirs / "provenance/batch.json"
    record = json.loads(file.read_text())
    if how == "nothing":
        theirs /= "gone"
    elif how == "empty":
        shutil.rmtree(theirs / "provenance")
    elif how == "no JSON":
        file.write_text("table1")
    elif how == "a field":
        file.write_text("{}")
    elif how == "an older version":
        for run in record["runs"].values():
            run.pop("names")
        file.write_text(json.dumps(record))
    elif how == "a run":
        record["tables"]["table1"]["static"]["mnli.accuracy"]["pretraining"] = ["0123456789ab"]
        file.write_text(json.dumps(record))
    elif how == "scales":
        other.write_text(other.read_text().replace('"scale": "smoke"', '"scale": "demo"'))
    else:
        file.unlink()
        ours /= "provenance/table1.json"
    with pytest.raises(StudyError) as error:
        compare.main([str(ours), str(theirs)])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
