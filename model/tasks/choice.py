"""Multiple choice (RACE): one row per option, the question side first (protocol section 10).

In: examples whose texts are question, options, passage. Out: features with the options' rows of a
question in turn, `<s> question and option </s> passage </s>`. A gap (a run of `_`) in the question
is filled with the option; a question without one is followed by it. White space is squeezed.
The question side keeps its first `question_length` tokens, the passage the rest of the row.
"""

import re

from model.tasks.data import CHOICES, Examples
from model.tasks.features import CHUNK, Features, Rows, label_figures, unique_indices
from model.text.tokenizer import Vocabulary

_GAP = re.compile(r"_+")


def question_with_option(question: str, option: str) -> str:
    """The question side of a row, as text."""
    filled, gaps = _GAP.subn(lambda _: option, question)
    return " ".join((filled if gaps else f"{question} {option}").split())


def build_choices(examples: Examples, vocabulary: Vocabulary, task: dict, length: int):
    """Features and figures of a choice split; `questions_truncated` counts cut question sides."""
    rows = Rows(vocabulary, task.get("separators", 1), length)
    questions, options, passages = examples.texts
    cut = 0
    for begin in range(0, len(examples), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        # Several questions ask about one passage: each is encoded once.
        texts, places = unique_indices([" ".join(text.split()) for text in passages[chunk]])
        contexts = vocabulary.encode_batch(texts)
        sides = vocabulary.encode_batch(
            [
                question_with_option(question, option)
                for question, row in zip(questions[chunk], options[chunk], strict=True)
                for option in row
            ]
        )
        for row, side in enumerate(sides):
            context = contexts[places[row // CHOICES]]
            cut += len(side) > task["question_length"]
            side = side[: task["question_length"]]
            room = rows.room(2) - len(side)
            rows.truncated += len(context) > room
            rows.add(side, context[:room])
        rows.flush()
    figures = rows.figures(len(examples)) | {"questions_truncated": cut}
    figures |= label_figures(examples.labels)
    return Features(rows.arrays() | {"labels": examples.labels}, examples.ids), figures
