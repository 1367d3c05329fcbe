"""The benchmark runs, prints a row per process, and leaves nothing."""

import re

import pytest

from benchmarks.large_corpus import main
from study.errors import StudyError

ROW = r"\| (.+?) \| (\d+) \| [\d.]+ \| [\d.]+ \| (\d+) \| (\d+) \| [\d.]+ \| (.*?) ?\|"


def test_a_row_per_process_with_its_memory(tmp_path, capsys):
    folder = tmp_path / "work"
    sizes = ["--sentences", "20000", "--documents", "800", "--shards", "3"]
    main(["--folder", str(folder), *sizes, "--formats", "full-sentences"])
    rows = re.findall(ROW, capsys.readouterr().out)
    names = ["full-sentences: start", "full-sentences: middle of epoch 2"]
    assert [row[0] for row in rows] == ["store", "full-sentences", *names]
    assert all(row[1] == "20000" for row in rows)
    assert all(0 < int(row[2]) < int(row[3]) < 1000 for row in rows)
    assert not folder.exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    sizes = ["--sentences", "20000", "--documents", "800"]
    with pytest.raises(StudyError, match=f"--folder: {tmp_path}: exists already"):
        main(["--folder", str(tmp_path), *sizes])
    assert (tmp_path / "mine").read_text() == "mine"
