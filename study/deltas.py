"""What the configuration says once, written out in full.

In: the study and a scale as their files say them. Out: every cell, task, fine-tuning recipe and
execution with all its keys, as `study.study_file` checks them. An entry is a delta on what its
`like` names, a cell without one on `base`, on whose data vocabularies are trained that name none;
`finetuning.all` speaks of every recipe of its file, and `training` of both trainings of an
execution; the `more_columns` of a table stand behind its columns.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from study.cells import Cell
from study.errors import value_text
from study.fields import LARGEST, WAYS
from study.messages import Fault, hint
from study.study_file import StudyFile

TRAININGS = ("pretrain", "finetune")


def merge(base: Any, delta: Any) -> Any:
    """Deep merge: mappings key by key, everything else replaced by `delta`.

    A `source` that names a repository, or comes in another way than that of `base`, replaces it:
    half of one place and half of another is no place.
    """
    if isinstance(base, dict) and isinstance(delta, dict):
        merged = dict(base)
        for key, value in delta.items():
            join = _join_sources if key == "source" else merge
            merged[key] = join(base[key], value) if key in base else value
        return merged
    return delta


def _join_sources(base: Any, delta: Any) -> Any:
    mappings = isinstance(base, dict) and isinstance(delta, dict)
    if not mappings or "repo" in delta or not any({*base, *delta} <= way for way in WAYS):
        return delta
    return {**base, **delta}


def spread(data: dict, recipes: Iterable[str]) -> dict:
    """One file, with what it says of all fine-tuning `recipes` and of both trainings said of each.

    Raises Fault where an entry that is spoken of, or what speaks of it, is no mapping.
    """
    filled = dict(data)
    if isinstance(data.get("finetuning"), dict):
        filled["finetuning"] = _spread(data["finetuning"], "all", recipes, "finetuning")
    if isinstance(data.get("execution"), dict):
        filled["execution"] = _spread(data["execution"], "training", TRAININGS, "execution")
    if isinstance(data.get("executions"), dict):
        filled["executions"] = {
            name: _spread(execution, "training", TRAININGS, "executions", name)
            for name, execution in data["executions"].items()
        }
    return filled


def _spread(section: Any, shared: str, names: Iterable[str], *where: str) -> Any:
    if not isinstance(section, dict) or shared not in section:
        return section
    rest = dict(section)
    common = _mapping(rest.pop(shared), *where, shared)
    own = {name: _mapping(rest.get(name, {}), *where, name) for name in names}
    return {**rest, **{name: merge(common, own[name]) for name in own}}


def fill(merged: Mapping[str, Any]) -> dict[str, Any]:
    """The merged study with cells, tasks, fine-tuning and execution in full.

    Raises Fault for what names nothing, leads back to itself or is no mapping.
    """
    if "base" not in merged:
        raise Fault("missing, the recipe that every cell starts from", "base")
    if "passes" in merged["base"]:
        raise Fault("those of cells count its own; write steps", "base", "passes")
    filled = dict(merged)
    if isinstance(merged.get("vocabularies"), dict):
        of_base = {"corpora": merged["base"].get("data")}
        filled["vocabularies"] = {
            name: {**of_base, **one} if isinstance(one, dict) and one.get("kind") != "file" else one
            for name, one in merged["vocabularies"].items()
        }
    if isinstance(merged.get("tables"), dict):
        tables = merged["tables"].items()
        filled["tables"] = {name: _with_more_columns(table, name) for name, table in tables}
    cells = write_out(merged, "cells", _with_passes, base=filled.pop("base"))
    filled["cells"] = {name: _whole_steps(cell) for name, cell in cells.items()}
    filled["tasks"] = write_out(merged, "tasks", _with_splits, commons="task_bases")
    filled.pop("task_bases", None)
    filled["finetuning"] = _fill_finetuning(merged.get("finetuning", {}), filled["tasks"])
    executions = merged.get("executions", {})
    if isinstance(merged.get("execution"), dict):
        delta = dict(merged["execution"])
        model = named_model(delta, executions, "executions", "execution")
        named = {} if model is None else _mapping(executions[model], "executions", model)
        filled["execution"] = merge(named, delta)
    return filled


def write_out(
    merged: Mapping[str, Any],
    section: str,
    join: Callable[..., dict],
    base: Mapping[str, Any] | None = None,
    commons: str = "",
) -> dict[str, dict]:
    """Every entry of `section` in full, a delta on `base` or on what its `like` names.

    That is an entry of `section`, or of `commons`, whose entries have the same shape but are
    themselves left out. `join(model, delta, name of the model, *location)` puts the two together.
    """
    homes = {name: home for home in (commons, section) for name in merged.get(home, {})}

    def resolve(name: str, behind: tuple[str, ...]) -> dict:
        where = (homes[name], name)
        written = merged[homes[name]][name]
        delta = dict(_mapping({} if written is None else written, *where))
        model = named_model(delta, homes, section, *where)
        if model in (*behind, name):
            raise Fault(f"{model} is like {name} itself", *where, "like")
        start = base or {} if model is None else resolve(model, (*behind, name))
        return join(start, delta, model or "base", *where)

    return {name: resolve(name, ()) for name in merged.get(section, {})}


def named_model(delta: dict, known: Mapping, section: str, *where: str) -> str | None:
    """The name that `like`, which is taken out of `delta`, has in `section`; None without it.

    Raises Fault for a name that is not `known`.
    """
    if "like" not in delta:
        return None
    model = delta.pop("like")
    if not isinstance(model, str):
        raise Fault(f"expected a name, found {value_text(model)}", *where, "like")
    if model not in known:
        raise Fault(f"{model} is not in {section}{hint(model, known)}", *where, "like")
    return model


def _mapping(value: Any, *where: str) -> dict:
    if not isinstance(value, dict):
        raise Fault(f"expected a mapping, found {value_text(value)}", *where)
    return value


def _with_more_columns(table: Any, name: str) -> Any:
    """A table with its `more_columns` behind the others."""
    if not isinstance(table, dict) or "more_columns" not in table:
        return table
    whole = dict(table)
    columns, more = whole.get("columns", []), whole.pop("more_columns")
    for key, value in (("columns", columns), ("more_columns", more)):
        if not isinstance(value, list):
            raise Fault(f"expected a list, found {value_text(value)}", "tables", name, key)
    return {**whole, "columns": columns + more}


def _with_splits(model: dict, delta: dict, *_: str) -> dict:
    """A task; splits that it names are all that it has, not more beside those of its model."""
    own = {key: delta[key] for key in ("more_dev", "test") if key in delta}
    return {**merge(model, delta), **own}


def _with_passes(model: dict, delta: dict, like: str, *where: str) -> dict:
    """A cell; with `passes` its steps follow from those of the cell `model`, called `like`.

    Both see the same data, the cell `passes` times as often: so steps x sequences x length is
    `passes` times the model's. Steps stay a fraction until all cells that are like it are written.
    """
    passes = delta.pop("passes", None)
    # Of two starts none is a delta on the other.
    cell = {**merge(model, delta), **({"start": delta["start"]} if "start" in delta else {})}
    if passes is None:
        return cell
    where = (*where, "passes")
    if type(passes) not in (int, float) or not 0 < passes < math.inf:
        raise Fault(f"expected a number above 0, found {value_text(passes)}", *where)
    if "steps" in delta:
        raise Fault("steps are there as well; one of them says how long it trains", *where)
    try:
        other, own = (Cell.model_validate({**one, "steps": 0}) for one in (model, cell))
    except ValidationError:
        return cell  # is refused with all cells, for what is wrong with it
    for key, theirs, its in (
        ("data", other.data, own.data),
        ("vocabulary", other.vocabulary, own.vocabulary),
        ("batch.unit", other.batch.unit, own.batch.unit),
    ):
        if theirs != its:
            raise Fault(f"counts those of {like}, which has another {key}; write steps", *where)
    if type(model.get("steps")) in (int, Fraction):
        tokens, own_tokens = (one.batch.sequences * one.length for one in (other, own))
        cell["steps"] = Fraction(str(passes)) * model["steps"] * tokens / own_tokens
        if 0 < cell["steps"] < 1:
            raise Fault("less than one update", *where)
    return cell


def _whole_steps(cell: dict) -> dict:
    """The cell with whole steps; beyond LARGEST its tokens are refused, whatever their number."""
    steps = cell.get("steps")
    return {**cell, "steps": min(LARGEST, int(steps))} if isinstance(steps, Fraction) else cell


def with_members(config: StudyFile) -> StudyFile:
    """The study with the members of its families, and their cells behind all others.

    A member is its family's cell at another peak learning rate and is called
    `<cell>-lr-<rate>`; at its own rate the cell itself is the member. Raises Fault where the rates
    lack the cell's own or hold one twice, and where a cell of the study has a member's name.
    """
    cells, families = dict(config.cells), {}
    for name, family in config.families.items():
        where = ("families", name, "learning_rates")
        if "members" in family.model_fields_set:
            raise Fault("unknown key; members follow from learning_rates", *where[:2], "members")
        if family.cell not in config.cells:
            problem = f"{family.cell} is no cell{hint(family.cell, config.cells)}"
            raise Fault(problem, *where[:2], "cell")
        cell, rates = config.cells[family.cell], family.learning_rates
        own = cell.optimiser.learning_rate
        if own not in rates:
            raise Fault(f"{rates} lacks {own}, the rate of cell {family.cell} itself", *where)
        members: dict[float, str] = {}
        for rate in rates:
            member = family.cell if rate == own else f"{family.cell}-lr-{rate:g}"
            if member in members.values():
                raise Fault(f"{rate:g} is there twice (six digits count)", *where)
            if rate != own and member in config.cells:
                problem = f"cell {member} has the name of a member, {rate:g}; call it otherwise"
                raise Fault(problem, *where)
            members[rate] = member
            optimiser = cell.optimiser.model_copy(update={"learning_rate": rate})
            cells.setdefault(member, cell.model_copy(update={"optimiser": optimiser}))
        families[name] = family.model_copy(update={"members": members})
    return config.model_copy(update={"cells": cells, "families": families})


def _fill_finetuning(recipes: dict, tasks: dict) -> dict:
    """Every named fine-tuning recipe, filled for every task from its `default`."""
    filled = {}
    for name, settings in recipes.items():
        where = ("finetuning", name)
        if "default" not in _mapping(settings, *where):
            raise Fault("missing", *where, "default")
        for task, own in settings.items():
            if task != "default" and task not in tasks:
                raise Fault(f"no such task{hint(task, tasks)}", *where, task)
            _mapping(own, *where, task)
        filled[name] = {task: merge(settings["default"], settings.get(task, {})) for task in tasks}
    return filled
