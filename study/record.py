"""What a result was made for: a record per result, compared by value while the graph is built.

The files under `results/` are the same at every scale, and whether one shows what is asked for now
cannot be told from times. So the command that makes a result ends by writing
`runs/identity/<path of the result>.json`: the identity of what it shows, and the SHA-256 of the
files that it wrote. A result without such a record, or whose record or files differ, is made again.

The last results of each scale stay in `results/scales/<scale>/`, copies with records of their own:
the results of a scale that is asked for again are copied back, and are read where they lie.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from study.digests import sha256_file
from study.errors import StudyError
from study.graph import Study
from study.identity import key_of
from study.manifest import write_atomic

RECORDS = Path("runs/identity")
RESULTS = "results/"
KEPT = Path("results/scales")


def record_path(path: str | Path) -> Path:
    """Where the record of a result lies; a file outside `results/` has none."""
    return RECORDS / f"{os.path.relpath(path)}.json"


def identity_of(
    study: Study, result: str, flops: float | None = None, cores: int | None = None
) -> str:
    """Key of what a result shows: its own identity, and the bytes of the manifests that it reads,
    or the other results that it is made of.

    `flops` and `cores` are what the plan is told to assume.
    """
    manifests = {
        job.path: sha256_file(Path(job.path)) if Path(job.path).is_file() else None
        for job in study.result_jobs(result)
    }
    assumed = {"flops": flops} | ({"cores": cores} if cores else {})
    entry, _ = study.result(result)
    others = {"results": other_results(study, result)} if entry.last else {}
    return key_of({"result": study.identity(result), "manifests": manifests, **others, **assumed})


def other_results(study: Study, result: str) -> dict[str, str | None]:
    """What all other results that are there were made for; None of one that is out of date."""
    there: dict[str, str | None] = {}
    for other in study.results:
        shown = first_file(study, other)
        if other != result and (shown.exists() or kept_file(study.scale, shown).exists()):
            path = current_file(study, other)
            there[other] = json.loads(record_path(path).read_text())["identity"] if path else None
    return there


def is_current(path: str | Path, identity: str) -> bool:
    """Whether a result was made for this identity, and all that was written is there unchanged."""
    try:
        record = json.loads(record_path(path).read_text())
        return record["identity"] == identity and all(
            sha256_file(Path(file)) == digest for file, digest in record["files"].items()
        )
    except (OSError, StudyError, ValueError, KeyError, TypeError, AttributeError):
        return False


def first_file(study: Study, result: str) -> Path:
    """The file of a result that its command is told."""
    entry, _ = study.result(result)
    return Path(f"{RESULTS}{result}.{entry.endings[0]}")


def kept_file(scale: str, file: str | Path) -> Path:
    """Where the last one of a scale is kept of a file of `results/`."""
    return KEPT / scale / os.path.relpath(file, RESULTS)


def current_file(study: Study, result: str) -> Path | None:
    """The first file of a result, the others beside it, as the study asks for it now: in
    `results/`, or the scale's last one where something else is shown there. None if neither is.
    """
    shown, identity = first_file(study, result), identity_of(study, result)
    path = kept_file(study.scale, shown) if _shows_another(shown, identity) else shown
    return path if is_current(path, identity) else None


@contextmanager
def recorded(
    study: Study,
    result: str | None,
    *files: Path,
    flops: float | None = None,
    cores: int | None = None,
) -> Iterator[bool]:
    """Make a result inside of this: its `files`, the first of which names the record.

    What is asked for is noted before anything is read, the old record goes before anything is
    written, and the new one is written last: a command that is killed leaves none. Neither does
    one whose `result` is None, nothing that the workflow makes.

    Gives whether it is to be made: not where something else was shown and the scale's last one is
    what is asked for, which is copied back. Asked for once more, a result is made anew.
    """
    if not os.path.relpath(files[0]).startswith(RESULTS):
        yield True
        return
    identity = identity_of(study, result, flops, cores) if result else None
    another = _shows_another(files[0], identity)
    record_path(files[0]).unlink(missing_ok=True)
    if result is None or identity is None:
        yield True
        return
    kept = {file: kept_file(study.scale, file) for file in files}
    if another and is_current(kept[files[0]], identity):
        for file, copy in kept.items():
            write_atomic(file, copy.read_bytes())
        yield False
    else:
        yield True
        if Path(os.path.relpath(files[0])) == first_file(study, result):
            record_path(kept[files[0]]).unlink(missing_ok=True)
            for file, copy in kept.items():
                write_atomic(copy, file.read_bytes())
            _write_record(identity, kept.values())
    _write_record(identity, files)


def _shows_another(path: Path, identity: str | None) -> bool:
    """Whether a file of `results/` was last made for another identity than this."""
    try:
        return json.loads(record_path(path).read_text())["identity"] != identity
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_record(identity: str, files: Iterable[Path]) -> None:
    """The record of a result whose files are there."""
    first, *_ = written = {os.path.relpath(file): sha256_file(file) for file in files}
    record = {"identity": identity, "files": written}
    write_atomic(record_path(first), json.dumps(record, indent=1) + "\n")
