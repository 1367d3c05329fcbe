"""Winograd schemas (SuperGLUE's WSC, which stands for WNLI): a row per candidate for the pronoun.

In: examples whose texts are text, query (a candidate referent) and pronoun. Out: features with the
rows of an example in turn, the query's first: `<s> text </s>` with the candidate in the pronoun's
place and all of its tokens masked; `originals` holds the tokens that the masks hide.

RoBERTa (arXiv 1907.11692) section 5.1: candidates are the query and the text's other noun phrases,
without pronouns, without phrases that overlap the query or share its words, and without those that
hold the pronoun itself. Training uses the examples whose query is the referent, for only these say
which candidate is right; an example without other candidates teaches nothing and is left out too.
A row longer than the limit is cut around the candidate.
"""

import re
from itertools import islice

import numpy as np

from model.tasks.data import Examples
from model.tasks.features import CHUNK, Features, Rows, label_figures
from model.tasks.nouns import Phrases, phrase_finder
from model.tasks.words import PRONOUNS
from model.text.tokenizer import Vocabulary
from study.errors import StudyError

_WORD = re.compile(r"\S+")


def find_words(text: str, words: str, number: int) -> tuple[int, int] | None:
    """Characters (start, end) of `words` in the text, None where it lacks them.

    Of their whole-word occurrences, in any case and spacing, it is the one nearest to word `number`
    of the text cut at white space.
    """
    pattern = r"\s+".join(map(re.escape, words.split()))
    found = [m.span() for m in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)]
    starts = [match.start() for match in _WORD.finditer(text)]
    if not found or not words.split():
        return None
    target = starts[min(max(number, 0), len(starts) - 1)]
    return min(found, key=lambda span: abs(span[0] - target))


def candidates(
    text: str, query: str, query_span: tuple[int, int] | None, pronoun: tuple[int, int], phrases
) -> list[str]:
    """The phrases that compete with the query, as they are spelt in the text, each once."""
    taken = [span for span in (query_span, pronoun) if span]
    asked = _letters(query)
    found: dict[str, str] = {}
    for start, end in phrases:
        words = _letters(text[start:end])
        overlaps = any(start < last and first < end for first, last in taken)
        shares = _holds(words, asked) or _holds(asked, words)
        if words and not overlaps and not shares and not set(words) <= PRONOUNS:
            found.setdefault(" ".join(words), text[start:end])
    return list(found.values())


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

    def __init__(self, vocabulary: Vocabulary, task: dict, length: int):
        self.vocabulary = vocabulary
        self.task = task
        self.rows = Rows(vocabulary, task.get("separators", 1), length)
        self.room = self.rows.room(1)
        self.originals: list[int] = []
        self.groups = [0]
        self.kept: list[int] = []
        self.counts = dict.fromkeys(("candidates", "without_candidates", "pronouns_moved"), 0)

    def texts(
        self, example: str, text: str, query: str, pronoun: str, words, find
    ) -> list[tuple[str, int, int]]:
        """The text with each candidate in the pronoun's place, and where it stands; query first."""
        place = find_words(text, pronoun, words[1])
        if place is None:
            raise StudyError(
                f"task {self.task['name']}: example {example}: no {pronoun!r} in its text"
            )
        stated = [match.span() for match in _WORD.finditer(text)][words[1] : words[1] + 1]
        self.counts["pronouns_moved"] += not any(a <= place[0] < b for a, b in stated)
        query = query.strip().rstrip(".,;:!?")
        span = find_words(text, query, words[0])
        phrases: Phrases = find(text)
        # As the text spells it: the data capitalise some queries, which no other candidate is.
        named = [text[slice(*span)] if span else query]
        named += candidates(text, query, span, place, phrases)
        start, end = place
        return [(f"{text[:start]}{name}{text[end:]}", start, start + len(name)) for name in named]

    def add(self, number: int, encoded: list[tuple[list[int], list, int, int]]) -> None:
        """Append the rows of example `number`: tokens, offsets, and the candidate's characters."""
        rows = 0
        for tokens, offsets, start, end in encoded:
            touched = [i for i, (a, b) in enumerate(offsets) if a < end and start < b]
            if not touched and rows == 0:
                raise StudyError(f"task {self.task['name']}: row {number}: the query has no tokens")
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


def build_pronouns(
    examples: Examples, vocabulary: Vocabulary, task: dict, length: int, *, train: bool
):
    """Features and figures of a wsc split; `train` keeps only what can be learned from.

    Figures: `candidates` besides the queries, examples `without_candidates` (predicted true),
    `pronouns_moved` that stood at another word than the data say, the labels of the whole split.
    Raises StudyError when a pronoun is not in its text, or nothing is left to train on.
    """
    find, source = phrase_finder(task)
    builder = PronounBuilder(vocabulary, task, length)
    texts, queries, pronouns = examples.texts
    for begin in range(0, len(examples), CHUNK):
        chosen, flat = [], []
        for row in range(begin, min(begin + CHUNK, len(examples))):
            if train and examples.labels[row] != 1:
                continue
            parts = (examples.ids[row], texts[row], queries[row], pronouns[row])
            versions = builder.texts(*parts, examples.words[row].tolist(), find)
            if len(versions) > 1 or not train:
                chosen.append((row, len(versions)))
                flat += versions
            else:
                builder.counts["without_candidates"] += 1
        tokens, offsets = vocabulary.encode_with_offsets([text for text, _, _ in flat])
        rows = (
            (ids, places, *version[1:])
            for ids, places, version in zip(tokens, offsets, flat, strict=True)
        )
        for row, count in chosen:
            builder.add(row, list(islice(rows, count)))
        builder.rows.flush()
    if not builder.kept:
        raise StudyError(f"task {task['name']}: no example of label 1 has another candidate")
    figures = builder.rows.figures(len(examples)) | builder.counts | {"candidates_from": source}
    arrays = builder.rows.arrays() | {
        "originals": np.array(builder.originals, dtype=vocabulary.dtype),
        "groups": np.array(builder.groups, dtype=np.int64),
    }
    if examples.labels is not None:
        figures |= label_figures(examples.labels)
        arrays["labels"] = examples.labels[builder.kept]
    return Features(arrays, examples.ids), figures
