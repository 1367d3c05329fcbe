"""The fine-tuning benchmark runs, and gives both sides the same rows and the same weights."""

import re
from pathlib import Path

import pytest
import torch

from benchmarks.finetuning import arguments_of, main, make_work
from benchmarks.finetuning_arms import Ours, Theirs, their_model
from model.tasks.tuning import build_model

SMALL = ["--updates", "3", "--warmup", "1", "--batch", "4", "--dev-rows", "6", "--threads", "1"]
SMALL += ["--vocabulary", "600", "--characters", "100000", "--length", "32"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return make_work(arguments_of(["--task", "mnli", *SMALL]), Path(tmp_path_factory.mktemp("w")))


def test_prints_every_arm_and_the_ratios(capsys):
    main(["--task", "sst2", "--turns", "1", *SMALL])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sst2 (generated data), laptop model, fp32, 1 CPU threads"
    table = lines[lines.index("") + 1 :]
    assert re.fullmatch(r"ours +\d+ +[\d.]+", table[1])
    for row in table[2:5]:
        assert re.fullmatch(r"transformers.{16} +\d+ +[\d.]+ +[\d.]+x +[\d.]+x", row)
    assert table[4].split()[-3] == "32.0"
    assert [row[:28] for row in table[-4:]] == [row[:28] for row in table[1:5]]


def test_both_sides_train_on_the_same_rows(work):
    ours, theirs = Ours(work), Theirs(work, {}, pad_to_limit=False)
    features = ours.splits["train"]
    assert len(theirs.splits["train"]) == len(features.lengths) == 12
    for row, (start, stop) in zip(
        theirs.splits["train"],
        zip(features.arrays["offsets"][:-1], features.arrays["offsets"][1:], strict=True),
        strict=True,
    ):
        assert row["input_ids"] == features.arrays["tokens"][start:stop].tolist()
    assert [row["label"] for row in theirs.splits["train"]] == features.arrays["labels"].tolist()
    assert features.lengths.max() == 32  # some were cut, by the same rule


def test_both_sides_start_from_the_same_encoder(work):
    module, _ = build_model(Ours(work).inputs, work.folder / "model.safetensors", 0)
    ids = torch.tensor([[0, 10, 11, 12, 2]])
    with torch.inference_mode():
        own = module.eval().hidden({"ids": ids, "lengths": torch.tensor([5])})
        other = their_model(work, 0).eval().roberta(ids).last_hidden_state
    torch.testing.assert_close(own, other, atol=1e-5, rtol=0)
