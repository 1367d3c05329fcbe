"""A kind of task is one module and its line in the study's table: a new one runs through."""

import json
import subprocess
import sys

from project import ROOT

from model.tasks.kinds import KINDS
from study.kinds import KIND_FACTS

REGISTERED = """
import json, sys
from pathlib import Path
from study.kinds import KIND_FACTS, KindFacts
KIND_FACTS["sign"] = KindFacts(metrics=("accuracy", "f1"))  # its line
import sign_kind
sys.modules["model.tasks.kinds.sign"] = sign_kind  # its module
import finetune_toy
import pyarrow.parquet as pq

def rows(draw, count):
    made = finetune_toy.pair_rows(draw, count)
    return {"first": made["second"], "label": made["label"]}

finetune_toy.TASKS["signs"] = (rows, {"kind": "sign", "metrics": ["accuracy", "f1"]})
study = finetune_toy.Study(Path(sys.argv[1]), "signs", splits=[("more_dev", "other", "other")])
metrics = study.finetune()["0"]["metrics"]
print(json.dumps([metrics, pq.read_table(study.seed_files(0)["predictions.parquet"]).column_names]))
"""


def test_a_new_kind_is_a_line_and_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", REGISTERED, tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/tests/support:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    metrics, columns = json.loads(done.stdout)
    assert list(metrics) == ["accuracy", "f1", "other_accuracy", "other_f1"]
    assert min(metrics.values()) > 95
    assert columns == ["id", "label", "prediction", "score"]


def test_the_table_knows_which_kinds_have_ensembles():
    averaged = {name: facts.averaged for name, facts in KIND_FACTS.items()}
    assert averaged == {name: kind.average is not None for name, kind in KINDS.items()}
