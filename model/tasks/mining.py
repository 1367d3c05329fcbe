"""Negatives for a ranking: sentences of the training set that look like an answer but are not.

In: the questions and sentences (N,) of a training split, and the questions that need negatives.
Out: for each the rows of the sentences that share its rarest words. A shared word counts the
logarithm of one over its share of the sentences; words of more than `COMMON` sentences are not
looked up, for they would cost much and tell little. Nothing is drawn at random.

RoBERTa (arXiv 1907.11692) section 5.1 mines candidates from the training set and leaves open how.
"""

import math
import re
from collections import Counter

COMMON = 200


def mine_sentences(
    questions: list[str], sentences: list[str], rows: list[int], count: int
) -> list[list[int]]:
    """For each of `rows` up to `count` rows of other sentences, the likeliest first.

    Left out are the question's own sentences, word for word, wherever they stand. Equally likely
    sentences come in the order of the split; what shares no rare word fills up in that order from
    the question's own row on.
    """
    if count == 0:
        return [[] for _ in rows]
    first_row: dict[str, int] = {}
    for row, sentence in enumerate(sentences):
        first_row.setdefault(sentence, row)
    own: dict[str, set[int]] = {}
    for question, sentence in zip(questions, sentences, strict=True):
        own.setdefault(question, set()).add(first_row[sentence])
    postings: dict[str, list[int]] = {}
    for sentence, row in first_row.items():
        for word in _words(sentence):
            postings.setdefault(word, []).append(row)
    distinct = list(first_row.values())
    return [
        _likeliest(questions[row], own[questions[row]], row, postings, distinct, count)
        for row in rows
    ]


def _likeliest(
    question: str,
    own: set[int],
    row: int,
    postings: dict[str, list[int]],
    distinct: list[int],
    count: int,
) -> list[int]:
    scores: Counter[int] = Counter()
    for word in sorted(_words(question)):
        sharing = postings.get(word, ())
        if 0 < len(sharing) <= COMMON:
            weight = math.log(len(distinct) / len(sharing))
            for other in sharing:
                scores[other] += weight
    ranked = sorted((other for other in scores if other not in own), key=lambda o: (-scores[o], o))
    chosen = ranked[:count]
    step = 1
    while len(chosen) < count and step < len(distinct):
        other = distinct[(row + step) % len(distinct)]
        if other not in own and other not in chosen:
            chosen.append(other)
        step += 1
    return chosen


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
