"""What stands under a table about choices and differences, read off the recipes that run.

Every choice that was made on the set that is then reported has its note here: a family's learning
rate, the setting of a fine-tuning grid, the scored epoch, the model that a task starts from, the
threshold of SQuAD 2.0. So has whatever else differs between the rows than what columns show.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from analysis.ensembles import MOST
from analysis.render import value_text
from study.fields import given
from study.graph import Study
from study.tables import Row, Table
from study.tasks import Finetuning

# The key of the recipe that a column shows.
SHOWN_KEYS = {
    "batch": "batch.sequences",
    "steps": "steps",
    "learning_rate": "optimiser.learning_rate",
    "gigabytes": "data",
    "vocabulary_size": "vocabulary",
}


def choice_notes(study: Study, name: str) -> list[str]:
    """A note for every choice behind a table's numbers that its own numbers decided."""
    table = study.config.tables[name]
    return [
        *family_notes(study, table),
        *grid_notes(study, table),
        *ensemble_notes(study, table),
        *start_notes(study, table),
        *given_notes(study, table),
        *threshold_notes(study, table),
    ]


def family_notes(study: Study, table: Table) -> Iterator[str]:
    """Which rows show the best learning rate of several."""
    families = study.config.families
    rows = [row for row in table.rows if row.family and len(families[row.family].members) > 1]
    if rows:
        yield (
            f"Learning rate ({', '.join(row.label for row in rows)}): the one of the grid with the "
            "lowest held-out perplexity (median over replicates), chosen on the runs that are "
            "shown; results/learning_rates.csv has all of them."
        )


def settings_of(study: Study, row: Row, task: str) -> list[list[Finetuning]]:
    """For every cell that a row may show, all fine-tuning settings of a task."""
    cells = study.config.row_cells(row)
    return [list(study.config.settings(cell, task).values()) for cell in cells]


def chooses_epoch(settings: Iterable[Finetuning]) -> bool:
    """Whether the best of several epochs is scored in any of the settings."""
    return any(setting.early_stopping and setting.epochs > 1 for setting in settings)


def grid_notes(study: Study, table: Table) -> Iterator[str]:
    """Which columns show the best setting of a fine-tuning grid, and the best epoch."""
    every = [column.label for column in table.score_columns]
    grids, epochs = [], []
    for column in table.score_columns:
        for_rows = [settings_of(study, row, row.task_of(column)) for row in table.rows]
        for_cells = list(chain.from_iterable(for_rows))
        grids += [column.label] if any(len(settings) > 1 for settings in for_cells) else []
        epochs += [column.label] if any(map(chooses_epoch, for_cells)) else []
    best_setting = (
        "Fine-tuning settings{}: per cell and task the point of the grid with the best median, "
        "chosen on these development sets; results/settings.csv has all of them."
    )
    best_epoch = (
        "Scored epoch{}: of every fine-tuning the one that is best by the task's first metric, "
        "chosen on these development sets."
    )
    for note, labels in ((best_setting, grids), (best_epoch, epochs)):
        if labels:
            yield note.format("" if labels == every else f" ({', '.join(labels)})")


def ensemble_notes(study: Study, table: Table) -> Iterator[str]:
    """What ensembles average, and the tasks that they answer instead of a column's own."""
    if not any(row.ensemble for row in table.rows):
        return
    own = study.config.seeds.finetuning == "own"
    members = "a model of every pre-training" if own else "all seeds of a pre-trained model"
    yield (
        f"Ensembles average the predictions of {members} at the chosen setting, at most {MOST}, "
        "without those that diverged; their seeds count the models averaged, their replicates the "
        "ensembles, one without a model left counting as the worst."
    )
    answered = [f"{c.label} by {c.ensemble_task}" for c in table.score_columns if c.ensemble_task]
    if answered:
        tasks = ", ".join(answered)
        yield f"Ensembles answer {tasks}; single models the column's own task."


