"""Export a pre-trained or fine-tuned model as a folder that transformers loads.

In: the manifest of a pre-training, or of one seed of a fine-tuning that kept its weights (or a
folder that holds it); what it was made from is looked for beside it. Out: a folder with
config.json, model.safetensors, tokenizer.json, tokenizer_config.json and a model card, README.md,
for transformers' `AutoModelForMaskedLM`, of fine-tuned models `AutoModelForSequenceClassification`,
`AutoModelForQuestionAnswering` or `AutoModelForMultipleChoice`, and `AutoTokenizer`; no pickle.
"""

import dataclasses
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from model.card import Card
from model.network.huggingface import architecture, to_transformers, transformers_config
from model.network.weights import WEIGHTS
from model.text.tokenizer import TOKENIZER_FILE, Vocabulary
from study.cells import Model
from study.command import command_parser, run_command
from study.errors import StudyError
from study.manifest import MANIFEST_NAME, Manifest, load_manifest, seed_run
from study.stages import PATHS

STAGES = ("pretrain", "finetune", "finetune-seed")


def read_run(place: Path) -> Manifest:
    """The manifest at `place` of a pre-training, or of the one seed of a fine-tuning: the file, the
    folder it lies in, or the run directory.

    Raises StudyError when there is none, several, or one of another stage.
    """
    run = _manifest_at(place)
    if run.stage not in STAGES:
        expected = "expected pretrain or finetune"
        raise StudyError(f"{run.path}: field stage: {expected}, found {run.stage}")
    if run.stage != "finetune":
        return run
    seeds = list(run.figure("seeds"))
    if len(seeds) != 1:
        files = ", ".join(str(run.path.parent / f"seed-{seed}.json") for seed in seeds)
        raise StudyError(f"{place}: fine-tunings of {len(seeds)} seeds; name one: {files}")
    return seed_run(run, seeds[0])


def _manifest_at(place: Path) -> Manifest:
    if not place.is_dir():
        return load_manifest(place)
    if (place / MANIFEST_NAME).is_file():  # the run directory `<key>/`, beside its `<key>.json`
        inner = load_manifest(place / MANIFEST_NAME)
        if inner.stage == "finetune-seed":
            return inner
        return dataclasses.replace(inner, path=place.parent / f"{inner.key}.json")
    paths = sorted(path for path in place.glob("*.json") if not path.name.startswith("seed-"))
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise StudyError(f"{place}: expected one manifest, found {names}; name the one to export")
    return load_manifest(paths[0])


def look_for(run: Manifest, stage: str, key: str) -> Manifest | None:
    """The manifest of what a run was made from, where the study keeps it; None if it is not."""
    pattern = f"{re.sub(r'{[a-z]+}', '*', PATHS[stage])}/{key}.json"
    for folder in run.path.resolve().parents:
        for path in sorted(folder.glob(pattern)):
            return load_manifest(path, key=key, stage=stage)
    return None


def find(run: Manifest, stage: str, advice: str = "") -> Manifest:
    """The same, of a field of the recipe; StudyError naming the key where it is not there."""
    key = run.recipe[stage]
    found = look_for(run, stage, key)
    if found is None:
        raise StudyError(
            f"{run.path}: field recipe.{stage}: no {stage} {key} beside this run{advice}"
        )
    return found


def export(run: Manifest, vocabulary_manifest: Manifest, target: Path) -> None:
    """Write the folder `target`, whole or not at all.

    Raises StudyError when `target` exists and is not empty, when the run kept no weights, and for
    what transformers has no class for.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StudyError(f"{target}: exists and is not an empty folder")
    task = run.recipe.get("task")
    if task and WEIGHTS not in run.files:
        raise StudyError(
            f"{run.path}: kept no weights; finetuning.<recipe>.{task['name']}.keep_weights: true "
            "in the study file keeps them"
        )
    pretrain = find(run, "pretrain") if task else run
    vocabulary = Vocabulary.load(vocabulary_manifest)
    state = load_file(run.file(WEIGHTS))
    name = architecture(state, task["kind"] if task else "")
    model = Model.model_validate({**pretrain.recipe["model"], **_dropouts(run)})
    config = transformers_config(model, state, vocabulary, name) | _labels(run, name, state)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        draft = Path(folder)
        draft.chmod(0o755)
        save_file(to_transformers(state, vocabulary, name), draft / WEIGHTS, {"format": "pt"})
        _write_json(draft / "config.json", config)
        segments = "encoder.segments.weight" in state
        separators = task["separators"] if task else 1
        write_tokenizer(
            vocabulary_manifest, vocabulary, draft, segments, separators, model.positions
        )
        (draft / "README.md").write_text(card_of(run, pretrain, name).text())
        draft.replace(target)


def _dropouts(run: Manifest) -> dict[str, float]:
    """Dropout of a fine-tuning, whose network is otherwise that of the pre-training."""
    if "settings" not in run.recipe:
        return {}
    dropout = run.recipe["settings"]["dropout"]
    return {"dropout": dropout, "attention_dropout": dropout}


def _labels(run: Manifest, name: str, state: dict) -> dict[str, Any]:
    """What config.json says of a task's classes, called by their names where these are known."""
    if not name.endswith("ForSequenceClassification"):
        return {}
    task, outputs = run.recipe["task"], len(state["head.output.bias"])
    names = task.get("labels")
    if not isinstance(names, list):
        names = [f"LABEL_{number}" for number in range(outputs)]
    kind = "single_label_classification" if task["kind"] == "classification" else "regression"
    return {
        "id2label": {str(number): str(label) for number, label in enumerate(names)},
        "label2id": {str(label): number for number, label in enumerate(names)},
        "classifier_dropout": run.recipe["settings"].get("head_dropout"),
        "problem_type": kind,
    }


