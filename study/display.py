"""How a target stands, for a terminal: what is done, what runs, what failed, how long it takes.

`study.status` shows all of it once or renews it, `study.watch` what fits while it runs Snakemake.
rich lays it out: no colours with NO_COLOR, plain text in a pipe, and as wide as the terminal is.
"""

import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.control import Control
from rich.live import Live
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
BAR = ("━─", "#-")
WIDEST = 100  # a line with a bar
MOST_MARKS = 10  # seeds with a mark each; of more, numbers are shown
PIPE_WIDTH = 120
# Seconds between two looks, at least and at most, and between lines of a log.
REFRESH, LONGEST_PAUSE, PLAIN_PAUSE = 2.0, 30.0, 60.0


class View:
    """A target's standings with what is said of them together.

    `results` are those whose own commands may fail; `begun` tells that somebody is about to work.
    """

    def __init__(
        self, title: str, standings: Standings, results: Iterable[str] = (), begun: bool = False
    ):
        self.title, self.standings, self.results = title, standings, list(results)
        self.begun = begun
        self.pause = REFRESH
        self.at_work: list[dict] = []
        self.outlook = Outlook(None, None, 0.0, ())

    def update(self) -> list[Standing]:
        """Look again; those that failed since the last look.

        What it takes sets the pause to the next look: a hundredth of a core's time, or little more.
        """
        began_to_look = time.process_time()
        failed = self.standings.update()
        paths = {one.job.path for one in self.to_do}
        self.at_work = [one for one in living_snakemakes() if not paths.isdisjoint(one["makes"])]
        began = min((one["since"] for one in self.at_work), default=None)
        self.outlook = outlook(self.standings, began)
        took = time.process_time() - began_to_look
        self.pause = min(max(REFRESH, 100 * took), LONGEST_PAUSE)
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
            someone = self.begun or self.at_work or self.standings.count(RUNNING)
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
    """` (3 of 12)`: the updates that it has made, where nothing has said so."""
    if standing.step is None or not standing.steps or "after update" in standing.note:
        return ""
    return f" ({standing.step} of {standing.steps})"


def _as_many_as_fit(items: list[list[Text]], room: int) -> list[Text]:
    """The lines of the first items, and how many more there are."""
    if sum(map(len, items)) <= room:
        return [line for item in items for line in item]
    lines: list[Text] = []
    for number, item in enumerate(items):
        if len(lines) + len(item) + 1 > room:
            more = Text(f"and {len(items) - number} more")
            return [*lines, more] if room > 0 else []
        lines += item
    return lines


def bar_of(share: float, width: int, marks: int) -> Text:
    """A bar of which this share, 0 to 1, is full."""
    full = round(width * share)
    letters = BAR[marks]
    return Text.assemble(
        (letters[0] * full, "green"), (letters[1] * (width - full), "bright_black")
    )


def head(view: View, width: int, marks: int) -> list[Text]:
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
        Text(f"{view.standings.count(state)} {state}", MARKS[state][2])
        for state in (RUNNING, WAITING, STALE, FAILED)
        if view.standings.count(state)
    ]
    done, jobs = view.standings.count(DONE), len(view.standings.of)
    return [
        Text.assemble((view.title, "bold"), f": {view.jobs_done}, {view.left}"),
        bar_of(done / jobs if jobs else 1.0, min(width, WIDEST), marks),
        Text("  ".join(stages)),
        Text("  ").join([*states, Text(spent)]),
    ]


def workers(view: View) -> list[Text]:
    """Who drives the work: every snakemake that is to make something of the target."""
    lines = [
        f"snakemake at work: {one['host']}, process {one['pid']}, since {clock_text(one['since'])}"
        for one in view.at_work
    ]
    if not lines and view.to_do:
        lines = ["no snakemake is at work on it"]
    return list(map(Text, lines))


