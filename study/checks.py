"""What a validated study must also keep: what it names is there, and no two things are one.

In: a StudyFile whose keys have the right types. Raises Fault for the first that is wrong; who
reads the files adds which of them says it.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from study.cells import Cell
from study.claims import IN_NATS, LOWER_IS_BETTER, Claim
from study.errors import StudyError
from study.fields import BEYOND_SEEDS, given
from study.jobs import Jobs
from study.messages import Fault, hint
from study.names import same_file
from study.starts import COMMON_SIZES
from study.study_file import StudyFile
from study.tables import HyperparameterTable, Table, hyperparameter
from study.tasks import shortest_row
from study.texts import store_name

MOST_TOKENS = 10**15  # that a cell sees: the paper's longest sees 2e12
LONGEST_FOLDER = 200  # letters of a folder's name
MOST_SHARDS = 1000  # whose files one command names; Linux limits it to 128 KiB
# Columns of a table of hyperparameters that are no recipe's.
FIRST_COLUMNS = ("row", "label")


def check(config: StudyFile, new: Collection[str]) -> None:
    """All cross-references of the configuration; Fault names the key at fault.

    No cell of `new` may be another one by another name.
    """
    _check_data(config)
    _check_cells(config)
    for name, table in config.tables.items():
        _check_table(config, name, table)
    _check_rows(config)
    for name, hyperparameters in config.hyperparameter_tables.items():
        _check_hyperparameter_table(config, name, hyperparameters)
    for name, claim in config.claims.items():
        _check_claim(config, name, claim)
    if config.claims and config.verdicts is None:
        raise Fault("missing, and claims need it", "verdicts")
    _check_budget(config)
    _check_twins(config, new)


def _check_data(config: StudyFile) -> None:
    """Vocabularies, tasks, and the sizes of what is generated."""
    for name, vocabulary in config.vocabularies.items():
        where = ("vocabularies", name)
        _known(vocabulary.corpora or [], config.corpora, *where, "corpora")
        if vocabulary.kind != "file":
            continue
        if vocabulary.path and not Path(vocabulary.path).is_file():
            raise Fault(f"{vocabulary.path}: no such file", *where, "path")
        if vocabulary.weights:
            _known([vocabulary.weights], config.weights, *where, "weights")
            if config.weights[vocabulary.weights].repo and vocabulary.size is None:
                problem = "missing: how many entries the repository's tokenizer.json has"
                raise Fault(problem, *where, "size")
    read = {name for cell in config.cells.values() for name in cell.data}
    read |= {name for one in config.vocabularies.values() for name in one.corpora or ()}
    for name in config.corpora:
        if name not in read:
            raise Fault("no cell reads it; those read what `data` names", "corpora", name)
    for name, task in config.tasks.items():
        if task.init:
            _known([task.init], config.tasks, "tasks", name, "init")
            if config.tasks[task.init].init:
                raise Fault(f"{task.init} starts from another task itself", "tasks", name, "init")
    _known(config.left_out, {**config.tasks, **config.minimal_pairs}, "left_out")
    for section in ("tasks", "corpora", "minimal_pairs"):
        for name, read in getattr(config, section).items():
            if read.source.sizes is not None:
                _known(read.splits, read.source.sizes, section, name, "source", "sizes")


def _check_cells(config: StudyFile) -> None:
    """What cells name, and sizes that can be counted and stored."""
    if not any(cell.steps for cell in config.cells.values()):
        raise Fault("expected one with steps above 0", "cells")
    for name, cell in config.cells.items():
        where = ("cells", name)
        _known(cell.data, config.corpora, *where, "data")
        _known([cell.vocabulary], config.vocabularies, *where, "vocabulary")
        _known([cell.finetuning], config.finetuning, *where, "finetuning")
        _check_start(config, name, cell)
        if len(set(cell.data)) < len(cell.data):
            raise Fault(f"a corpus twice, found {cell.data}", *where, "data")
        shards = {corpus: config.corpora[corpus].shards for corpus in cell.data}
        if sum(shards.values()) > MOST_SHARDS:
            most = max(shards, key=lambda corpus: shards[corpus])
            problem = f"the corpora of cell {name} have {sum(shards.values())}, over {MOST_SHARDS}"
            raise Fault(problem, "corpora", most, "shards")
        if len(store_name(cell.data, cell.vocabulary)) > LONGEST_FOLDER:
            problem = f"names of over {LONGEST_FOLDER} letters together make no folder's name"
            raise Fault(problem, *where, "data")
        if cell.steps * cell.batch.sequences * cell.length > MOST_TOKENS:
            factors = f"batch.sequences {cell.batch.sequences} x length {cell.length} tokens"
            problem = f"{cell.steps} x {factors}, over {MOST_TOKENS:.0e}"
            raise Fault(problem, *where, "steps")
        if max(config.pretraining_seeds(name)) >= BEYOND_SEEDS:
            raise Fault(f"with it seeds go beyond {BEYOND_SEEDS - 1}", *where, "first_seed")
        for task, settings in config.finetuning[cell.finetuning].items():
            if settings.length > cell.model.positions:
                most = f"model.positions {cell.model.positions} of cell {name}"
                place = ("finetuning", cell.finetuning, task, "length")
                raise Fault(f"{settings.length} exceeds {most}", *place)


def _check_start(config: StudyFile, name: str, cell: Cell) -> None:
    """A cell starts from what is there, is of its size and has the parts that are not fresh."""
    if cell.start is None:
        return
    where = ("cells", name, "start")
    parts = {"nsp": cell.format.nsp, "segments": cell.format.segments}
    for part, has in parts.items():
        if part in cell.start.fresh and not has:
            raise Fault(f"{part}: the cell's format has none", *where, "fresh")
    if cell.start.weights:
        _known([cell.start.weights], config.weights, *where, "weights")
        return
    behind = [name]
    while (start := config.cells[behind[-1]].start) and start.cell:
        _known([start.cell], config.cells, "cells", behind[-1], "start", "cell")
        if start.cell in behind:
            raise Fault(f"{start.cell} starts from {name} itself", *where, "cell")
        behind.append(start.cell)
    other = config.cells[behind[1]]
    if cell.vocabulary != other.vocabulary:
        problem = f"{cell.vocabulary}, but cell {behind[1]}, from which it starts, has "
        raise Fault(problem + other.vocabulary, "cells", name, "vocabulary")
    for key in COMMON_SIZES:
        own, theirs = getattr(cell.model, key), getattr(other.model, key)
        if own != theirs:
            problem = f"{own:g}, but cell {behind[1]}, from which it starts, has {theirs:g}"
            raise Fault(problem, "cells", name, "model", key)
    for part, has in parts.items():
        if has and part not in cell.start.fresh and not getattr(other.format, part):
            problem = f"cell {behind[1]} has no {part} to take over; fresh: [{part}] draws it"
            raise Fault(problem, *where)


def _check_budget(config: StudyFile) -> None:
    """A scale's budget names tables, and what its trainings run on."""
    if config.budget is None:
        return
    _known(config.budget.tables, config.tables, "budget", "tables")
    on_cpu = config.execution.pretrain.device == "cpu"
    needed, other = ("cores", "gpus") if on_cpu else ("gpus", "cores")
    if getattr(config.budget, needed) is None or getattr(config.budget, other) is not None:
        device = config.execution.pretrain.device
        raise Fault(f"expected {needed} and no {other}, as device is {device}", "budget")


