"""Winograd schemas (SuperGLUE's WSC, which stands for WNLI): a row per candidate for the pronoun.

Columns: text, span1_text (a candidate referent, the query), span2_text (the pronoun), their
span1_index and span2_index by words, label of 0 or 1. Rows of an example in turn (`groups`), the
query's first: `<s> text </s>` with the candidate in the pronoun's place and all of its tokens
masked; `originals`, parallel to tokens, holds what the masks hide. Inputs: positions and targets
(R, K), the masked tokens, and shares (R, K), one over a row's number of them. Targets: members
int64 (U, C), the rows of each unit; loss term "wsc". predictions.parquet: id, label, prediction 0
or 1, margin (nats: the query's score minus the best other's), probability (softmax of the query
among all candidates).

RoBERTa (arXiv 1907.11692) section 5.1: candidates are the query and the text's other noun phrases,
without pronouns, without phrases that overlap the query or share its words, and without those that
hold the pronoun itself. Training uses the examples whose query is the referent, for only these say
which candidate is right; an example without other candidates teaches nothing and is left out too.
A row longer than the limit is cut around the candidate. A candidate scores the mean
log-probability, in nats, of its masked tokens by the pre-trained masked-language head.

Legend: R rows, U units, C rows of the largest unit, K masked tokens, W rows of the word table.
"""

import re
from collections.abc import Iterable
from itertools import islice

import numpy as np
from torch import Tensor
from torch.nn import functional

from model.network.finetuning import FineTuningModel, Tensors
from model.network.heads import MaskedLanguageHead
from model.tasks.columns import Examples, Split
from model.tasks.features import CHUNK, Features, PaddedRows, Rows, label_figures
from model.tasks.kind import Average, Kind
from model.tasks.nouns import phrase_finder
from model.tasks.scoring import Outcome, Predicted, in_order, score_columns
from model.tasks.units import by_unit, first_of_unit_loss, members_of, shares
from model.tasks.words import PRONOUNS
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.recipes import RecipeTask

