"""The graph of a study: what its jobs read follows from their recipes."""

import importlib

import pytest
from project import ROOT

from study.errors import StudyError
from study.graph import Study
from study.identity import key_of, seed_recipe
from study.jobs import Jobs, needed
from study.read import load_study_file
from study.recipes import RECIPES
from study.stages import PATHS


@pytest.fixture
def study(monkeypatch):
    """The demo study, of whose runs nothing is there."""
    monkeypatch.chdir(ROOT)
    return Study("demo")


def keys_in(recipe):
    """The keys of inputs that a recipe holds, by the innermost field's name."""
    for name, value in recipe.items():
        if isinstance(value, dict):
            yield from keys_in(value)
        else:
            yield from ((name, key) for key in (value if isinstance(value, list) else [value]))


def test_a_figure_of_what_is_there_waits_for_what_others_ask_for_alone(study):
    curves = "results/figures/curves.png"
    assert study.needed_jobs("figures/curves") == []
    assert study.asked_jobs([curves]) == set()
    asked = study.asked_jobs([curves, "./results/table1.md"])
    waits = study.needed_jobs("figures/curves", asked)
    cells = ["static-segment-pair", "segment-pair"]
    assert {job for job in waits if job.stage == "pretrain"} == set(study.pretrain_jobs(cells))
    everything = study.asked_jobs(["all"])
    assert set(study.pretrain_jobs()) <= everything
    assert set(study.needed_jobs("figures/learning_rate", everything)) == set(study.family_jobs())
    manifest = study.jobs.pretrain("byte-level", 0)
    assert study.asked_jobs([manifest.path]) == set(needed([manifest]))


def test_a_recipe_holds_the_keys_of_what_the_job_reads(study):
    for job in study.jobs.values():
        keys = list(keys_in(job.recipe))
        for name, inputs in job.inputs.items():
            for read in inputs:
                assert (name, read.key) in keys
                assert study.jobs[read.path] is read


# The inputs of a selection stand in its recipe by member, so its command reads them itself; no cell
# of config/ starts from weights, which have no inputs.
@pytest.mark.parametrize("stage", sorted(set(PATHS) - {"selection", "weights"}))
def test_a_command_takes_what_the_graph_gives_it(study, stage):
    command = importlib.import_module(f"model.stages.{stage}").STAGE
    jobs = [job for job in study.jobs.values() if job.stage == stage]
    assert jobs and command.name == stage
    fields = RECIPES[stage].model_fields
    always = {name for name in command.inputs if fields[name].is_required()}
    for job in jobs:
        assert always <= set(job.inputs) <= set(command.inputs)


def test_a_job_stands_behind_what_it_reads_and_needs_nothing_else(study):
    order = {path: number for number, path in enumerate(study.jobs)}
    for path, job in study.jobs.items():
        for paths in job.input_paths.values():
            assert all(order[read] < order[path] for read in paths)
    tokens = study.jobs.tokens("byte-50k", "books", 0)
    stages = sorted(job.stage for job in needed([tokens]))
    assert stages == ["sentences", "sentences", "source", "source", "tokens", "vocabulary"]


def test_manifests_lie_by_names_and_keys(study):
    jobs = study.jobs
    samples = jobs.samples("sentence-pair", 1)
    assert samples.path.startswith("runs/demo/samples/books+wiki.character-30k/sentence-pair-")
    assert samples.path.endswith(f"/seed-1/{samples.key}.json")
    assert jobs.samples("doc-sentences", 0) is jobs.samples("doc-sentences", 1)
    assert jobs.pattern("pretrain") == "runs/demo/pretrain/{cell}/seed-{seed}/{key}.json"
    setting = next(iter(study.config.settings("large-160gb-500k", "mnli")))
    tuned = jobs.finetune("large-160gb-500k", 0, "mnli", setting)
    folder = f"runs/demo/finetune/large-160gb-500k/seed-0/mnli.{setting}"
    assert tuned.path == f"{folder}/{tuned.key}.json"


def seed_keys(study, task):
    """Keys of the runs of all fine-tuning seeds of a cell on a task, by both seeds."""
    cell = "doc-sentences" if task == "sst2" else "large-160gb-500k"
    jobs = [job for job in study.score_jobs([cell], [task])]
    return {
        (job.names["seed"], job.names["setting"], seed): key_of(seed_recipe(job.recipe, seed))
        for job in jobs
        for seed in job.recipe["seeds"]
    }


def test_numbers_of_seeds_are_the_scales_or_as_asked_and_more_of_them_run_nothing_again(study):
    own = seed_keys(study, "sst2")
    assert list(own) == [(seed, "", seed) for seed in range(5)]
    few = seed_keys(Study("demo", replicates=2, finetuning_seeds=2), "sst2")
    assert list(few) == [(0, "", 0), (0, "", 1), (1, "", 0), (1, "", 1)]
    many = seed_keys(Study("demo", replicates=3, finetuning_seeds=5), "sst2")
    assert len(many) == 15 and few.items() <= many.items()
    assert {seeds: own[seeds] for seeds in own if seeds in many}.items() <= many.items()
    more = Study("demo", replicates=8)
    assert {path for path, job in study.jobs.items() if job.stage == "pretrain"} <= set(more.jobs)


def test_tasks_that_start_from_another_follow_the_choice_among_all_of_its_seeds(study):
    """The best setting of MNLI, by the median over the seeds, may be another with one seed more."""
    one, two = (
        seed_keys(Study("demo", replicates=1, finetuning_seeds=number), "rte_from_mnli")
        for number in (1, 2)
    )
    assert set(one) < set(two)
    assert all(one[seeds] != two[seeds] for seeds in one)


@pytest.mark.parametrize(
    ("stage", "names", "message"),
    [
        ("source", ("none",), "none: no cell of this study reads it"),
        ("pretrain", ("doc-sentences", 99), "doc-sentences, 99: no cell of this study reads it"),
        (
            "finetune",
            ("doc-sentences", 0, "cola"),
            "cells.doc-sentences: no table shows it on task cola",
        ),
        (
            "finetune",
            ("doc-sentences", 0, "sst2", "batch-3"),
            "cells.doc-sentences: no table shows it on task sst2",
        ),
    ],
)
def test_a_job_that_the_study_does_not_have_is_one_line(study, stage, names, message):
    with pytest.raises(StudyError) as error:
        getattr(study.jobs, stage)(*names)
    assert str(error.value) == message


def test_recipes_are_compared_without_reading_files(study, edit):
    edit("scales/demo.yaml", "corpora.books.source", {"folder": "/nowhere"})
    jobs = Jobs(load_study_file("demo"))
    assert jobs.sentences("books", 0).key != study.jobs.sentences("books", 0).key
    assert jobs.sentences("wiki", 0).key == study.jobs.sentences("wiki", 0).key
    with pytest.raises(StudyError, match=r"^/nowhere: no such folder"):
        Study("demo")
