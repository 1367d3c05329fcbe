"""Arrays on disk, written and read in pieces: .npy files of rows appended one by one, or mapped."""

import mmap
from pathlib import Path

import numpy as np


class ArrayWriter:
    """Writes what `np.save` would of all rows together, byte for byte, and holds none of them."""

    def __init__(self, path: Path, dtype: np.dtype | type, columns: int | None = None):
        """`columns` is the length of a row; None for rows that are single numbers."""
        self.dtype, self.rows = np.dtype(dtype), 0
        self._shape = () if columns is None else (columns,)
        # Not through a memory map: on a full disk that is a crash without a word.
        self._file = path.open("wb")
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Write rows behind those before."""
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Write the number of rows, for which the header has room, and close the file."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_header(self) -> None:
        shape = (self.rows, *self._shape)
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def forget(*arrays: np.ndarray) -> None:
    """Let go of the pages that were read of mapped arrays; other arrays may be among them.

    They stay in the system's cache, but a cluster that counts a job's resident memory would count
    them, and at 160 GB of text the offsets of sentences are 12 GB.
    """
    for array in arrays:
        if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.base.madvise(mmap.MADV_DONTNEED)
