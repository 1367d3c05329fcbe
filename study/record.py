"""What a result was made for: a record per result, compared by value while the graph is built.

The files under `results/` are the same at every scale, and whether one shows what is asked for now
cannot be told from times. So the command that makes a result ends by writing
`runs/identity/<path of the result>.json`: the identity of what it shows, and the SHA-256 of the
files that it wrote. A result without such a record, or whose record or files differ, is made again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.digests import sha256_file
from study.errors import StudyError
from study.graph import Study
from study.identity import key_of
from study.manifest import write_atomic

RECORDS = Path("runs/identity")
RESULTS = "results/"


def record_path(path: str | Path) -> Path | None:
    """Where the record of a result lies; None for a file outside `results/`."""
    name = os.path.relpath(path)
    return RECORDS / f"{name}.json" if name.startswith(RESULTS) else None


def identity_of(
    study: Study, result: str, flops: float | None = None, cores: int | None = None
) -> str:
    """Key of what a result shows: its own identity, and the bytes of the manifests that it reads.

    `flops` and `cores` are what the plan is told to assume.
    """
    manifests = {
        job.path: sha256_file(Path(job.path)) if Path(job.path).is_file() else None
        for job in study.result_jobs(result)
    }
    assumed = {"flops": flops} | ({"cores": cores} if cores else {})
    return key_of({"result": study.identity(result), "manifests": manifests, **assumed})


def is_current(path: str | Path, identity: str) -> bool:
    """Whether a result was made for this identity, and all that was written is there unchanged."""
    try:
        record = json.loads(record_path(path).read_text())
        return record["identity"] == identity and all(
            sha256_file(Path(file)) == digest for file, digest in record["files"].items()
        )
    except (OSError, StudyError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def recorded(
    study: Study,
    result: str | None,
    *files: Path,
    flops: float | None = None,
    cores: int | None = None,
) -> Iterator[None]:
    """Make a result inside of this: its `files`, the first of which names the record.

    What is asked for is noted before anything is read, the old record goes before anything is
    written, and the new one is written last: a command that is killed leaves none. Neither does
    one whose `result` is None, nothing that the workflow makes.
    """
    path = record_path(files[0])
    if path is None:
        yield
        return
    identity = identity_of(study, result, flops, cores) if result else None
    path.unlink(missing_ok=True)
    yield
    if identity:
        written = {os.path.relpath(file): sha256_file(file) for file in files}
        record = {"identity": identity, "files": written}
        write_atomic(path, json.dumps(record, indent=1) + "\n")
