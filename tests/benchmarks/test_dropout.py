"""The benchmark of dropout and attention runs and prints all arms."""

from benchmarks.dropout import main


def test_it_prints_a_line_for_every_size_and_precision(capsys):
    main(["--turns", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert all(line.count(" ms") == 3 for line in lines)
