"""What stands under a table about choices and differences, read off the recipes that run.

Every choice that was made on the set that is then reported has its note here: a family's learning
rate, the setting of a fine-tuning grid, the scored epoch, the model that a task starts from, the
threshold of SQuAD 2.0. So has whatever else differs between the rows than what columns show.
"""

from typing import Any

from analysis.ensembles import MOST
from analysis.render import value_text
from study.graph import Study
from study.tables import Column, Table
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
        *epoch_notes(study, table),
        *ensemble_notes(study, table),
        *start_notes(study, table),
        *threshold_notes(study, table),
    ]


def family_notes(study: Study, table: Table) -> list[str]:
    """Which rows show the best learning rate of several."""
    rows = [
        row.label
        for row in table.rows
        if row.family and len(study.config.families[row.family].members) > 1
    ]
    if not rows:
        return []
    return [
        f"Learning rate ({', '.join(rows)}): the one of the grid with the lowest held-out "
        "perplexity (median over replicates), chosen on the runs that are shown; "
        "results/learning_rates.csv has all of them."
    ]


def settings_of(study: Study, table: Table, column: Column) -> list[Finetuning]:
    """All fine-tuning settings behind a column of scores, over its rows."""
    return [
        setting
        for row in table.rows
        for cell in study.config.row_cells(row)
        for setting in study.config.settings(cell, row.task_of(column)).values()
    ]


def which(study: Study, table: Table, labels: list[str]) -> str:
    """Column labels for a note, in brackets; nothing where it is about all columns of scores."""
    every = [column.label for column in table.score_columns]
    return "" if labels == every else f" ({', '.join(labels)})"


def grid_notes(study: Study, table: Table) -> list[str]:
    """Which columns show the best setting of a fine-tuning grid."""
    labels = [
        column.label
        for column in table.score_columns
        if any(
            len(study.config.settings(cell, row.task_of(column))) > 1
            for row in table.rows
            for cell in study.config.row_cells(row)
        )
    ]
    if not labels:
        return []
    return [
        f"Fine-tuning settings{which(study, table, labels)}: per cell and task the point of the "
        "grid with the best median, chosen on these development sets; results/settings.csv has "
        "all of them."
    ]


def chooses_epoch(settings: Finetuning) -> bool:
    """Whether the best of several epochs is scored."""
    return settings.early_stopping and settings.epochs > 1


def epoch_notes(study: Study, table: Table) -> list[str]:
    """Which columns show the best epoch of each fine-tuning."""
    labels = [
        column.label
        for column in table.score_columns
        if any(map(chooses_epoch, settings_of(study, table, column)))
    ]
    if not labels:
        return []
    return [
        f"Scored epoch{which(study, table, labels)}: of every fine-tuning the one that is best by "
        "the task's first metric, chosen on these development sets."
    ]


def ensemble_notes(study: Study, table: Table) -> list[str]:
    """What ensembles average, and the tasks that they answer instead of a column's own."""
    if not any(row.ensemble for row in table.rows):
        return []
    own = study.config.seeds.finetuning == "own"
    members = "a model of every pre-training" if own else "all seeds of a pre-trained model"
    notes = [
        f"Ensembles average the predictions of {members} at the chosen setting, at most {MOST}, "
        "without those that diverged; their seeds count the models averaged, their replicates the "
        "ensembles, one without a model left counting as the worst."
    ]
    other = [
        f"{column.label} by {column.ensemble_task}"
        for column in table.score_columns
        if column.ensemble_task
    ]
    if other:
        notes.append(f"Ensembles answer {', '.join(other)}; single models the column's own task.")
    return notes


def start_notes(study: Study, table: Table) -> list[str]:
    """Which columns start from a model that was tuned on another task, and how it was chosen."""
    starts: dict[str, list[str]] = {}
    choices: dict[str, set[str]] = {}
    for column in table.score_columns:
        for row in (row for row in table.rows if row.ours):
            first = study.config.tasks[row.task_of(column)].init
            if first is None:
                continue
            labels = starts.setdefault(first, [])
            labels += [column.label] if column.label not in labels else []
            for cell in study.config.row_cells(row):
                settings = study.config.settings(cell, first).values()
                made = choices.setdefault(first, set())
                made |= {"setting"} if len(settings) > 1 else set()
                made |= {"epoch"} if any(chooses_epoch(one) for one in settings) else set()
    rows = "Ensembles: " if any(column.ensemble_task for column in table.columns) else ""
    notes = []
    for first, labels in starts.items():
        chosen = " and ".join(sorted(choices[first], reverse=True))
        best = f", at its best {chosen} on {first}'s development set, which is reported too"
        notes.append(
            f"{rows}{', '.join(labels)} start from the model of the same pre-training that was "
            f"tuned on {first}{best if chosen else ''}."
        )
    return notes


def threshold_notes(study: Study, table: Table) -> list[str]:
    """Which columns use a threshold that was chosen, or set from the split's own scores."""
    notes = []
    if not any(row.ours for row in table.rows):
        return notes
    best = [column.label for column in table.score_columns if column.metric.startswith("best_")]
    if best:
        notes.append(
            f"{', '.join(best)}: at the no-answer threshold that is best on this development set; "
            "all other columns at 0."
        )
    noted: dict[str, list[str]] = {}
    for column in table.score_columns:
        tasks = [study.config.tasks[row.task_of(column)] for row in table.rows if row.ours]
        for note in sorted({task.facts.note for task in tasks if task.facts.note}):
            noted.setdefault(note, []).append(column.label)
    return notes + [f"{', '.join(labels)} {note}" for note, labels in noted.items()]


def difference_notes(study: Study, table: Table, cells: dict[str, str]) -> list[str]:
    """In what the recipes of the rows differ besides what columns show; `cells` are those shown,
    by the id of their first row.
    """
    shown = {SHOWN_KEYS[c.value] for c in table.value_columns if c.value in SHOWN_KEYS}
    labels = {row.id: row.label for row in table.rows}
    recipes = {row: flat(study.config.cells[cell].model_dump()) for row, cell in cells.items()}
    keys = dict.fromkeys(key for recipe in recipes.values() for key in recipe)
    parts = []
    for key in (key for key in keys if key not in shown):
        rows: dict[str, list[str]] = {}
        for row, recipe in recipes.items():
            label = labels[row]
            rows.setdefault(value_text(recipe.get(key)), []).append(label)
        if len(rows) > 1:
            parts.append(f"{key} {values_text(rows)}")
    if not parts:
        return []
    besides = " besides the columns" if shown else ""
    return [f"The rows' recipes differ{besides} in: {'; '.join(parts)}."]


def flat(recipe: dict, prefix: str = "") -> dict[str, Any]:
    """Nested data by dotted keys."""
    dotted = {}
    for key, value in recipe.items():
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
