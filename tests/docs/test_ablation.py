"""docs/how-to/ablation.md: a table of one's own with a verdict, a quick try, its notebook."""

import os
from pathlib import Path

import how_to
import nbformat
import pandas as pd
from nbclient import NotebookClient
from project import ROOT

# A cell less, two seeds, one task.
SWAPS = {
    "{pretraining: [0, 1, 2]}": "{pretraining: [0, 1]}",
    "looks: [3, 6]": "looks: [2]",
    "      - {task: mnli, metric: accuracy, label: MNLI-m}\n": "",
    "[mnli.accuracy, sst2.accuracy]": "[sst2.accuracy]",
    "      - {id: rate_30, label: 30 %, cell: rate-30}\n": "",
    "make results": "make SCALE=smoke MIRROR=hub results",
    "--config study": "--config scale=smoke mirror=hub study",
    "seeds.pretraining=[0, 1]": "seeds.pretraining=[1]",
}


def test_a_reader_gets_a_table_with_verdicts_and_shares_the_runs_of_the_study(project):
    runs = project / "runs/smoke/pretrain"
    shared = {path: path.stat().st_mtime_ns for path in runs.glob("*/seed-0/*.json")}
    printed = how_to.follow("ablation", how_to.set_up(project), SWAPS)
    assert {path: path.stat().st_mtime_ns for path in shared} == shared
    new = sorted(
        str(p.parent.relative_to(runs)) for p in runs.glob("*/*/*.json") if p not in shared
    )
    # The quick try trained the cell that it changed, once.
    assert new == ["full-sentences/seed-1", "rate-50/seed-0", *["rate-50/seed-1"] * 2]
    table = pd.read_csv(project / "results/masking_rates.csv", index_col="row")
    assert list(table.index) == ["rate_15", "rate_50"]
    assert table["sst2.accuracy.replicates"].tolist() == [2, 2]
    fields = [f"perplexity.{field}" for field in ("low", "difference", "high", "p")]
    low, difference, high, p = table.loc["rate_50", fields]
    assert low < difference < high and 0 <= p <= 1
    assert table.loc["rate_50", "sst2.accuracy.verdict"] in ("undecided", "better", "worse")
    (claim,) = pd.read_csv(project / "results/claims/masking_rates.csv")["claim"].unique()
    assert claim == "heavy-mask"
    assert "with cells.rate-50.masking.rate=0.8 seeds.pretraining=[1]" in printed
    assert "with cells.rate-50" not in (project / "results/masking_rates.md").read_text()
    assert r"\label{tab:masking_rates}" in (project / "results/masking_rates.tex").read_text()
    run_notebook(project)


def run_notebook(project: Path) -> None:
    """The notebook of this ablation runs from its first cell to its last, and shows something."""
    notebook = nbformat.read(ROOT / "examples/results.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"demo"', '"smoke"')
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(project)}})
    ours = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(project / "ipython")}
    client.execute(env=os.environ | ours)
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(outputs)
    (picture,) = (one for shown in outputs for one in shown if "image/png" in one.get("data", {}))
    assert len(picture["data"]["image/png"]) > 10_000
