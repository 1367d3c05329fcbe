"""Sources that cannot be had are named before anything runs, all in one line.

A mirror or a folder is looked into. The hub is asked for nothing but an answer: what it has shows
when files are fetched (`model.text.hub`).
"""

import errno
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from study.errors import StudyError
from study.jobs import Job
from study.places import Places, split_files

HUB = "https://huggingface.co"
PATIENCE = 10  # seconds
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED)


def check_reachable(jobs: Iterable[Job], places: Places) -> None:
    """Look for the files of sources and weights that are still to be fetched.

    Raises StudyError that names each source whose files a given place lacks; or each that is on the
    hub alone, when the hub gives no answer.
    """
    jobs, problems, on_hub = list(jobs), [], []
    mirrored = any("repo" in job.recipe for job in jobs)
    if mirrored and places.mirror is not None and not Path(places.mirror).is_dir():
        raise StudyError(f"{places.mirror}: no such mirror folder")
    for job in jobs:
        (name,), recipe = job.names.values(), job.recipe
        try:
            root = places.root(recipe)
            if root is None and "repo" in recipe:
                on_hub.append(f"{name} ({recipe['repo']})")
            if root is None:
                continue
            for split in recipe.get("splits", ()):
                split_files(recipe, root, split)
        except StudyError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise StudyError("; ".join(problems))
    if on_hub and (reason := no_answer()):
        advice = "name an offline mirror that has them (--config mirror=DIR)"
        raise StudyError(f"{reason}, where these lie: {', '.join(on_hub)}; {advice}")


def sources_to_fetch(jobs: Iterable[Job]) -> list[Job]:
    """The sources among `jobs` that are not there and that a job which is not there reads."""
    missing = [job for job in jobs if not Path(job.path).exists()]
    read = {source for job in missing for jobs in job.inputs.values() for source in jobs}
    return [job for job in missing if is_fetched(job) and job in read]


def is_fetched(job: Job) -> bool:
    """Whether a job's files come from elsewhere: those of a source, or of a repository."""
    return job.stage == "source" or "repo" in job.recipe


def no_answer() -> str | None:
    """Why nothing can be downloaded; None where the hub answers, or may do so the next time."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE forbids the hub"
    hub = os.environ.get("HF_ENDPOINT") or HUB
    try:
        request = urllib.request.Request(hub, method="HEAD")
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, socket.gaierror) or getattr(reason, "errno", None) in UNREACHABLE:
            return f"no connection to {hub} ({getattr(reason, 'strerror', reason)})"
    return None
