"""What things may be called: names stand in paths, CSV columns and shell lines as they are.

A name is data. It is looked up, never parsed: a dot, a slash or a plus sign in one would be read as
the separator of two.
"""

import re
from collections.abc import Iterable

RULE = "a name has 1 to 64 letters (a to z, A to Z), digits, - and _, the first no - or _"
PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# Sections of the study file whose keys are names that a person chooses.
SECTIONS = (
    "corpora",
    "weights",
    "vocabularies",
    "cells",
    "families",
    "task_bases",
    "tasks",
    "finetuning",
    "minimal_pairs",
    "executions",
    "tables",
    "hyperparameter_tables",
    "claims",
)
# Names that share one folder: the files of two of them would be the same.
SHARED = (("corpora", "tasks", "minimal_pairs"), ("tables", "hyperparameter_tables"))


def is_name(text: object) -> bool:
    """Whether `text` may name a cell, a task, a table, a row, a split, a scale."""
    return isinstance(text, str) and PATTERN.fullmatch(text) is not None


def same_file(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that a file system may take for one (`Wiki` and `wiki` on macOS)."""
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            return seen[name.casefold()], name
        seen[name.casefold()] = name
    return None
