"""The plateau on which masked training begins, and when a pre-training leaves it.

A masked model first learns how frequent words are. It then stays close to the loss of these
frequencies alone for many updates, until it uses the words around a mask and the loss falls at
once: for two layers on English after 5 to 15 million tokens. What it knows of grammar comes with
that fall (Chen et al., arXiv 2309.07311). A schedule that ends before shows nothing of what its
cell is about.

The reference is the entropy of the held-out text's token frequencies, which no prediction that
leaves out the context can stay under. A pre-training has left the plateau where its held-out loss
lies FALL nats under it.
"""

import math
from collections.abc import Iterable, Iterator

from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.manifest import MAYBE_NUMBER, NUMBER, Manifest, load_manifest

FALL = 1.0  # nats: a perplexity e times smaller than that of the frequencies


def curve_of(run: Manifest) -> list[tuple[int, float, float | None]]:
    """The held-out evaluations of a pre-training: update, tokens seen until then, loss in nats per
    masked token (None where it was not finite).

    Raises StudyError for a manifest whose points are none.
    """
    tokens, steps = (run.figure(name, kind=NUMBER) for name in ("tokens", "steps"))
    points = run.figure("curve", kind=list)
    for point in points:
        if not is_point(point):
            raise StudyError(
                f"{run.path}: field figures.curve: {point!r:.40}, expected a step and a loss; "
                f"{run.rebuild_hint}"
            )
    # Every update sees the same number of tokens, up to a sample's length.
    return [(step, step * tokens / max(steps, 1), loss) for step, loss in points]


def is_point(point: object) -> bool:
    """Whether this is a point of a curve: a step, and a loss or None."""
    return (
        isinstance(point, list)
        and len(point) == 2
        and type(point[0]) in NUMBER
        and isinstance(point[1], MAYBE_NUMBER)
    )


def unigram_entropy(store: Manifest) -> float:
    """Nats per token of a store's held-out text by its token frequencies; NaN without such text."""
    entropy = store.figure("unigram_entropy", kind=MAYBE_NUMBER)
    return math.nan if entropy is None else entropy


def transition(run: Manifest, entropy: float) -> float:
    """Tokens seen when the held-out loss came to lie FALL under `entropy` (`unigram_entropy`),
    evaluations joined by straight lines; where the first one is there already, its tokens.

    Infinite where it never did; NaN for a run that diverged or was not trained, and without a
    held-out loss to tell by.
    """
    known = [(tokens, loss) for _, tokens, loss in curve_of(run) if loss is not None]
    diverged = run.figure("diverged", kind=MAYBE_NUMBER) is not None
    if math.isnan(entropy) or diverged or not known or not run.figure("steps", kind=NUMBER):
        return math.nan
    goal = entropy - FALL
    before, above = known[0]
    for tokens, loss in known:
        if loss <= goal:
            share = (above - goal) / (above - loss) if above > loss else 1.0
            return before + share * (tokens - before)
        before, above = tokens, loss
    return math.inf


def read_runs(study: Study, jobs: Iterable[Job]) -> Iterator[tuple[Job, Manifest, float]]:
    """Each of these pre-trainings with its manifest and `unigram_entropy`; StudyError for results
    of another recipe.
    """
    entropies: dict[str, float] = {}
    for job in jobs:
        store = study.jobs.store_of(job.names["cell"])
        if store.key not in entropies:
            found = load_manifest(store.path, key=store.key, stage="store")
            entropies[store.key] = unigram_entropy(found)
        run = load_manifest(job.path, key=job.key, stage="pretrain")
        yield job, run, entropies[store.key]


def plateau_notes(study: Study, name: str, cells: dict[str, str]) -> Iterator[str]:
    """Which rows show pre-trainings that did not leave the plateau; `cells` are those shown, by the
    id of their first row.
    """
    table, parts = study.config.tables[name], []
    labels = {row.id: row.label for row in table.rows}
    for row, cell in cells.items():
        runs = read_runs(study, study.pretrain_jobs([cell]))
        reached = [transition(run, entropy) for _, run, entropy in runs]
        if left := sum(map(math.isinf, reached)):
            parts.append(f"{labels[row]} ({left} of {len(reached)} pre-trainings)")
    if parts:
        yield (
            f"Still on the plateau of word frequencies at the end: {', '.join(parts)}. Their "
            f"held-out loss never came {FALL:g} nat under that of the frequencies alone, so their "
            "schedule is too short for this model and text: the table cannot show how what they "
            "vary compares (results/figures/curves.png)."
        )
