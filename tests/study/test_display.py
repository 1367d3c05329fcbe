"""What a terminal shows: it fits, and says the same in a line."""

import pytest
from project import ROOT
from rich.console import Console
from rich.text import Text

from study.display import View, bar_line, count_text, fitting, grid, time_text
from study.graph import Study
from study.standing import DONE, FAILED, RUNNING, Standings, job_name, needed_jobs


@pytest.fixture
def standings(monkeypatch, tmp_path):
    """Table 2 at scale paper, of which nothing is there."""
    monkeypatch.chdir(ROOT)
    study = Study("paper")
    monkeypatch.chdir(tmp_path)
    return Standings(study, needed_jobs(study, "table2"))


def shown(part, width=80, height=24) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(part if isinstance(part, Text) else Text("\n").join(part))
    return capture.get().splitlines()


def test_times_and_counts_are_short():
    times = (0.4, 45, 89.6, 125, 5300, 5401, 13_500, 187_200)
    assert [time_text(one) for one in times] == [
        *("0 s", "45 s", "90 s", "2 min", "88 min", "1 h 30 min", "3 h 45 min", "2 d 4 h"),
    ]
    assert [count_text(n) for n in (950, 41_200, 1_340_000)] == ["950", "41.2k", "1.34M"]


def test_jobs_have_plain_names(standings):
    names = {job_name(job) for job in standings.of}
    assert {"doc-sentences seed 0 pre-training", "doc-sentences seed 0 sst2"} <= names
    assert {"source wiki", "sentences wiki shard 0", "samples doc-sentences seed 0"} <= names
    assert "tokens character-30k wiki shard 0" in names
    assert len(names) == len(standings.of)


@pytest.mark.parametrize("width", [40, 60])
def test_a_bar_stands_beside_the_name_and_the_time_left(standings, width):
    """In 40 columns the name is shortened, with an ellipsis."""
    (one,) = (s for s in standings.of.values() if job_name(s.job) == "full-sentences seed 0 sst2")
    one.state, one.step, one.steps, one.seconds_left, one.seeds_done = RUNNING, 50, 100, 65.0, 0
    assert one.seeds == 5
    line = bar_line(one, width, 1).plain
    name, bar = {
        40: ("full-senten", "#-------"),
        60: ("full-sentences seed 0 sst2", "#-----------"),
    }[width]
    assert line == name + ("…" if width == 40 else "  ") + f"  {bar}  10 %        65 s"
    assert len(line) == width


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_grid_is_never_wider_than_the_terminal(standings, width):
    lines = shown(grid(standings.of.values(), width, 0), width)
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("doc-sentences") for line in lines) == {40: 3, 60: 2}.get(width, 1)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 8), (40, 12), (120, 50)])
def test_the_display_fits_into_the_terminal(standings, width, height):
    """However many jobs run or failed."""
    for number, standing in enumerate(standings.of.values()):
        standing.state = (RUNNING, FAILED, DONE)[number % 3]
        standing.note = "error: " + 20 * "a long line "
    console = Console(width=width, height=height, force_terminal=False)
    lines = shown(fitting(View("results/table2.csv", standings), console), width, height)
    assert len(lines) <= height
    assert any(line.endswith(" more") for line in lines)


def test_a_line_for_a_log_names_what_runs(standings):
    view = View("results/table2.csv", standings)
    assert view.line().endswith("jobs, nobody is at work")
    running = [one for one in standings.of.values() if one.job.stage == "finetune"]
    running[0].state, running[0].step, running[0].steps = RUNNING, 30, 90
    assert view.line() == (
        f"0/{len(standings.of)} jobs, time left not known yet; "
        f"running: {job_name(running[0].job)} (30 of 90)"
    )
    for one in running:
        one.state = RUNNING
    assert view.line().endswith(f" and {len(running) - 4} more")
