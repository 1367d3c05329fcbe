"""Sentence splitting: literal sentences, quotations, headings, and nothing lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from model.text.splitting import split_with_sentencex

BOUNDARIES = ROOT / "benchmarks" / "sentence_boundaries.jsonl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ames came in. He sat\ndown.", ["Dr. Ames came in.", "He sat down."]),
        ("History\n\nIt began in 1901.", ["History", "It began in 1901."]),
        ("a line without end\n \n\tand another", ["a line without end", "and another"]),
        ("One.\r\n\r\nTwo  words.", ["One.", "Two words."]),
        (" \n\n \t\n", []),
        ("", []),
    ],
)
def test_paragraphs_headings_and_blanks(text, expected):
    assert split_with_sentencex(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"You go. I stay." He left.', ['"You go.', 'I stay."', "He left."]),
        ("“Go. Now!” she said.", ["“Go.", "Now!” she said."]),
        ("'It's late. Go,' he said.", ["'It's late.", "Go,' he said."]),
        ('"Why?" "Because."', ['"Why?"', '"Because."']),
        ("\" 'Dawn,' \" he read.", ["\" 'Dawn,' \" he read."]),
        ('"a" "b"', ['"a" "b"']),
        ('"Never closed. But split.', ['"Never closed.', "But split."]),
        ('""', ['""']),
    ],
)
def test_quotations_that_open_a_sentence_are_split(text, expected):
    assert split_with_sentencex(text, "en") == expected


@given(st.text(alphabet=st.sampled_from("ab. A\"'“”‘’!?\n\u2029(),1é漢"), max_size=80))
def test_only_blanks_are_lost(text):
    sentences = split_with_sentencex(text, "en")
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == " ".join(sentence.split()) != "" for sentence in sentences)


def test_hand_checked_boundaries_are_found():
    found = expected = right = 0
    for line in BOUNDARIES.read_text().splitlines():
        sentences = json.loads(line)["sentences"]
        ends = _ends(split_with_sentencex(" ".join(sentences), "en"))
        true_ends = _ends(sentences)
        found, expected = found + len(ends), expected + len(true_ends)
        right += len(ends & true_ends)
    assert expected == 200
    assert right / found > 0.94 and right / expected > 0.97


def _ends(sentences):
    """Positions of the inner sentence ends, counted in characters that are not blank."""
    ends, position = set(), 0
    for sentence in sentences:
        position += len("".join(sentence.split()))
        ends.add(position)
    return ends - {position}
