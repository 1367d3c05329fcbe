"""Identity of a recipe: canonical JSON and its hash, the *key*.

A recipe is plain JSON data (dicts with string keys, lists, strings, booleans, numbers, null) that
decides what a job computes. Its key stands in the rule's params, in the run directory's name, in
every manifest and in every score. Equal recipes have equal keys however they were written down:
keys are sorted, and a number that is written 1, 1.0 or 1e0 is one number.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from study.errors import StudyError, kind_text

KEY_LENGTH = 12


def canonical_value(value: Any, where: str = "recipe") -> Any:
    """Return `value` in its one canonical spelling; raise StudyError for what JSON cannot hold."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise StudyError(f"{where}: key {key!r} is not a string")
        return {key: canonical_value(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [canonical_value(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StudyError(f"{where}: {value} is not a finite number")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    raise StudyError(f"{where}: a recipe cannot hold a {type(value).__name__}")


def canonical_json(recipe: Any) -> str:
    """Canonical JSON text: sorted keys, no blanks, shortest round-trip numbers, ASCII."""
    return json.dumps(canonical_value(recipe), separators=(",", ":"), ensure_ascii=True)


def key_of(recipe: Any) -> str:
    """The key of a recipe: the first 12 hex digits (48 bits) of SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical_json(recipe).encode("ascii")).hexdigest()[:KEY_LENGTH]


def seed_recipe(recipe: dict, seed: int) -> dict:
    """The recipe of one seed's run of a fine-tuning: it does not name the other seeds."""
    rest = {name: value for name, value in recipe.items() if name != "seeds"}
    return {**rest, "stage": "finetune-seed", "seed": seed}


def read_json_argument(text: str, what: str) -> dict:
    """Read a command-line argument that is JSON, or `@FILE` naming a file that holds it.

    Raises StudyError when it is neither, or not an object.
    """
    if text.startswith("@"):
        path = Path(text[1:])
        what = f"{path}: {what}"
        try:
            text = path.read_text()
        except OSError as error:
            raise StudyError(f"{what}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise StudyError(f"{what}: not UTF-8") from None
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StudyError(f"{what}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise StudyError(f"{what}: expected a JSON object, found {kind_text(type(value))}")
    return value