def bar_line(one: Standing, width: int, marks: int) -> Text:
    """A running job: its name, how far it is, how long it still takes."""
    name = Text(job_name(one.job))
    if not one.steps:
        return name
    width = min(width, WIDEST)
    bar = bar_of(one.share, width // 5, marks)
    left = time_text(one.seconds_left) if one.seconds_left is not None else ""
    share = Text.assemble("  ", bar, f" {100 * one.share:3.0f} %  {left:>10}")
    name.truncate(width - len(share), overflow="ellipsis", pad=True)
    return name + share


def details(one: Standing) -> Text:
    """How far and how fast a running job is, and where it runs since when."""
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
    return Text("  " + ", ".join(facts), "bright_black")


def trouble(one: Standing, marks: int) -> list[Text]:
    """A failed job with its log, or a stale one with the reason."""
    line = _marked(one.state, f"{job_name(one.job)}: {one.note}{_at_step(one)}", marks)
    return [line, Text(f"  {one.log}")] if one.state == FAILED else [line]


def failed_results(view: View, marks: int) -> list[Text]:
    """The results whose commands failed, with their logs."""
    lines = []
    for result in view.results:
        line, log = failure_of(view.standings.study, result)
        if line:
            lines += [_marked(FAILED, f"results/{result}: {line}", marks), Text(f"  {log}")]
    return lines


def _marked(state: str, text: str, marks: int) -> Text:
    return Text.assemble((f"{MARKS[state][marks]} ", MARKS[state][2]), text)


def grid(standings: Iterable[Standing], width: int, marks: int) -> list[Text]:
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
    texts = {
        cell: {what: _field(seeds, marks) for what, seeds in row.items()}
        for cell, row in fields.items()
    }
    columns = {what: len(what) for row in texts.values() for what in row}
    for row in texts.values():
        columns |= {what: max(columns[what], len(text)) for what, text in row.items()}
    first, lines, left = max(map(len, texts), default=0), [], list(columns)
    while left:
        block = left[:1]
        while len(block) < len(left):
            more = left[: len(block) + 1]
            if first + sum(columns[what] + 2 for what in more) > width:
                break
            block = more
        left = left[len(block) :]
        heads = {what: Text(what, "bold") for what in block}
        for name, row in {"": heads, **texts}.items():
            if not row.keys().isdisjoint(block):
                shown = [Text(name.ljust(first)), *(row.get(what, Text()) for what in block)]
                for what, text in zip(block, shown[1:], strict=True):
                    text.pad_right(columns[what] - len(text))
                lines.append(Text("  ").join(shown))
    legend = [Text.assemble((f"{MARKS[s][marks]} ", MARKS[s][2]), s) for s in MARKS]
    return [*lines, Text("  ").join(legend)] if lines else []


def _field(seeds: dict[int, list[str]], marks: int) -> Text:
    """One cell's and one column's: the worst state of each seed's jobs."""
    states = [min(found, key=WORST_FIRST.index) for _, found in sorted(seeds.items())]
    if len(states) > MOST_MARKS:
        worst = min(states, key=WORST_FIRST.index)
        return Text(f"{states.count(DONE)}/{len(states)}", MARKS[worst][2])
    return Text.assemble(*((MARKS[state][marks], MARKS[state][2]) for state in states))


def full(view: View, console: Console) -> Text:
    """Everything, as long as it is."""
    width, marks = console.width, int(console.options.ascii_only)
    running = view.standings.in_state(RUNNING)
    bad = view.standings.in_state(FAILED, STALE)
    parts = [
        head(view, width, marks),
        workers(view),
        [line for one in running for line in (bar_line(one, width, marks), details(one))],
        [line for one in bad for line in trouble(one, marks)] + failed_results(view, marks),
        grid(view.standings.of.values(), width, marks),
    ]
    return Text("\n\n").join(Text("\n").join(part) for part in parts if part)


def fitting(view: View, console: Console, note: str = "") -> Text:
    """What fits into the terminal, the most important first: the end of a list goes first."""
    width, marks = console.width, int(console.options.ascii_only)
    parts = [head(view, width, marks) + ([Text(note, "yellow")] if note else [])]
    room = console.height - 1 - len(parts[0])
    running, bad = view.standings.in_state(RUNNING), view.standings.in_state(FAILED, STALE)
    bars = [[bar_line(one, width, marks)] for one in running]
    for items in (bars, [trouble(one, marks) for one in bad]):
        lines = _as_many_as_fit(items, room - 1)
        if lines:
            parts.append(lines)
            room -= len(lines) + 1
    table = grid(view.standings.of.values(), width, marks)
    if len(table) + 1 <= room:
        parts.append(table)
    for line in (line for part in parts for line in part):
        line.truncate(width, overflow="ellipsis")
    return Text("\n\n").join(Text("\n").join(part) for part in parts)


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

    def show(self, part: Text) -> None:
        """Show this from now on; a terminal of another size than before is begun afresh."""
        if self.console.size != self._size:
            self._size = self.console.size
            self.console.control(Control.clear(), Control.home())
        self._live.update(part, refresh=True)


def renews(console: Console) -> bool:
    """Whether lines can be renewed in place there: on a terminal, if it is no dumb one.

    Variables that ask for colours (FORCE_COLOR) make no terminal of a log.
    """
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal
