"""Several nodes: what is refused outside of SLURM; on SLURM: test_slurm.py."""

import pytest

from model import launch
from study.errors import StudyError
from study.execution import Execution

RESOURCES = {"mem_mb": 1, "runtime": 1}
SMALL = {
    "device": "cuda",
    "precision": "bf16",
    "mode": "fast",
    "compile": False,
    "micro_batch_tokens": 1,
    "threads": 1,
    "workers": 0,
    "checkpoint_minutes": 1,
    "tensorboard": False,
}


def test_nodes_without_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(StudyError, match=r"^2 nodes meet in a job of SLURM, and this is none: use"):
        launch.main(["--nodes", "2", "4", "model.meeting"])


@pytest.mark.parametrize("nodes", ["0", "3"])
def test_nodes_that_do_not_share_evenly(nodes):
    with pytest.raises(StudyError, match=f"4 processes on {nodes} nodes"):
        launch.main(["--nodes", nodes, "4", "model.meeting"])


@pytest.mark.parametrize(
    "processes, gpu, said",
    [
        (15, 16, "processes 15 is not a multiple of resources.nodes 2"),
        (16, 15, "resources.gpu 15 is not a multiple of resources.nodes 2"),
    ],
)
def test_an_execution_that_does_not_share_evenly(processes, gpu, said):
    with pytest.raises(ValueError, match=said):
        Execution(**SMALL, processes=processes, resources={**RESOURCES, "gpu": gpu, "nodes": 2})
