"""The minimal-pairs stage on toy models: figures, predictions, pairs of one's own, bad input."""

import json
import math

import pyarrow.parquet as pq
import pytest
import torch
from finetune_toy import NETWORK
from safetensors.torch import save_file
from tasks_toy import wordpiece

from model.network.pretraining import PretrainingModel
from model.stages import minimal_pairs, source
from model.stages.minimal_pairs import figures_of
from model.tasks.minimal_pairs import MinimalPairs
from model.tasks.pseudo_likelihood import pseudo_log_likelihoods
from model.training.precision import Precision
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest, publish_manifest
from study.places import own_contents

ROWS = [
    {"sentence_good": "the cat sat .", "sentence_bad": "the cat mat .", "UID": "verb"},
    {"sentence_good": "a dog sat in a mat", "sentence_bad": "a dog sat a in mat", "UID": "order"},
    {"sentence_good": "the mats sat", "sentence_bad": "the mats dog", "UID": "verb"},
    {"sentence_good": "The cat sat", "sentence_bad": "the CAT sat", "UID": "case"},
]


class Made:
    """Manifests of what the stage reads, in a folder, and the stage itself."""

    def __init__(self, folder, rows=ROWS, segments=False, nsp=False, change=None):
        self.folder = folder
        (folder / "mine").mkdir()
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / "mine" / "train.jsonl").write_text(lines)
        self.source = {"stage": "source", "version": 1, "splits": ["train"]}
        self.source["files"] = own_contents(folder / "mine", ["train"])
        places = json.dumps({key_of(self.source): str(folder / "mine")})
        self.run(source, self.source, "--places", places)
        self.vocabulary = wordpiece()
        recipe = {"stage": "vocabulary", "version": 1}
        self.publish(recipe, "tokenizer.json", self.vocabulary.tokenizer.save)
        form = {"name": "segment-pair", "segments": segments, "nsp": nsp}
        pretrain = {"stage": "pretrain", "version": 1, "model": NETWORK.in_recipe(), "format": form}
        torch.manual_seed(1)
        self.model = PretrainingModel(NETWORK, self.vocabulary.size, segments, nsp).eval()
        state = self.model.state_dict()
        if change:
            change(state)
        self.publish(pretrain, "model.safetensors", lambda path: save_file(state, path))
        self.recipe = {
            "stage": "minimal_pairs",
            "version": 1,
            "pretrain": key_of(pretrain),
            "source": key_of(self.source),
            "vocabulary": key_of(recipe),
            "within_words": "alone",
        }

    def path(self, stage):
        return self.folder / stage / "manifest.json"

    def publish(self, recipe, name, write):
        folder = self.folder / recipe["stage"] / key_of(recipe)
        folder.mkdir(parents=True)
        write(str(folder / name))
        publish_manifest(self.path(recipe["stage"]), recipe, files=[name], figures={})

    def run(self, stage, recipe, *more):
        path = str(self.path(recipe["stage"]))
        stage.main(["--recipe", json.dumps(recipe), "--manifest", path, *more])

    def scored(self, **changes):
        """The stage's manifest and the lines of its predictions."""
        inputs = [
            part
            for stage in ("pretrain", "source", "vocabulary")
            for part in (f"--{stage}", str(self.path(stage)))
        ]
        recipe = self.recipe | changes
        self.run(minimal_pairs, recipe, *inputs)
        manifest = load_manifest(self.path("minimal_pairs"), key=key_of(recipe))
        return manifest, pq.read_table(manifest.file("predictions.parquet")).to_pylist()


