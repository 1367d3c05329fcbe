"""Export a pre-training run as a folder that transformers loads.

In: the manifest of a pre-training run (or a folder that holds it) and that of its vocabulary. Out:
a folder with config.json, model.safetensors, tokenizer.json, tokenizer_config.json and README.md,
for `AutoModelForMaskedLM.from_pretrained` and `AutoTokenizer.from_pretrained`; no pickle.
"""

import dataclasses
import json
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from model.network.huggingface import (
    predicts_next_sentence,
    to_transformers,
    transformers_config,
)
from model.network.weights import WEIGHTS
from model.text.tokenizer import TOKENIZER_FILE, Vocabulary
from study.cells import Model
from study.command import command_parser, run_command
from study.errors import StudyError
from study.manifest import MANIFEST_NAME, Manifest, load_manifest
from study.stages import PATHS


def read_run(place: Path) -> Manifest:
    """The pre-training manifest at `place`: the file, the folder it lies in, or the run directory.

    Raises StudyError when there is none, several, or one of another stage.
    """
    if not place.is_dir():
        return load_manifest(place, stage="pretrain")
    if (place / MANIFEST_NAME).is_file():  # the run directory `<key>/`, beside its `<key>.json`
        inner = load_manifest(place / MANIFEST_NAME, stage="pretrain")
        return dataclasses.replace(inner, path=place.parent / f"{inner.key}.json")
    paths = sorted(place.glob("*.json"))
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise StudyError(f"{place}: expected one manifest, found {names}; name the one to export")
    return load_manifest(paths[0], stage="pretrain")


def find_vocabulary(run: Manifest) -> Manifest:
    """The manifest of the run's vocabulary, looked for where the study keeps it.

    Raises StudyError naming the key and the option that points to it.
    """
    key = run.recipe["vocabulary"]
    pattern = f"{PATHS['vocabulary'].format(vocabulary='*')}/{key}.json"
    for folder in run.path.resolve().parents:
        for path in sorted(folder.glob(pattern)):
            return load_manifest(path, key=key, stage="vocabulary")
    raise StudyError(
        f"{run.path}: field recipe.vocabulary: no vocabulary {key} beside this run; "
        "name its manifest with --vocabulary"
    )


def export(run: Manifest, vocabulary_manifest: Manifest, target: Path) -> None:
    """Write the folder `target`, whole or not at all.

    Raises StudyError when `target` exists and is not empty.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StudyError(f"{target}: exists and is not an empty folder")
    vocabulary = Vocabulary.load(vocabulary_manifest)
    config = Model.model_validate(run.recipe["model"])
    state = load_file(run.file(WEIGHTS))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        draft = Path(folder)
        draft.chmod(0o755)
        save_file(to_transformers(state, vocabulary.pad), draft / WEIGHTS, {"format": "pt"})
        _write_json(draft / "config.json", transformers_config(config, state, vocabulary))
        segments = "encoder.segments.weight" in state
        _write_tokenizer(vocabulary_manifest, vocabulary, draft, segments, config.positions)
        (draft / "README.md").write_text(model_card(run, predicts_next_sentence(state)))
        draft.replace(target)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _write_tokenizer(
    manifest: Manifest, vocabulary: Vocabulary, folder: Path, segments: bool, longest: int
) -> None:
    """tokenizer.json that frames texts as in pre-training, and the roles of its special tokens."""
    tokenizer = Tokenizer.from_file(str(manifest.file(TOKENIZER_FILE)))
    names = {
        role: tokenizer.id_to_token(getattr(vocabulary, role))
        for role in ("start", "pad", "separator", "unknown", "mask")
    }
    start, end = names["start"], names["separator"]
    second = 1 if segments else 0
    tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B:{second} {end}:{second}",
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


def model_card(run: Manifest, next_sentence: bool) -> str:
    """README.md: what this model is, its recipe and its figures."""
    recipe, model, form = run.recipe, run.recipe["model"], run.recipe["format"]
    figures = "\n".join(
        f"| {name} | {value} |"
        for name, value in run.figures.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    )
    heads = f"{model['heads']} heads, feed-forward {model['ffn']}"
    return f"""\
---
library_name: transformers
pipeline_tag: fill-mask
---

# {form["name"]}, recipe {run.key}

One cell of a re-run of RoBERTa's ablation study (arXiv 1907.11692), made to be compared
with its siblings, not to be the best model of its size.

- objective: masked tokens{" and next sentences" if next_sentence else ""}
- input format: {form["name"]}, {form["length"]} tokens
- masking: {recipe["masking"]["policy"]}
- {model["layers"]} layers, hidden {model["hidden"]}, {heads}
- {recipe["steps"]} updates, seed {recipe["seed"]}

| figure | value |
| --- | --- |
{figures}

The whole recipe:

```json
{json.dumps(recipe, indent=1)}
```
"""


def main(argv: list[str] | None = None) -> None:
    """Command line of the export."""
    parser = command_parser(
        "model.export",
        "Write a pre-training run as a folder that transformers loads.",
        "python -m model.export runs/laptop/pretrain/byte-level/seed-0 exported",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="pretrain manifest or its folder")
    parser.add_argument("target", metavar="DIR", type=Path, help="folder to write (new or empty)")
    whose = "the vocabulary's manifest (default: looked for in the run's scale)"
    parser.add_argument("--vocabulary", metavar="FILE", type=Path, help=whose)
    arguments = parser.parse_args(argv)
    run = read_run(arguments.run)
    if arguments.vocabulary:
        key = run.recipe["vocabulary"]
        vocabulary = load_manifest(arguments.vocabulary, key=key, stage="vocabulary")
    else:
        vocabulary = find_vocabulary(run)
    export(run, vocabulary, arguments.target)


if __name__ == "__main__":
    run_command(main)
