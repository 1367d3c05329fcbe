"""The hub: files of a data set or a model, downloaded into a folder, no more than are needed.

Only what may pass is tried again: time-outs, broken connections, status 429 and 5xx. What will not
(no such repository, revision or file, no access, no network) is one line at once.
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from study.errors import StudyError, first_line
from study.parts import repository_parts

Result = TypeVar("Result")
TRIES = 3
FIRST_WAIT = 1.0  # seconds, doubled before the next try
HELP = "without internet name an offline mirror (--config mirror=DIR)"


def download(
    recipe: dict, target: Path, rows: Callable[[Path], int], documents: float
) -> tuple[dict[str, list[Path]], dict[str, int], str]:
    """Download the recipe's files into `target`, in order until they hold so many documents.

    Without a revision the newest is taken. `rows` counts a file's documents. Returns the paths by
    split in order, how many parts each split has on the hub, and the commit. Raises StudyError when
    the hub cannot be reached or lacks the repository, the revision or a part.
    """
    # imported here: a mirror or a folder needs neither the hub's client nor its start-up time
    from huggingface_hub import HfApi, hf_hub_download

    repo, revision = recipe["repo"], recipe.get("revision")
    where = repo if revision is None else f"{repo} at revision {revision}"
    info = patiently(
        lambda: HfApi().dataset_info(repo, revision=revision, timeout=30), where, recipe
    )
    names = [file.rfilename for file in info.siblings or []]
    files: dict[str, list[Path]] = {}
    parts: dict[str, int] = {}
    for split in recipe["splits"]:
        files[split], left = [], documents
        names_of_split = repository_parts(names, recipe["config"], split, where)
        parts[split] = len(names_of_split)
        for name in names_of_split:
            if left <= 0:
                break
            path = patiently(
                lambda name=name: hf_hub_download(
                    repo, name, repo_type="dataset", revision=info.sha, local_dir=target
                ),
                f"{where}: {name}",
                recipe,
            )
            files[split].append(Path(path))
            left -= rows(Path(path))
    return files, parts, info.sha


def download_files(repo: str, revision: str, names: Iterable[str], target: Path) -> None:
    """Download those of the files that a model's repository has into `target`.

    Raises StudyError when the hub cannot be reached or lacks the repository or the revision.
    """
    from huggingface_hub import HfApi, hf_hub_download

    where, named = f"{repo} at revision {revision}", {"repo": repo}
    info = patiently(lambda: HfApi().model_info(repo, revision=revision, timeout=30), where, named)
    there = {file.rfilename for file in info.siblings or []}
    target.mkdir(parents=True, exist_ok=True)
    for name in (name for name in names if name in there):
        patiently(
            lambda name=name: hf_hub_download(repo, name, revision=info.sha, local_dir=target),
            f"{where}: {name}",
            named,
        )


def patiently(call: Callable[[], Result], what: str, recipe: dict) -> Result:
    """What `call` returns, tried again a few times after what may pass; else StudyError."""
    from huggingface_hub.errors import RepositoryNotFoundError

    for number in range(1, TRIES + 1):
        try:
            return call()
        except Exception as error:  # the client raises its own, httpx's, and built-in ones
            cause = _cause(error)
            reason = first_line(cause)
            if isinstance(cause, RepositoryNotFoundError):
                raise StudyError(
                    f"{recipe['repo']}: not on the hub, or not for everybody (status "
                    f"{_status(cause)}): give a mirror that has it (--config mirror=DIR), or name "
                    "the folder of your copy in the study file"
                ) from None
            if number == TRIES or not _may_pass(cause):
                raise StudyError(f"{what}: cannot download ({reason}); {HELP}") from None
            wait = FIRST_WAIT * 2 ** (number - 1)
            print(
                f"{what}: {reason}; again in {wait:g} s ({number + 1} of {TRIES})", file=sys.stderr
            )
            time.sleep(wait)
    raise AssertionError("unreachable")


def _cause(error: BaseException) -> BaseException:
    """What happened: the client wraps a failed look-up in `no such file in the cache`."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    return error


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _may_pass(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status in (408, 429) or status >= 500
    # Names of httpx: its version is the client's business. A refused connection does not pass.
    names = {kind.__name__ for kind in type(error).__mro__}
    broken = {"TimeoutException", "ReadError", "WriteError", "RemoteProtocolError"}
    return bool(names & broken) or isinstance(error, TimeoutError)
