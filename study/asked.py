"""What snakemake was last asked for in this folder, so that `study.status` need not be told."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from study.manifest import write_atomic
from study.options import Options

ASKED = Path(".snakemake/asked.json")


def note_asked(options: Options, targets: Iterable[str]) -> None:
    """Write down the targets of a call and the study that it is about."""
    asked = {"targets": sorted(targets) or ["all"], "options": asdict(options)}
    write_atomic(ASKED, json.dumps(asked, indent=1) + "\n")


def last_asked() -> tuple[list[str], Options]:
    """Targets and options of the last call; everything at the default scale if there was none."""
    try:
        asked = json.loads(ASKED.read_text())
        return asked["targets"], Options(**asked["options"])
    except (OSError, ValueError, KeyError, TypeError):
        return ["all"], Options()
