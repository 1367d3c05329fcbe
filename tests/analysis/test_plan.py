"""What a study will cost: by hand for the paper's sizes, and from what is there already."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import results_toy
import smoke
from project import ROOT

from analysis.costs import cost_of, rows_of
from analysis.plan import COLUMNS, build_plan, machine_of, main, speed_of
from analysis.render import amount, duration
from model.network.sizes import flops_per_token
from model.stages.throughput import main as throughput
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.manifest import load_manifest, publish_manifest
from study.places import tokenizer_contents
from study.run import available_cores

LARGE = {"like": "large-16gb-100k", "vocabulary": "character-30k"}
LARGE_ROW = {"id": "large", "label": "large, character-level", "cell": "large"}
TASKS = ("squad11", "squad20", "mnli", "sst2", "race")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A current directory with the configuration and nothing else."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(file: str, change) -> None:
    """Change a file of config/."""

    def in_place(data: dict) -> None:
        change(data)

    smoke.edit(Path(), file, in_place)


def publish(job: Job, **figures) -> None:
    """A finished job with these figures."""
    (Path(job.path).parent / job.key).mkdir(parents=True)
    publish_manifest(job.path, job.recipe, files=[], figures=figures)


def plan_of(study: Study, given: float | None = None, cores: int | None = None) -> pd.DataFrame:
    speed = speed_of(study, given)
    return build_plan(study, speed, machine_of(study, speed, cores))


def measure(study: Study, **changed) -> None:
    """Publish a measurement: 20 GFLOP/s, 2 ms an update, 3.6 s a job, two at once."""
    figures = {"flops_per_second": 2e10, "seconds_per_update": 0.002, "seconds_per_job": 3.6}
    publish(study.jobs.throughput(), **figures, at_once=2, hardware="CPU", **changed)


def line(frame: pd.DataFrame, **names) -> pd.Series:
    """The only line with these values."""
    for name, value in names.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_base_pretraining_costs_what_it_does_by_hand(place):
    """131 B tokens of 587.5 MFLOP (30K) or 601.5 MFLOP (50,265 entries) at 44 % of 805 TFLOP/s."""
    tokens = 1_000_000 * 256 * 512
    assert tokens == 131_072_000_000
    frame = plan_of(Study("paper"))
    job = line(frame, cell="full-sentences", level="job", stage="pretrain")
    assert job["tokens"] == tokens
    head_30k = 6 * 0.15 * (768**2 + 768 * 30_000)
    assert job["flops"] == pytest.approx(tokens * (509_607_936 + 56_623_104 + head_30k), rel=1e-9)
    assert job["device_hours"] == pytest.approx(61.1, rel=0.001)
    job = line(frame, cell="byte-level", level="job", stage="pretrain")
    assert job["flops"] == pytest.approx(tokens * 601.5e6, rel=1e-4)
    assert job["device_hours"] == pytest.approx(131.072e9 * 601.5e6 / 3.5e14 / 3600, rel=1e-4)


def test_a_byte_level_vocabulary_adds_15_million_parameters_to_base_and_20_to_large(place):
    """Section 4.4; of the tables of a network of paper size, 50,265 entries for 30,000."""
    edit("study.yaml", lambda data: data["cells"]["byte-level"].update(steps=1))
    edit("study.yaml", lambda data: data["cells"].update(large={**LARGE, "steps": 1}))
    edit("study.yaml", lambda data: data["tables"]["table_encoding"]["rows"].append(LARGE_ROW))
    frame = plan_of(Study("paper"))

    def added(characters: str, bytes_: str) -> list[int]:
        lines = [
            line(frame, cell=cell, level="job", stage="pretrain") for cell in (characters, bytes_)
        ]
        return [lines[1][name] - lines[0][name] for name in ("vocabulary_parameters", "parameters")]

    words = 50_304 - 30_016  # rows of the word table, in multiples of 64
    assert added("full-sentences", "byte-level") == 2 * [words * 768 + 20_265]  # 15.6 million
    assert added("large", "large-16gb-100k") == 2 * [words * 1024 + 20_265]  # 20.8 million
    assert (
        line(frame, cell="large-16gb-100k", level="cell", stage="all")["parameters"]
        == (line(frame, cell="large-16gb-100k", level="job", stage="pretrain")["parameters"])
    )


def test_passes_are_those_over_the_capped_corpora(place):
    """16.4 GB less a hundredth at 4.6 characters a token; all of today's 26.8 GB made 22.7."""
    frame = plan_of(Study("paper"))
    pretrained = frame[(frame["level"] == "job") & (frame["stage"] == "pretrain")]
    passes = dict(zip(pretrained["cell"], pretrained["passes"], strict=True))
    assert passes["full-sentences"] == pytest.approx(131.072 / (16.4 * 0.99 / 4.6), abs=0.01)
    assert passes["static-segment-pair"] == pytest.approx(37.1 / 1.28, abs=0.1)
    assert (
        line(frame, cell="static-segment-pair", level="cell", stage="all")["passes"]
        == (passes["static-segment-pair"])
    )
    edit(
        "scales/paper.yaml", lambda data: data["corpora"]["books"].update({"heldout_fraction": 0.1})
    )
    frame = plan_of(Study("paper"))
    job = line(frame, cell="full-sentences", level="job", stage="pretrain")
    shown = (4.7 * 0.9 + 11.7 * 0.99) / 4.6
    assert job["passes"] == pytest.approx(131.072 / shown, abs=0.01)
    edit("scales/paper.yaml", lambda data: data.pop("corpora"))
    frame = plan_of(Study("paper"))
    job = line(frame, cell="full-sentences", level="job", stage="pretrain")
    assert job["passes"] == pytest.approx(22.7, abs=0.05)
    publish(Study("paper").jobs.samples("full-sentences", 0), train={"tokens": 4_000_000_000})
    job = line(plan_of(Study("paper")), cell="full-sentences", level="job", stage="pretrain")
    assert job["passes"] == pytest.approx(131.072 / 4, abs=0.01)


