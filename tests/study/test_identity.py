"""Equal recipes have equal keys, different ones have not; numbers have one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import StudyError
from study.identity import canonical_json, key_of, read_json_argument

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def test_literal_key_stays_the_same():
    assert canonical_json({"b": [1.0, True, None], "a": 1e-4}) == '{"a":0.0001,"b":[1,true,null]}'
    assert key_of({"b": [1.0, True, None], "a": 1e-4}) == "60b911e4baf8"


def test_spelling_of_numbers_does_not_matter():
    assert key_of({"x": 1.0, "y": 1e3}) == key_of({"y": 1000, "x": 1})
    assert key_of({"x": 1}) != key_of({"x": True})
    assert key_of({"x": 1}) != key_of({"x": "1"})


@given(st.dictionaries(st.text(max_size=3), values, min_size=2))
def test_order_of_keys_does_not_matter(recipe):
    backwards = dict(reversed(list(recipe.items())))
    assert key_of(recipe) == key_of(backwards)


@given(st.dictionaries(st.text(max_size=3), values), st.text(min_size=4, max_size=5), values)
def test_a_further_entry_changes_the_key(recipe, name, value):
    assert key_of(recipe) != key_of({**recipe, name: value})


def test_what_json_cannot_hold_is_refused_with_its_place():
    with pytest.raises(StudyError, match=r"recipe\.a\[1\]: nan is not a finite number"):
        key_of({"a": [1, float("nan")]})
    with pytest.raises(StudyError, match=r"recipe\.a: a recipe cannot hold a set"):
        key_of({"a": {1}})


def test_json_argument_inline_and_from_a_file(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text('{"a": 1}')
    assert read_json_argument(f"@{file}", "--recipe") == {"a": 1}
    assert read_json_argument('{"a": 1}', "--recipe") == {"a": 1}
    with pytest.raises(StudyError, match="--recipe: not JSON"):
        read_json_argument("{", "--recipe")
    with pytest.raises(StudyError, match="--recipe: expected a JSON object, found a list"):
        read_json_argument("[]", "--recipe")
    with pytest.raises(StudyError, match="No such file"):
        read_json_argument("@missing.json", "--recipe")
