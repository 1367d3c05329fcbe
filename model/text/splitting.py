"""Sentence splitting: a document in, its sentences out (paper section 4.2, natural sentences).

A blank line ends a paragraph and so a sentence; a heading on its own is therefore a sentence.
Blanks and line breaks inside a sentence become one blank, and sentences have none at either end.
The rules for abbreviations, initials and numbers are those of `sentencex`, with one addition: it
never splits inside a quotation, which makes one sentence of a whole speech in a novel, so
quotations that open a sentence are split here. docs/sentence-splitting.md compares the candidates.
"""

import re

from sentencex import segment

PARAGRAPH_END = re.compile(r"\n\s*\n|\u2029")
CLOSING_QUOTE = {'"': '"', "“": "”", "'": "'", "‘": "’"}
SENTENCE_FINAL = tuple(".!?…")


def split_with_sentencex(text: str, language: str) -> list[str]:
    """Sentences of a document, in order; an empty list for a blank one."""
    sentences = []
    for paragraph in PARAGRAPH_END.split(text):
        for piece in segment(language, " ".join(paragraph.split())):
            sentence = piece.strip()
            if sentence[:1] in CLOSING_QUOTE:
                sentences.extend(_split_quotations(sentence, language))
            elif sentence:
                sentences.append(sentence)
    return sentences


def _split_quotations(sentence: str, language: str) -> list[str]:
    """Split a sentence that opens with a quotation at the sentence ends inside it.

    Two quotations in a row are two speakers, so a new sentence also starts between them.
    """
    sentences, rest = [], sentence
    while rest[:1] in CLOSING_QUOTE:
        end = _quotation_end(rest)
        if end < 0:
            break
        inside = [piece.strip() for piece in segment(language, rest[1:end]) if piece.strip()]
        if len(inside) > 1:
            *whole, last = [rest[0] + inside[0], *inside[1:]]
        else:
            whole, last = [], rest[:end]
        sentences += whole
        tail = rest[end + 1 :]
        if last.endswith(SENTENCE_FINAL) and tail[1:2] in CLOSING_QUOTE and tail[0] == " ":
            sentences.append(last + rest[end])
            rest = tail[1:]
        else:
            return [*sentences, last + rest[end:]]
    return [*sentences, rest] if rest else sentences


def _quotation_end(text: str) -> int:
    """Index of the mark that closes the quotation opened by the first character; -1 if none.

    An apostrophe is no closing mark: a single quote closes only before a blank or the end.
    """
    closing = CLOSING_QUOTE[text[0]]
    end = text.find(closing, 1)
    while closing in "'’" and 0 <= end < len(text) - 1 and text[end + 1] != " ":
        end = text.find(closing, end + 1)
    return end
