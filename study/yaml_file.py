"""Reading one file of `config/`: YAML 1.2's core schema, UTF-8, one mapping with text for keys.

Numbers are written as in YAML 1.2: `1e-4`, `0x1F` and `0o17` are numbers, `017` is 17; `1_000`,
`1:30`, `yes`, `on` and dates are text. Left out of YAML: merge keys (`<<`), further documents, tags
of other types, a key that is written twice.
"""

import contextlib
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError

from study.errors import StudyError, kind_text

LONGEST_NUMBER = 40  # characters; nothing here counts further
LARGEST_FILE = 1_000_000  # values, those of aliases counted wherever they stand
TAG = "tag:yaml.org,2002:"
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
# Of YAML 1.2's core schema, in the order in which they are tried; everything else is text.
SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": ("|".join(TRUE + FALSE), list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the scalars above and no other types."""

    # PyYAML keeps its tables in classes, whatever its types say.
    yaml_implicit_resolvers: ClassVar[dict] = {}  # type: ignore[misc]
    yaml_constructors: ClassVar[dict] = {}


def _scalar(loader: _Loader, node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    text = loader.construct_scalar(node)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ConstructorError(None, None, "text holds U+0000 or half a character", node.start_mark)
    return text


def _number(loader: _Loader, node: yaml.Node) -> int | float:
    text = _scalar(loader, node)
    kind = node.tag.removeprefix(TAG)
    if len(text) > LONGEST_NUMBER or not re.fullmatch(SCALARS[kind][0], text):
        raise ConstructorError(
            None, None, f"{text[:LONGEST_NUMBER]} is no number that counts", node.start_mark
        )
    if kind == "int":
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))


def _boolean(loader: _Loader, node: yaml.Node) -> bool:
    text = _scalar(loader, node)
    if text not in TRUE + FALSE:
        raise ConstructorError(None, None, f"{text} is neither true nor false", node.start_mark)
    return text in TRUE


def _mapping(loader: _Loader, node: yaml.Node) -> dict:
    if not isinstance(node, yaml.MappingNode):
        raise ConstructorError(None, None, "expected a mapping", node.start_mark)
    mapping: dict = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        problem = None
        if not isinstance(key, str):
            problem = f"key {key} is no text; put it in quotes"
        elif key == "<<":
            problem = "<< is not in YAML 1.2; write the keys out"
        elif key in mapping:
            problem = f"key {key} is written twice"
        if problem:
            raise ConstructorError(None, None, problem, key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


def _other(loader: _Loader, node: yaml.Node) -> None:
    raise ConstructorError(None, None, f"tag {node.tag} is not known here", node.start_mark)


for _kind, (_pattern, _first) in SCALARS.items():
    _Loader.add_implicit_resolver(TAG + _kind, re.compile(f"^(?:{_pattern})$"), _first)
for _kind, _construct in {
    "null": yaml.SafeLoader.construct_yaml_null,
    "bool": _boolean,
    "int": _number,
    "float": _number,
    "str": _scalar,
    "seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "map": _mapping,
}.items():
    _Loader.add_constructor(TAG + _kind, _construct)
_Loader.add_constructor(None, _other)

if yaml.__with_libyaml__:

    class _FastLoader(yaml.CSafeLoader):
        """libyaml's parser with the same tables: a seventh of the time."""

        yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
        yaml_constructors = _Loader.yaml_constructors


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; StudyError names the file and the line at fault."""
    data = parse_yaml(_read_text(path), path)
    if not isinstance(data, dict):
        found = "nothing" if data is None else kind_text(type(data))
        raise StudyError(f"{path}: expected a mapping, found {found}")
    return data


def parse_yaml(text: str, path: str | Path) -> Any:
    """The value that a text of YAML stands for; StudyError as of the file at `path`."""
    if yaml.__with_libyaml__:
        with contextlib.suppress(yaml.YAMLError, RecursionError):
            return _value(_FastLoader(text), path)
    # Again with the slow one, which says what the fault is.
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        place = f"line {text.count(chr(10), 0, error.position) + 1}"
        raise StudyError(f"{path}: {place}: U+{error.character:04X} cannot stand here") from None
    try:
        return _value(loader, path)
    except RecursionError:
        raise StudyError(f"{path}: line {loader.line + 1}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise StudyError(f"{path}:{place} {' '.join(str(problem).split())}") from None


def _value(loader: Any, path: str | Path) -> Any:
    node = loader.get_single_node()
    data = loader.construct_document(node) if node else None
    if node and _size(node, {}) > LARGEST_FILE:
        raise StudyError(f"{path}: over {LARGEST_FILE} values, counting aliases")
    return data


def _read_text(path: Path) -> str:
    data = b""
    try:
        if path.exists() and not path.is_file():
            raise StudyError(f"{path}: expected a file of text")
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02X}"
        raise StudyError(f"{path}: line {line}: expected UTF-8 text, found {byte}") from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values under a node; an alias counts as all that it stands for."""
    if id(node) not in known:
        children: list = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            children = [one for pair in children for one in pair]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