def only(*tables: str) -> None:
    """Leave only these tables in the study."""

    def keep(data: dict) -> None:
        data["tables"] = {name: data["tables"][name] for name in tables}

    edit("study.yaml", keep)


def test_tables_add_their_cells_and_the_study_counts_each_job_once(place):
    only("table2", "table2_extended")
    frame = plan_of(Study("paper"), given=4.83e14)
    one = line(frame, cell="full-sentences", level="job", stage="pretrain")["device_hours"]
    table, extended, study = (
        line(frame, **names, stage="pretrain")
        for names in (
            {"table": "table2"},
            {"table": "table2_extended"},
            {"level": "study"},
        )
    )
    assert table["jobs"] == 4
    assert table["device_hours"] == pytest.approx(4 * one) == pytest.approx(177.14, rel=1e-4)
    assert table["device_hours_counted_above"] == 0
    assert extended["device_hours"] == pytest.approx(6 * one)
    assert extended["device_hours_counted_above"] == pytest.approx(4 * one)
    assert study["jobs"] == 6
    assert study["device_hours"] == pytest.approx(6 * one)
    assert list(frame.columns) == COLUMNS
    assert set(frame["level"]) == {"job", "cell", "table", "study"}


def test_finetuning_tokens_are_epochs_rows_tokens_options_and_seeds(place):
    frame = plan_of(Study("paper"))
    found = {
        task: line(frame, level="job", cell="doc-sentences", task=task)["tokens"] for task in TASKS
    }
    assert found == {
        "squad11": 3 * 87_599 * 151 * 5,
        "squad20": 2 * 130_319 * 148 * 5,
        "mnli": 3 * 392_702 * 41 * 5,
        "sst2": 3 * 67_349 * 13 * 5,
        "race": 4 * 87_866 * 390 * 4 * 5,
    }
    sst2 = line(frame, level="job", cell="doc-sentences", task="sst2")
    assert sst2["flops"] == pytest.approx(found["sst2"] * 6 * 12 * (12 * 768**2 + 2 * 13 * 768))


