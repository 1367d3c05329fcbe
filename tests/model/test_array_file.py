"""Arrays that are mapped: their pages can be let go of and read again."""

from pathlib import Path

import numpy as np
import pytest

from model.array_file import ArrayWriter, forget


def test_what_was_let_go_of_is_read_again(tmp_path):
    with ArrayWriter(tmp_path / "rows.npy", np.int64, 2) as file:
        file.append(np.arange(200_000).reshape(-1, 2))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    in_memory = np.arange(3)
    for _ in range(2):
        assert int(mapped.sum()) == 200_000 * 199_999 // 2
        forget(mapped, in_memory, np.zeros(0))
    assert mapped[-1].tolist() == [199_998, 199_999]
    assert in_memory.tolist() == [0, 1, 2]


def mapped_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nothing tells the memory")
def test_a_process_no_longer_holds_what_it_let_go_of(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((5_000_000, 1)))
    array = np.load(tmp_path / "rows.npy", mmap_mode="r")
    before = mapped_kilobytes()
    array.sum()
    held = mapped_kilobytes() - before
    forget(array)
    assert held > 30_000  # of 40 MB
    assert mapped_kilobytes() - before < held / 10
