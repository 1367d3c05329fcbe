"""The cells of a merged study: each written out in full, and those that families add.

In: the mappings `base`, `cells` and `families` after the scale's values were merged in. Out: full
recipes by cell name. A cell is a delta on `base`, or on the cell that its `like` names; a task can
be like another task.
"""

from collections.abc import Callable, Mapping
from typing import Any

from study.errors import StudyError


def write_out(
    section: str, base: Mapping, deltas: Mapping[str, Any], merge: Callable[[Any, Any], Any]
) -> dict[str, dict]:
    """Every entry of `section` in full, a delta on `base` or on what its `like` names.

    StudyError for a `like` that names no entry or leads back to itself.
    """

    def resolve(name: str, asked: tuple[str, ...]) -> dict:
        delta = deltas[name] or {}
        if not isinstance(delta, Mapping) or "like" not in delta:
            return merge(base, delta)
        delta = dict(delta)
        model = delta.pop("like")
        if model not in deltas:
            raise StudyError(
                f"{section}.{name}.like: {model} is not in {section}; known: {', '.join(deltas)}"
            )
        if model in (*asked, name):
            raise StudyError(f"{section}.{name}.like: {model} is like {name} itself")
        return merge(resolve(model, (*asked, name)), delta)

    return {name: resolve(name, ()) for name in deltas}


def expand_families(
    families: Mapping[str, Any], cells: dict[str, dict], merge: Callable[[Any, Any], Any]
) -> dict[str, dict]:
    """Families with their members, whose cells are added to `cells`.

    A member is its family's cell at another peak learning rate and is called
    `<cell>-lr-<rate>`; at its own rate the cell itself is the member. StudyError where the rates
    do not contain that one. What is not a family at all is left to the schema to refuse.
    """
    filled = {}
    for name, family in families.items():
        filled[name] = family
        if not isinstance(family, Mapping) or not isinstance(family.get("learning_rates"), list):
            continue
        if family.get("cell") not in cells:
            raise StudyError(
                f"families.{name}.cell: {family.get('cell')} is no cell; known: {', '.join(cells)}"
            )
        cell, members = family["cell"], {}
        if not isinstance(cells[cell], Mapping) or "optimiser" not in cells[cell]:
            continue
        own = cells[cell]["optimiser"].get("learning_rate")
        if own not in family["learning_rates"]:
            raise StudyError(
                f"families.{name}.learning_rates: {family['learning_rates']} lacks {own}, "
                f"the rate of cell {cell} itself"
            )
        for rate in family["learning_rates"]:
            member = cell if rate == own else f"{cell}-lr-{rate:g}"
            members[rate] = member
            if rate != own and member not in cells:
                cells[member] = merge(cells[cell], {"optimiser": {"learning_rate": rate}})
        filled[name] = {**family, "members": members}
    return filled