def test_rows_come_from_the_best_that_is_there(place):
    paper, demo, laptop = Study("paper"), Study("demo"), Study("laptop")

    def features(study: Study, task: str) -> Job:
        job = study.jobs.finetune("full-sentences", 0, task)
        return job.inputs["features"][0]

    def rows(study: Study, task: str, split: str = "train") -> tuple:
        found = rows_of(study, features(study, task), split)
        return found.rows, found.tokens, found.basis

    assert rows(paper, "mnli") == (392_702, 392_702 * 41, "planned")
    assert rows(paper, "race", "dev") == (4 * 4_887, 4 * 4_887 * 390, "planned")
    assert rows(demo, "sst2") == (6000, 72_000, "sizes")
    assert rows(laptop, "mnli") == (34_000, 34_000 * 41, "train_examples")
    # 151 tokens in rows of 128 with stride 96 are two windows, each counted as full.
    assert rows(laptop, "squad11") == (32_000, 32_000 * 128, "train_examples")
    source = features(paper, "mnli").inputs["source"][0]
    part = {"name": "train.parquet", "bytes": 3, "sha256": "d" * 64}
    parts = [{**part, "rows": 300}, {**part, "rows": 200}]
    publish(source, files={"train": parts, "validation_matched": []})
    assert rows(paper, "mnli") == (500, 500 * 41, "source")
    publish(features(paper, "mnli"), train={"rows": 480, "tokens": 20_000})
    assert rows(paper, "mnli") == (480, 20_000, "features")


def test_a_task_that_nothing_is_known_of_is_named(place):
    edit("study.yaml", lambda data: data["tasks"]["mnli"].pop("planned"))
    with pytest.raises(StudyError, match=r"^config/study.yaml: tasks.mnli.planned: missing; "):
        plan_of(Study("paper"))


def test_a_family_costs_all_its_members(place):
    """Every learning rate is trained and scored before one of them is chosen."""
    only("table3")
    frame = plan_of(Study("paper"))
    one = line(frame, cell="batch-8k", level="job", stage="pretrain")["device_hours"]
    table = line(frame, table="table3", stage="pretrain")
    assert table["jobs"] == 9
    assert table["device_hours"] == pytest.approx(9 * one)


def test_done_jobs_leave_what_remains(place):
    study = Study("paper")
    publish(study.jobs.pretrain("doc-sentences", 0), heldout_loss=1.0)
    other = study.jobs.pretrain("segment-pair", 0)
    Path(other.path).parent.mkdir(parents=True)
    shutil.copy(study.jobs.pretrain("doc-sentences", 0).path, other.path)  # of another recipe
    frame = plan_of(study, given=4.83e14)
    table = line(frame, table="table2", stage="pretrain")
    assert table["done"] == 1
    assert table["device_hours_left"] == pytest.approx(3 / 4 * table["device_hours"])
    untrained = line(frame, cell="random-initialisation", level="job", stage="pretrain")
    assert (untrained["device_hours"], untrained["done"]) == (0, 0)  # nothing to do is not done


def test_what_is_only_planned_with_changes_no_key(place):
    before = {name: set(Study(name).jobs) for name in ("paper", "demo", "laptop")}

    def strip(data: dict) -> None:
        for task in data["tasks"].values():
            task.pop("planned", None)
        for corpus in data.get("corpora", {}).values():
            corpus.pop("planned", None)

    edit("study.yaml", strip)
    edit("scales/demo.yaml", strip)
    edit("scales/paper.yaml", lambda data: data.pop("hardware"))
    assert {name: set(Study(name).jobs) for name in before} == before
    edit("scales/paper.yaml", lambda data: data.update(hardware={"name": "X", "flops": 1.0}))
    with pytest.raises(StudyError, match=r"paper.yaml: hardware.flops_per_second: missing"):
        Study("paper")


