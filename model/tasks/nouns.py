"""Noun phrases of a text: the candidates for a pronoun (RoBERTa, arXiv 1907.11692, section 5.1).

In: texts. Out: per text the phrases as (start, end) in characters, in order, pronouns left out.
Two sources, chosen by a task's `candidates`:

  spacy   as the authors: noun chunks of spaCy's large English model, and runs of nouns and names
  rules   works without anything else: phrases that begin with a determiner, possessive or number,
          names (capitalised words) and bare nouns, each split at function words and known verbs.
          There is no tagger: an unknown verb in the present tense passes for a noun, as does an
          adjective that stands alone. A phrase also comes without its determiner, a name without
          what precedes it, and an owner with and without what it owns: `Sam`, `Sam's drawing`.
"""

import re
from collections.abc import Callable
from typing import Any

from model.tasks.words import (
    COPULAS,
    DETERMINERS,
    FUNCTION_WORDS,
    NOT_ADVERBS,
    NOT_PARTICIPLES,
    NOT_PAST,
    NUMBERS,
    OWNERS_AND_ARTICLES,
    THIRD_PERSON,
    VERBS,
)
from study.errors import StudyError
from study.recipes import RecipeTask

SPACY_MODEL = "en_core_web_lg"
Phrases = list[tuple[int, int]]

_TOKENS = re.compile(r"(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr)\.|\w+(?:[-'’]\w+)*|[-—]+|['’]\w*|[^\w\s]")
_POSSESSIVE = re.compile(r"['’]s?$", re.IGNORECASE)
_CONTRACTION = re.compile(r"(?:n['’]t|['’](?:ll|re|ve|d|m))$", re.IGNORECASE)


def phrase_finder(task: RecipeTask) -> tuple[Callable[[str], Phrases], str]:
    """The function that finds the noun phrases of a text, as `candidates` of the task chooses, and
    the source with its versions.

    Raises StudyError in one line when spaCy or its model is missing.
    """
    source = task.candidates
    if source == "rules":
        return rule_phrases, source
    hint = (
        "run `pip install spacy` and `python -m spacy download "
        f"{SPACY_MODEL}`, or choose candidates: rules"
    )
    try:
        import spacy  # optional: the rules need nothing
    except ImportError as error:
        reason = f"spaCy is not installed ({error})"
        raise StudyError(f"task {task.name}: candidates: {reason}; {hint}") from None
    try:
        language = spacy.load(SPACY_MODEL)
    except OSError:
        reason = f"spaCy has no model {SPACY_MODEL}"
        raise StudyError(f"task {task.name}: candidates: {reason}; {hint}") from None
    versions = f"spacy {spacy.__version__}, {SPACY_MODEL} {language.meta['version']}"
    return lambda text: spacy_phrases(language(text)), versions


def spacy_phrases(document: Any) -> Phrases:
    """Noun chunks, and runs of NOUN or PROPN, of a parsed spaCy document; chunks of nothing but
    pronouns left out.
    """
    found = set()
    for chunk in document.noun_chunks:
        if any(token.pos_ != "PRON" for token in chunk):
            found.add((chunk.start_char, chunk.end_char))
    run: list[Any] = []
    for token in [*document, None]:
        if token is not None and token.pos_ in ("NOUN", "PROPN"):
            run.append(token)
        elif run:
            found.add((run[0].idx, run[-1].idx + len(run[-1].text)))
            run = []
    return sorted(found)


def rule_phrases(text: str) -> Phrases:
    """Noun phrases of an English text by the rules of this module."""
    words = _classified(text)
    found: set[tuple[int, int]] = set()
    place = 0
    while place < len(words):
        first = place
        while words[place].kind in "DN":
            place += 1
        begin = place
        if _noun_by_place(words, begin):
            place += 1
        while words[place].kind in "CO":
            place += 1
        if begin == place:
            place += first == begin
            continue
        if first == begin and words[begin].kind == "C":
            # `Paul tries`: without a determiner a name ends where its capitals do.
            place = next(i for i in range(begin, place + 1) if words[i].kind != "C")
        elif first == begin and words[begin].kind == "O" and words[begin - 1].form in COPULAS:
            continue  # `was full`, `too small`: an adjective
        last = _without_verb(words, first, begin, place)
        name = next((i for i in range(last, begin, -1) if words[i - 1].kind != "C"), begin)
        # `envies Martin`: without a determiner what precedes a name is no part of it.
        starts = {name} if first == begin and name < last else {first, begin, name} - {last}
        found |= {(words[start].start, words[last - 1].end) for start in starts}
        found |= _owned(words, first, last)
    return sorted(found)


