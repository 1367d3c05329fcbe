"""The page on watching a training; where Trackio is not installed, the training says so."""

from importlib.util import find_spec

import how_to
import smoke

SMALL = "snakemake --cores 2 --config scale=smoke mirror=hub"


def test_a_reader_watches_the_pretrainings(tmp_path):
    project = how_to.checkout(tmp_path / "project")
    smoke.write_hub(project / "hub")
    swaps = {
        ".venv/bin/pip install trackio": "",
        "make table2 SCALE=laptop MIRROR=DIR SET='execution.pretrain.trackers=[trackio]'": (
            f"{SMALL} set='execution.pretrain.trackers=[trackio]' --until pretrain "
            "-- results/cells/doc-sentences.csv"
        ),
    }
    printed = how_to.follow("watching", project, swaps)
    notice = "doc-sentences seed-0: goes on without tracker trackio: pip install trackio"
    assert (notice in printed) == (find_spec("trackio") is None)
    kept = list((project / "runs/smoke/trackio").glob("roberta-ablations-smoke*.db"))
    assert len(kept) == (find_spec("trackio") is not None)
    assert list(project.glob("runs/smoke/pretrain/doc-sentences/seed-0/*.json"))
