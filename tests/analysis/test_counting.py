"""Sizes of files of one's own: examples, tokens, characters, before anything is fetched."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.counting import corpus_characters, pairs_size, task_size
from study.minimal_pairs import MinimalPairs
from study.tasks import Task
from study.texts import Corpus

CELLS = {"kind": "classification", "label": "label", "labels": 2, "metrics": ["accuracy"]}


def test_examples_and_tokens_of_a_task(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("one,two,label\n" + f"{'x' * 46},{'é' * 23},1\n" * 4 + f"{'x' * 161},,0\n")
    task = Task(source={"file": str(path)}, dev_fraction=0.2, texts=["one", "two"], **CELLS)
    # 4 x 69 and 161 characters in 5 rows, at 4.6 characters a token, and 3 special tokens.
    assert task_size(task, "train") == (5, 3 + (4 * 69 + 161) / 5 / 4.6)


def test_an_option_is_in_one_of_the_rows_of_a_choice(tmp_path):
    row = {"q": "x" * 23, "o": ["y" * 46, "z" * 46], "key": "A"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    task = Task(
        source={"file": str(tmp_path / "a.jsonl")},
        kind="choice",
        dev_fraction=0.5,
        labels=2,
        columns={"question": "q", "options": "o", "answer": "key"},
        question_length=9,
        metrics=["accuracy"],
    )
    assert task_size(task, "train") == (1, 3 + (23 + 46 + 1) / 4.6)


def test_minimal_pairs_and_corpora(tmp_path):
    (tmp_path / "pairs.tsv").write_text(f"good\tbad\n{'x' * 46}\t{'y' * 23}\n")
    columns = {"sentence_good": "good", "sentence_bad": "bad"}
    pairs = MinimalPairs(source={"file": str(tmp_path / "pairs.tsv")}, columns=columns)
    assert pairs_size(pairs) == (1, 2 + 34.5 / 4.6)
    (tmp_path / "a.txt").write_text("x" * 300)
    assert corpus_characters(Corpus(source={"file": str(tmp_path / "a.txt")})) == 300
    texts = [f"{number} " * 500 for number in range(50)]
    table = pa.table({"text": texts, "other": texts})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    found = corpus_characters(Corpus(source={"file": str(tmp_path / "a.parquet")}))
    assert 0.95 < found / sum(map(len, texts)) < 1.05
