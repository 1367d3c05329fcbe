"""Files of one's own, opened to read the bytes of their text."""

import io
from pathlib import Path

import pyarrow as pa

from study.errors import StudyError

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
HEAD = 100  # bytes by which a file is judged


def open_bytes(path: Path) -> io.BufferedReader:
    """A file to read bytes from, decompressed where its name ends in .gz or .zst.

    Raises OSError where it cannot be read, and StudyError for UTF-16, which tools of Windows write:
    it begins with its mark, or has zeros between its letters, as what is no text may have. Both
    would pass for text.
    """
    kind = COMPRESSED.get(path.suffix.lower())
    file = io.BufferedReader(pa.input_stream(str(path), kind)) if kind else path.open("rb")
    head = file.peek(HEAD)[:HEAD]
    if head.startswith(UTF_16_MARKS) or 4 * head.count(0) > len(head):
        file.close()
        found = "UTF-16 (iconv -f UTF-16 -t UTF-8 makes it UTF-8), or no text at all"
        raise StudyError(f"{path}: expected text as UTF-8, found {found}")
    return file
