"""How long jobs take, from those of the study that are finished or far enough on to tell.

No speed is assumed. A job takes what its like took: other seeds of the same cell and task; else the
same work for any cell. Of a training whose like nobody has measured, the arithmetic and the number
of its updates tell, at what these cost in all trainings that are measured.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from study.jobs import Job
from study.recipes import RecipeTask

NOT_WORK = ("cell", "seed", "shard", "setting")  # names that do not say what is to be done
Work = tuple[float, float]


class Paces:
    """Seconds that jobs took."""

    def __init__(self) -> None:
        self._taken: dict[tuple, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self._known: dict[Job, tuple[tuple, tuple, tuple]] = {}
        # Of all trainings: products and updates for each second, as sums of squares and products.
        self._fit = [0.0] * 5

    def copy(self) -> "Paces":
        """One to which more can be added."""
        other = Paces()
        other._taken.update(self._taken)
        other._known, other._fit = self._known, self._fit
        return other

    def add(self, job: Job, seconds: float) -> None:
        """Take note of a job that takes so long."""
        if seconds <= 0:
            return
        for kind in self._kinds(job):
            count, total = self._taken[kind]
            self._taken[kind] = count + 1, total + seconds
        if work := self.work(job):
            products, updates = (part / seconds for part in work)
            more = (products**2, products * updates, updates**2, products, updates)
            self._fit = [old + new for old, new in zip(self._fit, more, strict=True)]

    def expected(self, job: Job) -> float | None:
        """Seconds that a job takes from its beginning to its end; None while nothing tells."""
        same, alike, stage = self._kinds(job)
        work = self.work(job)
        for kind in (same, alike):
            if kind in self._taken:
                return self._mean(kind)
        if work is not None and any(self._fit):
            return sum(cost * part for cost, part in zip(self._costs(), work, strict=True))
        return self._mean(stage) if stage in self._taken else None

    def work(self, job: Job) -> Work | None:
        """What a training has to do, see `work_of`; None where nothing tells yet."""
        return self._kinds(job)[1][-1]

    def _mean(self, kind: tuple) -> float:
        count, total = self._taken[kind]
        return total / count

    def _costs(self) -> tuple[float, float]:
        """Seconds of a product and of an update, neither below 0, that fit all trainings best.

        By least squares of (expected - taken) / taken; of trainings that are all alike, where the
        two cannot be told from each other, products bear all of it.
        """
        xx, xu, uu, x, u = self._fit
        determinant = xx * uu - xu**2
        if determinant > 1e-6 * xx * uu:
            costs = (x * uu - u * xu) / determinant, (u * xx - x * xu) / determinant
            if min(costs) >= 0:
                return costs
        return (x / xx, 0.0) if xx else (0.0, u / uu if uu else 0.0)

    def _kinds(self, job: Job) -> tuple[tuple, tuple, tuple]:
        """What is like a job, from the same with another seed to all of its stage."""
        kinds = self._known.get(job)
        if kinds is None:
            names, work = job.names, work_of(job)
            what = tuple(value for name, value in names.items() if name not in NOT_WORK)
            alike = (job.stage, *what, work)
            same = (*alike, names.get("cell"), names.get("setting"))
            kinds = same, alike, (job.stage,)
            if work is not None or job.stage != "finetune":  # rows of a task may still come
                self._known[job] = kinds
        return kinds


def work_of(job: Job) -> Work | None:
    """Products of a training's forward passes, and its updates; None of other stages, and of a
    fine-tuning until its rows are there.

    Products are tokens x (layers x (4 hidden^2 + 2 hidden ffn)), and in pre-training for each
    masked token hidden x vocabulary: enough to compare jobs of one study (`analysis.costs` plans).
    """
    try:
        recipe = job.recipe
        if job.stage == "pretrain":
            entries, model = job.inputs["vocabulary"][0].recipe["size"], recipe["model"]
            tokens = recipe["steps"] * recipe["batch"]["sequences"] * recipe["format"]["length"]
            head = recipe["masking"]["rate"] * model["hidden"] * entries
            return tokens * (_layers(model) + head), recipe["steps"]
        if job.stage == "finetune":
            rows = json.loads(Path(job.inputs["features"][0].path).read_text())["figures"]["train"]
            passes = len(recipe["seeds"]) * recipe["settings"]["epochs"]
            examples = rows["rows"] / RecipeTask.model_validate(recipe["task"]).rows
            model = job.inputs["pretrain"][0].recipe["model"]
            updates = passes * examples / recipe["settings"]["batch"]
            return passes * rows["tokens"] * _layers(model), updates
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    return None


def _layers(model: dict[str, Any]) -> float:
    return model["layers"] * (4 * model["hidden"] ** 2 + 2 * model["hidden"] * model["ffn"])
