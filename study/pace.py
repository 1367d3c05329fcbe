"""How long jobs take, from those of the study that are finished or far enough on to tell.

No speed is assumed. A job takes what its like took: other seeds of the same cell and task; else the
same work of its stage; else its stage's seconds for each unit of arithmetic. Of trainings whose
stage has none yet, those of the other stage tell.
"""

import json
from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from study.jobs import Job

TRAININGS = ("pretrain", "finetune")
NOT_WORK = ("cell", "seed", "shard", "setting")  # names that do not say what is to be done


class Paces:
    """Seconds that jobs took."""

    def __init__(self) -> None:
        self._sums: dict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self._work: dict[Job, float | None] = {}

    def copy(self) -> "Paces":
        """One to which more can be added."""
        other = Paces()
        other._sums.update({kind: list(sums) for kind, sums in self._sums.items()})
        other._work = self._work
        return other

    def add(self, job: Job, seconds: float) -> None:
        """Take note of a job that takes so long."""
        if seconds <= 0:
            return
        for kind in self._kinds(job):
            sums = self._sums[kind]
            for place, more in enumerate((1.0, seconds, self.work(job) or 0.0)):
                sums[place] += more

    def expected(self, job: Job) -> float | None:
        """Seconds that a job takes from its beginning to its end; None while nothing tells."""
        same, alike, stage = (self._sums.get(kind) for kind in self._kinds(job))
        work = self.work(job)
        for sums in (same, alike):
            if sums:
                return sums[1] / sums[0]
        if job.stage in TRAININGS:
            others = [stage, *(self._sums.get((name,)) for name in TRAININGS)]
            for sums in others:
                if sums and sums[2] and work is not None:
                    return sums[1] / sums[2] * work
        return stage[1] / stage[0] if stage else None

    def work(self, job: Job) -> float | None:
        """The arithmetic of a training, see `arithmetic`; None where nothing tells yet."""
        if self._work.get(job) is None:
            self._work[job] = arithmetic(job)
        return self._work[job]

    def _kinds(self, job: Job) -> tuple[Hashable, Hashable, Hashable]:
        """What is like a job, from the same with another seed to all of its stage."""
        what = tuple(value for name, value in job.names.items() if name not in NOT_WORK)
        alike = (job.stage, *what, self.work(job))
        return (*alike, job.names.get("cell"), job.names.get("setting")), alike, (job.stage,)


def arithmetic(job: Job) -> float | None:
    """Products of a training's forward passes; None of other stages, and until its rows are there.

    Tokens x (layers x (4 hidden^2 + 2 hidden ffn), and in pre-training for each masked token
    hidden x vocabulary): enough to compare jobs of one study, not to plan one (`analysis.costs`).
    """
    try:
        if job.stage == "pretrain":
            recipe, entries = job.recipe, job.inputs["vocabulary"][0].recipe["size"]
            tokens = recipe["steps"] * recipe["batch"]["sequences"] * recipe["format"]["length"]
            head = recipe["masking"]["rate"] * recipe["model"]["hidden"] * entries
            return tokens * (_layers(recipe["model"]) + head)
        if job.stage == "finetune":
            rows = json.loads(Path(job.inputs["features"][0].path).read_text())["figures"]["train"]
            trainings = len(job.recipe["seeds"]) * job.recipe["settings"]["epochs"]
            model = job.inputs["pretrain"][0].recipe["model"]
            return trainings * rows["tokens"] * _layers(model)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    return None


def _layers(model: dict[str, Any]) -> float:
    return model["layers"] * (4 * model["hidden"] ** 2 + 2 * model["hidden"] * model["ffn"])
