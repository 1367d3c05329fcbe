"""Do cells fit the weights that they start from? Asked before anything runs; needs no torch.

In: a study, and the mirror where there is one. Folders and mirrors are looked into: config.json and
the head of model.safetensors, not the numbers. What is on the hub is compared once it is there.
"""

from pathlib import Path

from model.network.layout import Layout, read_shapes
from study.cells import Cell
from study.errors import StudyError
from study.graph import Study
from study.places import Places
from study.starts import CONFIG, WEIGHTS, find_files, read_sizes


def check_weights(study: Study, mirror: str | Path | None) -> None:
    """Raise StudyError for the first cell that does not fit its weights, naming the key at fault.

    Weights whose run is finished are not looked into again.
    """
    config, places = study.config, Places(mirror, study.jobs.places)
    layouts: dict[str, Layout] = {}
    for name, cell in config.cells.items():
        weights = cell.start and cell.start.weights
        if not weights:
            continue
        job = study.jobs.weights(weights)
        root = None if Path(job.path).exists() else places.root(job.recipe)
        if root is None:
            continue
        if weights not in layouts:
            files = find_files(root)
            sizes = read_sizes(files[CONFIG])
            layouts[weights] = Layout(read_shapes(files[WEIGHTS]), sizes, files[WEIGHTS])
        entries = study.jobs.vocabulary(cell.vocabulary).recipe["size"]
        if problem := misfit(cell, layouts[weights], entries):
            raise StudyError(f"{study.study_path}: cells.{name}.{problem}")


def misfit(cell: Cell, layout: Layout, entries: int) -> str | None:
    """Where a cell with a vocabulary of so many entries does not fit: key and reason, else None."""
    folder, sizes = layout.path.parent, layout.sizes
    if differences := sizes.differences(cell.model):
        return f"model: {', '.join(differences)}: in brackets those of {folder / CONFIG}"
    if sizes.entries != entries:
        return (
            f"vocabulary: {cell.vocabulary} has {entries} entries, the weights in {folder} are for "
            f"{sizes.entries} (field vocab_size); their own: {{kind: file, weights: "
            f"{cell.start.weights}}}"
        )
    lacking = layout.lacking(cell.format.nsp, cell.format.segments)
    for part, tensor in lacking.items():
        if part not in cell.start.fresh:
            return (
                f"start: {layout.path} has no tensor {tensor}; fresh: [{part}] starts with random "
                "weights there"
            )
    return None
