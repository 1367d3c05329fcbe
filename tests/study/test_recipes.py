"""A recipe that a person changed by hand: the first field that is wrong is named in one line."""

import pytest
from samples_toy import pretraining_fields, recipe_of

from study.errors import StudyError
from study.recipes import parse_recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, "field model: hidden 32 is not a multiple of heads 5"),
        ({"layers": 0}, "field model.layers: input should be greater than 0, found 0"),
        ({"hidden": 32.5}, "field model.hidden: input should be a valid integer, found 32.5"),
        ({"dropout": 1.0}, "field model.dropout: input should be less than 1, found 1.0"),
        ({"depth": 3}, "field model.depth: unknown key; known: layers, hidden, heads, ffn, "),
    ],
)
def test_wrong_sizes_of_a_network_are_one_line(changes, message):
    with pytest.raises(StudyError) as error:
        recipe_of(model=changes)
    assert str(error.value).startswith(f"--recipe: {message}")


def test_a_missing_size_is_one_line():
    fields = pretraining_fields("full-sentences", 32)
    del fields["model"]["ffn"]
    with pytest.raises(StudyError, match=r"^--recipe: field model\.ffn: missing$"):
        parse_recipe(fields, "pretrain")


def test_an_unknown_splitter_is_one_line():
    fields = {
        "stage": "sentences",
        "version": 1,
        "source": "key",
        "corpus": "books",
        "column": "text",
        "split": "train",
        "language": "en",
        "documents": None,
        "shard": 0,
        "shards": 1,
        "splitter": "punkt",
        "heldout_fraction": 0.1,
    }
    with pytest.raises(StudyError, match=r"field splitter: input should be .*, found 'punkt'"):
        parse_recipe(fields, "sentences")


def test_an_unknown_kind_of_vocabulary_is_one_line():
    fields = {"stage": "vocabulary", "version": 1, "kind": "unigram", "size": 300}
    with pytest.raises(StudyError, match=r"field kind: input should be .*, found 'unigram'"):
        parse_recipe(fields, "vocabulary")
