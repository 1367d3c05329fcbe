"""Cells that start from weights that are there, or from another cell."""

import json
import shutil

import pytest
import weights_toy
from project import ROOT

from model.network.weights_check import check_weights
from study.errors import StudyError
from study.graph import Study
from study.manifest import publish_manifest

STUDY = """
like: config/study.yaml
weights:
  mine: {{folder: {folder}}}
  published: {{repo: org/tiny, revision: abc123}}
vocabularies:
  mine: {{kind: file, weights: mine}}
  published: {{kind: file, weights: published, size: 280}}
cells:
  mine: {{start: {{weights: mine}}, steps: 0, vocabulary: mine}}
  published: {{start: {{weights: published}}, steps: 0, vocabulary: published}}
  continued: {{start: {{cell: full-sentences}}, data: [news], steps: 7}}
tables:
  starts:
    caption: starts
    columns: [{{task: sst2, metric: accuracy, label: SST-2}}]
    rows:
      - {{id: mine, label: mine, cell: mine}}
      - {{id: published, label: published, cell: published}}
      - {{id: continued, label: continued, cell: continued}}
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with a tiny RoBERTa."""
    return weights_toy.save_roberta(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that reads the study above at scale smoke, with some text of it swapped."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")

    def load(folder, swaps=None, **options) -> Study:
        text = STUDY.format(folder=folder)
        for old, new in (swaps or {}).items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "my.yaml").write_text(text)
        return Study("smoke", "my.yaml", **options)

    return load


def test_a_folder_is_what_its_files_are_wherever_it_lies(toy, tmp_path, load):
    first = load(toy).jobs
    moved = shutil.copytree(toy, tmp_path / "moved")
    again = load(moved).jobs
    assert set(first) == set(again)
    assert again.places[again.weights("mine").key] == str(moved)
    config = moved / "config.json"
    config.write_text(config.read_text() + "\n")
    changed = load(moved).jobs
    assert changed.pretrain("mine", 0).key != first.pretrain("mine", 0).key
    assert changed.vocabulary("mine").key == first.vocabulary("mine").key
    assert first.vocabulary("mine").recipe["size"] == 280
    assert changed.places[changed.vocabulary("mine").key] == str(moved / "tokenizer.json")


def test_a_folder_that_is_gone_is_what_it_was_when_it_was_read(toy, tmp_path, load):
    folder = shutil.copytree(toy, tmp_path / "gone")
    before = load(folder).jobs
    for job in (before.weights("mine"), before.vocabulary("mine")):
        (tmp_path / job.path).parent.joinpath(job.key).mkdir(parents=True)
        publish_manifest(tmp_path / job.path, job.recipe, files=[], figures={})
    shutil.rmtree(folder)
    assert set(load(folder).jobs) == set(before)


def test_a_repository_is_its_name_and_revision(toy, load):
    jobs = load(toy).jobs
    place = {"repo": "org/tiny", "revision": "abc123"}
    assert jobs.weights("published").recipe == {"stage": "weights", "version": 1, **place}
    beside = {"size": 280, "weights": jobs.weights("published").key}
    vocabulary = {"stage": "vocabulary", "version": 1, "kind": "file", **beside}
    assert jobs.vocabulary("published").recipe == vocabulary
    other = load(toy, {"abc123": "abc124"}).jobs
    assert other.pretrain("published", 0).key != jobs.pretrain("published", 0).key


def test_a_cell_goes_on_from_the_same_replicate_of_another(toy, load):
    study = load(toy, {"steps: 7": "steps: 7, first_seed: 40"}, replicates=2)
    for number in (0, 1):
        pretrain = study.jobs.pretrain("continued", 40 + number)
        start = study.jobs.pretrain("full-sentences", number)
        assert pretrain.inputs["start"] == [start]
        assert pretrain.recipe["start"] == start.key and "fresh" not in pretrain.recipe
        assert start in study.asked_jobs(["results/starts.csv"])


def test_the_study_without_starts_has_the_recipes_that_it_had(toy, load):
    ours, plain = load(toy), Study("smoke")
    assert set(plain.jobs) - set(ours.jobs) == set()
    recipe = plain.jobs.pretrain("full-sentences", 0).recipe
    assert not {"weights", "start", "fresh"} & set(recipe)


@pytest.mark.parametrize(
    ("swaps", "message"),
    [
        ({"weights: mine}, s": "weights: nine}, s"}, "start.weights: nine is not defined, did you"),
        ({"cell: full-sentences": "cell: none"}, "start.cell: none is not defined"),
        (
            {"cell: full-sentences": "cell: continued"},
            "start.cell: continued starts from continued",
        ),
        ({"start: {cell: full-sentences}": "start: {}"}, "start: expected either weights or cell"),
        (
            {"steps: 7": "steps: 7, vocabulary: byte-50k"},
            "vocabulary: byte-50k, but cell full-sentences, from which it starts, has character",
        ),
        (
            {"steps: 7": "steps: 7, model: {heads: 4}"},
            "model.heads: 4, but cell full-sentences, from which it starts, has 2",
        ),
        (
            {"steps: 7": "steps: 7, format: {name: segment-pair, nsp: true, segments: true}"},
            "start: cell full-sentences has no nsp to take over; fresh: [nsp] draws it",
        ),
        (
            {"full-sentences}": "full-sentences, fresh: [nsp]}"},
            "start.fresh: nsp: the cell's format has none",
        ),
        ({"full-sentences}": "full-sentences, fresh: [mlm, mlm]}"}, "start: fresh: expected"),
        ({"full-sentences}": "full-sentences, fresh: [pooler]}"}, "start.fresh.0: input should be"),
        ({", revision: abc123": ""}, "weights.published: expected either folder, or repo and rev"),
        ({", size: 280": ""}, "vocabularies.published.size: missing: how many entries"),
        (
            {"weights: mine}\n": "weights: nine}\n"},
            "vocabularies.mine.weights: nine is not defined",
        ),
        ({"file, weights: mine": "file"}, "vocabularies.mine: kind file needs path, the tokenizer"),
    ],
)
def test_a_start_that_cannot_be_is_one_line(toy, load, swaps, message):
    with pytest.raises(StudyError) as error:
        load(toy, swaps)
    line = str(error.value)
    assert message in line and "\n" not in line and line.startswith("my.yaml: ")


def test_a_folder_that_is_not_there_or_lacks_a_file_is_one_line(toy, tmp_path, load):
    with pytest.raises(StudyError, match=r"^/nowhere: no such folder of weights$"):
        load("/nowhere")
    bare = shutil.copytree(toy, tmp_path / "bare")
    (bare / "model.safetensors").rename(bare / "pytorch_model.bin")
    with pytest.raises(StudyError) as error:
        load(bare)
    assert str(error.value) == (
        f"{bare}: no model.safetensors; found config.json, pytorch_model.bin, tokenizer.json "
        "(transformers' save_pretrained writes it)"
    )


def test_cells_that_do_not_fit_their_weights_are_told_before_anything_runs(toy, tmp_path, load):
    mirror = tmp_path / "hub"
    shutil.copytree(toy, mirror / "org/tiny")
    check_weights(load(toy), mirror)
    heads = {"weights: mine}, steps: 0": "weights: mine}, steps: 0, model: {heads: 4, layers: 3}"}
    cases = {
        "cells.mine.model: layers 3 (1), heads 4 (2): in brackets those of ": heads,
        "cells.mine.vocabulary: byte-50k has 500 entries, the weights in ": {
            "vocabulary: mine": "vocabulary: byte-50k"
        },
        "has no tensor cls.seq_relationship.weight; fresh: [nsp] starts with random weights": {
            "y: published}": "y: published, format: {name: segment-pair, nsp: true}}"
        },
    }
    for message, swaps in cases.items():
        with pytest.raises(StudyError) as error:
            check_weights(load(toy, swaps), mirror)
        assert message in str(error.value)
    path = mirror / "org/tiny/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 281}))
    with pytest.raises(
        StudyError, match=r"tensor roberta\.embeddings\.word_embeddings\.weight: ex"
    ):
        check_weights(load(toy), mirror)
