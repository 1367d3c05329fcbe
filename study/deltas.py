"""The cells of a merged study: each written out in full, and those that families add.

In: the mappings `base`, `cells` and `families` after the scale's values were merged in. Out: full
recipes by cell name. A cell is a delta on `base`, or on the cell that its `like` names; a task can
be like another task.
"""

from collections.abc import Callable, Mapping
from typing import Any

from study.errors import value_text
from study.messages import Fault, hint

LARGEST_RATE = 1e300  # beyond it no digits are left to name a member by


def write_out(
    section: str, base: Mapping, deltas: Mapping[str, Any], merge: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """Every entry of `section` in full, a delta on `base` or on what its `like` names.

    Raises Fault for an entry that is no mapping, and for a `like` that names no entry or leads
    back to itself.
    """

    def resolve(name: str, behind: tuple[str, ...]) -> Any:
        delta = {} if deltas[name] is None else deltas[name]
        if not isinstance(delta, Mapping):
            raise Fault(f"expected a mapping, found {value_text(delta)}", section, name)
        if "like" not in delta:
            return merge(base, delta)
        delta = dict(delta)
        model = delta.pop("like")
        if not isinstance(model, str):
            raise Fault(f"expected a name, found {value_text(model)}", section, name, "like")
        if model not in deltas:
            raise Fault(f"{model} is not in {section}{hint(model, deltas)}", section, name, "like")
        if model in (*behind, name):
            raise Fault(f"{model} is like {name} itself", section, name, "like")
        return merge(resolve(model, (*behind, name)), delta)

    return {name: resolve(name, ()) for name in deltas}


def expand_families(
    families: Mapping[str, Any], cells: dict[str, dict], merge: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """Families with their members, whose cells are added to `cells`.

    A member is its family's cell at another peak learning rate and is called
    `<cell>-lr-<rate>`; at its own rate the cell itself is the member. What is not a family at all,
    or of a cell without a rate, is left to the schema to refuse. Raises Fault where the rates lack
    the cell's own or hold one twice, and where a cell of the study has a member's name.
    """
    filled, own_cells = {}, set(cells)
    for name, family in families.items():
        if isinstance(family, Mapping) and "members" in family:
            raise Fault("unknown key; members follow from learning_rates", *_at(name, "members"))
        filled[name] = {**family, "members": {}} if isinstance(family, Mapping) else family
        if not isinstance(family, Mapping) or not isinstance(family.get("cell"), str):
            continue
        cell, rates = family["cell"], family.get("learning_rates")
        if cell not in own_cells:
            raise Fault(f"{cell} is no cell{hint(cell, own_cells)}", *_at(name, "cell"))
        optimiser = cells[cell].get("optimiser")
        own = optimiser.get("learning_rate") if isinstance(optimiser, Mapping) else None
        if not isinstance(rates, list) or not all(map(_is_rate, [own, *rates])):
            continue
        where = _at(name, "learning_rates")
        if own not in rates:
            raise Fault(f"{rates} lacks {own}, the rate of cell {cell} itself", *where)
        members = filled[name]["members"]
        for rate in rates:
            member = cell if rate == own else f"{cell}-lr-{rate:g}"
            if member in members.values():
                raise Fault(f"{rate:g} is there twice (six digits count)", *where)
            if member != cell and member in own_cells:
                raise Fault(
                    f"cell {member} has the name of a member, {rate:g}; call it otherwise", *where
                )
            members[rate] = member
            if member not in cells:
                cells[member] = merge(cells[cell], {"optimiser": {"learning_rate": rate}})
    return filled


def _at(family: str, key: str) -> tuple[str, str, str]:
    return "families", family, key


def _is_rate(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < LARGEST_RATE
