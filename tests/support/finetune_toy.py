"""Toy tasks and a study in a folder: all that the fine-tuning stage reads, as manifests."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from tasks_toy import wordpiece

from model.network.pretraining import PretrainingModel
from model.stages import features, finetune, source
from study.cells import Model
from study.identity import key_of
from study.manifest import load_manifest, publish_manifest
from study.places import own_contents

NETWORK = Model(
    layers=1,
    hidden=32,
    heads=2,
    ffn=64,
    positions=48,
    dropout=0.1,
    attention_dropout=0.1,
    layer_norm_eps=1e-5,
    init_std=0.1,
    vocabulary_multiple=8,
)
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
    "values": (
        value_rows,
        {"kind": "regression", "metrics": ["pearson", "spearman"], "scale": 1, **TEXTS},
    ),
    "squad11": (span_rows, {"answerability": False, **SPAN}),
    "squad20": (
        lambda draw, count: span_rows(draw, count, 0.6),
        {"answerability": True, **SPAN},
    ),
    "race": (choice_rows, {"kind": "choice", "question_length": 8, "metrics": ["accuracy"]}),
}


class Study:
    """Manifests of the stages before fine-tuning, in a folder."""

    def __init__(self, folder, name, segments=False, splits=(), **changes):
        """`splits` are further ones of 40 rows, as (key of the task, name, split)."""
        make, task = TASKS[name]
        self.folder = folder
        task = {"name": name, "separators": 1, "train": "train", "dev": "validation", **task}
        for key, label, split in splits:
            task[key] = {**task.get(key, {}), label: split}
        further = [(split, 40) for *_, split in splits]
        for split, count in (("train", 256), ("validation", 96), *further):
            (folder / "hub").mkdir(exist_ok=True)
            table = pa.table(make(random.Random(f"{name} {split}"), count))
            pq.write_table(table, folder / "hub" / f"{split}.parquet")
        self.source = {
            "stage": "source",
            "version": 1,
            "splits": ["train", "validation", *(split for split, _ in further)],
        }
        self.source["files"] = own_contents(folder / "hub", self.source["splits"])
        places = json.dumps({key_of(self.source): str(folder / "hub")})
        self.run(source, self.source, "--places", places)
        self.vocabulary = {"stage": "vocabulary", "version": 1}
        vocabulary = wordpiece()
        target = folder / "vocabulary" / key_of(self.vocabulary)
        target.mkdir(parents=True)
        vocabulary.tokenizer.save(str(target / "tokenizer.json"))
        self.publish(self.vocabulary, ["tokenizer.json"])
        self.pretrain = {
            "stage": "pretrain",
            "version": 1,
            "model": NETWORK.in_recipe(),
            "format": {"name": "segment-pair", "segments": segments},
        }
        target = folder / "pretrain" / key_of(self.pretrain)
        target.mkdir(parents=True)
        torch.manual_seed(7)
        model = PretrainingModel(NETWORK, vocabulary.size, segments)
        save_file(model.state_dict(), target / "model.safetensors")
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
        self.run_features(self.features)

    def run_features(self, recipe):
        """Run the features stage with `recipe`."""
        self.run(features, recipe, source="source", vocabulary="vocabulary")

    def path(self, stage):
        return self.folder / stage / "manifest.json"

    def publish(self, recipe, files):
        publish_manifest(self.path(recipe["stage"]), recipe, files=files, figures={})

    def run(self, stage, recipe, *more, **inputs):
        arguments = ["--recipe", json.dumps(recipe), "--manifest", str(self.path(recipe["stage"]))]
        for name, made_by in inputs.items():
            arguments += [f"--{name}", str(self.path(made_by))]
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
        return {name: manifest.file(name) for name in manifest.files}