class _Word:
    """A word of a text: where it is, its lower-case form and its kind.

    D determiner, N number, C capitalised, O other open word, V verb, P possessive 's, F the rest.
    """

    def __init__(self, start: int, end: int, form: str, kind: str, regular: bool = False):
        self.start, self.end, self.form, self.kind, self.regular = start, end, form, kind, regular


def _classified(text: str) -> list[_Word]:
    """All words of the text and a last one of kind F."""
    words: list[_Word] = []
    sentence_start = True
    for match in _TOKENS.finditer(text):
        start, end = match.span()
        possessive = _POSSESSIVE.search(match[0])
        stem = match[0][: possessive.start()] if possessive else match[0]
        if stem:
            kind, regular = _kind(stem, sentence_start)
            words.append(_Word(start, start + len(stem), stem.lower(), kind, regular))
        if possessive:
            owner = words and words[-1].kind in "CO" and words[-1].end == end - len(possessive[0])
            spaced = not stem and words and words[-1].kind in "CO"
            kind = "P" if owner or spaced else "F"
            words.append(_Word(end - len(possessive[0]), end, possessive[0], kind))
        sentence_start = match[0] in '.!?:;"“' or (sentence_start and match[0] in "'‘(")
    return [*words, _Word(len(text), len(text), "", "F")]


def _kind(word: str, sentence_start: bool) -> tuple[str, bool]:
    """Kind of a word, and whether it is a regular form of a verb (-ed, -ing)."""
    form = word.lower()
    if not word[0].isalnum() or _CONTRACTION.search(word):
        return "F", False
    if form in DETERMINERS:
        return "D", False
    if form in NUMBERS or word[0].isdigit():
        return "N", False
    if form in FUNCTION_WORDS:
        return "F", False
    if word[0].isupper() and not sentence_start:
        return "C", False
    if form in VERBS or form in THIRD_PERSON:
        return "V", False
    past = form.endswith("ed") and form not in NOT_PAST
    if past or (form.endswith("ing") and form not in NOT_PARTICIPLES):
        return "V", len(form) > 4
    if form.endswith("ly") and form not in NOT_ADVERBS:
        return "F", False
    return ("C" if word[0].isupper() else "O"), False


def _without_verb(words: list[_Word], first: int, begin: int, end: int) -> int:
    """End of a phrase from `first` on without a verb that passed for its last noun.

    Where another phrase or a personal pronoun follows at once, a verb must stand between; unless it
    stood before, as in `told the old man a story`.
    """
    follows, verb_before = words[end], first > 0 and words[first - 1].kind == "V"
    adjacent = follows.kind == "D" or follows.form in ("him", "them", "it", "me", "us", "you")
    trim = adjacent and not verb_before and end - begin > 1 and words[end - 1].kind == "O"
    return end - 1 if trim else end


def _noun_by_place(words: list[_Word], place: int) -> bool:
    """Whether a word that is a verb elsewhere is a noun or adjective here: `the tired`, `a permit`.

    `this made` shows that only articles and possessives tell for irregular forms.
    """
    before, word = words[place - 1] if place else None, words[place]
    if before is None or word.kind != "V":
        return False
    return (
        before.kind == "P"
        or before.form in OWNERS_AND_ARTICLES
        or (before.kind in "DN" and word.regular)
    )


def _owned(words: list[_Word], first: int, end: int) -> set[tuple[int, int]]:
    """The phrase together with what it owns, where a possessive and a noun follow."""
    if words[end].kind != "P":
        return set()
    last = end + 1 + _noun_by_place(words, end + 1)
    while words[last].kind in "CON":
        last += 1
    return {(words[first].start, words[last - 1].end)} if last > end + 1 else set()