def start_notes(study: Study, table: Table) -> Iterator[str]:
    """Which columns start from a model that was tuned on another task, and how it was chosen."""
    labels: dict[str, dict[str, None]] = {}
    choices: dict[str, set[str]] = {}
    for column in table.score_columns:
        for row in (row for row in table.rows if row.ours):
            first = study.config.tasks[row.task_of(column)].init
            if first is None:
                continue
            labels.setdefault(first, {})[column.label] = None
            made = choices.setdefault(first, set())
            for settings in settings_of(study, row, first):
                made |= {"setting"} if len(settings) > 1 else set()
                made |= {"epoch"} if chooses_epoch(settings) else set()
    rows = "Ensembles: " if any(column.ensemble_task for column in table.columns) else ""
    for first, made in choices.items():
        chosen = " and ".join(sorted(made, reverse=True))
        best = f", at its best {chosen} on {first}'s development set, which is reported too"
        yield (
            f"{rows}{', '.join(labels[first])} start from the model of the same pre-training that "
            f"was tuned on {first}{best if chosen else ''}."
        )


def given_notes(study: Study, table: Table) -> Iterator[str]:
    """Which rows start from weights that were there, which are the same in all replicates."""
    labels = [
        row.label for row in table.rows if any(map(study.config.given, study.config.row_cells(row)))
    ]
    if labels:
        yield (
            f"{', '.join(labels)}: from weights that were there, the same in every replicate; "
            "replicates differ in what is trained here alone."
        )


def threshold_notes(study: Study, table: Table) -> Iterator[str]:
    """Which columns use a threshold that was chosen, or set from the split's own scores."""
    ours = [row for row in table.rows if row.ours]
    best = [
        column.label for column in table.score_columns if given(column.metric).startswith("best_")
    ]
    if ours and best:
        yield (
            f"{', '.join(best)}: at the no-answer threshold that is best on this development set; "
            "all other columns at 0."
        )
    noted: dict[str, list[str]] = {}
    for column in table.score_columns:
        facts = [study.config.tasks[row.task_of(column)].facts for row in ours]
        for note in sorted({fact.note for fact in facts if fact.note}):
            noted.setdefault(note, []).append(column.label)
    for note, labels in noted.items():
        yield f"{', '.join(labels)} {note}"


def difference_notes(study: Study, table: Table, cells: dict[str, str]) -> Iterator[str]:
    """In what the recipes of the rows differ besides what columns show; `cells` are those shown,
    by the id of their first row.
    """
    shown = {SHOWN_KEYS[c.value] for c in table.value_columns if c.value in SHOWN_KEYS}
    labels = {row.id: row.label for row in table.rows}
    recipes = {row: flat(study.config.cells[cell].model_dump()) for row, cell in cells.items()}
    parts = []
    for key in dict.fromkeys(key for recipe in recipes.values() for key in recipe):
        rows: dict[str, list[str]] = {}
        for row, recipe in recipes.items():
            rows.setdefault(value_text(recipe.get(key)), []).append(labels[row])
        if len(rows) > 1 and key not in shown:
            parts.append(f"{key} {values_text(rows)}")
    if parts:
        besides = " besides the columns" if shown else ""
        yield f"The rows' recipes differ{besides} in: {'; '.join(parts)}."


def flat(recipe: dict, prefix: str = "") -> dict[str, Any]:
    """Nested data by dotted keys."""
    dotted: dict[str, Any] = {}
    for key, value in recipe.items():
        if value == []:
            continue
        inner = isinstance(value, dict)
        dotted |= flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return dotted


def values_text(rows: dict[str, list[str]]) -> str:
    """`0.999 (256), 0.98 (2K, 8K)`; the most rows of one value, where three or more, as others."""
    most = max(map(len, rows.values()))
    parts, others = [], False
    for value, labels in rows.items():
        rest = not others and len(labels) == most > 2
        others |= rest
        parts.append(f"{value} ({'the others' if rest else ', '.join(labels)})")
    return ", ".join(parts)
