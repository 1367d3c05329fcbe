"""How a target stands, for a terminal: what is done, what runs, what failed, how long it takes.

`study.status` shows all of it once or renews it, `study.watch` what fits while it runs Snakemake.
rich lays it out: no colours with NO_COLOR, plain text in a pipe, and as wide as the terminal is.
"""

import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from study.file_locks import living_snakemakes
from study.outlook import Outlook, outlook
from study.standing import (
    DONE,
    FAILED,
    RUNNING,
    STALE,
    WAITING,
    Standing,
    Standings,
    failure_of,
    job_name,
)

# A mark for each state, one where the terminal has no other letters than ASCII, and its colour.
MARKS = {
    DONE: ("●", "#", "green"),
    RUNNING: ("◐", ">", "cyan"),
    WAITING: ("·", ".", "bright_black"),
    FAILED: ("✗", "x", "red"),
    STALE: ("○", "o", "yellow"),
}
WORST_FIRST = (FAILED, RUNNING, STALE, WAITING, DONE)
STAGES = {"pretrain": "pre-training", "finetune": "fine-tuning", "minimal_pairs": "minimal pairs"}
OTHERS = "data"
MOST_MARKS = 10  # seeds with a mark each; of more, numbers are shown
PIPE_WIDTH = 120
REFRESH, PLAIN_PAUSE = 1.0, 60.0  # seconds between two displays, and between two lines of a log


class View:
    """A target's standings with what is said of them together."""

    def __init__(self, title: str, standings: Standings, results: Iterable[str] = ()):
        self.title, self.standings, self.results = title, standings, list(results)
        self.at_work: list[dict] = []
        self.outlook = Outlook(None, None, 0.0, ())

    def update(self) -> list[Standing]:
        """Look again; those that failed since the last look."""
        failed = self.standings.update()
        paths = {one.job.path for one in self.to_do}
        self.at_work = [one for one in living_snakemakes() if not paths.isdisjoint(one["makes"])]
        began = min((one["since"] for one in self.at_work), default=None)
        self.outlook = outlook(self.standings, began)
        return failed

    @property
    def to_do(self) -> list[Standing]:
        """The jobs that are not done."""
        return self.standings.in_state(*(state for state in MARKS if state != DONE))

    @property
    def left(self) -> str:
        """`about 12 min left`, and of what nothing tells yet."""
        if not self.to_do:
            return "all done"
        if self.outlook.left is None:
            someone = self.at_work or self.standings.count(RUNNING)
            return "time left not known yet" if someone else "nobody is at work"
        unknown = " and ".join(STAGES[stage] for stage in self.outlook.unknown)
        about = f"about {time_text(self.outlook.left)} left"
        return f"{about} without {unknown}, not measured yet" if unknown else about

    @property
    def jobs_done(self) -> str:
        """`12/48 jobs`."""
        return f"{self.standings.count(DONE)}/{len(self.standings.of)} jobs"

    def line(self) -> str:
        """All of it in one line, for a log."""
        running = self.standings.in_state(RUNNING)
        names = [job_name(one.job) + _at_step(one) for one in running]
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        failed = self.standings.count(FAILED)
        return (
            f"{self.jobs_done}, {self.left}"
            + (f"; {failed} failed" if failed else "")
            + (f"; running: {shown}" if shown else "")
        )


