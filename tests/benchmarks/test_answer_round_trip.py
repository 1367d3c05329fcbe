"""The round trip of gold answers: the decoder gives them back, and misses get their cause."""

import pytest
from tasks_toy import WORDS, make_task, questions, wordpiece

from benchmarks.answer_round_trip import (
    BLANKS,
    NO_TOKEN,
    NO_WINDOW,
    PUNCTUATION,
    UNSHOWN,
    WORD,
    cause_of,
    main,
    round_trip,
)

TASK = make_task("span", answer_length=3, answerability=True)


def test_every_answer_and_every_cause():
    examples = questions(
        [
            (
                "who",
                "The cat sat on a mat.",
                ["The cat", "mat", "cat sat on a mat", "sat on a mat"],
            ),
            ("who", "in a cats mat", ["cat", "mat"]),
            ("who", "on \u200b a mat", ["\u200b"]),
            ("who", "a dog", []),
        ]
    )
    tally, counted = round_trip(examples, wordpiece(["cats", *WORDS]), TASK, 8)
    assert (tally.answers, tally.exact) == (7, 3)
    causes = dict.fromkeys((cause for cause, _ in tally.causes), 0)
    for (cause, _), count in tally.causes.items():
        causes[cause] += count
    assert causes == {NO_WINDOW: 1, "longer than 3 tokens": 1, WORD: 1, NO_TOKEN: 1}
    assert counted["answers"] == 7


@pytest.mark.parametrize(
    ("shown", "cause"),
    [
        ((3, 7), BLANKS),
        ((4, 8), PUNCTUATION),
        ((2, 7), WORD),
        ((5, 7), UNSHOWN),
    ],
)
def test_causes(shown, cause):
    assert cause_of("the cat. ", ("cat", 4), shown) == cause


def test_prints_shares(capsys):
    main(["--task", "squad20", "--questions", "20", "--size", "600", "--characters", "100000"])
    text = capsys.readouterr().out
    assert text.count("squad20, ") == 2
    assert text.count("come back exactly: ") == 2
    assert "counted by the features stage: {'answers': " in text
