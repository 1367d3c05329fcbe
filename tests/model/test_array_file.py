"""Arrays that are mapped: their pages can be let go of and read again."""

import numpy as np

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
