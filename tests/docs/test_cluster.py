"""docs/how-to/cluster.md, followed on a private SLURM; all but one fine-tuning is there already."""

import re
import shutil
import sys

import how_to
import pytest
import slurm_cluster as slurm
from project import ROOT

RUN = "snakemake --profile slurm --config"
SWAPS = {
    "--partition=gpu --gpus=2": "--partition=main --nodes=2",
    RUN: f"snakemake --profile slurm {' '.join(slurm.IMPATIENT)} --config",
    "scale=h200 mirror=DIR": "scale=smoke mirror=hub",
}
FOLLOW = """\
import sys
sys.path[:0] = {paths}
import how_to
from pathlib import Path
print(how_to.follow("cluster", Path({project!r}), {swaps}))
"""


@pytest.mark.slurm
def test_the_page_on_a_cluster(slurm_cluster, small_finished, tmp_path):
    project = how_to.checkout(tmp_path / "project")
    shutil.rmtree(project / "config")
    for name in ("config", "runs", "hub"):
        shutil.copytree(small_finished / name, project / name)
    (manifest,) = project.glob("runs/smoke/finetune/*/*/race/????????????.json")
    manifest.unlink()
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/support")]
    script = FOLLOW.format(paths=paths, project=str(project), swaps=SWAPS)
    result = slurm_cluster.run([sys.executable, "-c", script])
    assert result.returncode == 0, result.stdout
    here, there = re.split(r"^Submitted batch job \d+$", result.stdout, flags=re.MULTILINE)[:2]
    for printed, locks in ((here, 2), (there, 3)):
        lines = re.findall(r"^(\w+) +(\w+) +(.*)$", printed, re.MULTILINE)
        said = {subject: text for level, subject, text in lines if level in ("ok", "note")}
        assert "WRONG" not in printed and printed.count("ok     locks") == locks
        assert said["ranks"].startswith("2, the first on ") and " by gloo " in said["ranks"]
        assert said["munge"] == "a credential of this machine is good"
        assert said["states"] == "squeue tells them (MinJobAge 1000000 s)"
        assert said["partition"].startswith("main* (2 nodes, infinite, gpu:1), urgent (2 nodes")
    assert "lockf holds between the machine that submitted this and this one" in there
    assert (project / "results/table2.csv").exists() and manifest.exists()
    assert not [*project.glob("runs/doctor-*")]