def test_speed_is_given_or_the_scales_or_measured(place):
    paper, demo = Study("paper"), Study("demo")
    assert speed_of(paper, 1e14).flops_per_second == 1e14
    assert speed_of(paper, None).flops_per_second == 3.5e14  # until this code was measured on one
    with pytest.raises(StudyError, match="no measured speed yet"):
        speed_of(demo, None)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(StudyError, match=r"^--flops-per-second: expected more than 0, found"):
            speed_of(demo, wrong)
    measure(demo)
    job = demo.jobs.pretrain("doc-sentences", 0)
    cost = cost_of(demo, job)
    planned = line(plan_of(demo), level="job", key=job.key)["device_hours"]
    seconds = cost.work / 2e10 + 0.002 * cost.updates + 3.6
    assert planned == pytest.approx(seconds / 3600, abs=1e-6)


def test_what_is_worked_out_by_hand(place):
    """Of the last layer what heads read alone, full inputs padded, evaluations forward only."""
    edit("scales/demo.yaml", lambda data: data["base"].update(steps=100))
    edit("scales/demo.yaml", lambda data: data["base"].update(batch={"sequences": 30}))
    demo = Study("demo")
    job = demo.jobs.pretrain("doc-sentences", 0)
    publish(job.inputs["samples"][0], train={"tokens": 2880, "samples": 100})
    cost = cost_of(demo, job)
    spec = demo.config.cells["doc-sentences"]
    sizes, evaluation = (spec.model.hidden, spec.model.ffn), spec.evaluation
    assert (spec.model.layers, spec.length, sizes) == (2, 32, (64, 128))
    matrices, attention, keys = 4 * 64**2 + 2 * 64 * 128, 2 * 32 * 64, 2 * 64**2
    last = keys + 0.15 * (matrices - keys + attention)
    head = 0.15 * (64**2 + 64 * 1500)
    each = 6 * (matrices + attention + last + head)
    tokens = 100 * 30 * 32 / 0.9 + evaluation.points * evaluation.samples * 32 / 3
    assert cost.work == pytest.approx(tokens * each)
    assert cost.updates == 100

    finetune = demo.jobs.finetune("doc-sentences", 0, "race")
    settings = demo.config.finetuning["bert"]["race"]
    publish(
        finetune.inputs["features"][0],
        train={"rows": 400, "tokens": 8000},
        dev={"rows": 40, "tokens": 900},
    )
    cost = cost_of(demo, finetune)
    assert cost.updates == settings.epochs * -(-100 // settings.batch)
    attention = 2 * 20 * 64
    last = keys + (matrices - keys + attention) / 20
    tokens = settings.epochs * 8000 + 900 / 3
    assert cost.work == pytest.approx(tokens * 6 * (matrices + attention + last))
    # A span's head reads every token.
    squad = cost_of(demo, demo.jobs.finetune("doc-sentences", 0, "squad11"))
    assert squad.flops < squad.work < 1.2 * squad.flops


def test_wall_clock_is_device_time_over_devices_or_the_longest_chain(place):
    only("table2")
    demo = Study("demo")
    measure(demo)
    one, two, many = (
        line(plan_of(demo, cores=cores), table="table2", stage="all") for cores in (1, 2, 1000)
    )
    assert one["hours"] == one["device_hours"] == two["device_hours"]
    assert two["hours"] == pytest.approx(one["hours"] / 2, abs=1e-5)
    frame = plan_of(demo, cores=1000)
    jobs = frame[(frame["level"] == "job") & (frame["pretraining_seed"] == 0)]
    chains = (
        jobs[jobs["stage"] == "pretrain"].set_index("cell")["hours"]
        + jobs[jobs["stage"] == "finetune"].groupby("cell")["hours"].max()
    )
    assert many["hours"] == pytest.approx(chains.max(), abs=1e-5)
    for seed in demo.config.seeds.pretraining:  # what is done costs nothing any more
        publish(demo.jobs.pretrain("doc-sentences", seed), heldout_loss=1.0)
    left = line(plan_of(demo, cores=2), table="table2", stage="all")
    assert left["hours"] == two["hours"]
    assert left["hours_left"] == pytest.approx(left["device_hours_left"] / 2, abs=1e-5)
    assert left["hours_left"] < left["hours"]
    # Without a number of cores: those of the budget.
    edit("scales/demo.yaml", lambda data: data.pop("budget", None))
    bare = Study("demo")
    assert line(plan_of(bare), table="table2", stage="all")["hours"] == two["hours"]  # as measured


def test_of_a_fine_tuning_only_the_seeds_without_a_run_are_left(place):
    few, many = (Study("paper", finetuning_seeds=number) for number in (1, 4))
    results_toy.write_finetune(few, few.jobs.finetune("doc-sentences", 0, "sst2"), {0: 80.0})
    names = {"level": "job", "cell": "doc-sentences", "task": "sst2"}
    one, four = (line(plan_of(study, 1e9), **names) for study in (few, many))
    assert (one["done"], one["device_hours_left"]) == (1, 0)
    assert (four["done"], four["device_hours"]) == (0, pytest.approx(4 * one["device_hours"]))
    assert four["device_hours_left"] == pytest.approx(3 * one["device_hours"])


def test_a_budget_fits_or_does_not(place, capsys):
    only("table1", "table2")

    def printed(hours: float, **more) -> str:
        budget = {"tables": ["table1", "table2"], "hours": hours, "cores": 4, **more}
        edit("scales/demo.yaml", lambda data: data.update(budget=budget))
        Path("results/plan.csv").unlink(missing_ok=True)
        arguments = ["--cores", "1", "--flops-per-second", "1e9", "--output", "results/plan.csv"]
        main(["--scale", "demo", *arguments])
        (told,) = [text for text in capsys.readouterr().out.splitlines() if "Budget" in text]
        return told

    wide = printed(1000)
    assert wide.startswith("**Budget: table1, table2 in 41.7 days on 4 cores. It fits: ")
    frame = pd.read_csv("results/plan.csv")
    planned = line(frame, level="budget")
    study = line(frame, level="study", stage="all")
    assert planned["device_hours"] == study["device_hours"]  # shared jobs once
    assert planned["hours"] == pytest.approx(study["hours"] / 4, rel=1e-4)
    assert "It does not fit: " in printed(0.99 * float(planned["hours"]))


def test_disk_of_weights_checkpoints_and_text(place):
    study = Study("paper")
    cost = cost_of(study, study.jobs.pretrain("full-sentences", 0))
    parameters = 109_123_632
    assert cost.disk_mb == pytest.approx(4e-6 * parameters)
    assert cost.checkpoint_mb == pytest.approx(3 * 12e-6 * parameters)
    text = line(plan_of(study), table="table2", stage="text")
    assert 20_000 < text["disk_mb"] < 40_000
    edit("study.yaml", lambda data: data["corpora"]["books"].pop("planned"))
    frame = plan_of(Study("paper"))
    assert pd.isna(line(frame, table="table2", stage="text")["disk_mb"])
    assert line(frame, table="table2", stage="all")["disk_mb"] > 1000


def test_vocabulary_files_are_counted(tmp_path):
    path = tmp_path / "tokenizer.json"
    added = [{"content": "<s>"}, {"content": "</s>"}]
    path.write_text(json.dumps({"model": {"vocab": {"a": 0, "<s>": 1}}, "added_tokens": added}))
    assert tokenizer_contents(str(path))["size"] == 3
    path.write_text(json.dumps({"model": {"vocab": [["a", -1.0]]}, "added_tokens": []}))
    assert tokenizer_contents(str(path))["size"] == 1
    path.write_text("{}")
    with pytest.raises(StudyError, match=r"not a tokenizer\.json"):
        tokenizer_contents(str(path))


def test_durations_and_amounts_for_reading():
    assert [duration(hours) for hours in (0.01, 0.5, 46.1, 184.4, 24_000)] == [
        *("36 s", "30 min", "46.1 h", "7.68 days", "1,000 days")
    ]
    assert [amount(value) for value in (131.072e9, 2_560_000, 900)] == ["131.1 B", "2.56 M", "900"]


def test_command_writes_both_files_and_prints_totals_last(place, capsys):
    only("table2", "table2_extended")
    main(["--scale", "paper", "--output", "results/plan.csv"])
    printed = capsys.readouterr().out
    assert printed == Path("results/plan.md").read_text()
    rows = [text for text in printed.splitlines() if text.startswith("|")]
    assert rows[-1].startswith("| the study, each job once | 6 + 30     | 0/36 | 806.8 B | ")
    assert rows[-3].startswith("| table2 ")
    assert len({len(row) for row in rows[-5:]}) == 1
    assert len(pd.read_csv("results/plan.csv")) == 36 + 6 * 3 + 3 * 4


def test_planning_loads_no_torch():
    check = "import sys, analysis.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


def test_throughput_is_measured_once(place, capsys):
    recipe = Study("smoke").jobs.throughput().recipe_json
    arguments = ["--recipe", recipe, "--manifest", "throughput.json"]
    throughput(arguments)
    figures = load_manifest("throughput.json", stage="throughput").figures
    # A large update of 8 full rows takes what is besides, and its arithmetic.
    tokens, form = 8 * 64, Study("smoke").config.cells["static-segment-pair"]
    work = flops_per_token(form.model, 64, 400, 0.15, read_share=0.15) * tokens
    seconds = figures["seconds_per_update"] + work / figures["flops_per_second"]
    assert tokens / figures["tokens_per_second"] == pytest.approx(seconds)
    assert figures["flops_per_second"] > 1e6
    assert 0 < figures["updates"] <= 80
    assert figures["at_once"] == available_cores()
    assert "GFLOP/s" in capsys.readouterr().err
    first = Path("throughput.json").read_bytes()
    throughput(arguments)
    assert Path("throughput.json").read_bytes() == first
    broken = {name: value for name, value in json.loads(recipe).items() if name != "rate"}
    with pytest.raises(StudyError, match=r"^--recipe: field rate: missing"):
        throughput(["--recipe", json.dumps(broken), "--manifest", "other.json"])


@pytest.mark.slow
def test_workflow_plans_before_anything_has_run(tmp_path):
    """A measurement unless a speed is given; made again when the study or what is done changes."""
    project = smoke.copy_project(tmp_path / "project")

    def snakemake(*settings: str, dry: bool = False) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *(["-n"] if dry else [])]
        command += ["--config", "scale=smoke", *settings, "--", "results/plan.csv"]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    given = snakemake("flops=1e10")
    assert "rule plan" in given
    assert "rule throughput" not in given
    assert "1.00e+10 useful FLOP/s" in (project / "results/plan.md").read_text()
    measured = snakemake()
    assert "rule throughput" in measured
    assert "measured on " in (project / "results/plan.md").read_text()
    assert "Nothing to be done" in snakemake(dry=True)
    job = Study("smoke", ROOT / "config/study.yaml").jobs.pretrain("doc-sentences", 0)
    (project / job.path).parent.mkdir(parents=True)
    (project / job.path).write_text("{}")
    assert "rule plan" in snakemake(dry=True)


def test_minimal_pairs_cost_a_forward_pass_of_a_masked_copy_for_each_token(place):
    """67,000 pairs of 13 tokens with the frame: 11 copies of each sentence."""
    study = Study("paper")
    frame = plan_of(study)
    job = line(frame, cell="doc-sentences", level="job", stage="minimal_pairs", task="grammar")
    tokens = 2 * 67_000 * 11 * 13
    assert (job["tokens"], job["basis"]) == (tokens, "planned")
    per_token = 12 * (12 * 768**2 + 2 * 13 * 768) + (768**2 + 768 * 30_000) / 13
    assert job["flops"] == pytest.approx(2 * tokens * per_token)
    table = line(frame, table="table_grammar", level="table", stage="minimal_pairs")
    assert table["jobs"] == 4 + 9  # cells of Tables 1 and 2, and members of three families
    texts = {"a/train": [{"name": "a", "rows": 10, "bytes": 1, "sha256": "0"}]}
    publish(study.jobs.source("grammar"), files=texts)
    job = line(plan_of(study), cell="doc-sentences", level="job", stage="minimal_pairs")
    assert (job["tokens"], job["basis"]) == (2 * 10 * 11 * 13, "source")