def _check_rows(config: StudyFile) -> None:
    """The rows of the tasks that cells are fine-tuned on have room for what stands in them."""
    for name, cell in config.cells.items():
        for task in config.cell_tasks(name):
            settings = config.finetuning[cell.finetuning][task]
            needed = shortest_row(config.tasks[task].question_length, settings.separators)
            if settings.length < needed:
                problem = f"{settings.length} tokens are too few, {task} needs {needed} or more"
                raise Fault(problem, "finetuning", cell.finetuning, task, "length")


def _check_table(config: StudyFile, name: str, table: Table) -> None:
    """What a table names must be there, each row and column once."""
    where = ("tables", name)
    _distinct([row.id for row in table.rows], *where, "rows")
    _distinct([column.name for column in table.columns], *where, "columns")
    if table.average and not any(column.averaged for column in table.score_columns):
        raise Fault("no score column is averaged", *where, "average")
    for row in table.rows:
        if row.cell:
            _known([row.cell], config.cells, *where, "rows", row.id, "cell")
        if row.family:
            _known([row.family], config.families, *where, "rows", row.id, "family")
    for column in table.value_columns:
        corpus = [column.corpus] if column.corpus else []
        _known(corpus, config.corpora, *where, "columns", column.name, "corpus")
    for column in table.pairs_columns:
        _known([given(column.pairs)], config.minimal_pairs, *where, "columns", column.name)
        for row in (one for one in table.rows if one.ensemble):
            ensemble = (*where, "rows", row.id, "ensemble")
            raise Fault(f"column {column.name}: minimal pairs have no ensemble", *ensemble)
    for column in table.score_columns:
        location = (*where, "columns", column.name)
        tasks = [task for task in (column.task, column.ensemble_task) if task]
        _known(tasks, config.tasks, *location)
        _known([given(column.metric)], config.tasks[given(column.task)].reported_metrics, *location)
        for row in (one for one in table.rows if one.ensemble):
            task = config.tasks[row.task_of(column)]
            answers = (*where, "rows", row.id, "ensemble", row.task_of(column))
            if not task.facts.averaged:
                raise Fault(f"answers of kind {task.kind} cannot be averaged", *answers)
            _known([given(column.metric)], task.averaged_metrics, *answers)


