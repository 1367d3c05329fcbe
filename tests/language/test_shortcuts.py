"""What a model that only counts words gets of the generated tasks: close to nothing."""

import re

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from language.passages import LETTERS
from language.write import task_table

# Percent. Chance is 33 and 25, of WNLI and WSC 50; SQuAD 2.0 is halved.
BAG = {"mnli": 52, "squad_v2": 60, "race": 31, "wnli": 55, "wsc": 55}


def rows(name: str, split: str, size: int) -> list[dict]:
    """Rows of a split."""
    return task_table(name, 0, split, size).to_pylist()


def bag_of_words(train: tuple[list, list], dev: tuple[list, list]) -> float:
    """Accuracy of a logistic regression on word counts, in percent."""
    model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=2000, C=0.3))
    return 100 * model.fit(*train).score(*dev)


def marked(side: str, text: str) -> str:
    """Words that say which side they come from."""
    return " ".join(f"{side}{word}" for word in re.findall(r"\w+", text))


def test_words_alone_do_not_solve_mnli():
    def data(split: str, size: int):
        found = rows("mnli", split, size)
        sides = [marked("p", r["premise"]) + " " + marked("h", r["hypothesis"]) for r in found]
        return sides, [r["label"] for r in found]

    assert bag_of_words(data("train", 4000), data("validation_matched", 1000)) < BAG["mnli"]


@pytest.mark.parametrize("name", ["wnli", "wsc"])
def test_words_alone_do_not_tell_what_a_pronoun_means(name):
    def data(split: str, size: int):
        found = rows(name, split, size)
        first, second = ("sentence1", "sentence2") if name == "wnli" else ("text", "span1_text")
        sides = [marked("p", r[first]) + " " + marked("h", r[second]) for r in found]
        return sides, [r["label"] for r in found]

    assert bag_of_words(data("train", 4000), data("validation", 1000)) < BAG[name]


def test_words_alone_do_not_tell_unanswerable_questions():
    def data(split: str, size: int):
        found = rows("squad_v2", split, size)
        without = [row for row in found if not row["answers"]["text"]]
        found = without + [row for row in found if row["answers"]["text"]][: len(without)]
        sides = [marked("c", r["context"]) + " " + marked("q", r["question"]) for r in found]
        return sides, [bool(r["answers"]["text"]) for r in found]

    # as many with an answer as without, so that guessing gives 50 %
    assert bag_of_words(data("train", 3000), data("validation", 1000)) < BAG["squad_v2"]


def test_words_alone_do_not_solve_race():
    def options(split: str, size: int):
        texts, right = [], []
        for row in rows("race", split, size):
            for letter, option in zip(LETTERS, row["options"], strict=True):
                sides = (marked("a", row["article"]), marked("q", row["question"]))
                texts.append(" ".join((*sides, marked("o", option))))
                right.append(letter == row["answer"])
        return texts, right

    model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=2000, C=0.3))
    model.fit(*options("train", 1500))
    texts, right = options("validation", 600)
    chosen = model.predict_proba(texts)[:, 1].reshape(-1, 4).argmax(1)
    accuracy = (
        100 * (chosen == [right[i : i + 4].index(True) for i in range(0, len(right), 4)]).mean()
    )
    assert accuracy < BAG["race"]
