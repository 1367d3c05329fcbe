"""Trainings that compile nothing load no compiler."""

import subprocess
import sys

import pytest
from project import ROOT

PRETRAIN = """
from pretraining_toy import arguments, make_study
from training_toy import optimiser
from model.stages.pretrain import main

for name in ("adamw", "lamb"):
    section = optimiser(name=name, clip_norm=1.0).in_recipe()
    recipe = make_study(folder, "segment-pair", steps=2, optimiser=section)
    for mode in ("exact", "fast"):
        place = folder / name / mode / "manifest.json"
        main(arguments(folder, recipe, place, mode=mode, precision="fp16", workers=1))
"""
FINETUNE = """
from finetune_toy import Study

Study(folder, "race", epochs=1, early_stopping=True).finetune()
"""
LOADED = "print(sorted({'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)))"


@pytest.mark.parametrize("body", [PRETRAIN, FINETUNE], ids=["pretrain", "finetune"])
def test_an_eager_training_does_not_load_the_compiler(tmp_path, body):
    """The import of it is a second of processor time in every job."""
    start = "import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
    done = subprocess.run(
        [sys.executable, "-c", start + body + LOADED, tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/tests/support:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
