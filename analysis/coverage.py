"""Notes on the text behind a table: what of it its cells do not see, or do not hold out.

Formats without pairs show every token of the store once an epoch. Pairs are cut to what fits
(`model.samples.pairs`), and a document's end forces a label, so their samples count both.
"""

from collections.abc import Iterator

from study.graph import Study
from study.manifest import load_manifest
from study.tables import CORPUS_VALUES

SHOWN = 0.95  # a share below it is told
BALANCED = 0.05  # so far from one half the share of a label may lie untold


def text_notes(study: Study, name: str) -> Iterator[str]:
    """All notes of this module on the table `name`; StudyError for results of another recipe."""
    cells = study.table_cells(name)
    for cell in cells:
        if study.config.cells[cell].format.pairs:
            yield from pair_notes(study, cell)
    if any(column.value in CORPUS_VALUES for column in study.config.tables[name].value_columns):
        yield from heldout_notes(study, cells)


def pair_notes(study: Study, cell: str) -> Iterator[str]:
    """What the samples of a cell in a pair format leave out, the worst over its seeds."""
    jobs = [study.jobs.samples(cell, seed) for seed in study.config.pretraining_seeds(cell)]
    manifests = [load_manifest(job.path, key=job.key, stage="samples") for job in jobs]

    def least(part: str, whole: str) -> float:
        counts = [[m.figure("train", name, kind=int) for name in (part, whole)] for m in manifests]
        return min(some / everything for some, everything in counts)

    shown, follows = least("shown_tokens", "store_tokens"), least("next", "samples")
    if shown < SHOWN:
        yield (
            f"{cell}: an epoch shows {100 * shown:.1f} % of the training tokens; the rest is cut "
            "off where two parts are longer than the input. Formats without pairs show all."
        )
    if study.config.cells[cell].format.nsp and abs(follows - 0.5) > BALANCED:
        yield (
            f"{cell}: in {100 * follows:.1f} % of the pairs B follows A, not in half of them: so "
            "many documents end after the first part."
        )


def heldout_notes(study: Study, cells: list[str]) -> Iterator[str]:
    """The corpora that the perplexities of these cells leave out, for want of held-out text."""
    missing: dict[str, None] = {}
    for job in dict.fromkeys(map(study.jobs.store_of, cells)):
        store = load_manifest(job.path, key=job.key, stage="store")
        for corpus in store.figure("heldout"):
            if not store.figure("heldout", corpus, "tokens", kind=int):
                missing[corpus] = None
    if missing:
        yield f"Perplexity: no document of {', '.join(missing)} is held out, so it leaves them out."
