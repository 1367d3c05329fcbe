"""Exported fine-tuned models: transformers loads them without a word and computes the same."""

import json
import logging
import warnings
from pathlib import Path

import network_toy as toy
import pytest
import torch
import transformers
from huggingface_hub import ModelCard
from safetensors.torch import save_file
from tasks_toy import make_task
from transformers import AutoTokenizer

from model import export
from model.network.finetuning import EncoderSpec
from model.tasks.kinds import KINDS
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study.errors import StudyError
from study.identity import key_of, seed_recipe
from study.manifest import Manifest, publish_manifest

TEXTS = ["The cat sat on a mat.", "Who sat? The dog, in 1984.", "hello  world"]
SETTINGS = {"batch": 8, "learning_rate": 1e-3, "epochs": 2, "dropout": 0.0}
CLASSES = {
    "classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "ranking": "AutoModelForSequenceClassification",
    "choice": "AutoModelForMultipleChoice",
    "span": "AutoModelForQuestionAnswering",
    "wsc": "AutoModelForMaskedLM",
}


def publish(folder: Path, recipe: dict, figures: dict, name: str = "", **files) -> Manifest:
    """Publish a manifest in `folder` whose files are written by the functions in `files`."""
    run = folder / key_of(recipe)
    run.mkdir(parents=True)
    names = {file.replace("_", "."): write for file, write in files.items()}
    for file, write in names.items():
        write(run / file)
    path = folder / f"{name or key_of(recipe)}.json"
    return publish_manifest(path, recipe, files=list(names), figures=figures)


def tuned(root: Path, kind: str, segments: bool = False, keep: bool = True, **fields):
    """A fine-tuning's seed and all behind it, where a study keeps them; its network, vocabulary."""
    trained = train_vocabulary(
        lambda: [TEXTS], "wordpiece" if segments else "byte-bpe", 300, lowercase=segments
    )
    recipe = {"stage": "vocabulary", "version": 1, "kind": "file", "sha256": "0"}
    write = trained.save
    vocabulary = publish(
        root / "vocabularies/toy", recipe, {}, tokenizer_json=lambda p: write(str(p))
    )
    source = {"stage": "source", "version": 1, "repo": "nyu-mll/glue", "config": "sst2"}
    source |= {"revision": "abc", "splits": ["dev", "train"]}
    publish(root / "sources/toy", source, {})
    features = {"stage": "features", "version": 1, "source": key_of(source)}
    publish(root / "features/toy/byte-64-1", features, {})
    pretrain = {
        "stage": "pretrain",
        "version": 4,
        "vocabulary": vocabulary.key,
        "format": {"name": "full-sentences", "length": 24, "segments": segments, "nsp": False},
        "model": toy.config().in_recipe(),
        "masking": {"policy": "dynamic", "rate": 0.15},
        "steps": 7,
        "seed": 3,
    }
    figures = {"heldout_perplexity": 12.5, "tokens": 12345, "corpora": {"books": {}}}
    publish(root / "pretrain/cell/seed-3", pretrain, figures)
    task = make_task(kind, name="toy", separators=2, **fields)
    shared = {
        "stage": "finetune",
        "version": 3,
        "pretrain": key_of(pretrain),
        "features": key_of(features),
        "vocabulary": vocabulary.key,
        "task": {**task.in_recipe(), "name": "toy", "separators": 2},
        "settings": SETTINGS,
        "keep_weights": keep,
    }
    words = Vocabulary(trained)
    spec = EncoderSpec(toy.config(), words.size, segments, words.pad)
    ours = toy.randomise(KINDS[kind].network(task, spec, KINDS[kind].loss)).eval()
    files = {"model_safetensors": lambda p: save_file(ours.state_dict(), p)} if keep else {}
    folder = root / "finetune/cell/seed-3/toy"
    seeds = {}
    for seed in (0, 1):
        run = publish(
            folder,
            seed_recipe(shared, seed),
            {"metrics": {task.metrics[0]: 71.25 + seed}},
            f"seed-{seed}",
            **files,
        )
        seeds[str(seed)] = {"key": run.key}
    publish(folder, {**shared, "seeds": [0, 1]}, {"seeds": seeds})
    return folder / "seed-0.json", ours, words