_WORD = re.compile(r"\S+")


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Texts, queries and pronouns, with the first word of each of the two in the text."""
    columns = [split.texts(task.column(name)) for name in ("text", "span1_text", "span2_text")]
    indices = [task.column(f"span{number}_index") for number in (1, 2)]
    words = np.stack([split.whole_numbers(index) for index in indices], 1)
    labels = split.classes(task.column("label"), 2) if labelled else None
    return Examples(split.ids, [*columns, words.tolist()], labels)


def find_words(text: str, words: str, number: int) -> tuple[int, int] | None:
    """Characters (start, end) of `words` in the text, None where it lacks them.

    Of their whole-word occurrences, in any case and spacing, it is the one nearest to word `number`
    of the text cut at white space.
    """
    pattern = r"\s+".join(map(re.escape, words.split()))
    occurrences = [m.span() for m in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)]
    starts = [match.start() for match in _WORD.finditer(text)]
    if not occurrences or not words.split():
        return None
    target = starts[min(max(number, 0), len(starts) - 1)]
    return min(occurrences, key=lambda span: abs(span[0] - target))


def candidates(
    text: str, query: str, query_span: tuple[int, int] | None, pronoun: tuple[int, int], phrases
) -> list[str]:
    """The phrases that compete with the query, as they are spelt in the text, each once."""
    taken = [span for span in (query_span, pronoun) if span]
    query_words = _letters(query)
    others: dict[str, str] = {}
    for start, end in phrases:
        words = _letters(text[start:end])
        overlaps = any(start < last and first < end for first, last in taken)
        related = _holds(words, query_words) or _holds(query_words, words)
        if words and not overlaps and not related and not set(words) <= PRONOUNS:
            others.setdefault(" ".join(words), text[start:end])
    return list(others.values())


def _letters(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _holds(words: list[str], part: list[str]) -> bool:
    """Whether `part` stands in `words` in one piece."""
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))


def cut_around(first: int, last: int, length: int, room: int) -> tuple[int, int]:
    """The part (begin, end) of `length` tokens that fits `room`, its middle that of first..last."""
    if length <= room:
        return 0, length
    before = max(0, room - (last - first)) // 2
    begin = min(max(0, first - before), length - room)
    return begin, begin + room


class PronounBuilder:
    """Collects the rows of a split."""

    def __init__(self, vocabulary: Vocabulary, task: RecipeTask, length: int):
        self.vocabulary = vocabulary
        self.task = task
        self.rows = Rows(vocabulary, task, length)
        self.room = self.rows.room(1)
        self.originals: list[int] = []
        self.groups = [0]
        self.kept: list[int] = []
        self.counts = dict.fromkeys(("candidates", "without_candidates", "pronouns_moved"), 0)

    def texts(
        self, example: str, text: str, query: str, pronoun: str, words, find
    ) -> list[tuple[str, int, int]]:
        """The text with each candidate in the pronoun's place, and where it stands; query first."""
        pronoun_span = find_words(text, pronoun, words[1])
        if pronoun_span is None:
            raise StudyError(
                f"task {self.task.name}: example {example}: no {pronoun!r} in its text"
            )
        stated = [match.span() for match in _WORD.finditer(text)][words[1] : words[1] + 1]
        self.counts["pronouns_moved"] += not any(a <= pronoun_span[0] < b for a, b in stated)
        query = query.strip().rstrip(".,;:!?")
        span = find_words(text, query, words[0])
        # As the text spells it: the data capitalise some queries, which no other candidate is.
        named = [text[slice(*span)] if span else query]
        named += candidates(text, query, span, pronoun_span, find(text))
        start, end = pronoun_span
        return [(f"{text[:start]}{name}{text[end:]}", start, start + len(name)) for name in named]

    def add(self, number: int, encoded: Iterable[tuple[list[int], list, tuple]]) -> None:
        """Append the rows of example `number`: tokens, offsets, and what `texts` gave."""
        rows = 0
        for tokens, offsets, (_, start, end) in encoded:
            touched = [i for i, (a, b) in enumerate(offsets) if a < end and start < b]
            if not touched and rows == 0:
                raise StudyError(f"task {self.task.name}: row {number}: the query has no tokens")
            if touched:
                self._add_row(tokens, touched[0], touched[-1] + 1)
                rows += 1
        self.groups.append(self.groups[-1] + rows)
        self.kept.append(number)
        self.counts["candidates"] += rows - 1
        self.counts["without_candidates"] += rows == 1

    def _add_row(self, tokens: list[int], first: int, last: int) -> None:
        begin, end = cut_around(first, last, len(tokens), self.room)
        self.rows.truncated += end - begin < len(tokens)
        ids = self.vocabulary
        masked = [ids.mask if first <= i < last else tokens[i] for i in range(begin, end)]
        self.rows.add(masked)
        self.originals += [ids.start, *tokens[begin:end], ids.separator]


def build(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool):
    """A row per candidate; `train` keeps only what can be learned from.

    Figures: `candidates` besides the queries, examples `without_candidates` (predicted true),
    `pronouns_moved` that stood at another word than the data say, the labels of the whole split.
    Raises StudyError when a pronoun is not in its text, or nothing is left to train on.
    """
    find, source = phrase_finder(task)
    builder = PronounBuilder(vocabulary, task, length)
    texts, queries, pronouns, words = examples.columns
    for begin in range(0, len(examples), CHUNK):
        chosen, flat = [], []
        for row in range(begin, min(begin + CHUNK, len(examples))):
            if train and examples.labels[row] != 1:
                continue
            parts = (examples.ids[row], texts[row], queries[row], pronouns[row])
            versions = builder.texts(*parts, words[row], find)
            if len(versions) > 1 or not train:
                chosen.append((row, len(versions)))
                flat += versions
            else:
                builder.counts["without_candidates"] += 1
        encoded = vocabulary.encode_with_offsets([text for text, _, _ in flat])
        rows = zip(*encoded, flat, strict=True)
        for row, count in chosen:
            builder.add(row, islice(rows, count))
        builder.rows.flush()
    if not builder.kept:
        raise StudyError(f"task {task.name}: no example of label 1 has another candidate")
    kept = {} if examples.labels is None else {"labels": examples.labels[builder.kept]}
    return builder.rows.finish(
        examples,
        builder.counts | {"candidates_from": source} | label_figures(examples.labels),
        originals=np.array(builder.originals, dtype=vocabulary.dtype),
        groups=np.array(builder.groups, dtype=np.int64),
        **kept,
    )


