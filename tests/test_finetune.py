"""The stages model.features and model.finetune on toy tasks that a tiny random encoder learns."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from tasks_toy import wordpiece

from model import features, fetch, finetune
from model.network.finetuning import ClassificationModel
from model.tasks.squad_metric import squad11_metrics
from study.command import Resumable
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest, publish_manifest

NETWORK = {
    "layers": 1,
    "hidden": 32,
    "heads": 2,
    "ffn": 64,
    "positions": 48,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "layer_norm_eps": 1e-5,
    "init_std": 0.1,
    "vocabulary_multiple": 8,
}
SETTINGS = {
    "batch": 16,
    "learning_rate": 3e-3,
    "epochs": 6,
    "warmup": 0.1,
    "weight_decay": 0.01,
    "beta2": 0.999,
    "eps": 1e-6,
    "dropout": 0.0,
}
FILLERS = ["the", "sat", "on", "a", "mat", "in", "."]


def words(draw, count):
    return [draw.choice(FILLERS) for _ in range(count)]


def pair_rows(draw, count):
    """Class 1 when the second text is about a dog."""
    labels = [draw.randrange(2) for _ in range(count)]
    return {
        "first": [" ".join(words(draw, 4)) for _ in labels],
        "second": [" ".join([*words(draw, 3), ["cat", "dog"][label]]) for label in labels],
        "label": labels,
        "idx": list(range(count)),
    }


def value_rows(draw, count):
    rows = pair_rows(draw, count)
    return rows | {"label": [float(label) + 0.01 * draw.random() for label in rows["label"]]}


def span_rows(draw, count, answered=1.0):
    """The answer is the dog, far enough on for several windows."""
    contexts, answers = [], []
    for _ in range(count):
        context = words(draw, draw.randrange(8, 30))
        if draw.random() < answered:
            place = draw.randrange(len(context))
            context[place] = "dog"
            start = len(" ".join([*context[:place], ""]))
            answers.append({"text": ["dog"], "answer_start": [start]})
        else:
            answers.append({"text": [], "answer_start": []})
        contexts.append(" ".join(context))
    kind = pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())})
    return {
        "id": [f"q{i}" for i in range(count)],
        "question": ["who ?"] * count,
        "context": contexts,
        "answers": pa.array(answers, kind),
    }


def choice_rows(draw, count):
    """The right option is the cat."""
    options = [draw.sample(["cat", "dog", "mat", "a"], 4) for _ in range(count)]
    return {
        "example_id": [draw.choice(["middle", "high"]) + f"{i}.txt" for i in range(count)],
        "article": [" ".join(words(draw, 5)) for _ in options],
        "question": ["the _ sat"] * count,
        "options": options,
        "answer": ["ABCD"[row.index("cat")] for row in options],
    }


TEXTS = {"texts": ["first", "second"], "label": "label"}
SPAN = {
    "kind": "span",
    "stride": 8,
    "question_length": 4,
    "answer_length": 5,
    "metrics": ["f1", "em"],
}
TASKS = {
    "pairs": (pair_rows, {"kind": "classification", "labels": 2, "metrics": ["accuracy"], **TEXTS}),
    "values": (value_rows, {"kind": "regression", "metrics": ["pearson", "spearman"], **TEXTS}),
    "squad11": (span_rows, {"answerability": False, **SPAN}),
    "squad20": (
        lambda draw, count: span_rows(draw, count, 0.6),
        {"answerability": True, **SPAN},
    ),
    "race": (choice_rows, {"kind": "choice", "question_length": 8, "metrics": ["accuracy"]}),
}


class Study:
    """Manifests of the stages before fine-tuning, in a folder."""

    def __init__(self, folder, name, segments=False, **changes):
        make, task = TASKS[name]
        self.folder = folder
        task = {"name": name, "separators": 1, "train": "train", "dev": "validation", **task}
        for split, count in (("train", 256), ("validation", 96)):
            (folder / "hub").mkdir(exist_ok=True)
            table = pa.table(make(random.Random(f"{name} {split}"), count))
            pq.write_table(table, folder / "hub" / f"{split}.parquet")
        self.source = {
            "stage": "source",
            "version": 1,
            "folder": str(folder / "hub"),
            "splits": ["train", "validation"],
        }
        self.run(fetch, self.source)
        self.vocabulary = {"stage": "vocabulary", "version": 1}
        vocabulary = wordpiece()
        target = folder / "vocabulary" / key_of(self.vocabulary)
        target.mkdir(parents=True)
        vocabulary.tokenizer.save(str(target / "tokenizer.json"))
        self.publish(self.vocabulary, ["tokenizer.json"])
        self.pretrain = {
            "stage": "pretrain",
            "version": 1,
            "model": NETWORK,
            "format": {"name": "segment-pair", "segments": segments},
        }
        target = folder / "pretrain" / key_of(self.pretrain)
        target.mkdir(parents=True)
        torch.manual_seed(7)
        model = ClassificationModel(NETWORK, vocabulary.size, segments, 1, labels=2)
        save_file(
            {k: v for k, v in model.state_dict().items() if k.startswith("encoder.")},
            target / "model.safetensors",
        )
        self.publish(self.pretrain, ["model.safetensors"])
        keys = {name: key_of(getattr(self, name)) for name in ("source", "vocabulary", "pretrain")}
        self.features = {
            "stage": "features",
            "version": 1,
            "source": keys["source"],
            "vocabulary": keys["vocabulary"],
            "task": task,
            "length": 32,
        }
        self.recipe = {
            "stage": "finetune",
            "version": 1,
            "pretrain": keys["pretrain"],
            "features": key_of(self.features),
            "vocabulary": keys["vocabulary"],
            "task": task,
            "settings": SETTINGS | changes,
            "seeds": [0],
        }
        self.run(features, self.features, source="source", vocabulary="vocabulary")

    def path(self, stage):
        return self.folder / stage / "manifest.json"

    def publish(self, recipe, files):
        publish_manifest(self.path(recipe["stage"]), recipe, files=files, figures={})

    def run(self, stage, recipe, *more, **inputs):
        arguments = ["--recipe", json.dumps(recipe), "--manifest", str(self.path(recipe["stage"]))]
        for name, source in inputs.items():
            arguments += [f"--{name}", str(self.path(source))]
        stage.main([*arguments, *more])

    def finetune(self, *more, **changes):
        """Run the stage; its figures per seed."""
        recipe = self.recipe | changes
        execution = json.dumps({"tensorboard": False, "micro_batch_tokens": 1024})
        stages = {name: name for name in ("pretrain", "features", "vocabulary")}
        self.run(finetune, recipe, "--execution", execution, *more, **stages)
        return load_manifest(self.path("finetune"), key=key_of(recipe)).figures["seeds"]

    def seed_files(self, seed):
        manifest = load_manifest(self.folder / "finetune" / f"seed-{seed}.json")
        return {name: manifest.file(name, verify=True) for name in manifest.files}


@pytest.mark.parametrize("segments", [False, True])
def test_classification_is_learned(tmp_path, segments):
    study = Study(tmp_path, "pairs", segments)
    result = study.finetune()["0"]
    assert result["metrics"]["accuracy"] > 95
    assert not result["diverged"] and not result["constant"]
    assert result["selection"] == "last update"
    assert "head.dense.weight" in result["fresh_tensors"]
    files = study.seed_files(0)
    assert json.loads(files["metrics.json"].read_text()) == result["metrics"]
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert [row["id"] for row in rows] == [str(i) for i in range(96)]
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert 100 * right / 96 == result["metrics"]["accuracy"]
    assert all(sum(row["probabilities"]) == pytest.approx(1, abs=1e-5) for row in rows)


def test_regression_is_learned(tmp_path):
    metrics = Study(tmp_path, "values").finetune()["0"]["metrics"]
    assert metrics["pearson"] > 90
    assert metrics["spearman"] > 50


def test_choice_is_learned_and_levels_are_reported_apart(tmp_path):
    study = Study(tmp_path, "race")
    metrics = study.finetune()["0"]["metrics"]
    assert metrics["accuracy"] > 90
    ids = pq.read_table(study.seed_files(0)["predictions.parquet"])["id"].to_pylist()
    middle = sum(name.startswith("middle") for name in ids)
    mean = (metrics["middle"] * middle + metrics["high"] * (96 - middle)) / 96
    assert metrics["accuracy"] == pytest.approx(mean)


def test_squad11_is_learned_over_windows(tmp_path):
    study = Study(tmp_path, "squad11")
    metrics = study.finetune()["0"]["metrics"]
    assert set(metrics) == {"em", "f1"}
    assert metrics["em"] > 90
    files = study.seed_files(0)
    predictions = json.loads(files["predictions.json"].read_text())
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert all(predictions.values())
    texts, golds = [row["prediction"] for row in rows], [row["golds"] for row in rows]
    assert [predictions[row["id"]] for row in rows] == texts
    assert squad11_metrics(texts, golds) == pytest.approx(metrics)


def test_squad20_learns_when_to_answer(tmp_path):
    study = Study(tmp_path, "squad20")
    metrics = study.finetune()["0"]["metrics"]
    assert metrics["f1"] > 85
    assert metrics["no_answer_f1"] > 80 and metrics["has_answer_f1"] > 80
    assert metrics["best_f1"] >= metrics["f1"] and metrics["best_em"] >= metrics["em"]
    files = study.seed_files(0)
    predictions = json.loads(files["predictions.json"].read_text())
    odds = json.loads(files["null_odds.json"].read_text())
    assert {name for name, text in predictions.items() if not text} == {
        name for name, value in odds.items() if value > 0
    }
    rows = pq.read_table(files["predictions.parquet"]).to_pylist()
    assert all(row["span"] for row in rows)


def test_a_finished_seed_is_adopted_and_a_further_seed_trains_only_itself(tmp_path, capsys):
    study = Study(tmp_path, "pairs", epochs=1)
    first = study.finetune(seeds=[0, 1])
    assert first["0"]["key"] != first["1"]["key"]
    assert study.seed_files(0)["predictions.parquet"].read_bytes() != (
        study.seed_files(1)["predictions.parquet"].read_bytes()
    )
    written = study.seed_files(0)["metrics.json"].stat().st_mtime_ns
    more = study.finetune(seeds=[0, 1, 2])
    assert {seed: more[seed] for seed in first} == first
    assert set(more) == {"0", "1", "2"}
    assert study.seed_files(0)["metrics.json"].stat().st_mtime_ns == written
    assert " seed 2: accuracy" in capsys.readouterr().err


def test_stopped_between_seeds_it_goes_on_where_it_was(tmp_path):
    study = Study(tmp_path, "pairs", epochs=1)
    with pytest.raises(Resumable):
        study.finetune("--time-budget", "0", seeds=[0])
    assert not study.path("finetune").exists()
    whole = study.finetune(seeds=[0])
    with pytest.raises(Resumable, match="before seed 3"):
        study.finetune("--time-budget", "0", seeds=[0, 3])
    assert study.finetune(seeds=[0, 3])["0"] == whole["0"]


def test_the_same_seed_gives_the_same_files(tmp_path):
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study = Study(tmp_path / name, "race", epochs=1)
        study.finetune()
        files.append({name: path.read_bytes() for name, path in study.seed_files(0).items()})
    assert files[0] == files[1]


def test_a_diverged_run_is_recorded_not_dropped(tmp_path):
    result = Study(tmp_path, "squad20", learning_rate=1e30, epochs=1).finetune()["0"]
    assert result["diverged"]
    assert result["metrics"]["f1"] is not None


def test_an_undefined_metric_is_recorded_as_such(tmp_path, capsys):
    result = Study(tmp_path, "values", learning_rate=1e30, epochs=1).finetune()["0"]
    assert result["diverged"]
    assert result["metrics"] == {"pearson": None, "spearman": None}
    assert "pearson undefined" in capsys.readouterr().err


def test_features_list_their_files_and_figures(tmp_path):
    study = Study(tmp_path, "squad11")
    manifest = load_manifest(study.path("features"), key=key_of(study.features))
    assert "dev/characters.npy" in manifest.files and "dev/examples.parquet" in manifest.files
    assert "train/characters.npy" not in manifest.files
    assert manifest.figures["train"]["examples"] == 256
    assert manifest.figures["dev"]["rows"] > 96
    golds = manifest.figures["dev"]["gold_answers"]
    assert golds["answers"] == golds["exact"] == 96


def test_inputs_of_another_recipe_are_refused(tmp_path):
    study = Study(tmp_path, "pairs")
    with pytest.raises(StudyError, match="made from recipe"):
        study.finetune(pretrain="0" * 12)
    task = study.recipe["task"] | {"dev": "other"}
    with pytest.raises(StudyError, match=r"field recipe\.task: differs"):
        study.finetune(task=task)


def test_an_unknown_metric_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS["pairs"][1], "metrics", ["bleu"])
    with pytest.raises(StudyError, match="metrics: bleu is none of accuracy, f1, matthews"):
        Study(tmp_path, "pairs")
