"""A stage has one name: of its module, its rule, its recipe and the folder of its manifests."""

import importlib
import json
import re
import subprocess
import sys

import pytest
from project import ROOT

from study.errors import StudyError
from study.graph import Study
from study.recipes import RECIPES
from study.stages import PATHS


def test_module_rule_and_recipe_of_a_stage_have_its_name():
    modules = {path.stem for path in (ROOT / "model/stages").glob("*.py")}
    assert modules - {"__init__", "stage"} == set(RECIPES) == set(PATHS)
    text = "".join((ROOT / f"rules/{name}.smk").read_text() for name in ("text", "training"))
    rules = re.findall(r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:$", text, re.MULTILINE)
    assert sorted(rules) == sorted(RECIPES)


def test_no_stage_loads_torch_for_nothing():
    """It takes a second, more than many of these stages work."""
    texts = ["source", "sentences", "vocabulary", "tokens", "store", "samples"]
    stages = [*texts, "weights", "selection"]
    imports = ", ".join(f"model.stages.{stage}" for stage in stages)
    code = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_no_stage_loads_pandas_which_pyarrow_would_and_pyarrow_still_works_with_it(tmp_path):
    """It takes a third of a second, and only results need it."""
    path = next(path for path in Study("demo").jobs if "/sources/sst2/" in path)
    recipe = Study("demo").jobs[path].recipe_json
    code = f"""
import sys
import pyarrow as pa
from model.stages.source import main
main(["--recipe", {recipe!r}, "--manifest", {str(tmp_path / "source.json")!r}])
assert "pandas" not in sys.modules
import pandas as pd
frame = pd.DataFrame({{"text": ["a", None], "number": [1.5, 2.5]}})
table = pa.Table.from_pandas(frame)
assert table.column("text").to_pylist() == ["a", None]
assert pa.array(frame["number"]).to_pylist() == [1.5, 2.5]
assert table.to_pandas().equals(frame)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("smoke", ROOT / "config/study.yaml")


WEIGHTS = {"stage": "weights", "version": 1, "repo": "org/model", "revision": "main"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_stage_refuses_a_recipe_that_is_not_whole_in_one_line(study, name, tmp_path):
    module = importlib.import_module(f"model.stages.{name}")
    assert module.STAGE.name == name
    inputs = [*module.STAGE.inputs, *(["pretrain"] if name == "selection" else [])]
    assert set(module.STAGE.inputs) <= set(RECIPES[name].model_fields)
    options = [word for one in inputs for word in (f"--{one}", str(tmp_path / "none.json"))]

    def told(recipe: dict) -> str:
        arguments = ["--recipe", json.dumps(recipe), "--manifest", str(tmp_path / "m.json")]
        with pytest.raises(StudyError) as error:
            module.main([*arguments, *options])
        return str(error.value)

    recipes = [job.recipe for job in study.jobs.values() if job.stage == name]
    (recipe, *_) = recipes or [WEIGHTS]  # no cell of config/ starts from some
    other = "store" if name != "store" else "tokens"
    message = f"--recipe: field stage: expected {name}, found {other}"
    assert told({**recipe, "stage": other}) == message
    assert told({**recipe, "colour": "red"}).startswith("--recipe: field colour: unknown key")
    for field, about in RECIPES[name].model_fields.items():
        if about.is_required() and field != "stage":
            part = {key: value for key, value in recipe.items() if key != field}
            assert told(part) == f"--recipe: field {field}: missing"
    assert list(tmp_path.iterdir()) == []
