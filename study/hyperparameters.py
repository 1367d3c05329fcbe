"""The figures of a recipe that a table of hyperparameters can show (tables 9 and 10)."""

from collections.abc import Callable

from study.cells import Cell
from study.errors import StudyError
from study.tasks import Finetuning

DERIVED: dict[str, Callable[[Cell], float]] = {
    "head_size": lambda cell: cell.model.hidden // cell.model.heads,
    "warmup_steps": lambda cell: round(cell.optimiser.warmup * cell.steps),
}
SCHEDULE = "linear"  # the only one that there is, of pre-training as of fine-tuning


def hyperparameter(recipe: Cell | Finetuning, key: str) -> float | str:
    """A figure of a recipe: a dotted key, or a derived one; a grid's values as `16, 32`.

    Raises StudyError for a key that the recipe does not have.
    """
    if key == "schedule":
        return SCHEDULE
    if key in DERIVED and isinstance(recipe, Cell):
        return DERIVED[key](recipe)
    found = recipe.model_dump()
    grid = found.get("grid") or {}
    if grid.get(key):
        return ", ".join(f"{value:g}" for value in grid[key])
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            raise StudyError(f"{key}: no key of the recipe")
        found = found[part]
    if isinstance(found, (dict, list)) or found is None:
        raise StudyError(f"{key}: no single figure of the recipe")
    return found
