"""Extractive questions (SQuAD): windows over the context, answers remapped (protocol section 9).

Columns: question, context, and answers by character, or as texts, which are looked for from the
context's beginning; a question without one has empty lists, nulls or no text there. A passage may
not be empty. One row per window, `<s> question </s> context tokens
</s>`. The question keeps its first `question_length` tokens; windows start every `stride` context
tokens, or right where the last one ended if a window holds fewer than that, until the context's end
is shown. Arrays besides the usual:

  questions   int32 (R,)              question of the window, not falling
  starts, ends int32 (R,)             first and last token of the answer in the row, both 0 where
                                      the window lacks it
  answerable  bool (R,)               whether the window holds the answer
  and in the dev split, parallel to tokens (0 and false outside the context):
  characters  int32 (tokens, 2)       start and end in the context's characters
  may_start, may_end bool (tokens,)   token is not blank; for may_start also: no other window shows
                                      it with more context

Inputs: context (B, T) bool. Targets: starts, ends (B,) int64, answerable (B,) 0/1 and span_weights
(B,) float32; loss terms "span" and, with `answerability`, "answerability". RoBERTa (arXiv
1907.11692) section 5.2: BERT's span heads, and for SQuAD 2.0 a separate binary classifier of
answerability, whose loss is added.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from torch.nn import functional

from model.network.cross_entropy import weighted_cross_entropy
from model.network.finetuning import FineTuningModel, Tensors
from model.network.heads import ClassificationHead, SpanHead
from model.tasks.columns import (
    Examples,
    Split,
    is_list,
    is_number,
    is_text,
    unique_indices,
    whole,
)
from model.tasks.features import CHUNK, Features, PaddedRows, Rows
from model.tasks.kind import Kind
from model.tasks.scoring import Outcome, Predicted, log_normaliser, log_sigmoid
from model.tasks.squad_metric import normalise, score_answers, squad11_metrics, squad20_metrics
from model.tasks.windows import (
    Context,
    WindowSpans,
    answer_texts,
    best_spans,
    most_context,
    null_log_odds,
    window_starts,
)
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.recipes import RecipeTask

# Finite, so that a padding row (no context at all) has a finite loss to multiply by weight 0.
OUTSIDE_CONTEXT = -1e9


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Questions, contexts and gold answers: of each question a list of (text, first character)."""
    contexts = split.texts(task.column("context"))
    answers = _answers(split, contexts, task)
    return Examples(split.ids, [split.texts(task.column("question")), contexts, answers])


def _answers(split: Split, contexts: list[str], task: RecipeTask) -> list[list[tuple[str, int]]]:
    """Answers stripped of surrounding blanks, each checked to stand where its offset says."""
    expected = "a struct of text and answer_start, lists of texts and of whole numbers"
    column, answers = task.column("answers"), []
    for row, value in enumerate(split.values(column, expected, _is_answers)):
        where = f"{split.where(column, row)}: question {split.ids[row]}"
        if not contexts[row].strip():
            raise StudyError(f"{where}: its context is empty")
        if text_only := not isinstance(value, dict):
            value = _first_places(value, contexts[row])
        texts, starts = value["text"] or [], value["answer_start"] or []
        if len(texts) != len(starts):
            raise StudyError(f"{where}: {len(texts)} texts, but {len(starts)} starts")
        golds = []
        for text, start in zip(texts, starts, strict=True):
            first = whole(start)
            if text is None or first is None:
                raise StudyError(f"{where}: {text!r} at {start}, expected a text at a whole number")
            if not text.strip() or first < 0 or contexts[row][first : first + len(text)] != text:
                place = "in the context" if text_only else f"at character {start}"
                raise StudyError(f"{where}: no {text!r} {place}")
            golds.append((text.strip(), first + len(text) - len(text.lstrip())))
        if not golds and not task.answerability:
            raise StudyError(f"{where}: no answer, though answerability is false")
        answers.append(golds)
    return answers


def _first_places(value: str | list[str], context: str) -> dict:
    """Texts as SQuAD has them, with the first place of each in the context, -1 where it is not."""
    texts = [text for text in ([value] if isinstance(value, str) else value) if text != ""]
    return {"text": texts, "answer_start": [context.find(text or "") for text in texts]}


def _is_answers(kind: pa.DataType) -> bool:
    if is_text(kind) or (is_list(kind, is_text) and not pa.types.is_null(kind)):
        return True
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    return (
        {"text", "answer_start"} <= fields.keys()
        and is_list(fields["text"], is_text)
        and is_list(fields["answer_start"], is_number)
    )


