"""Reading `config/`: study file + scale file -> one validated StudyFile.

A scale changes sizes by the same keys as the study file; its values win. Mappings are merged key
by key, lists are replaced whole. A scale adds nothing: what it names is in the study file, and
tables stand there alone. Cells are deltas on `base` (`study.deltas`); per-task fine-tuning settings
are deltas on `default`. Every error is one line that names the file and the key.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.checks import check
from study.deltas import expand_families, write_out
from study.errors import StudyError, value_text
from study.fields import MOST_SEEDS
from study.messages import Fault, Origins, hint
from study.names import RESERVED, RULE, SECTIONS, SHARED, is_name, same_file
from study.study_file import StudyFile
from study.yaml_file import read_yaml

STUDY_FILE = "config/study.yaml"
NOT_OF_A_SCALE = ("tables", "hyperparameter_tables")
MAPPINGS = ("base", *SECTIONS)


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
    # By the listing: some file systems would find another name's file too.
    known = sorted(path.stem for path in scales.glob("*.yaml"))
    if not is_name(scale) or scale not in known:
        raise StudyError(f"{scale_path}: no such scale; there are: {', '.join(known) or 'none'}")
    overrides = read_yaml(scale_path)
    if replicates is not None and not 1 <= replicates <= MOST_SEEDS:
        raise StudyError(f"replicates: expected 1 to {MOST_SEEDS}, found {replicates}")
    return build_study_file((study_path, study), (scale_path, overrides), replicates)


def build_study_file(
    study: tuple[Path, dict], scale: tuple[Path, dict], replicates: int | None = None
) -> StudyFile:
    """The same from what two files hold, each with its path for errors."""
    origins = Origins(scale, study)
    try:
        _check_additions(study[1], scale[1])
        merged = merge(study[1], scale[1])
        if replicates is not None:
            merged = merge(merged, {"seeds": {"pretraining": list(range(replicates))}})
        config = StudyFile.model_validate(_fill(merged))
        check(config)
    except Fault as fault:
        raise origins.error(fault) from None
    except ValidationError as error:
        raise origins.validation_error(error, StudyFile) from None
    return config


def _check_additions(study: dict, scale: dict) -> None:
    """A scale changes what the study has: a name that is not there is a slip, not a new thing."""
    for section in NOT_OF_A_SCALE:
        if section in scale:
            raise Fault("a scale changes sizes; tables stand in the study file", section)
    for section in SECTIONS:
        names = scale.get(section)
        known = {} if study.get(section) is None else study[section]
        if not isinstance(names, dict) or not isinstance(known, dict):
            continue  # refused for its type
        for name in names:
            if name not in known:
                raise Fault(
                    f"not in the study file, where a scale adds nothing{hint(name, known)}",
                    section,
                    name,
                )
            if not isinstance(names[name], dict):
                raise Fault(f"expected a mapping, found {value_text(names[name])}", section, name)
    _check_overlaps(study, scale, ())


def _check_overlaps(study: dict, scale: dict, location: tuple[str, ...]) -> None:
    """Where both files have a key, a mapping must not hide something else (null is nothing)."""
    for name, value in scale.items():
        hidden = study.get(name)
        if not isinstance(value, dict) or hidden is None:
            continue
        if not isinstance(hidden, dict):
            message = f"a mapping, where the study file has {value_text(hidden)}"
            raise Fault(message, *location, name)
        _check_overlaps(hidden, value, (*location, name))


def _fill(merged: dict) -> dict:
    """Cells, tasks, families and fine-tuning settings written out in full."""
    if "base" not in merged:
        raise Fault("missing, the recipe that every cell starts from", "base")
    for section in MAPPINGS:
        if section in merged and not isinstance(merged[section], dict):
            raise Fault(f"expected a mapping, found {value_text(merged[section])}", section)
    _check_names(merged)
    filled = dict(merged)
    filled["cells"] = write_out("cells", filled.pop("base"), merged.get("cells", {}), merge)
    filled["tasks"] = write_out("tasks", {}, merged.get("tasks", {}), merge)
    if "families" in merged:
        filled["families"] = expand_families(merged["families"], filled["cells"], merge)
    filled["finetuning"] = _fill_finetuning(merged.get("finetuning", {}), filled["tasks"])
    return filled


def _check_names(merged: dict) -> None:
    """Names that can stand in paths, and no two whose files would be the same."""
    for section in SECTIONS:
        for name in merged.get(section, {}):
            if not is_name(name):
                raise Fault(f"no name: {RULE}", section, name)
            if name.casefold() in RESERVED.get(section, ()):
                raise Fault("the name is taken; choose another", section, name)
    for sections in (*((section,) for section in SECTIONS), *SHARED):
        names = [name for section in sections for name in merged.get(section, {})]
        if clash := same_file(names):
            one, other = clash
            section = next(s for s in reversed(sections) if other in merged.get(s, {}))
            first = next(s for s in sections if one in merged.get(s, {}))
            raise Fault(
                f"{first}.{one} has this name too; their files would be one", section, other
            )


def _fill_finetuning(recipes: dict, tasks: dict) -> dict:
    """Every named fine-tuning recipe, filled for every task from its `default`."""
    filled = {}
    for name, settings in recipes.items():
        where = ("finetuning", name)
        if not isinstance(settings, dict):
            raise Fault(f"expected a mapping, found {value_text(settings)}", *where)
        default = settings.get("default")
        if not isinstance(default, dict):
            problem = (
                f"expected a mapping, found {value_text(default)}"
                if "default" in settings
                else "missing"
            )
            raise Fault(problem, *where, "default")
        for task, own in settings.items():
            if task != "default" and task not in tasks:
                raise Fault(f"no such task{hint(task, tasks)}", *where, task)
            if not isinstance(own, dict):
                raise Fault(f"expected a mapping, found {value_text(own)}", *where, task)
        filled[name] = {task: merge(default, settings.get(task, {})) for task in tasks}
    return filled