def card_of(run: Manifest, pretrain: Manifest, name: str) -> Card:
    """The card of a run, with what it was made from as far as that is there."""
    corpora: dict[str, Manifest | None] = dict.fromkeys(pretrain.figures.get("corpora", {}))
    languages: dict[str, None] = {}
    store = look_for(pretrain, "store", pretrain.recipe.get("store", ""))
    for key in store.recipe["tokens"] if store else ():
        tokens = look_for(pretrain, "tokens", key)
        sentences = tokens and look_for(pretrain, "sentences", tokens.recipe["sentences"])
        if sentences:
            languages[sentences.recipe["language"]] = None
            source = look_for(pretrain, "source", sentences.recipe["source"])
            corpora[sentences.recipe["corpus"]] = source
    features = look_for(run, "features", run.recipe.get("features", ""))
    first = pretrain
    while first and "start" in first.recipe:
        first = look_for(first, "pretrain", first.recipe["start"])
    weights = first and first.recipe.get("weights")
    return Card(
        run,
        pretrain,
        name,
        corpora,
        list(languages),
        task_source=features and look_for(run, "source", features.recipe["source"]),
        weights=weights and look_for(pretrain, "weights", weights),
    )


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_tokenizer(
    manifest: Manifest,
    vocabulary: Vocabulary,
    folder: Path,
    segments: bool,
    separators: int,
    longest: int,
) -> None:
    """tokenizer.json that frames texts as in training, and the roles of its special tokens."""
    tokenizer = Tokenizer.from_file(str(manifest.file(TOKENIZER_FILE)))
    names = {
        role: tokenizer.id_to_token(getattr(vocabulary, role))
        for role in ("start", "pad", "separator", "unknown", "mask")
    }
    start, end = names["start"], names["separator"]
    second = 1 if segments else 0
    between = " ".join([end] * separators)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {between} $B:{second} {end}:{second}",
        special_tokens=[(start, vocabulary.start), (end, vocabulary.separator)],
    )
    tokenizer.save(str(folder / TOKENIZER_FILE))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": start,
            "cls_token": start,
            "eos_token": end,
            "sep_token": end,
            "pad_token": names["pad"],
            "unk_token": names["unknown"],
            "mask_token": names["mask"],
            "model_max_length": longest,
            "model_input_names": [
                "input_ids",
                *(["token_type_ids"] if segments else []),
                "attention_mask",
            ],
            "clean_up_tokenization_spaces": False,
        },
    )


def main(argv: list[str] | None = None) -> None:
    """Command line of the export."""
    parser = command_parser(
        "model.export",
        "Write a pre-trained or fine-tuned model as a folder that transformers loads.",
        "python -m model.export runs/laptop/pretrain/byte-level/seed-0 exported",
    )
    about = "manifest of a pre-training or of a seed of a fine-tuning, or its folder"
    parser.add_argument("run", metavar="RUN", type=Path, help=about)
    parser.add_argument("target", metavar="DIR", type=Path, help="folder to write (new or empty)")
    whose = "the vocabulary's manifest (default: looked for in the run's scale)"
    parser.add_argument("--vocabulary", metavar="FILE", type=Path, help=whose)
    arguments = parser.parse_args(argv)
    run = read_run(arguments.run)
    if arguments.vocabulary:
        key = run.recipe["vocabulary"]
        vocabulary = load_manifest(arguments.vocabulary, key=key, stage="vocabulary")
    else:
        vocabulary = find(run, "vocabulary", "; name its manifest with --vocabulary")
    export(run, vocabulary, arguments.target)


if __name__ == "__main__":
    run_command(main)
