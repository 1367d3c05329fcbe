"""Reading `config/`: a study file, what it includes, a scale file -> one validated StudyFile.

A scale changes sizes by the same keys as the study; its values win. It may be `like` another one,
whose values it then changes in the same way. Mappings are merged key by key, lists are replaced
whole. A scale adds nothing: what it names is in the study, and tables stand there alone.
`study.deltas` writes out what is said once. Every error is one line that names the file and the
key.
"""

from pathlib import Path

from pydantic import ValidationError

from study.checks import check
from study.deltas import fill, merge, named_model, spread, with_members
from study.errors import StudyError, value_text
from study.fields import MOST_SEEDS
from study.messages import Fault, Origins, first_fault, hint
from study.names import RULE, SECTIONS, SHARED, is_name, same_file
from study.results import TAKEN
from study.schema import WrittenStudy
from study.study_file import StudyFile
from study.yaml_file import read_yaml

STUDY_FILE = "config/study.yaml"
NOT_OF_A_SCALE = ("tables", "hyperparameter_tables")
MAPPINGS = ("base", *SECTIONS)
RESERVED = {"tasks": ("default",), "tables": TAKEN, "hyperparameter_tables": TAKEN}
FileAndData = tuple[Path, dict]


def load_study_file(
    scale: str,
    study_path: str | Path = STUDY_FILE,
    replicates: int | None = None,
    finetuning_seeds: int | None = None,
) -> StudyFile:
    """Merge, fill and validate the study at `scale`; raises StudyError in one line.

    `replicates` takes that many pre-training seeds (0, 1, ...) instead of the scale's,
    `finetuning_seeds` that many fine-tuning seeds of each.
    """
    study_path = Path(study_path)
    study = read_included(study_path)
    scales = read_scales(study_path.parent / "scales", scale)
    seeds = {}
    for name, kind, number in (
        ("replicates", "pretraining", replicates),
        ("finetuning_seeds", "finetuning", finetuning_seeds),
    ):
        if number is None:
            continue
        if not 1 <= number <= MOST_SEEDS:
            raise StudyError(f"{name}: expected 1 to {MOST_SEEDS}, found {number}")
        seeds[kind] = list(range(number))
    return build_study_file(study, scales, seeds)


def read_scales(folder: Path, scale: str) -> list[FileAndData]:
    """The file of a scale, then those that it is `like`, each behind what is a delta on it."""
    # By the listing: some file systems would find another name's file too.
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not is_name(scale) or scale not in known:
        path = folder / f"{scale}.yaml"
        raise StudyError(f"{path}: no such scale; there are: {', '.join(known) or 'none'}")
    files: list[FileAndData] = []
    while True:
        path, data = known[scale], read_yaml(known[scale])
        files.append((path, data))
        try:
            model = named_model(data, known, "scales")
            if model is None:
                return files
            if known[model] in dict(files):
                raise Fault(f"{model} is like {scale} itself", "like")
        except Fault as fault:
            raise Origins((path, data)).error(fault) from None
        scale = model


def read_included(study_path: Path) -> list[FileAndData]:
    """The files that a study file includes, by their places beside it, and itself last."""
    study = read_yaml(study_path)
    names = study.pop("include", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        found = value_text(names)
        raise StudyError(f"{study_path}: include: expected a list of files, found {found}")
    paths = [study_path.parent / name for name in names]
    return [*((path, read_yaml(path)) for path in paths), (study_path, study)]


def build_study_file(
    study: list[FileAndData],
    scales: list[FileAndData],
    seeds: dict[str, list[int]] | None = None,
) -> StudyFile:
    """The same from what the files hold, each with its path for errors; `seeds` are by kind."""
    origins = Origins(*scales, *study)
    try:
        joined = _join(study)
        recipes = joined.get("finetuning")
        recipes = [name for name in recipes if name != "all"] if isinstance(recipes, dict) else []
        merged = spread(joined, recipes)
        for _, scale in reversed(scales):
            changes = spread(scale, recipes)
            _check_additions(merged, changes)
            merged = merge(merged, changes)
        if seeds:
            merged = merge(merged, {"seeds": seeds})
        for section in MAPPINGS:
            if section in merged and not isinstance(merged[section], dict):
                raise Fault(f"expected a mapping, found {value_text(merged[section])}", section)
        _check_names(merged)
        config = with_members(StudyFile.model_validate(fill(merged)))
        check(config)
    except Fault as fault:
        raise origins.error(fault) from None
    except ValidationError as error:
        raise origins.error(first_fault(error, WrittenStudy)) from None
    return config


def _join(files: list[FileAndData]) -> dict:
    """One mapping of all files: each may name things of the same section, none the same thing."""
    joined: dict = {}
    for path, data in files:
        for section, value in data.items():
            earlier = joined.get(section, {})
            if isinstance(value, dict) and isinstance(earlier, dict):
                twice = [f"{section}.{name}" for name in value if name in earlier]
                joined[section] = {**earlier, **value}
            else:
                twice = [section] if section in joined else []
                joined[section] = value
            if twice:
                raise StudyError(f"{path}: {twice[0]}: another file of the study has it too")
    return joined


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
            message = f"a mapping, where the study has {value_text(hidden)}"
            raise Fault(message, *location, name)
        _check_overlaps(hidden, value, (*location, name))


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
