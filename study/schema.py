"""The JSON schema of `config/`, from which editors complete, explain and check the YAML files.

`python -m study.schema > config/study.schema.json` writes it anew after a change of a section. The
files name it in their first line. It is that of the study with what the files may say besides
(`study.deltas`); as each of them says only a part, no key is required.
"""

import json
from typing import Any

from study.cells import Cell
from study.command import command_parser, run_command
from study.execution import Execution, StageExecutions
from study.fields import AboveZero, doc
from study.study_file import StudyFile
from study.tables import Column, Table
from study.tasks import Finetuning, Task


class WrittenCell(Cell):
    """One pre-training configuration, a delta on `base` or on what it is like."""

    like: str | None = doc("the cell that it is a delta on, instead of `base`", None)
    passes: AboveZero | None = doc(
        "instead of steps: times the passes over the data that the cell it is like makes", None
    )


class WrittenTask(Task):
    """An end task, a delta on what it is like."""

    like: str | None = doc("the task, or one of `task_bases`, that it is a delta on", None)


class WrittenTable(Table):
    """What a result shows."""

    more_columns: list[Column] = doc("behind `columns`, of a study that is like another one", [])


class WrittenExecution(StageExecutions):
    """The execution of each stage."""

    like: str | None = doc("the one of `executions` that it is a delta on", None)
    training: Execution | None = doc("of both trainings, pretrain and finetune", None)


class WrittenStudy(StudyFile):
    """What the files of `config/` say together."""

    like: str | None = doc("the scale, or of a study the study file, that it is a delta on", None)
    include: list[str] = doc("further files of the study, beside the one that says so", [])
    base: Cell = doc("the recipe that every cell is a delta on")
    # What is written in their place lacks what is filled in: no subclass of a study read.
    cells: dict[str, WrittenCell] = doc(  # type: ignore[assignment]
        "what is pre-trained (section 4), deltas on `base`"
    )
    task_bases: dict[str, WrittenTask] = doc("what several tasks share, no tasks themselves", {})
    tasks: dict[str, WrittenTask] = doc(  # type: ignore[assignment]
        "end tasks (sections 3.3 and 5)"
    )
    tables: dict[str, WrittenTable] = doc("what results show")  # type: ignore[assignment]
    finetuning: dict[str, dict[str, Finetuning]] = doc(
        "recipes: settings by task, or of all by `default`; the recipe `all` speaks of all recipes"
    )
    execution: WrittenExecution = doc("how jobs are computed: how fast, never what")
    executions: dict[str, WrittenExecution] = doc(  # type: ignore[assignment]
        "executions to be like", {}
    )


def study_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of every file of `config/` but the published values."""
    return _partial(WrittenStudy.model_json_schema())


def _partial(schema: Any) -> Any:
    """Without what a delta need not have: required keys, defaults, titles that repeat the key."""
    if isinstance(schema, list):
        return [_partial(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    partial = {}
    for key, value in schema.items():
        if key == "properties":
            partial[key] = {name: _partial(inner) for name, inner in value.items()}
        elif key not in ("required", "default", "title"):
            partial[key] = _partial(value)
    return partial


def main(arguments: list[str] | None = None) -> None:
    """Print it."""
    command_parser(
        "study.schema", __doc__, "python -m study.schema > config/study.schema.json"
    ).parse_args(arguments)
    print(json.dumps(study_schema(), indent=1))


if __name__ == "__main__":
    run_command(main)
