"""Which file says what: a fault of the configuration is one line with the file and the dotted key.

In: the files that were merged, and what is wrong where. Out: a StudyError that a person can act on.
"""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from study.errors import StudyError, value_text

Parsed = TypeVar("Parsed", bound=BaseModel)
LONGEST_VALUE = 60  # characters of a value that a message repeats
TYPES = ("constrained-int", "constrained-str", "str", "int", "bool")  # as pydantic has them in keys
MOST_NAMES = 40  # that a message lists
# Pydantic's words for what Python calls its own types.
MESSAGES = {
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), "expected a mapping"),
    "string_type": "expected text",
    "list_type": "expected a list",
}


class Fault(Exception):
    """What is wrong with the key at a location of the merged study, before its file is known."""

    def __init__(self, message: str, *location: str | int):
        super().__init__(message)
        self.location = location


def hint(name: object, known: Iterable[str]) -> str:
    """`, did you mean X?`, or else the names that there are, unless they are many."""
    names = list(known)
    if name in names:  # elsewhere: not in the file that has it
        return ""
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f", did you mean {close[0]}?"
    if len(names) > MOST_NAMES:
        return ""
    return f"; known: {', '.join(names) or 'none'}"


def short_text(value: object) -> str:
    """A value as YAML writes it, cut where it is long."""
    text = value_text(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def first_fault(error: ValidationError, model: type[BaseModel]) -> Fault:
    """The first of pydantic's errors about a `model`, in a person's words."""
    first, location = _of_its_type(error.errors())
    if first["type"] == "extra_forbidden":
        siblings = _fields_at(model, location[:-1])
        return Fault(f"unknown key{hint(location[-1], siblings)}", *location)
    if first["type"] == "missing":
        return Fault("missing", *location)
    message = MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
    found = ""
    if not isinstance(first["input"], BaseModel):
        whole = isinstance(first["input"], dict) and first["type"] not in MESSAGES
        found = "" if whole else f", found {short_text(first['input'])}"
    return Fault(f"{message[0].lower()}{message[1:]}{found}", *location)


def _of_its_type(errors: list[Any]) -> tuple[Any, tuple]:
    """The first error and its key; of a key that may be a list or not, what a list's fault is.

    Where a key may have one of several types, pydantic has an error for each, and adds the type to
    the key, as in `literal['own']` or `constrained-int`.
    """
    first, way = errors[0], errors[0]["loc"][:-1]
    if isinstance(first["input"], list):
        inside = (e for e in errors if e["loc"][: len(way)] == way and e["loc"] != first["loc"])
        first = next((e for e in inside if "list[" in str(e["loc"][len(way)])), first)
    location = tuple(part for part in first["loc"] if "[" not in str(part))
    return first, location[:-1] if location[-1:] and location[-1] in TYPES else location


def parse_option(values: dict, model: type[Parsed], option: str) -> Parsed:
    """The JSON given by an option as a `model`; StudyError names the first field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, model)
        field = f"field {'.'.join(map(str, fault.location))}: " if fault.location else ""
        raise StudyError(f"{option}: {field}{fault}") from None


class Origins:
    """The files of a study with what they say; where two say the same key, the first counts."""

    def __init__(self, *files: tuple[Path, dict]):
        self.files = files

    def error(self, fault: Fault) -> StudyError:
        """The fault with its file and key."""
        path, written = self._written(fault.location)
        name = ".".join(map(_printable, written))
        return StudyError(f"{path}: {name}: {_printable(str(fault))}")

    def _written(self, location: tuple) -> tuple[Path, tuple]:
        """The file and the key in it that say what the whole study has at `location`.

        Where no file has the key itself, the one that has most of the way to it, or the last.
        """
        for places in self._sources(location):
            for path, data in self.files:
                for place in places:
                    if _holds(data, place):
                        return path, place
        for length in range(len(location) - 1, 0, -1):
            for path, data in self.files:
                if _holds(data, location[:length]):
                    return path, location
        return self.files[-1][0], location

    def _sources(self, location: tuple) -> Iterator[list[tuple]]:
        """Where the value at a location may stand (`study.deltas`), first what counts first.

        Of the keys of one list, the first in the first file counts.
        """
        shared = {"finetuning": "all", "execution": "training"}.get(location[0])
        section, name, *key = location if len(location) > 2 else (*location, None)[:2]
        yield [location, (section, shared, *key)] if shared and key else [location]
        if section == "finetuning" and key[1:]:
            yield [(section, recipe, "default", *key[1:]) for recipe in (name, shared)]
        if section == "executions" and key[1:]:
            yield [(section, name, "training", *key[1:])]
        if section == "execution" and key:
            named = ("executions", self._said(("execution", "like")))
            yield [(*named, stage, *key) for stage in (name, shared)]
        if section in ("cells", "tasks") and key:
            for model in self._models(section, name):
                yield [(section, model, *key), ("task_bases", model, *key)]
            yield [("base", *key)] if section == "cells" else []

    def _models(self, section: str, name: str) -> list[str]:
        """What an entry is `like`, and what that is like, as far as it goes."""
        names = [name]
        while True:
            likes = [self._said((part, names[-1], "like")) for part in (section, "task_bases")]
            model = next((like for like in likes if isinstance(like, str)), None)
            if model is None or model in names:
                return names[1:]
            names.append(model)

    def _said(self, location: tuple) -> Any:
        """What the first file that has this key says, None where none has."""
        for _, data in self.files:
            if _holds(data, location):
                for part in location:
                    data = data[part]
                return data
        return None


def _holds(data: Any, location: tuple) -> bool:
    for part in location:
        known: Any = data if isinstance(data, dict) else ()
        if isinstance(data, list):
            known = range(len(data))
        if part not in known:
            return False
        data = data[part]
    return True


def _printable(part: object) -> str:
    """Text on one line."""
    text = str(part)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _fields_at(model: type[BaseModel], location: tuple) -> list[str]:
    """Names of the fields that the mapping at `location` may have."""
    current: Any = model
    for part in location:
        if _is_model(current):
            field = current.model_fields.get(part)
            current = field.annotation if field else None
        else:
            current = (get_args(current) or (None,))[-1]
        if get_origin(current) not in (dict, list):
            current = next(filter(_is_model, get_args(current)), current)
    return list(current.model_fields) if _is_model(current) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
