"""docs/how-to/corpus.md: Tables 1 and 2 on a folder of texts; the other shapes of a corpus."""

import random
import re

import how_to
import pandas as pd
import pytest
import smoke
import yaml
from project import ROOT

from model.text.checks import check_corpora
from study.graph import Study
from study.places import Places

PAGE = ROOT / "docs/how-to/corpus.md"


def one_cell_and_task(data: dict) -> None:
    """Tables 1 and 2 with a row and a column that they share."""
    tables = {name: data["tables"][name] for name in ("table1", "table2")}
    for table in tables.values():
        table["columns"] = [one for one in table["columns"] if one["task"] == "sst2"]
        table["rows"] = [row for row in table["rows"] if row.get("cell") == "segment-pair"]
        del table["published"]  # which names all rows
    data["tables"] = tables


def test_a_reader_gets_tables_1_and_2_on_a_folder_of_texts(tmp_path):
    project = how_to.checkout(tmp_path / "project")
    smoke.write_hub(project / "hub")
    smoke.edit(project, "study/tables.yaml", one_cell_and_task)
    draw = random.Random(0)
    (project / "texts").mkdir()
    for number in range(60):
        (project / f"texts/{number}.txt").write_text(smoke.document(draw, 30))
    printed = how_to.follow("corpus", project, {"like: laptop": "like: smoke", "DIR": "hub"})
    assert "on texts of my own" in printed
    for table, row in (("table1", "dynamic"), ("table2", "segment_pair")):
        shown = pd.read_csv(project / f"results/{table}.csv", index_col="row")
        assert 0 < shown.loc[row, "sst2.accuracy.median"] < 100
    stores = [path.name for path in (project / "runs/mine/stores").iterdir()]
    assert stores == ["mine.character-30k"]


def shapes() -> dict[str, str]:
    """What stands behind `mine:` for each shape of corpus on the page."""
    return dict(re.findall(r"^\| ([^|]+) \| `(\{.+\})` \|$", PAGE.read_text(), re.MULTILINE))


@pytest.mark.parametrize("shape", [shape for shape in shapes() if "repository" not in shape])
def test_every_shape_of_a_corpus_is_read(shape, edit, tmp_path):
    (tmp_path / "texts").mkdir()
    documents = [["One a.", f"Two {number}."] for number in range(40)]
    text = "\n\n".join("\n".join(document) for document in documents)
    if "document per line" in shape:
        text = "\n".join(" ".join(document) for document in documents)
    (tmp_path / "texts.txt").write_text(text * (2000 if "plain" in shape else 1))
    if ".jsonl" in shape:
        lines = ["body", *(" ".join(document) for document in documents)]
        (tmp_path / "texts/a.csv").write_text("\n".join(lines))
    else:
        for number, document in enumerate(documents):
            (tmp_path / f"texts/{number}.txt").write_text(" ".join(document))
    scale = {"like": "smoke", "corpora": {"mine": yaml.safe_load(shapes()[shape])}}
    (tmp_path / "config/scales/mine.yaml").write_text(
        yaml.safe_dump({**scale, "base": {"data": ["mine"]}})
    )
    jobs = Study("mine").jobs
    store, samples = jobs.store_of("segment-pair"), jobs.samples("segment-pair", 0)
    check_corpora([store, samples], Places(None, jobs.places))
