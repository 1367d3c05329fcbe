"""The split of a finished run's core time (benchmarks/study_time.py)."""

import pytest
from smoke import TABLE

from analysis.plan import main as plan
from benchmarks import study_time
from benchmarks.study_time import SHORT, Split, planned_and_taken, split_of
from study.errors import StudyError
from study.graph import Study


def test_gaps_between_jobs_are_told_from_cores_without_a_job():
    split = Split(spans=[(100.5, 110.0), (103.0, 120.0), (110.25, 112.0)])
    split.add_gaps(cores=2, began=100.0)
    assert SHORT == 1.0
    assert split.seconds["between"] == 0.5 + 0.25
    assert split.seconds["idle"] == 3.0 + 8.0
    assert sum(ended - began for began, ended in split.spans) + 0.75 + 11.0 == 2 * 20.0


@pytest.mark.slow
def test_a_finished_run_is_split_whole(finished, monkeypatch):
    monkeypatch.chdir(finished)
    split = split_of(Study("smoke"), TABLE, cores=2)
    assert all(seconds >= 0 for seconds in split.seconds.values())
    assert len(split.spans) == 48 + 1
    # A copy that files came to later would be longer than its snakemake.
    ends = [ended for _, ended in split.spans]
    begins = [began for began, _ in split.spans]
    assert sum(split.seconds.values()) >= 2 * (max(ends) - min(begins))
    assert set(split.loops) >= {"doc-sentences", "mnli", "race", "squad11", "sst2"}


@pytest.mark.slow
def test_a_plan_stands_beside_the_run_that_it_was_made_for(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(study_time, "PLAN", tmp_path / "plan.csv")

    def make(*scale: str) -> None:
        plan([*scale, "--flops-per-second", "1e9", "--output", str(study_time.PLAN)])

    make("--scale", "smoke")
    stages = planned_and_taken(Study("smoke"), TABLE)
    assert set(stages) == {"pretrain", "finetune"}
    assert all(planned > 0 and taken > 0 for planned, taken in stages.values())
    make("--scale", "paper")
    with pytest.raises(StudyError, match="make the plan of this scale again"):
        planned_and_taken(Study("smoke"), TABLE)
