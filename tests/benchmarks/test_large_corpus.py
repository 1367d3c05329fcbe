"""A row per process, whose memory does not grow with the corpus; nothing is left."""

import re
from pathlib import Path

import pytest

from benchmarks.large_corpus import main
from study.errors import StudyError

ROW = r"\| (.+?) \| (\d+) \| [\d.]+ \| [\d.]+ \| (\d+) \| (\d+) \| [\d.]+ \| (.*?) ?\|"


def memory_of_processes(folder: Path, sentences: int, capsys) -> dict[str, int]:
    """MiB of anonymous memory by process."""
    sizes = ["--sentences", str(sentences), "--documents", str(sentences // 25), "--shards", "3"]
    main(["--folder", str(folder), *sizes, "--formats", "full-sentences"])
    rows = re.findall(ROW, capsys.readouterr().out)
    assert all(row[1] == str(sentences) for row in rows)
    assert all(0 < int(row[2]) < int(row[3]) < 1000 for row in rows)
    assert not folder.exists()
    return {row[0]: int(row[2]) for row in rows}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nothing tells the memory")
def test_memory_does_not_grow_with_the_corpus(tmp_path, capsys):
    """Beyond some windows of it. What holds 48 bytes a sentence, as all its offsets would need,
    grows by 69 MiB between the two.
    """
    small, large = (
        memory_of_processes(tmp_path / str(sentences), sentences, capsys)
        for sentences in (500_000, 2_000_000)
    )
    opened = ["full-sentences: start", "full-sentences: middle of epoch 2"]
    assert list(small) == ["store", "full-sentences", *opened]
    for name, most in zip(small, (30, 30, 10, 10), strict=True):
        assert large[name] < small[name] + most


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    sizes = ["--sentences", "20000", "--documents", "800"]
    with pytest.raises(StudyError, match=f"--folder: {tmp_path}: exists already"):
        main(["--folder", str(tmp_path), *sizes])
    assert (tmp_path / "mine").read_text() == "mine"
