"""docs/how-to/moving.md, followed from a finished study; what is copied loses its dates."""

import re
import shutil
from pathlib import Path

import how_to
import pandas as pd

SCATTER = """
import os, random
from pathlib import Path

files = [path for folder in ("runs", "results") for path in Path(folder).rglob("*.*")]
random.Random(0).shuffle(files)
for date, path in enumerate(files, 1_700_000_000):
    os.utime(path, (date, date))
"""
NOW = 1_750_000_000  # a date before this test and behind those
SWAPS = {
    "make table2": "make table2 SCALE=smoke MIRROR=hub",
    "scale=demo": "scale=smoke",
    "--scale demo": "--scale smoke",
    "--cores all": "--cores 2",
    "rsync -rH runs results elsewhere:roberta-ablations/": "cp -r runs results ../elsewhere/",
    "cd roberta-ablations &&": "cd ../elsewhere && python ../scatter.py &&",
}


def trained(project: Path) -> dict[str, int]:
    """When every training began, last."""
    runs = (project / "runs").rglob("events.jsonl")
    return {str(path.relative_to(project)): path.read_text().count('"start"') for path in runs}


def test_the_page_from_a_finished_study(small_finished, tmp_path):
    project, *others = (
        how_to.checkout(tmp_path / name) for name in ("project", "elsewhere", "theirs")
    )
    (tmp_path / "scatter.py").write_text(SCATTER)
    for folder in (project, *others):
        shutil.copytree(small_finished / "config", folder / "config", dirs_exist_ok=True)
    for part in ("runs", "results", "hub"):
        shutil.copytree(small_finished / part, project / part)
    shutil.copytree(small_finished / "hub", others[0] / "hub")
    printed = how_to.follow("moving", project, SWAPS)

    assert re.search(r"^7 runs, .* would be deleted$", printed, re.MULTILINE)
    assert re.search(r"^3 runs, .* deleted$", printed, re.MULTILINE)
    elsewhere, theirs = others
    assert trained(elsewhere) == trained(project) != {}
    manifests = [*(elsewhere / "runs/smoke").rglob("*.json")]
    assert all(path.stat().st_mtime < NOW for path in manifests)  # no job made one
    assert re.search(r"^table2\.tar\.gz: 2 results, \d+ files", printed, re.MULTILINE)
    assert "2 in both: 2 equal." in printed
    assert trained(theirs) == {} and not [*theirs.rglob("*.safetensors")]
    report = (theirs / "results/report.html").read_text()
    score = pd.read_csv(project / "results/table2.csv")["sst2.accuracy.median"].item()
    assert f"{score:.1f}" in report
