"""The member of a family that stands for it, as its selection says (section 4.3)."""

from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest
from study.tables import Row


def read_selection(study: Study, family: str) -> str:
    """The cell that stands for `family`.

    StudyError when the choice is of another recipe, or of a cell that is no member.
    """
    job = study.jobs.selection(family)
    manifest = load_manifest(job.path, key=job.key, stage="selection")
    winner, members = manifest.figure("winner", kind=str), study.config.families[family].members
    if winner not in members.values():
        raise StudyError(
            f"{job.path}: field figures.winner: {winner} is no member of {family}; "
            f"{manifest.rebuild_hint}"
        )
    return winner


def shown_cell(study: Study, row: Row) -> str | None:
    """The cell that a row shows: of a family, the one that was chosen; None for a reference."""
    return read_selection(study, row.family) if row.family else row.cell
