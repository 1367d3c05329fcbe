"""Files of config/ are YAML 1.2 in UTF-8; what is not ends in one line with its place."""

import re

import pytest

from study.errors import StudyError
from study.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-4", 1e-4), ("1E5", 1e5), ("-.5", -0.5), ("+12e03", 12e3), ("685230.15", 685230.15)),
        *(("017", 17), ("0o17", 15), ("0x1F", 31), ("-12", -12), ("0", 0), ("1.", 1.0)),
        *((".inf", float("inf")), ("-.INF", float("-inf"))),
        # Numbers, truth values and dates of YAML 1.1 that are text in 1.2
        *((text, text) for text in ("1_000", "1:30", "0b11", "2001-12-14", "1e", "0o8", "=", "e4")),
        *((text, text) for text in ("yes", "No", "on", "OFF", "y", "tRue", "nUll", "+.nan")),
        *(("true", True), ("FALSE", False), ("~", None), ("Null", None), ("", None)),
        *(("'1'", "1"), ('"1e3"', "1e3"), ("!!str 1", "1"), ("!!float 1", 1.0)),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\n")
    found = read_yaml(path)["a"]
    assert (found, type(found)) == (value, type(value))


def test_utf_8_is_read_whatever_the_locale_with_and_without_a_mark(tmp_path):
    path = tmp_path / "a.yaml"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + "about: Größe 大\n".encode())
        assert read_yaml(path) == {"about": "Größe 大"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xe9\n", "line 2: expected UTF-8 text, found byte 0xE9"),
        ("a: 1\n".encode("utf-16"), "line 1: expected UTF-8 text, found byte 0xFF"),
        (b"a: 1\nb: x\0y\n", "line 2: U+0000 cannot stand here"),
        (b'a: 1\nb: "x\\0y"\n', "line 2: text holds U+0000 or half a character"),
        (b'a: "\\ud800"\n', "line 1: text holds U+0000 or half a character"),
        (b"a: 1\na: 2\n", "line 2: key a is written twice"),
        (b"a: {b: 1, b: 2}\n", "line 1: key b is written twice"),
        (b"a: 1\n1: 2\n", "line 2: key 1 is no text; put it in quotes"),
        (b"null: 2\n", "line 1: key None is no text; put it in quotes"),
        (b"true: 2\n", "line 1: key True is no text; put it in quotes"),
        (b"[1, 2]: 2\n", "line 1: key [1, 2] is no text; put it in quotes"),
        (b"a: &x {b: 1}\nc:\n  <<: *x\n", "line 3: << is not in YAML 1.2; write the keys out"),
        (b"a: *x\n", "line 1: found undefined alias 'x'"),
        (b"a: &x [*x]\n", "line 1: found unconstructable recursive node"),
        (b"a: 1\n---\nb: 2\n", "line 2: but found another document"),
        (b"a: !!python/object:os.x {}\n", "tag:yaml.org,2002:python/object:os.x is not known here"),
        (b"a: !!timestamp x\n", "line 1: tag tag:yaml.org,2002:timestamp is not known here"),
        (b"a: !!int x\n", "line 1: x is no number that counts"),
        (b"a: !!bool yes\n", "line 1: yes is neither true nor false"),
        (b"a: !!map [1]\n", "line 1: expected a mapping"),
        (b"a: " + b"9" * 5000 + b"\n", f"line 1: {'9' * 40} is no number that counts"),
        (b"a: [1\nb: 2\n", "line 2: "),
        (b"a:\tb: c\n", "line 1: "),
        (b"a: " + b"[" * 3000 + b"\n", "line 1: nested too deeply"),
        (b"", "expected a mapping, found nothing"),
        (b"- a\n", "expected a mapping, found a list"),
        (b"text\n", "expected a mapping, found text"),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_aliases_that_multiply_are_refused_at_once(tmp_path):
    path = tmp_path / "a.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path.write_text("\n".join(lines))
    with pytest.raises(StudyError, match="over 1000000 values, counting aliases"):
        read_yaml(path)


def test_what_is_no_file_ends_in_one_line(tmp_path):
    with pytest.raises(StudyError, match=re.escape(f"{tmp_path}: expected a file of text")):
        read_yaml(tmp_path)
    with pytest.raises(StudyError, match=r"none\.yaml: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
