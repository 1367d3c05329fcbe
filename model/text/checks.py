"""Corpora that nothing could be trained on are named before anything runs.

Documents are read as the sentences stage reads them, until there are enough to train on and enough
that are held out: of a large corpus some hundred, of a tiny one all. What is on the hub, or not
generated yet, shows when it is there.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from model.text.sources import read_texts
from model.text.splitting import LONE_SURROGATE, document_id, documents_within, is_heldout
from study.errors import StudyError
from study.formats import FORMATS
from study.jobs import Job, needed
from study.parts import suffix_of
from study.places import Places, split_files

PAIR = 2  # documents that pair formats need, to take a second part from another one


def check_corpora(jobs: Iterable[Job], places: Places) -> None:
    """Look at the corpora of the stores among `jobs`, which are still to be made.

    A folder with files of several kinds is told of: all of them are the corpus. Raises StudyError
    for a file or a column that cannot be read, and for corpora that together have too few
    documents, or none that are held out.
    """
    jobs = list(jobs)
    pairs = {
        store
        for job in jobs
        if job.stage == "samples" and FORMATS[job.recipe["format"]].pairs
        for store in job.inputs["store"]
    }
    for store in (job for job in jobs if job.stage == "store"):
        shards = [job for job in reversed(needed([store])) if job.stage == "sentences"]
        corpora = {job.names["corpus"]: job for job in shards}
        if all(places.root(job.inputs["source"][0].recipe) for job in corpora.values()):
            _check_store(corpora, places, PAIR if store in pairs else 1)


def _check_store(corpora: dict[str, Job], places: Places, enough: int) -> None:
    """Raise StudyError unless both splits of a store have `enough` documents."""
    files = {name: _files(job, places) for name, job in corpora.items()}
    for name, of_corpus in files.items():
        kinds = Counter(map(suffix_of, of_corpus))
        if len(kinds) > 1:
            held = " and ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            where = f"corpora.{name}: {of_corpus[0].parent}"
            print(f"notice: {where}: {held} files are one corpus", file=sys.stderr, flush=True)
    train, heldout = 0, 0
    for name, job in corpora.items():
        shards, before = job.recipe["shards"], train
        for text in _documents(job, files[name]):
            if text.strip():
                identity = document_id(LONE_SURROGATE.sub("\ufffd", text))
                chosen = is_heldout(identity, job.recipe["heldout_fraction"])
                train, heldout = train + (not chosen), heldout + chosen
            if min(train, heldout) >= enough and train - before >= shards:
                break
        if train - before < shards > 1:
            raise StudyError(
                f"corpora.{name}: {train - before} documents to train on; expected at least one "
                f"for each of its {shards} shards"
            )
    if min(train, heldout) < enough:
        where = ", ".join(f"corpora.{name}" for name in corpora)
        fractions = sorted({job.recipe["heldout_fraction"] for job in corpora.values()})
        raise StudyError(
            f"{where}: {heldout} of {train + heldout} documents are held out (heldout_fraction "
            f"{', '.join(map(str, fractions))}); expected at least {enough} that are and {enough} "
            "that are not: more text, another heldout_fraction, or a boundary, which says where "
            "documents end in .txt files"
        )


def _files(job: Job, places: Places) -> list[Path]:
    """The files of the corpus that a job of sentences reads."""
    source = job.inputs["source"][0].recipe
    return split_files(source, places.root(source), job.recipe["split"])


def _documents(job: Job, files: list[Path]) -> Iterator[str]:
    """The documents of these files, as far as the job reads them."""
    recipe, source = job.recipe, job.inputs["source"][0].recipe
    boundary, limit = source.get("boundary", "file"), recipe["documents"]

    def texts() -> Iterator[str]:
        every = (read_texts(path, recipe["column"], boundary=boundary) for path in files)
        return islice(chain.from_iterable(every), limit)

    if "bytes" in recipe:
        limit = documents_within(texts(), recipe["bytes"])
    return texts()
