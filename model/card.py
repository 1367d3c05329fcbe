"""The model card of an exported model, README.md: written from the manifests of its runs.

In: the manifest of the run whose weights are exported, of the pre-training behind it, and of what
these were made from as far as it is there. Out: Markdown under a block of metadata that the hub
reads (its `model-index` holds the scores).
"""

import json
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from study.manifest import Manifest

# Of transformers' classes, the end of their name -> the hub's name of what they do.
PIPELINES = {
    "ForPreTraining": "fill-mask",
    "ForMaskedLM": "fill-mask",
    "ForSequenceClassification": "text-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMultipleChoice": "multiple-choice",
}
# What comes out of a model of each kind, and how its rows are written.
USES = {
    "classification": "the logits of the classes",
    "regression": "one logit, which times {scale} is the value in the unit of the labels",
    "ranking": "one logit; of the sentences that a question is given, the highest answers it",
    "choice": "a logit per option. The first text is the question with the option in its gap or "
    "behind it, the second the passage",
    "span": "logits of the answer's first and last token. The first text is the question, the "
    "second the context",
    "wsc": "the logits of the words. In the pronoun's place stand as many masks as a candidate has "
    "tokens; the candidate of the highest mean log-probability is the referent",
}


@dataclass(frozen=True)
class Card:
    """What a card tells of: the exported run, its pre-training, sources by what reads them."""

    run: Manifest
    pretrain: Manifest
    architecture: str
    corpora: dict[str, Manifest | None]  # by name; None where the run's sources are not there
    languages: list[str] = field(default_factory=list)
    task_source: Manifest | None = None
    weights: Manifest | None = None  # that it, or what it starts from, started from

    @property
    def task(self) -> dict[str, Any] | None:
        """The task that it was fine-tuned on."""
        return self.run.recipe.get("task")

    @property
    def trained(self) -> bool:
        """Whether its pre-training made an update."""
        return self.pretrain.recipe["steps"] > 0

    @property
    def title(self) -> str:
        """What the model is called: its input format, or its task, and its recipe."""
        form = self.pretrain.recipe["format"]["name"]
        what = f"{self.task['name']} after {form}" if self.task else form
        return f"{what}, recipe {self.run.key}"

    def text(self) -> str:
        """README.md."""
        parts = [f"---\n{self._metadata()}\n---", f"# {self.title}", ABOUT]
        parts += [self._pretraining(), self._data()]
        parts += [self._finetuning()] if self.task else []
        parts += [self._scores(), self._use(), self._limits(), self._recipes()]
        return "\n\n".join(parts) + "\n"

    def _metadata(self) -> str:
        sources = [*(self.corpora.values() if self.trained else ()), self.task_source]
        repositories = [source.recipe["repo"] for source in sources if source and _repo(source)]
        end = next(end for end in PIPELINES if self.architecture.endswith(end))
        base = self.weights.recipe.get("repo") if self.weights else None
        results = self._results(PIPELINES[end])
        return ModelCardData(
            library_name="transformers",
            pipeline_tag=PIPELINES[end],
            language=self.languages or None,
            datasets=list(dict.fromkeys(repositories)) or None,
            base_model=base,
            tags=["roberta", "ablation"],
            model_name=self.title if results else None,
            eval_results=results or None,
        ).to_yaml()

    def _results(self, pipeline: str) -> list[EvalResult]:
        """The scores as the hub lists them."""
        if self.task is None:
            return []
        source = self.task_source.recipe if self.task_source else {}
        return [
            EvalResult(
                task_type=pipeline,
                dataset_type=source.get("repo", self.task["name"]),
                dataset_name=self.task["name"],
                dataset_config=source.get("config"),
                dataset_split=self.task["dev"],
                dataset_revision=self.task_source and _revision(self.task_source),
                metric_type=metric,
                metric_value=round(value, 2),
            )
            for metric, value in self.run.figure("metrics").items()
            if value is not None
        ]

    def _pretraining(self) -> str:
        recipe = self.pretrain.recipe
        model, form = recipe["model"], recipe["format"]
        masking = recipe["masking"]
        lines = [
            f"objective: masked tokens{' and next sentences' if form.get('nsp') else ''}",
            f"input format: {form['name']}, {form['length']} tokens",
            f"masking: {masking['policy']}" + _share(masking),
            f"{model['layers']} layers, hidden {model['hidden']}, {model['heads']} heads, "
            f"feed-forward {model['ffn']}, {model['positions']} positions",
            f"{recipe['steps']} updates, seed {recipe['seed']}",
        ]
        if "start" in recipe:
            lines.append(f"starts from the pre-training {recipe['start']} of the same study")
        if self.weights:
            lines.append(f"first of all from the weights of {source_text(self.weights)}")
        return "## Pre-training\n\n" + _bullets(lines)

    def _data(self) -> str:
        named = [
            name if source is None else f"{name}: {source_text(source)}"
            for name, source in self.corpora.items()
        ]
        use = "It is trained on" if self.trained else "It is not trained here; its held-out text is"
        return f"{use}:\n\n" + _bullets(named or ["nothing tells any more"])

    def _finetuning(self) -> str:
        recipe, task = self.run.recipe, self.task
        settings = recipe["settings"]
        source = source_text(self.task_source) if self.task_source else "its source is not there"
        lines = [
            f"task: {task['name']}, kind {task['kind']}; {source}",
            f"trained on split {task['train']}, scored on split {task['dev']}",
            f"{settings['epochs']} epochs of batch {settings['batch']}, learning rate "
            f"{settings['learning_rate']:g}, seed {recipe['seed']}",
        ]
        return "## Fine-tuning\n\n" + _bullets(lines)

    def _scores(self) -> str:
        """What the manifests measured, of this one run."""
        figures = {**self.pretrain.figures}
        if self.task:
            figures = {"heldout_perplexity": figures.get("heldout_perplexity")}
            split = self.task["dev"]
            metrics = self.run.figure("metrics")
            figures |= {f"{name} ({split}, percent)": value for name, value in metrics.items()}
        rows = [
            f"| {name} | {value:.2f} |" if self.task else f"| {name} | {value} |"
            for name, value in figures.items()
            if isinstance(value, (int, float, str)) and not isinstance(value, bool)
        ]
        return "## Scores\n\n" + "\n".join(["| figure | value |", "| --- | --- |", *rows])

    def _use(self) -> str:
        end = next(end for end in PIPELINES if self.architecture.endswith(end))
        use = (
            USES[self.task["kind"]].format(**self.task) if self.task else "the logits of the words"
        )
        return f"""\
## Use

```python
from transformers import AutoModel{end}, AutoTokenizer

model = AutoModel{end}.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```

It gives {use}."""

    def _limits(self) -> str:
        tokens = self.pretrain.figures.get("tokens")
        lines = [
            "one run of one seed: how others come out is in the study's tables",
            "made to be compared with the other cells of its study, not to be the best of its size",
            "what its texts hold (errors, bias, private facts) it may have learnt; their licences "
            "apply, and that of the weights that it started from",
        ]
        if isinstance(tokens, int):
            lines.insert(1, f"{tokens:,} tokens of pre-training")
        if self.task:
            lines.append("scored on a development split, on which settings may have been chosen")
        if self.task and self.task.get("answerability"):
            lines.append(
                "the classifier that tells whether there is an answer is not in this folder: "
                "transformers' class has no place for it, so it always answers, and the scores "
                "above, which are with the classifier, are not those of this class alone"
            )
        return "## Limits\n\n" + _bullets(lines)

    def _recipes(self) -> str:
        recipes = {"pre-training": self.pretrain.recipe}
        recipes |= {"fine-tuning": self.run.recipe} if self.task else {}
        blocks = [
            f"The whole recipe of the {name}:\n\n```json\n{json.dumps(recipe, indent=1)}\n```"
            for name, recipe in recipes.items()
        ]
        return "\n\n".join(["## Recipe", *blocks])


ABOUT = (
    "One model of a re-run of RoBERTa's ablation study (arXiv 1907.11692). This card is written "
    "from the manifests of its runs."
)


def source_text(source: Manifest) -> str:
    """What a source's or weights' files are, in words."""
    recipe = source.recipe
    if "repo" in recipe:
        config = f", {recipe['config']}" if recipe.get("config") else ""
        revision = _revision(source)
        return recipe["repo"] + config + (f", revision {revision}" if revision else "")
    if "generated" in recipe:
        return f"generated text {recipe['generated']}, seed {recipe['seed']}"
    return f"files of one's own, source {source.key}"


def _repo(source: Manifest) -> bool:
    return "/" in source.recipe.get("repo", "")


def _revision(source: Manifest) -> str | None:
    return source.recipe.get("revision") or source.figures.get("revision")


def _share(masking: dict[str, Any]) -> str:
    return f", {100 * masking['rate']:g} % of the tokens" if "rate" in masking else ""


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