class SpanBuilder:
    """Collects the windows of a split."""

    def __init__(self, vocabulary: Vocabulary, task: RecipeTask, length: int, characters: bool):
        self.rows = Rows(vocabulary, task, length)
        self.task = task
        self.windows: list[tuple[int, int, int, bool]] = []  # question, start, end, answerable
        names = ("characters", "may_start", "may_end") if characters else ()
        self.by_token: dict[str, list[np.ndarray]] = {name: [] for name in names}
        self.golds = dict.fromkeys(("answers", "exact", "normalised", "whole_in_no_window"), 0)
        self.questions_truncated = 0

    def add(
        self, question: int, tokens: list[int], context: Context, answers: list[tuple[str, int]]
    ) -> None:
        """Append all windows of a question whose tokens are given."""
        self.questions_truncated += len(tokens) > self.task.question_length
        tokens = tokens[: self.task.question_length]
        capacity = self.rows.room(2) - len(tokens)
        size = len(context.tokens)
        starts = window_starts(size, capacity, self.task.stride)
        ends = np.minimum(starts + capacity, size)
        self.rows.truncated += len(starts) > 1
        self._count_golds(context, answers, starts, ends)
        span = context.span(answers[0][1], answers[0][1] + len(answers[0][0])) if answers else None
        first_place = 1 + len(tokens) + self.rows.separators
        for begin, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self.rows.add(tokens, context.tokens[begin:end])
            if span and begin <= span[0] and span[1] < end:
                shift = first_place - begin
                self.windows.append((question, span[0] + shift, span[1] + shift, True))
            else:
                self.windows.append((question, 0, 0, False))
        if self.by_token:
            self._add_characters(context, first_place, starts, capacity)

    def _add_characters(
        self, context: Context, first_place: int, starts: np.ndarray, capacity: int
    ) -> None:
        """What decoding needs, for each window parallel to its tokens."""
        best = most_context(len(context.tokens), starts, capacity)
        for window, begin in enumerate(starts.tolist()):
            part = slice(begin, begin + capacity)
            around = (first_place, 1)
            visible = context.visible[part]
            self.by_token["characters"].append(np.pad(context.characters[part], (around, (0, 0))))
            self.by_token["may_end"].append(np.pad(visible, around))
            self.by_token["may_start"].append(np.pad(visible & best[window, part], around))

    def _count_golds(self, context: Context, answers, starts, ends) -> None:
        """Count the different gold answers, and how many come back from their tokens."""
        for text, start in dict.fromkeys(answers):
            span = context.span(start, start + len(text))
            back = context.answer(*span) if span else ""
            self.golds["answers"] += 1
            self.golds["exact"] += back == text
            self.golds["normalised"] += normalise(back) == normalise(text)
            inside = span and bool(np.any((starts <= span[0]) & (span[1] < ends)))
            self.golds["whole_in_no_window"] += not inside

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the windows."""
        names = ("questions", "starts", "ends", "answerable")
        arrays = dict(zip(names, np.array(self.windows, dtype=np.int32).T.copy(), strict=True))
        arrays["answerable"] = arrays["answerable"].astype(bool)
        return arrays | {name: np.concatenate(parts) for name, parts in self.by_token.items()}


def build(
    examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool
) -> tuple[Features, dict]:
    """A row per window; all splits but `train` have what decoding needs.

    Figures: `truncated` questions of more than one window, `unanswerable` questions and windows,
    and of the different gold answers how many their tokens give back exactly, how many after the
    metric's normalisation, and how many no single window holds. `majority`, where questions may
    have no answer, is the score of always giving none.
    """
    builder = SpanBuilder(vocabulary, task, length, characters=not train)
    questions, contexts, golds = examples.columns
    for begin in range(0, len(examples), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        texts, places = unique_indices(contexts[chunk])
        encoded = zip(texts, *vocabulary.encode_with_offsets(texts), strict=True)
        tokenised = [Context.of(*parts) for parts in encoded]
        question_tokens = vocabulary.encode_batch([text.strip() for text in questions[chunk]])
        for row, tokens in enumerate(question_tokens):
            builder.add(begin + row, tokens, tokenised[places[row]], golds[begin + row])
        builder.rows.flush()
    unanswerable = sum(not answers for answers in golds)
    figures = {
        "questions_truncated": builder.questions_truncated,
        "unanswerable": unanswerable,
        "windows_without_answer": sum(not window[3] for window in builder.windows),
        "gold_answers": builder.golds,
    }
    if task.answerability:
        figures["majority"] = 100.0 * unanswerable / len(examples)
    features, figures = builder.rows.finish(examples, figures, **builder.arrays())
    if not train:
        texts = [[text for text, _ in answers] for answers in golds]
        features.columns["context"] = pa.array(contexts, pa.string())
        features.columns["answers"] = pa.array(texts, pa.list_(pa.string()))
    return features, figures


class SpanModel(FineTuningModel):
    """First and last token of the answer inside the context; with `answerability` also yes/no."""

    def __init__(self, task, spec, loss):
        super().__init__(task, spec, loss)
        self.span = SpanHead(self.config)
        self.answerability = ClassificationHead(self.config, 1) if task.answerability else None

    def predict(self, micro: Tensors) -> Tensors:
        """{"start", "end": (B, T), -1e9 outside the context} and, where it has the classifier,
        {"answerable": (B,)}: log-odds that the context answers the question."""
        hidden_BTH = self.hidden(micro)
        outside_BT = ~micro["context"].bool()
        start_BT, end_BT = (
            logits_BT.float().masked_fill(outside_BT, OUTSIDE_CONTEXT)
            for logits_BT in self.span(hidden_BTH)
        )
        outputs = {"start": start_BT, "end": end_BT}
        if self.answerability is not None:
            logits_B1 = self.answerability(hidden_BTH, micro.get("keys"))
            outputs["answerable"] = logits_B1.squeeze(-1).float()
        return outputs


def inputs(features: Features, task: RecipeTask, padded: PaddedRows) -> dict[str, np.ndarray]:
    """Which tokens are the context's."""
    context = padded.second & (np.arange(padded.ids.shape[1]) < padded.lengths[:, None] - 1)
    # Without a classifier, windows that lack the answer point to the first token.
    context[:, 0] = not task.answerability
    return {"context": context}


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """Where the answers stand; with `answerability` only windows that have one count for it."""
    starts, ends, answerable = (
        features.arrays[name][units] for name in ("starts", "ends", "answerable")
    )
    counted = answerable if task.answerability else np.ones_like(answerable)
    counts = {"span": int(counted.sum())}
    if task.answerability:
        counts["answerability"] = len(units)
    return counts, {
        "starts": starts.astype(np.int64),
        "ends": ends.astype(np.int64),
        "answerable": answerable.astype(np.int64),
        "span_weights": counted.astype(np.float32),
    }


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """Half the cross-entropies of start and end, and where there is a classifier its own."""
    start = weighted_cross_entropy(predicted["start"], micro["starts"], micro["span_weights"])
    end = weighted_cross_entropy(predicted["end"], micro["ends"], micro["span_weights"])
    losses = {"span": (start + end) / 2}
    if task.answerability:
        losses["answerability"] = functional.binary_cross_entropy_with_logits(
            predicted["answerable"],
            micro["answerable"].float(),
            weight=micro["weights"],
            reduction="sum",
        )
    return losses


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """The best span of each question, its metrics question by question, and the official files."""
    spans, answerable, finite = _window_spans(features, task, batches)
    texts, scores = answer_texts(features, spans)
    golds, separate = features.columns["answers"].to_pylist(), task.answerability
    odds = null_log_odds(features, answerable)  # without a classifier 0: no answer is refused
    predictions = ["" if refused else text for text, refused in zip(texts, odds > 0, strict=True)]
    metrics = squad20_metrics(texts, odds, golds) if separate else squad11_metrics(texts, golds)
    each = score_answers(predictions, golds, no_answer=separate)
    columns = {
        "id": pa.array(features.ids),
        "golds": pa.array(golds, pa.list_(pa.string())),
        "prediction": pa.array(predictions),
        "em": pa.array(each.em),
        "f1": pa.array(each.f1),
        "span": pa.array(texts),
        "score": pa.array(scores),
    }
    files = {"predictions.json": dict(zip(features.ids, predictions, strict=True))}
    if separate:
        columns["null_odds"] = pa.array(odds)
        files["null_odds.json"] = dict(zip(features.ids, odds.tolist(), strict=True))
    return Outcome(metrics, len(set(predictions)) == 1, finite, columns, files)


def _window_spans(
    features: Features, task: RecipeTask, batches: Iterable[Predicted]
) -> tuple[WindowSpans, np.ndarray, bool]:
    """Best span of each window, its log-odds of an answer (0 without classifier), all finite."""
    rows = len(features.lengths)
    spans = WindowSpans(np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64))
    answerable = np.zeros(rows)
    finite = True
    for batch in batches:
        finite &= all(np.isfinite(array).all() for array in batch.outputs.values())
        outputs = {name: np.nan_to_num(array) for name, array in batch.outputs.items()}
        start, end = outputs["start"], outputs["end"]
        inside = np.arange(start.shape[1]) < batch.lengths[:, None]
        may_start = features.gather("may_start", batch.rows, inside) & inside
        may_end = features.gather("may_end", batch.rows, inside) & inside
        best = best_spans(start, end, may_start, may_end, task.answer_length)
        if task.answerability:
            answerable[batch.rows] = outputs["answerable"]
            best.score += log_sigmoid(outputs["answerable"])
            best.score -= log_normaliser(start) + log_normaliser(end)
        for name, values in vars(best).items():
            getattr(spans, name)[batch.rows] = values
    return spans, answerable, finite


KIND = Kind(read, build, SpanModel, targets, loss, score, None, inputs)
