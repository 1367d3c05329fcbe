"""Reading `config/`: a study file, what it includes, a scale file -> one validated StudyFile.

A scale changes sizes by the same keys as the study; its values win. It may be `like` another one,
whose values it then changes in the same way. Mappings are merged key by key, lists are replaced
whole. A scale adds nothing but corpora of its own, each with its source: all else that it names is
in the study, and tables stand there alone.

A study file may be `like` another one, at whose scales it then is. It says only what is new or
other; what it says holds at every scale. Overrides (`--set`) change what is there for one call.
`study.deltas` writes out what is said once. Every error is one line that names the file and the
key.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.checks import check
from study.deltas import fill, merge, named_model, spread, with_members
from study.errors import StudyError, value_text
from study.fields import MOST_SEEDS
from study.messages import Fault, Origins, first_fault, hint, short_text
from study.names import RULE, SECTIONS, SHARED, is_name, same_file
from study.results import TAKEN
from study.schema import WrittenStudy
from study.study_file import StudyFile
from study.yaml_file import parse_yaml, read_yaml

STUDY_FILE = "config/study.yaml"
NOT_OF_A_SCALE = ("tables", "hyperparameter_tables")
MAPPINGS = ("base", *SECTIONS)
RESERVED = {"tasks": ("default",), "tables": TAKEN, "hyperparameter_tables": TAKEN}
OVERRIDE = "--set"
# Between two overrides in one text: what follows begins like another one.
BETWEEN = re.compile(r"\s+(?=[\w./-]+=)")
FileAndData = tuple[Path, dict]


def load_study_file(
    scale: str,
    study_path: str | Path = STUDY_FILE,
    replicates: int | None = None,
    finetuning_seeds: int | None = None,
    overrides: Sequence[str] = (),
) -> StudyFile:
    """Merge, fill and validate the study at `scale`; raises StudyError in one line.

    `replicates` takes that many pre-training seeds (0, 1, ...) instead of the scale's,
    `finetuning_seeds` that many fine-tuning seeds of each. `overrides` are as `--set` takes them.
    """
    paths = study_paths(study_path)
    study, *own = map(read_included, reversed(paths))
    folder = paths[-1].parent / "scales"
    if not folder.is_dir():
        advice = f"a file that says only what is new begins with like: {STUDY_FILE}"
        raise StudyError(f"{paths[-1]}: no folder scales beside it; {advice}")
    scales = read_scales(folder, scale)
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
    config = build_study_file(study, scales, seeds, own, read_overrides(overrides))
    told = ", ".join(["", *map(str.strip, overrides)]).replace(", ", ", with ", 1)
    return config.model_copy(update={"about": config.about + told})


def study_paths(study_path: str | Path) -> list[Path]:
    """A study file, the one that it is `like`, and so on.

    The one that `like` names lies beside the file, or else in the folder that the command runs in.
    """
    paths = [Path(study_path)]
    while "like" in (data := read_yaml(paths[-1])):
        where, model = f"{paths[-1]}: like", data["like"]
        if not isinstance(model, str):
            raise StudyError(f"{where}: expected a study file, found {value_text(model)}")
        found = [path for path in (paths[-1].parent / model, Path(model)) if path.is_file()]
        if not found:
            advice = ", and a scale is chosen by scale=" if is_name(model) else ""
            raise StudyError(f"{where}: {model}: no such file beside this one or here{advice}")
        if any(found[0].samefile(path) for path in paths):
            raise StudyError(f"{where}: {model} is like {paths[0]} itself")
        paths.append(found[0])
    return paths


def read_overrides(texts: Iterable[str]) -> list[FileAndData]:
    """What `KEY=VALUE` say, each as a file of its own; keys are dotted, values are YAML.

    A text may hold several, with blanks between them. Raises StudyError for what is none.
    """
    files: list[FileAndData] = []
    for part in (part for text in texts for part in BETWEEN.split(text.strip())):
        key, sign, value = part.partition("=")
        names = key.split(".")
        if not sign or not all(names):
            example = "KEY=VALUE, like base.masking.rate=0.4"
            raise StudyError(f"{OVERRIDE}: expected {example}, found {part!r}")
        data: Any = parse_yaml(value, f"{OVERRIDE} {key}")
        for name in reversed(names):
            data = {name: data}
        files.append((Path(OVERRIDE), data))
    return files


def read_scales(folder: Path, scale: str) -> list[FileAndData]:
    """The file of a scale, then those that it is `like`, each behind what is a delta on it."""
    # By the listing: some file systems would find another name's file too.
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not is_name(scale) or scale not in known:
        path, named = folder / f"{scale}.yaml", ", ".join(filter(is_name, known)) or "none"
        problem = f"not called as a scale is: {RULE}" if scale in known else "no such scale"
        raise StudyError(f"{path}: {problem}; there are: {named}")
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
    study.pop("like", None)  # `study_paths` has followed it
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
    own: Sequence[list[FileAndData]] = (),
    overrides: Sequence[FileAndData] = (),
) -> StudyFile:
    """The same from what the files hold, each with its path for errors; `seeds` are by kind.

    `own` are the files of studies that are like this one, each like the one before it.
    """
    of_own = [file for files in reversed(own) for file in files]
    origins = Origins(*reversed(overrides), *of_own, *scales, *study)
    try:
        joined = [_join(files) for files in (study, *own)]
        recipes = _recipes(joined)
        merged, *additions = (spread(data, recipes) for data in joined)
        for addition in additions:
            _check_overlaps(merged, addition, ())
            merged = merge(merged, addition)
        for _, scale in reversed(scales):
            changes = spread(scale, recipes)
            _check_additions(merged, changes)
            merged = merge(merged, changes)
        for addition in additions:  # once more: what they say holds at every scale
            merged = merge(merged, addition)
        if seeds:
            merged = merge(merged, {"seeds": seeds})
        for _, override in overrides:
            changes = spread(override, recipes)
            _check_known(merged, changes, "not in the study, where an override adds nothing")
            merged = merge(merged, changes)
        for section in MAPPINGS:
            if section in merged and not isinstance(merged[section], dict):
                raise Fault(f"expected a mapping, found {value_text(merged[section])}", section)
        _check_names(merged)
        config = with_members(StudyFile.model_validate(fill(merged)))
        new = {name for data in joined[1:] for name in data.get("cells", ())}
        check(config, () if overrides else new if own else config.cells)
    except Fault as fault:
        raise origins.error(fault) from None
    except ValidationError as error:
        raise origins.error(first_fault(error, WrittenStudy)) from None
    return config


def _recipes(studies: list[dict]) -> list[str]:
    """The names of all fine-tuning recipes of these studies."""
    sections = [data.get("finetuning") for data in studies]
    names = [name for section in sections if isinstance(section, dict) for name in section]
    return [name for name in dict.fromkeys(names) if name != "all"]


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
    _check_known(study, scale, "not in the study file, where a scale adds nothing")


def _check_known(study: dict, changes: dict, otherwise: str) -> None:
    """Fault for a name that the study does not have, and for a mapping in the place of a value."""
    for section in SECTIONS:
        names = changes.get(section)
        known = {} if study.get(section) is None else study[section]
        if not isinstance(names, dict) or not isinstance(known, dict):
            continue  # refused for its type
        for name in names:
            own = isinstance(names[name], dict) and "source" in names[name]
            if name not in known and not (section == "corpora" and own):
                but = " but corpora with a source" if section == "corpora" else ""
                raise Fault(f"{otherwise}{but}{hint(name, known)}", section, name)
            if not isinstance(names[name], dict):
                raise Fault(f"expected a mapping, found {value_text(names[name])}", section, name)
    _check_overlaps(study, changes, ())


def _check_overlaps(study: dict, scale: dict, location: tuple[str, ...]) -> None:
    """Where both files have a key, a mapping must not hide something else (null is nothing), nor
    something else a mapping. Null takes away what may be missing, so no section or entry of one.
    """
    for name, value in scale.items():
        hidden = study.get(name)
        where = (*location, name)
        needed = value is not None or (where[0] in MAPPINGS and len(where) <= 2)
        if isinstance(hidden, dict) and not isinstance(value, dict) and needed:
            raise Fault(f"expected a mapping, found {short_text(value)}", *where)
        if not isinstance(value, dict) or hidden is None:
            continue
        if not isinstance(hidden, dict):
            message = f"a mapping, where the study has {short_text(hidden)}"
            raise Fault(message, *where)
        _check_overlaps(hidden, value, where)


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
