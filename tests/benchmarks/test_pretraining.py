"""The benchmark runs and prints a line per arm."""

import re

from benchmarks.pretraining import main, make_micro, workload


def test_prints_every_arm_and_the_ratios(capsys):
    main(["--eager", "--batch", "2", "--threads", "1", "--turns", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "laptop model, 2 x 128 tokens, fp32, 1 CPU threads"
    assert lines[1].startswith("3.70 MFLOP per token; measured matrix product ")
    assert re.fullmatch(r"ours +[\d.]+ +[\d.]+ +\d+ +[\d.]+%", lines[3])
    for name, line in zip(("transformers", "Trainer"), lines[4:], strict=True):
        assert re.fullmatch(name + r" +[\d.]+ +[\d.]+ +\d+ +[\d.]+% +[\d.]+x +[\d.]+x", line)


def test_micro_batch_has_distinct_targets_that_are_ordinary_tokens():
    work = workload("laptop", 4)
    micro = make_micro(work)
    assert micro["positions"].shape == (4, 19)
    for row in micro["positions"]:
        assert len(set(row.tolist())) == 19
        assert 1 <= row.min() <= row.max() <= 126
    assert micro["ids"].min() >= 4
    assert micro["ids"].max() < 8192
