"""The page on GPUs, on a machine with eight of them as far as nvidia-smi tells."""

import os
import subprocess

import how_to
import pytest
from gpus_toy import make_gpus

DRY = "snakemake --cores 8 -n --config scale=h200 mirror=DIR -- results/table2.csv"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpus")
    make_gpus(folder, 8)
    checkout = how_to.checkout(folder / "project")
    (checkout / "DIR").mkdir()
    return checkout


def path_of(project) -> str:
    return f"{project.parent}/bin:{project}/.venv/bin:{os.environ['PATH']}"


def test_a_reader_gets_jobs_on_two_gpus_of_eight(project):
    swaps = {"make table2 SCALE=h200 MIRROR=DIR": DRY}
    printed = how_to.follow("gpus", project, swaps, PATH=path_of(project))
    assert "gpu_memory=0, gpu_slots=4" in printed
    assert "gpu_memory=921, gpu_slots=1" in printed
    assert printed.endswith(
        "GPU 2 (NVIDIA H100 80GB HBM3), 0 of 80 GiB in use: 0 of 4 slots taken\n"
        "GPU 5 (NVIDIA H100 80GB HBM3), 0 of 80 GiB in use: 0 of 4 slots taken\n"
    )


@pytest.mark.parametrize(
    ("scale", "visible", "told"),
    [
        (
            "h200",
            "",
            "error: scale h200 trains on GPUs, but none is visible here (CUDA_VISIBLE_DEVICES=); "
            "one with execution: {like: cpu} does without",
        ),
        (
            "paper",
            "2,5",
            "error: scale paper: execution.pretrain.processes: 8 GPUs for one job, but 2 are "
            "visible here (CUDA_VISIBLE_DEVICES=2,5)",
        ),
    ],
)
def test_too_few_gpus_are_one_line_before_the_first_job(project, scale, visible, told):
    result = subprocess.run(
        ["snakemake", "--cores", "8", "--config", f"scale={scale}", "--", "results/table2.csv"],
        cwd=project,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": visible, "PATH": path_of(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert told in result.stderr.splitlines()
    limits = [line for line in result.stderr.splitlines() if line.startswith("Provided resources")]
    assert ("gpu_slots" in "".join(limits)) == bool(visible)
    assert not (project / "runs").exists()
