"""`python -m study.status [TARGET]`: what is done, what runs where, what failed, how long it takes.

Read from what jobs leave on disk, so it is the same whether make, plain snakemake, SLURM or several
shells are at work, and on every machine that sees this folder. Without TARGET and --scale it shows
what snakemake was last asked for here. Nothing is run or changed.

States: done; running (somebody holds the lock of its run directory); failed (its log ends with an
error); stale (it was begun and nobody works at it, or what is there was made by another recipe);
waiting. The time left rests on what this study's own jobs took, and on the pace of those that run.
"""

import argparse
import contextlib
import json
import time
from collections import Counter
from typing import Any

from rich.console import Console

from study.asked import last_asked
from study.command import command_parser, run_command
from study.display import PIPE_WIDTH, PLAIN_PAUSE, Renewed, View, fitting, full, renews
from study.errors import StudyError
from study.options import DEFAULT_SCALE, Options, add_study_arguments, study_of
from study.results import listing
from study.standing import Standing, Standings, asked_results, job_name, needed_jobs


def chosen(args: argparse.Namespace) -> View:
    """The view of what is asked for, or was last."""
    targets, options = last_asked()
    words = {name: vars(args).get(name) for name in vars(options)}
    given = {name: value for name, value in words.items() if value not in (None, [])}
    if args.scale not in (None, options.scale):
        targets, options = ["all"], Options()
    study = study_of(argparse.Namespace(**{**vars(options), **given}))
    targets = [args.target] if args.target else targets
    jobs = needed_jobs(study, args.target) if args.target else study.asked_jobs(targets)
    more = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
    title = f"{targets[0]}{more} at scale {study.scale}"
    return View(title, Standings(study, jobs), asked_results(study, targets))


def data_of(view: View) -> dict[str, Any]:
    """Everything that is shown, for scripts; times are seconds, moments seconds since 1970."""
    standings, outlook = view.standings, view.outlook
    states = Counter(one.state for one in standings.of.values())
    return {
        "target": view.title,
        "states": dict(states),
        "seconds_left": outlook.left,
        "device_seconds_left": outlook.device_left,
        "device_seconds_spent": outlook.device_spent,
        "unknown": outlook.unknown,
        "at_work": [{name: one[name] for name in ("host", "pid", "since")} for one in view.at_work],
        "jobs": [job_data(one) for one in standings.of.values()],
    }


def job_data(one: Standing) -> dict[str, Any]:
    """One job for scripts; what is not known of it is left out."""
    facts = {
        "name": job_name(one.job),
        "stage": one.job.stage,
        **one.job.names,
        "key": one.job.key,
        "manifest": one.job.path,
        "log": str(one.log),
        "state": one.state,
        "note": one.note or None,
        **one.holder,
        "since": one.since,
        "step": one.step,
        "steps": one.steps,
        "tokens_per_second": one.tokens_per_second,
        "seconds_left": one.seconds_left,
        "seconds": one.seconds or None,
        "share_done": round(one.share, 4),
    }
    return {name: value for name, value in facts.items() if value is not None}


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.status`."""
    example = "python -m study.status table2 --scale laptop --watch"
    parser = command_parser("study.status", f"{__doc__}\nresults:\n{listing()}", example)
    parser.add_argument(
        "target", nargs="?", help="a result or one of its files, or all (default: the last asked)"
    )
    add_study_arguments(parser, DEFAULT_SCALE)
    parser.set_defaults(scale=None, study=None)
    parser.add_argument(
        "--watch", action="store_true", help="renew it until all is done, or Ctrl-C"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    args = parser.parse_args(arguments)
    if args.watch and args.json:
        raise StudyError("--watch and --json: expected one of them")
    view = chosen(args)
    view.update()
    if args.json:
        print(json.dumps(data_of(view), indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    if not args.watch:
        console.print(full(view, console), soft_wrap=True)
        return
    _keep_showing(view, console)


def _keep_showing(view: View, console: Console) -> None:
    """Renew the display, or print a line now and then, until all is done or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        if renews(console):
            with Renewed(console) as shown:
                while view.to_do:
                    shown.show(fitting(view, console))
                    time.sleep(view.pause)
                    view.update()
        while view.to_do:
            print(view.line(), flush=True)
            time.sleep(PLAIN_PAUSE)
            view.update()
    console.print(full(view, console), soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