def load(kind: str, folder: Path, caplog):
    """Transformers' model and tokenizer of a folder; none of them may say anything."""
    of_class = getattr(transformers, CLASSES[kind])
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        logging.getLogger("transformers").propagate = True
        model, found = of_class.from_pretrained(folder, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    assert [record.message for record in caplog.records] == []
    assert not any(found[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval(), tokenizer


def inputs_of(tokenizer, texts, others):
    """Padded rows of pairs, as transformers' models and as ours take them."""
    rows = tokenizer(texts, others, padding=True, return_tensors="pt")
    lengths = rows["attention_mask"].sum(1)
    assert len(set(lengths.tolist())) > 1
    micro = {"ids": rows["input_ids"], "lengths": lengths}
    if "token_type_ids" in rows:
        micro["segments"] = rows["token_type_ids"]
    return rows, micro


@pytest.mark.parametrize("segments", [False, True], ids=["roberta", "bert"])
@pytest.mark.parametrize("kind", CLASSES)
def test_transformers_loads_it_without_a_word_and_with_equal_logits(
    tmp_path, caplog, kind, segments
):
    run, ours, vocabulary = tuned(tmp_path / "runs", kind, segments)
    target = tmp_path / "exported"
    export.main([str(run), str(target)])
    theirs, tokenizer = load(kind, target, caplog)
    family = "Bert" if segments else "Roberta"
    assert type(theirs).__name__ == CLASSES[kind].replace("AutoModel", family)
    rows, micro = inputs_of(tokenizer, TEXTS[:2], ["the mat", "a dog"])
    first, second = (vocabulary.encode_batch([text])[0] for text in (TEXTS[0], "the mat"))
    end = vocabulary.separator
    framed = [vocabulary.start, *first, end, end, *second, end]
    assert rows["input_ids"][0, : len(framed)].tolist() == framed
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        if kind == "choice":
            output = theirs(**{name: part[None] for name, part in rows.items()}).logits[0]
            pairs = [(ours.predict(micro)["logits"][:, 0], output)]
        elif kind == "span":
            output = theirs(**rows)
            found = ours.predict({**micro, "context": real})
            pairs = [
                (found["start"][real], output.start_logits[real]),
                (found["end"][real], output.end_logits[real]),
            ]
        elif kind == "wsc":
            hidden = ours.hidden(micro)[real]
            logits = ours.mlm(hidden, ours.encoder.words.weight)[:, : vocabulary.size]
            pairs = [(logits, theirs(**rows).logits[real])]
        else:
            pairs = [(ours.predict(micro)["logits"], theirs(**rows).logits)]
    for found, expected in pairs:
        assert found.shape == expected.shape and found.std() > 0.01
        assert (found - expected).abs().max() <= 1e-5


def test_the_card_is_written_from_the_manifests(tmp_path):
    run, _, _ = tuned(tmp_path / "runs", "span", answerability=True)
    export.main([str(run), str(tmp_path / "exported")])
    text = (tmp_path / "exported/README.md").read_text()
    card = ModelCard(text).data
    assert (card.library_name, card.pipeline_tag) == ("transformers", "question-answering")
    assert card.datasets == ["nyu-mll/glue"]
    (result,) = card.eval_results
    assert (result.dataset_name, result.dataset_revision) == ("toy", "abc")
    assert (result.metric_type, result.metric_value) == ("f1", 71.25)
    for line in (
        "- 7 updates, seed 3",
        "- task: toy, kind span; nyu-mll/glue, sst2, revision abc",
        "- 2 epochs of batch 8, learning rate 0.001, seed 0",
        "| heldout_perplexity | 12.50 |",
        "- 12,345 tokens of pre-training",
        "AutoModelForQuestionAnswering.from_pretrained",
    ):
        assert line in text
    assert "the classifier that tells whether there is an answer is not in this folder" in text
    recipes = [json.loads(block.split("```")[0]) for block in text.split("```json\n")[1:]]
    assert [recipe["stage"] for recipe in recipes] == ["pretrain", "finetune-seed"]


def test_classes_have_their_names_where_the_task_tells_them(tmp_path):
    run, _, _ = tuned(tmp_path / "runs", "classification")
    export.main([str(run), str(tmp_path / "exported")])
    config = json.loads((tmp_path / "exported/config.json").read_text())
    assert config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}
    assert config["problem_type"] == "single_label_classification"
    assert config["hidden_dropout_prob"] == 0.0


def test_what_cannot_be_exported_is_one_line(tmp_path):
    run, _, _ = tuned(tmp_path / "runs", "classification", keep=False)
    with pytest.raises(StudyError) as error:
        export.main([str(run), str(tmp_path / "out")])
    assert str(error.value) == (
        f"{run}: kept no weights; finetuning.<recipe>.toy.keep_weights: true in the study file "
        "keeps them"
    )
    with pytest.raises(StudyError, match=r"fine-tunings of 2 seeds; name one: .*/seed-0\.json, "):
        export.main([str(run.parent), str(tmp_path / "out")])
    other = run.parent.parent.parent.parent.parent / "features/toy/byte-64-1"
    with pytest.raises(StudyError, match=r"field stage: expected pretrain or finetune, found fea"):
        export.main([str(other), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
