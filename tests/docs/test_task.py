"""docs/how-to/task.md: a task in one .csv file as a column of Table 2."""

import csv
import random

import how_to
import pandas as pd
import smoke


def one_row_and_column(data: dict) -> None:
    """Table 2 with DOC-SENTENCES and SST-2."""
    table = data["tables"]["table2"]
    table["columns"] = [one for one in table["columns"] if one["task"] == "sst2"]
    table["rows"] = [row for row in table["rows"] if row.get("cell") == "doc-sentences"]
    del table["published"]  # which names all rows
    data["tables"] = {"table2": table}


def test_a_reader_gets_a_column_of_a_task_of_their_own(project):
    """In a folder where Table 2 is finished: nothing of it is trained again."""
    smoke.edit(project, "study/tables.yaml", one_row_and_column)
    draw = random.Random(0)
    with (project / "reviews.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "opinion", "review"])
        for number in range(60):
            rows.writerow([number, draw.choice(["negative", "positive"]), smoke.document(draw, 2)])
    (project / "agreement.csv").write_text('right,wrong\n"It sat, then.","It sit, then."\n' * 2)
    finished = project / "runs/smoke/pretrain"
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*/seed-0/*.json")}
    swaps = {"SCALE=laptop": "SCALE=smoke", "DIR": "hub"}
    printed = how_to.follow("task", how_to.set_up(project), swaps)
    assert "notice: tasks.reviews: dev_fraction 0.1 holds out 6 of 60 rows: " in printed
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*/seed-0/*.json")}
    assert after == before
    table = pd.read_csv(project / "results/table2.csv", index_col="row")
    assert table.columns[table.columns.str.endswith(".median")].tolist() == [
        "sst2.accuracy.median",
        "reviews.accuracy.median",
    ]
    assert 0 <= table.loc["doc_sentences", "reviews.accuracy.median"] <= 100
    (features,) = (project / "runs/smoke/features/reviews").rglob("dev/examples.parquet")
    assert len(pd.read_parquet(features)) == 6