def time_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def count_text(value: float) -> str:
    """950, 41.2k, 1.34M."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    return f"{value / 1e3:.1f}k" if value >= 1e3 else f"{value:.0f}"


def clock_text(moment: float) -> str:
    """`18:05`, of another day `26 Nov 18:05`."""
    local, today = time.localtime(moment), time.localtime()
    return time.strftime("%H:%M" if local[:3] == today[:3] else "%d %b %H:%M", local)


def place_text(standing: Standing) -> str:
    """Where a job runs: `node7, SLURM job 1234`, `laptop, process 4392`."""
    holder = standing.holder
    job = holder.get("slurm_job")
    return f"{holder.get('host') or '?'}, " + (
        f"SLURM job {job}" if job else f"process {holder.get('pid', '?')}"
    )


def _at_step(standing: Standing) -> str:
    if standing.step is None or not standing.steps:
        return ""
    return f" ({standing.step} of {standing.steps})"


def bar_of(share: float) -> ProgressBar:
    """A bar of which this share, 0 to 1, is full."""
    return ProgressBar(1.0, share, complete_style="green", finished_style="green")


def head(view: View) -> RenderableType:
    """What is asked for, how much of it is done, how long the rest takes; a bar."""
    spent = f"device time: {time_text(view.outlook.device_spent)} spent"
    if view.outlook.device_left is not None:
        spent += f", {time_text(view.outlook.device_left)} left"
    by_stage: dict[str, Counter] = {}
    for job, standing in view.standings.of.items():
        counts = by_stage.setdefault(STAGES.get(job.stage, OTHERS), Counter())
        counts.update([standing.state, "all"])
    stages = [f"{name} {counts[DONE]}/{counts['all']}" for name, counts in by_stage.items()]
    states = [
        (f"{view.standings.count(state)} {state}", MARKS[state][2])
        for state in (RUNNING, WAITING, STALE, FAILED)
        if view.standings.count(state)
    ]
    done, jobs = view.standings.count(DONE), len(view.standings.of)
    bar = Table.grid(expand=True)
    bar.add_row(bar_of(done / jobs if jobs else 1.0))
    facts = [*(Text(text, style) for text, style in states), Text(spent)]
    return Group(
        Text.assemble((view.title, "bold"), f": {view.jobs_done}, {view.left}"),
        bar,
        Text("  ").join(map(Text, stages)),
        Text("  ").join(facts),
    )


def workers(view: View) -> RenderableType:
    """Who drives the work: every snakemake that is to make something of the target."""
    lines = [
        f"snakemake at work: {one['host']}, process {one['pid']}, since {clock_text(one['since'])}"
        for one in view.at_work
    ]
    if not lines and view.to_do:
        lines = ["no snakemake is at work on it; the same command as before goes on with it"]
    return Group(*map(Text, lines))


def bars(standings: list[Standing]) -> Table:
    """A line for each running job: its name, how far it is, how long it still takes."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", min_width=34, max_width=60)
    table.add_column(width=16)
    for _ in range(2):
        table.add_column(no_wrap=True, justify="right")
    for one in standings:
        known = bool(one.steps)
        bar = bar_of(one.share) if known else Text("")
        share = f"{100 * one.share:.0f} %" if known else ""
        left = time_text(one.seconds_left) if one.seconds_left is not None else ""
        table.add_row(job_name(one.job), bar, share, left)
    return table


def details(standings: list[Standing]) -> RenderableType:
    """Two lines for each running job: how far and how fast it is, and where it runs since when."""
    lines: list[RenderableType] = []
    for one in standings:
        lines.append(bars([one]))
        facts = [place_text(one)]
        if one.since:
            facts.append(f"since {clock_text(one.since)} ({time_text(time.time() - one.since)})")
        if one.seeds > 1:
            facts.append(f"seed {min(one.seeds_done + 1, one.seeds)} of {one.seeds}")
        if one.note:
            facts.append(one.note)
        elif one.steps and one.step is not None:
            facts.append(f"update {one.step} of {one.steps}")
        if one.tokens_per_second:
            facts.append(f"{count_text(one.tokens_per_second)} tokens/s")
        lines.append(Text("  " + ", ".join(facts), "bright_black"))
    return Group(*lines)


def troubles(standings: list[Standing], marks: int) -> RenderableType:
    """The failed jobs with their logs, and those that are stale with the reason."""
    lines = []
    for one in standings:
        lines.append(_marked(one.state, f"{job_name(one.job)}: {one.note}{_at_step(one)}", marks))
        if one.state == FAILED:
            lines.append(Text(f"  {one.log}"))
    return Group(*lines)


def failed_results(view: View, marks: int) -> RenderableType:
    """The results whose commands failed, with their logs."""
    found = [(result, *failure_of(view.standings.study, result)) for result in view.results]
    lines = []
    for result, line, log in found:
        if line:
            lines += [_marked(FAILED, f"results/{result}: {line}", marks), Text(f"  {log}")]
    return Group(*lines)


def _marked(state: str, text: str, marks: int) -> Text:
    return Text.assemble((f"{MARKS[state][marks]} ", MARKS[state][2]), text)


def grid(standings: Iterable[Standing], width: int, marks: int) -> RenderableType:
    """Cells by what is made of them; a mark per pre-training seed, or how many are done.

    As many columns as fit stand beside each other, the others below.
    """
    fields: dict[str, dict[str, dict[int, list[str]]]] = {}
    for one in standings:
        if one.job.stage in STAGES:
            names = one.job.names
            what = names.get("task") or names.get("pairs") or STAGES["pretrain"]
            seeds = fields.setdefault(names["cell"], {}).setdefault(what, {})
            seeds.setdefault(names["seed"], []).append(one.state)
    columns = list(dict.fromkeys(what for row in fields.values() for what in row))
    texts = {
        cell: {what: _field(seeds, marks) for what, seeds in row.items()}
        for cell, row in fields.items()
    }
    first = max(map(len, texts), default=0)
    tables, left = [], columns
    while left:
        block, used = [], first
        for what in left:
            wide = max(len(what), *(len(row.get(what, "")) for row in texts.values()))
            used += wide + 2
            if block and used > width:
                break
            block.append(what)
        left = left[len(block) :]
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in ("", *block):
            table.add_column(no_wrap=True)
        table.add_row("", *(Text(what, "bold") for what in block))
        shown = {cell: row for cell, row in texts.items() if not row.keys().isdisjoint(block)}
        for cell, row in shown.items():
            table.add_row(cell, *(row.get(what, Text("")) for what in block))
        tables.append(table)
    if not tables:
        return Group()
    legend = [Text.assemble((f"{MARKS[s][marks]} ", MARKS[s][2]), s) for s in MARKS]
    return Group(*tables, Text("  ").join(legend))


def _field(seeds: dict[int, list[str]], marks: int) -> Text:
    """One cell's and one column's: the worst state of each seed's jobs."""
    states = [min(found, key=WORST_FIRST.index) for _, found in sorted(seeds.items())]
    if len(states) > MOST_MARKS:
        worst = min(states, key=WORST_FIRST.index)
        return Text(f"{states.count(DONE)}/{len(states)}", MARKS[worst][2])
    return Text.assemble(*((MARKS[state][marks], MARKS[state][2]) for state in states))


def full(view: View, console: Console) -> RenderableType:
    """Everything, as long as it is."""
    marks = int(console.options.ascii_only)
    running, bad = (view.standings.in_state(*s) for s in ((RUNNING,), (FAILED, STALE)))
    parts = [head(view), workers(view), details(running), troubles(bad, marks)]
    parts.append(failed_results(view, marks))
    parts.append(grid(view.standings.of.values(), console.width, marks))
    return spaced(parts, console)


def fitting(view: View, console: Console, note: str = "") -> RenderableType:
    """What fits into the terminal, the most important first: the end of a list goes first."""
    marks = int(console.options.ascii_only)
    top = Group(head(view), *([Text(note, "yellow")] if note else []))
    room = console.height - 1 - height_of(top, console)
    running, bad = (view.standings.in_state(*s) for s in ((RUNNING,), (FAILED, STALE)))
    parts = [top]
    for many, show in ((running, bars), (bad, lambda some: troubles(some, marks))):
        shown = list(many)
        while shown and height_of(show(shown), console) + (len(shown) < len(many)) + 1 > room:
            shown.pop()
        if shown:
            more = len(many) - len(shown)
            part = Group(show(shown), *([Text(f"and {more} more")] if more else []))
            room -= height_of(part, console) + 1
            parts.append(part)
    table = grid(view.standings.of.values(), console.width, marks)
    if height_of(table, console) + 1 <= room:
        parts.append(table)
    return spaced(parts, console)


def spaced(parts: list[RenderableType], console: Console) -> Group:
    """The parts that are not empty, with an empty line between them."""
    shown = [part for part in parts if height_of(part, console)]
    return Group(*(line for part in shown for line in (part, Text("")))) if shown else Group()


def height_of(part: RenderableType, console: Console) -> int:
    """Lines that a part takes."""
    return len(console.render_lines(part, pad=False))


class Renewed:
    """A display that renews itself in place; a context manager that leaves the terminal tidy."""

    def __init__(self, console: Console):
        self.console = console
        self._size = console.size
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Renewed":
        self._live.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self._live.__exit__(*exception)

    def show(self, part: RenderableType) -> None:
        """Show this from now on; a terminal of another size than before is begun afresh."""
        if self.console.size != self._size:
            self._size = self.console.size
            self.console.control(Control.clear(), Control.home())
        self._live.update(part, refresh=True)


def renews(console: Console) -> bool:
    """Whether lines can be renewed in place there: on a terminal, if it is no dumb one."""
    return console.is_terminal and not console.is_dumb_terminal