class PronounModel(FineTuningModel):
    """The masked-language head: nothing but the pre-trained tensors."""

    pretrained = ("encoder.", "mlm.")

    def __init__(self, task, spec, loss):
        super().__init__(task, spec, loss)
        self.mlm = MaskedLanguageHead(self.config, spec.vocabulary_size)

    def predict(self, micro: Tensors) -> Tensors:
        """{"scores": (R,)}: mean log-probability of the masked tokens, in nats."""
        hidden_MH = self.hidden(micro, micro["positions"]).flatten(0, 1)
        logits_MW = self.mlm(hidden_MH, self.encoder.words.weight).float()
        losses_M = functional.cross_entropy(logits_MW, micro["targets"].flatten(), reduction="none")
        return {"scores": -(losses_M.view(micro["shares"].shape) * micro["shares"]).sum(1)}


def margin_loss(
    scores_UC: Tensor, present_UC: Tensor, weights_U: Tensor, alpha: float, beta: float
) -> Tensor:
    """Weighted sum over units and their candidates (all rows but the first) of
    -query + alpha * max(0, candidate - query + beta), all log-probabilities in nats.

    As its authors have it: -query counts once for every candidate.
    """
    query_U1, candidates = scores_UC[:, :1], scores_UC[:, 1:]
    losses = alpha * (candidates - query_U1 + beta).clamp(min=0) - query_U1
    return ((losses * present_UC[:, 1:]).sum(1) * weights_U).sum()


def inputs(features: Features, task: RecipeTask, padded: PaddedRows) -> dict[str, np.ndarray]:
    """The masked tokens of each row, K the most of one; unused slots have a share of 0."""
    originals = features.gather("originals", padded.rows, padded.inside).astype(np.int64)
    masked = padded.inside & (padded.ids != originals)
    counts = masked.sum(1)
    slots = np.arange(counts.max()) < counts[:, None]
    positions = np.zeros(slots.shape, dtype=np.int64)
    # Both list their true entries row by row, in order.
    positions[slots] = np.nonzero(masked)[1]
    return {
        "positions": positions,
        "targets": np.take_along_axis(originals, positions, 1),
        "shares": np.where(slots, 1.0 / counts[:, None], 0.0).astype(np.float32),
    }


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """The rows of the pronouns' candidates."""
    return {"wsc": len(units)}, {"members": members_of(features, units)}


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """The margin loss of the task's alpha and beta, or cross-entropies over the candidates."""
    scores_UC = by_unit(predicted["scores"], micro["members"])
    if task.loss == "cross-entropy":
        return {"wsc": first_of_unit_loss(scores_UC, micro["weights"])}
    present_UC = micro["members"] >= 0
    return {"wsc": margin_loss(scores_UC, present_UC, micro["weights"], task.alpha, task.beta)}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """Whether each query is the referent."""
    scores = in_order(batches, "scores").astype(np.float64)
    columns = pronoun_columns(np.nan_to_num(scores), np.asarray(features.arrays["groups"]))
    return score_columns(features, task, columns, bool(np.isfinite(scores).all()))


def pronoun_columns(scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """prediction, margin and probability per example; the query is the first row of its unit.

    Without another candidate the margin is infinite: there is nothing else it could be.
    """
    first = groups[:-1]
    others = scores.copy()
    others[first] = -np.inf
    margins = scores[first] - np.maximum.reduceat(others, first)
    return {
        "prediction": decide_pronouns(margins),
        "margin": margins,
        "probability": shares(scores, groups)[first],
    }


def decide_pronouns(margins: np.ndarray) -> np.ndarray:
    """1 where the query scores at least as high as every other candidate; int64 (U,)."""
    return (margins >= 0).astype(np.int64)


AVERAGE = Average("margin", lambda mean, columns: decide_pronouns(mean))
KIND = Kind(read, build, PronounModel, targets, loss, score, AVERAGE, inputs)
