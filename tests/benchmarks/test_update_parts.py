"""The benchmark runs and prints a line per arm."""

from benchmarks.update_parts import main


def test_prints_every_arm(capsys):
    main(["--turns", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:32].rstrip() for line in lines] == [
        "sums, 1 micro-batch, ours",
        "sums, 1 micro-batch, plain",
        "sums, 2 micro-batches, ours",
        "sums, 2 micro-batches, plain",
        "AdamW, ours",
        "AdamW, torch.optim",
        "start to first step, ours",
        "start to first step, torch.optim",
    ]
    assert all(float(line[32:].split()[0]) > 0 for line in lines)
