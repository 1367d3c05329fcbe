"""docs/how-to/weights.md: a published model as a row, trained further, and exported."""

import subprocess
import sys

import how_to
import pandas as pd
import smoke
import weights_toy

# A tiny RoBERTa of the mirror, a task less, no row that Table 2 has.
SWAPS = {
    "FacebookAI/roberta-base, revision: e2da8e2f811d1448a5b465c236feacd80ffbac7b": (
        "org/tiny, revision: main"
    ),
    "size: 50265": f"size: {weights_toy.ENTRIES}",
    "layers: 12, hidden: 768, heads: 12, ffn: 3072, positions: 512": (
        "layers: 1, hidden: 32, heads: 2, ffn: 64, positions: 64"
    ),
    "steps: 2000": "steps: 4",
    "data: [news]": "data: [wiki]",
    "      - {task: mnli, metric: accuracy, label: MNLI-m}\n": "",
    "      - {id: full_sentences, label: FULL-SENTENCES, cell: full-sentences}\n": "",
    "SCALE=h200 MIRROR=DIR": "SCALE=smoke MIRROR=hub",
    "runs/h200": "runs/smoke",
}
TRACE = [
    *("-m", "analysis.provenance", "--scale", "smoke", "--study", "my.yaml"),
    *("--trace", "published", "news", "sst2.accuracy"),
]


def test_a_reader_gets_a_published_model_as_a_row_trains_it_further_and_exports_it(tmp_path):
    project = how_to.checkout(tmp_path / "project")
    smoke.write_hub(project / "hub")
    weights_toy.save_roberta(project / "hub/org/tiny")
    printed = how_to.follow("weights", project, SWAPS)
    shown = pd.read_csv(project / "results/published.csv", index_col="row")
    assert shown["steps.value"].tolist() == [0, 4]
    assert (shown["sst2.accuracy.seeds"] == 2).all()
    assert "roberta-base, + 2000 steps on news: from weights that were there" in printed
    assert "'label': 'LABEL_" in printed and "warn" not in printed.lower()
    told = subprocess.run(
        [sys.executable, *TRACE],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "pretrain runs/smoke/pretrain/roberta-base/seed-0/" in told
    assert "repo=org/tiny revision=main\n    weights: config.json sha256 " in told
    exported = {path.name for path in (project / "exported").iterdir()}
    assert exported == {
        *("README.md", "config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    assert (
        "from the weights of org/tiny, revision main"
        in (project / "exported/README.md").read_text()
    )
