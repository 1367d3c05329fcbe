"""Every number leads back to its runs and data, also where a run's own record is gone."""

import json
import math
import shutil
from pathlib import Path

import pytest
import results_toy
from predictions_toy import publish_seeds

from analysis import provenance, table
from study.digests import sha256_file
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished smoke study, for tests that only read its runs."""
    folder = tmp_path_factory.mktemp("finished")
    results_toy.finish_study(folder, replicates=2)
    return folder


@pytest.fixture
def study(finished, monkeypatch):
    """The finished study, in the current directory."""
    monkeypatch.chdir(finished)
    return Study("smoke", replicates=2)


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """A finished study that the test may change, in the current directory."""
    results_toy.finish_study(tmp_path, replicates=2)
    monkeypatch.chdir(tmp_path)
    return Study("smoke", replicates=2)


def run(*arguments):
    provenance.main([*arguments, "--scale", "smoke", "--replicates", "2"])


def record_of(*tables):
    run(*tables, "--output", "p.json")
    return json.loads(Path("p.json").read_text())


def test_a_number_leads_to_its_runs_and_its_data(study):
    record = record_of("table2")
    entry = record["tables"]["table2"]["doc_sentences"]["sst2.accuracy"]
    jobs = [study.jobs.finetune("doc-sentences", seed, "sst2") for seed in (0, 1)]
    assert entry["cell"] == "doc-sentences"
    assert entry["finetuning"] == [job.key for job in jobs]
    assert entry["pretraining"] == [job.recipe["pretrain"] for job in jobs]
    assert entry["shown"]["published"] == 92.7
    values = [score["value"] for score in entry["scores"]]
    assert entry["shown"]["min"] == min(values)
    assert [(s["pretraining_seed"], s["finetuning_seed"]) for s in entry["scores"]] == [
        *((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    # Of each replicate what is compared: the median of its two fine-tunings.
    assert entry["replicates"] == {
        jobs[0].key: (values[0] + values[1]) / 2,
        jobs[1].key: (values[2] + values[3]) / 2,
    }
    score = record["runs"][entry["scores"][3]["run"]]
    assert (score["stage"], score["seed"], score["device"]) == ("finetune-seed", 1, "cpu")
    assert Path(score["folder"], "metrics.json").read_text() == str(values[3])
    pretrain = record["runs"][entry["pretraining"][1]]
    assert (pretrain["stage"], pretrain["seed"], pretrain["device"]) == ("pretrain", 1, "GPU")
    assert pretrain["names"] == {"cell": "doc-sentences", "seed": 1}
    assert (pretrain["recipe"]["steps"], pretrain["recipe"]["seed"]) == (20, 1)
    weights = Path(pretrain["folder"], "model.safetensors")
    assert pretrain["sha256"] == {"model.safetensors": sha256_file(weights)}
    assert (pretrain["code"], pretrain["wall_seconds"]) == ("abc123", 12.5)
    assert pretrain["started"] == "2026-01-01T00:00:00Z"
    environment = record["environments"][pretrain["environment"]]
    assert environment["versions"]["torch"] == "2.13.0"
    assert (environment["processor"], environment["cores"]) == ("Processor", 2)


def test_every_input_is_a_run_and_the_chains_end_in_sources(study):
    # Ensembles read predictions, which hand-written runs do not have.
    tables = study.config.tables.items()
    names = [name for name, table in tables if not any(row.ensemble for row in table.rows)]
    record = record_of(*names)
    assert list(record["tables"]) == names
    runs = record["runs"]
    for run_record in runs.values():
        for keys in run_record["inputs"].values():
            assert set(keys) <= set(runs)
        assert Path(run_record["folder"]).is_dir()
        if not run_record["inputs"]:
            assert run_record["stage"] == "source"
            assert run_record["data"] == {"train": {"train.parquet": "d" * 64}}
    stages = {run_record["stage"] for run_record in runs.values()}
    assert stages >= {"source", "sentences", "vocabulary", "tokens", "store", "samples"}
    assert stages >= {"pretrain", "features", "finetune", "finetune-seed", "selection"}
    assert len(record["environments"]) == 1
    assert "note" not in json.dumps(list(runs.values()))


def test_ensembles_lead_to_the_models_that_they_average_and_where_these_started(own_study, capsys):
    for job in own_study.table_jobs("table5"):
        publish_seeds(job, 50, diverged=[1])
    cell, settings = "large-160gb-500k", list(own_study.config.settings("large-160gb-500k", "rte"))
    tuned = own_study.jobs.finetune(cell, 0, "mnli", settings[1])
    start = load_manifest(tuned.path).figures["seeds"]["0"]["key"]
    for setting in settings:
        job = own_study.jobs.finetune(cell, 0, "rte_from_mnli", setting)
        publish_seeds(job, 50, diverged=[1], init=start)
    record = record_of("table5")
    entry = record["tables"]["table5"]["ensemble"]["rte.accuracy"]
    seeds = [(s["pretraining_seed"], s["finetuning_seed"]) for s in entry["scores"]]
    assert seeds == [(0, 0), (1, 0)]
    left_out = [(s["pretraining_seed"], s["finetuning_seed"]) for s in entry["left_out"]]
    assert left_out == [(0, 1), (1, 1)]
    assert all(score["diverged"] for score in entry["left_out"])
    assert [entry["shown"][name] for name in ("seeds", "replicates", "diverged")] == [2, 2, 2]
    first = record["runs"][entry["scores"][0]["run"]]
    assert first["inputs"]["init"] == [start]
    assert record["runs"][start]["stage"] == "finetune-seed"
    single = record["tables"]["table5"]["roberta"]["rte.accuracy"]
    assert len(single["scores"]) == 4
    run("--trace", "table5", "ensemble", "rte.accuracy")
    told = capsys.readouterr().out
    assert "published –" in told.splitlines()[0]
    assert told.count("fine-tuning seed 1: 51, diverged, not in the ensemble") == 2


def test_a_cell_with_seeds_of_its_own_leads_to_their_runs(study):
    record = record_of("table_calibration")
    entry = record["tables"]["table_calibration"]["again"]["sst2.accuracy"]
    jobs = [study.jobs.pretrain("full-sentences-again", seed) for seed in (100, 101)]
    assert entry["pretraining"] == [job.key for job in jobs]
    assert [record["runs"][key]["seed"] for key in entry["pretraining"]] == [100, 101]
    seeds = [(score["pretraining_seed"], score["finetuning_seed"]) for score in entry["scores"]]
    assert seeds == [(100, 0), (100, 1), (101, 0), (101, 1)]
    first = record["tables"]["table_calibration"]["full_sentences"]["sst2.accuracy"]
    assert not {*entry["pretraining"]} & {*first["pretraining"]}


def test_values_and_families_are_traced_too(study):
    record = record_of("table3")
    entry = record["tables"]["table3"]["batch_2k"]["perplexity"]
    assert entry["cell"] == study.config.families["batch-2k"].cell
    (selection,) = entry["selection"]
    members = record["runs"][selection]["inputs"]["pretrain"]
    assert set(entry["pretraining"]) < set(members)
    assert "finetuning" not in entry
    # Of perplexities the losses.
    assert list(entry["replicates"]) == entry["pretraining"]
    losses = [math.exp(loss) for loss in entry["replicates"].values()]
    assert (min(losses), max(losses)) == (entry["shown"]["min"], entry["shown"]["max"])
    assert "replicates" not in record["tables"]["table3"]["batch_2k"]["steps"]


def test_references_hold_what_was_published_and_no_runs(study):
    rows = record_of("table2")["tables"]["table2"]
    assert rows["bert_base"]["squad11.f1"] == {"cell": None, "shown": {"published": 88.5}}
    assert "squad11.f1" not in rows["xlnet_base_k7"]


def test_the_file_has_a_line_per_number_and_per_run_and_is_the_same_again(study):
    record_of("table2")
    text = Path("p.json").read_text()
    record_of("table2")
    assert Path("p.json").read_text() == text
    lines = text.splitlines()
    assert sum('"stage"' in line for line in lines) == len(json.loads(text)["runs"])
    assert max(line.count('"scores"') for line in lines) == 1


def test_what_is_gone_is_null_with_a_note(own_study):
    job = own_study.jobs.pretrain("doc-sentences", 0)
    Path(job.path).with_suffix("").joinpath("provenance.json").unlink()
    store = Path(job.input_paths["store"][0])
    store.with_suffix("").joinpath("provenance.json").write_text("{")
    Path(job.input_paths["samples"][0]).unlink()
    runs = record_of("table2")["runs"]
    assert runs[job.key]["wall_seconds"] is None
    assert runs[job.key]["device"] is None
    assert runs[job.key]["note"].endswith("provenance.json: No such file or directory")
    assert runs[job.key]["sha256"]
    assert "not JSON" in runs[store.stem]["note"]
    samples = runs[Path(job.input_paths["samples"][0]).stem]
    assert "manifest_sha256" not in samples
    assert samples["wall_seconds"] == 12.5


def test_results_of_another_recipe_are_refused(own_study):
    job = own_study.jobs.pretrain("doc-sentences", 0)
    other = own_study.jobs.pretrain("doc-sentences", 1)
    shutil.copy(other.path, job.path)
    with pytest.raises(StudyError, match="field key: made from recipe"):
        record_of("table2")
    Path(own_study.jobs.finetune("doc-sentences", 0, "mnli").path).unlink()
    with pytest.raises(StudyError, match="1 of 40 scores are missing"):
        record_of("table2")


def test_a_seed_that_ran_with_another_recipe_since_is_still_found(own_study):
    """`seed-0.json` is of the latest recipe; going back to an earlier one must not lose it."""
    job = own_study.jobs.finetune("doc-sentences", 0, "mnli")
    beside = Path(job.path).parent / "seed-0.json"
    beside.write_text(beside.read_text().replace('"seed": 0', '"seed": 9'))
    entry = record_of("table2")["tables"]["table2"]["doc_sentences"]["mnli.accuracy"]
    assert entry["scores"][0]["run"]


def test_a_resumed_run_says_so(own_study):
    job = own_study.jobs.pretrain("doc-sentences", 0)
    path = Path(job.path).with_suffix("") / "provenance.json"
    told = json.loads(path.read_text())
    told["training"]["resumed_from"] = 7
    path.write_text(json.dumps(told))
    assert record_of("table2")["runs"][job.key]["resumed_from"] == 7


def test_trace_prints_the_chain_of_one_number(study, capsys):
    run("--trace", "table2", "doc_sentences", "mnli.accuracy")
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0].startswith("table2, doc_sentences, mnli.accuracy: ")
    assert lines[0].endswith("published 84.7")
    assert lines[1].startswith("cell doc-sentences at scale smoke")
    pretrain = study.jobs.pretrain("doc-sentences", 1)
    assert f"  pretrain {Path(pretrain.path).with_suffix('')}" in lines
    assert "    12.5 s on GPU, fp32; started 2026-01-01T00:00:00Z; code abc123" in lines
    assert text.count("finetune-seed runs/") == 4
    for stage in ("vocabulary", "store", "samples", "features", "tokens", "sentences"):
        assert f"  {stage} runs/smoke/" in text
    data = text[text.index("\ndata\n") :]
    sources = ("books", "wiki", "mnli")
    assert all(f"runs/smoke/sources/{name}/" in data for name in sources)
    assert data.count("train.parquet sha256 " + "d" * 64) == 3
    assert "python 3.11.7, torch 2.13.0" in lines[-1]
    run("--trace", "table3", "batch_2k", "learning_rate")
    assert "chosen from its family by" in capsys.readouterr().out


def test_trace_says_where_the_table_that_is_there_has_other_seeds(own_study, capsys):
    arguments = ["table2", "--scale", "smoke", "--output", "results/table2.csv"]
    table.main([*arguments, "--replicates", "2"])
    traced = ("--trace", "table2", "doc_sentences", "mnli.accuracy", "--scale", "smoke")
    provenance.main([*traced, "--replicates", "2"])
    assert capsys.readouterr().out.startswith("table2, doc_sentences, mnli.accuracy: ")
    provenance.main([*traced])
    warning, number = capsys.readouterr().out.splitlines()[:2]
    assert warning == (
        "results/table2.csv may show another number: it was made for another scale, recipe or "
        "number of seeds, or changed since; this is the number of: snakemake --cores all --config "
        "scale=smoke mirror=DIR -- results/table2.csv"
    )
    assert number.startswith("table2, doc_sentences, mnli.accuracy: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "--output", "x"], "none: no such table; known: table1, table2"),
        (["--trace", "table9", "a", "b"], "table9: no such table; known: table1"),
        (["--trace", "table2", "a", "b"], "table2: no row a; known: segment_pair, "),
        (["--trace", "table2", "doc_sentences", "b"], "shows no b; it shows: squad11.f1, "),
        (["--trace", "table2", "bert_base", "race.accuracy"], "64.3, quoted from the paper"),
        ([], "expected --output FILE, or --trace TABLE ROW COLUMN"),
    ],
)
def test_bad_input_is_one_line(study, arguments, message):
    with pytest.raises(StudyError, match=message) as error:
        run(*arguments)
    assert "\n" not in str(error.value)


def test_a_manifest_that_lost_what_leads_on_is_one_line(own_study):
    source, tuned = (
        own_study.jobs.source("sst2"),
        own_study.jobs.finetune("doc-sentences", 0, "sst2"),
    )
    for job, figures, field in (
        (source, {}, "figures.files: missing"),
        (source, {"files": None}, "figures.files: cannot be null"),
        (source, {"files": {"train": None}}, "figures.files.train: cannot be null"),
        (source, {"files": {"train": [{}]}}, "figures.files.train: name: missing"),
        (tuned, {"seeds": None}, "figures.seeds: cannot be null"),
        (tuned, {"seeds": {"0": None, "1": None}}, "figures.seeds.0: cannot be null"),
    ):
        whole = Path(job.path).read_text()
        Path(job.path).write_text(json.dumps({**json.loads(whole), "figures": figures}))
        with pytest.raises(StudyError, match=f"{job.key}.json: field {field}"):
            run("table2", "--output", "p.json")
        Path(job.path).write_text(whole)
    assert not Path("p.json").exists()