def _check_hyperparameter_table(config: StudyFile, name: str, table: HyperparameterTable) -> None:
    """The recipes that its columns name must be there, and hold the keys of its rows."""
    where = ("hyperparameter_tables", name)
    _distinct([row.id for row in table.rows], *where, "rows")
    _distinct([*FIRST_COLUMNS, *(column.id for column in table.columns)], *where, "columns")
    for column in table.columns:
        location = (*where, "columns", column.id)
        if column.cell:
            _known([column.cell], config.cells, *location, "cell")
        else:
            _known([given(column.finetuning)], config.finetuning, *location, "finetuning")
            _known([given(column.task)], config.tasks, *location, "task")
        for row in table.rows:
            try:
                hyperparameter(config.recipe_of(column), row.key)
            except StudyError as error:
                problem = f"{error}, that of column {column.id}"
                raise Fault(problem, *where, "rows", row.id) from None


def _check_claim(config: StudyFile, name: str, claim: Claim) -> None:
    """A claim compares single models, in columns of one unit, in which replicates differ.

    What a study does not have it does not claim: such a claim is not testable.
    """
    if claim.table is None or claim.lacking(config.tables):
        return
    where, table = ("claims", name), config.tables[claim.table]
    rows = {row.id: row for row in table.rows}
    compared = [rows[row] for row in claim.rows]
    for row in compared:
        if row.ensemble:
            raise Fault(f"{row.id} is an ensemble, of which there is one", *where, "rows")
        if not row.ours and row is not compared[-1] and any(one.ours for one in compared):
            raise Fault(f"{row.id} is published; only the last row may be", *where, "rows")
    named = {*claim.columns, *claim.against}
    columns = [column for column in table.columns if column.name in named]
    for column in columns:
        if not (column.compared or column.value == "learning_rate"):
            raise Fault(f"{column.name}: replicates do not differ in it", *where, "columns")
    values = [column.value for column in columns]
    units = {(one in IN_NATS, one in LOWER_IS_BETTER, one == "bits_per_byte") for one in values}
    if len(units) > 1:
        raise Fault("a mean of columns of several units means nothing", *where, "columns")


def _check_twins(config: StudyFile, new: Collection[str]) -> None:
    """A new cell with the resolved recipe and a seed of another one is an error: one name per
    thing. What changes many cells at once may make two of the others equal.
    """
    jobs = Jobs(config)
    seen: dict[tuple[str, str], list[str]] = {}
    for name, cell in config.cells.items():
        twins = seen.setdefault((jobs.pretrain(name, 0).key, cell.finetuning), [])
        for twin in (twin for twin in twins if name in new or twin in new):
            same = f"the same recipe as cells.{twin}"
            if cell.first_seed == config.cells[twin].first_seed:
                raise Fault(f"{same}; use that name", "cells", name)
            common = {*config.pretraining_seeds(name)}.intersection(config.pretraining_seeds(twin))
            if common:
                raise Fault(f"{same}, and its seed {min(common)}", "cells", name, "first_seed")
        twins.append(name)


def _distinct(names: list[str], *where: str) -> None:
    """Ids are columns of a CSV and keys of published values, so they may not repeat."""
    if clash := same_file(names):
        raise Fault(f"{clash[1]} is there twice", *where)


def _known(names: Iterable[str], known: Collection[str], *where: str) -> None:
    for name in names:
        if name not in known:
            raise Fault(f"{name} is not defined{hint(name, sorted(known))}", *where)