@pytest.mark.parametrize("frame", [{}, {"segments": True, "nsp": True}])
def test_accuracies_and_predictions_of_pairs_of_ones_own(tmp_path, frame, capsys):
    made = Made(tmp_path, **frame)
    manifest, lines = made.scored()
    assert [line["id"] for line in lines] == [f"train/{row}" for row in range(4)]
    assert [line["UID"] for line in lines] == ["verb", "order", "verb", "case"]
    precision = Precision("fp32", torch.device("cpu"))
    for kind, column in (("good", "sentence_good"), ("bad", "sentence_bad")):
        tokens = made.vocabulary.encode_batch([row[column] for row in ROWS])
        expected = pseudo_log_likelihoods(
            made.model, tokens, made.vocabulary, "alone", precision, 64
        )
        assert [line[kind] for line in lines] == pytest.approx(expected.tolist(), rel=1e-5)
    right = [line["good"] > line["bad"] for line in lines]
    assert [line["prediction"] for line in lines] == [int(one) for one in right]
    figures = manifest.figures
    assert lines[3]["good"] == lines[3]["bad"]  # a vocabulary without capitals: no difference
    assert (figures["pairs"], figures["ties"], figures["tokens"]) == (4, 1, 34)
    assert figures["accuracy"] == 25.0 * sum(right)
    assert figures["groups"] == {
        "UID": {
            "verb": {"pairs": 2, "accuracy": 50.0 * (right[0] + right[2]), "ties": 0},
            "order": {"pairs": 1, "accuracy": 100.0 * right[1], "ties": 0},
            "case": {"pairs": 1, "accuracy": 0.0, "ties": 1},
        }
    }
    assert f"{figures['accuracy']:.2f} % of 4 pairs" in capsys.readouterr().err
    record = json.loads((manifest.run_directory / "provenance.json").read_text())
    assert (record["gpu"], record["execution"]["precision"]) == (None, "fp32")


def test_the_pieces_of_a_word_may_hide_each_other(tmp_path):
    made = Made(tmp_path)
    _, alone = made.scored()
    _, together = made.scored(within_words="left-to-right")
    same = [
        one["good"] == other["good"] and one["bad"] == other["bad"]
        for one, other in zip(alone, together, strict=True)
    ]
    assert same == [True, True, False, True]  # only `mats` has two pieces


def test_figures_by_hand():
    good, bad = map(torch.tensor, ([-1.0, -2.0, -3.0, -4.0], [-2.0, -2.0, -1.0, -5.0]))
    groups = {"field": ["x", "x", "y", "x"]}
    pairs = MinimalPairs(list("abcd"), ["good"] * 4, ["bad"] * 4, groups)
    assert figures_of(pairs, good.numpy(), bad.numpy()) == {
        "pairs": 4,
        "accuracy": 50.0,
        "ties": 1,
        "groups": {
            "field": {
                "x": {"pairs": 3, "accuracy": pytest.approx(200 / 3), "ties": 1},
                "y": {"pairs": 1, "accuracy": 0.0, "ties": 0},
            }
        },
        "diverged": False,
    }


def test_a_model_that_diverged_has_no_accuracy(tmp_path, capsys):
    def spoil(state):
        state["mlm.bias"][:] = math.nan

    manifest, lines = Made(tmp_path, change=spoil).scored()
    assert manifest.figures["diverged"]
    assert manifest.figures["accuracy"] is None
    assert manifest.figures["groups"]["UID"]["verb"]["accuracy"] is None
    assert [line["prediction"] for line in lines] == [0, 0, 0, 0]
    assert "diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sentence", "told"),
    [("the cat " * 24, "48 tokens; the network takes 1 to 46"), ("\u200b", "0 tokens")],
)
def test_a_sentence_that_cannot_be_scored_is_named(tmp_path, sentence, told):
    rows = [*ROWS, {**ROWS[0], "sentence_bad": sentence}]
    with pytest.raises(StudyError) as error:
        Made(tmp_path, rows).scored()
    path = tmp_path / "mine" / "train.jsonl"
    assert str(error.value).startswith(f"{path}: row 4: column sentence_bad: {told}")


def test_weights_of_another_network_are_named(tmp_path):
    with pytest.raises(StudyError, match=r"model\.safetensors: not the weights of this network"):
        Made(tmp_path, change=lambda state: state.pop("mlm.bias")).scored()
