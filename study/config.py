"""Reading `config/`: study file + scale file -> one validated StudyFile.

A scale changes sizes by the same keys as the study file; its values win. Cells are deltas on
`base` (`study.cells`); per-task fine-tuning settings are deltas on `default`. Every error is one
line that names the file and the key.
"""

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from study.cells import expand_families, write_out
from study.errors import StudyError
from study.schema import StudyFile

STUDY_FILE = "config/study.yaml"


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers (1e-4 is a float) and no silently repeated keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key} is written twice", key_node.start_mark
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(node.value)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("!exponent", _number)
_Loader.add_implicit_resolver(
    "!exponent",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; StudyError names the file and the line at fault."""
    try:
        data = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise StudyError(f"{path}:{line} {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise StudyError(f"{path}: expected a mapping, found {type(data).__name__}")
    return data


def merge(base: Any, delta: Any) -> Any:
    """Deep merge: mappings key by key, everything else replaced by `delta`.

    A `source` is replaced whole: half of one place and half of another is no place.
    """
    if isinstance(base, dict) and isinstance(delta, dict):
        merged = dict(base)
        for key, value in delta.items():
            whole = key not in base or key == "source"
            merged[key] = value if whole else merge(base[key], value)
        return merged
    return delta


def load_study_file(
    scale: str, study_path: str | Path = STUDY_FILE, replicates: int | None = None
) -> StudyFile:
    """Merge, fill and validate the study at `scale`; raises StudyError in one line.

    `replicates` takes that many pre-training seeds (0, 1, ...) instead of the scale's.
    """
    study_path = Path(study_path)
    study = read_yaml(study_path)
    scales = study_path.parent / "scales"
    scale_path = scales / f"{scale}.yaml"
    if not scale_path.is_file():
        known = ", ".join(sorted(path.stem for path in scales.glob("*.yaml"))) or "none"
        raise StudyError(f"{scale_path}: no such scale; there are: {known}")
    overrides = read_yaml(scale_path)
    if replicates is not None:
        seeds = {"seeds": {"pretraining": list(range(replicates))}}
        overrides = merge(overrides, seeds)
    merged = merge(study, overrides)
    places = [(scale_path, overrides), (study_path, study)]
    if "base" not in merged:
        raise StudyError(f"{study_path}: base: missing, the recipe that every cell starts from")
    for section in ("cells", "finetuning"):
        if not isinstance(merged.get(section), dict):
            raise StudyError(f"{_file_of((section,), places)}: {section}: expected a mapping")
    merged["cells"] = write_out("cells", merged.pop("base"), merged["cells"], merge)
    if isinstance(merged.get("tasks"), dict):
        merged["tasks"] = write_out("tasks", {}, merged["tasks"], merge)
    if isinstance(merged.get("families"), dict):
        merged["families"] = expand_families(merged["families"], merged["cells"], merge)
    merged["finetuning"] = _fill_finetuning(merged, places)
    try:
        return StudyFile.model_validate(merged)
    except ValidationError as error:
        raise StudyError(_explain(error, places)) from None


def _fill_finetuning(merged: dict, places: list) -> dict:
    """Every named fine-tuning recipe, filled for every task from its `default`."""
    filled = {}
    for name, settings in merged["finetuning"].items():
        default = settings.get("default")
        if not isinstance(default, dict):
            file = _file_of(("finetuning", name), places)
            raise StudyError(f"{file}: finetuning.{name}.default: missing")
        for task in settings:
            if task != "default" and task not in merged.get("tasks", {}):
                file = _file_of(("finetuning", name, task), places)
                raise StudyError(f"{file}: finetuning.{name}.{task}: no such task")
        filled[name] = {
            task: merge(default, settings.get(task, {})) for task in merged.get("tasks", {})
        }
    return filled


def _file_of(location: tuple, places: list) -> Path:
    """The file that sets the key at `location` (the scale first), else the study file."""
    for start in range(len(location), 0, -1):
        for path, data in places:
            found: Any = data
            for part in location[:start]:
                if not isinstance(found, dict) or part not in found:
                    break
                found = found[part]
            else:
                return path
    return places[-1][0]


def _explain(error: ValidationError, places: list) -> str:
    """One line for the first validation error: file, dotted key, what is wrong."""
    first = error.errors()[0]
    # Where a key may have one of several types, pydantic adds the type, as in `literal['own']`.
    location = tuple(part for part in first["loc"] if "[" not in str(part))
    written = _written_location(location, places)
    name = ".".join(str(part) for part in written)
    file = _file_of(written, places)
    if first["type"] == "extra_forbidden":
        siblings = _fields_at(StudyFile, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f", did you mean {close[0]}?" if close else f"; known: {', '.join(siblings)}"
        return f"{file}: {name}: unknown key{hint}"
    if first["type"] == "missing":
        return f"{file}: {name}: missing"
    message = first["msg"].removeprefix("Value error, ")
    shown = first["input"]
    value = f", found {shown!r}" if not isinstance(shown, (dict, BaseModel)) else ""
    return f"{file}: {name}: {message[0].lower()}{message[1:]}{value}"


def _written_location(location: tuple, places: list) -> tuple:
    """A cell's key stands under `cells.<cell>` or under `base`; a task's under `default` too."""
    alternatives = [location]
    if location[0] == "cells" and len(location) > 2:
        alternatives.append(("base", *location[2:]))
    if location[0] == "finetuning" and len(location) > 3:
        alternatives.append((*location[:2], "default", *location[3:]))
    for candidate in alternatives:
        for _, data in places:
            found: Any = data
            for part in candidate:
                if not isinstance(found, dict) or part not in found:
                    break
                found = found[part]
            else:
                return candidate
    return location


def _fields_at(model: type[BaseModel], location: tuple) -> list[str]:
    """Names of the fields that the mapping at `location` may have."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = (
                current.model_fields[part].annotation if part in current.model_fields else None
            )
        else:
            arguments = getattr(current, "__args__", ())
            current = arguments[-1] if arguments else None
        for option in getattr(current, "__args__", ()):
            if isinstance(option, type) and issubclass(option, BaseModel) and not _is_dict(current):
                current = option
                break
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []


def _is_dict(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict
