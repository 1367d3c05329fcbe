"""`python -m study.status` tells how jobs stand from what lies there, whoever runs them."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from signals import heed_signals
from smoke import TABLE

from study.identity import key_of, seed_recipe

pytestmark = pytest.mark.slow
ERROR = "error: hub/nyu-mll/glue/sst2: no part of split train"
STOPPED = "stopped: SIGTERM, after update 3; run the same command again to go on"


def status(project: Path, *words: str) -> str:
    """What the command prints; it must succeed and say nothing on stderr."""
    command = [sys.executable, "-W", "error", "-m", "study.status", *words]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def tuning(project: Path, cell: str, task: str) -> Path:
    """The manifest of a cell's fine-tuning on a task."""
    folder = project / f"runs/smoke/finetune/{cell}/seed-0/{task}"
    (manifest,) = folder.glob("?" * 12 + ".json")
    return manifest


def log_of(project: Path, manifest: Path) -> Path:
    """The log of the job of a manifest."""
    runs = project / "runs/smoke"
    return (runs / "logs" / manifest.relative_to(runs)).with_suffix(".log")


def hold(stack: ExitStack, path: Path, content: dict) -> None:
    """Write a file and keep its lock, as somebody at work does."""
    file = stack.enter_context(path.open("w"))
    fcntl.lockf(file, fcntl.LOCK_EX)
    file.write(json.dumps(content))
    file.flush()


@pytest.fixture
def at_work(project):
    """A study in which everything that can be is the case, of one cell."""
    with ExitStack() as stack:
        # A job of another host is at work: its first seed is done, the second at update 3 of 12.
        mnli = tuning(project, "doc-sentences", "mnli")
        recipe = json.loads(mnli.read_text())["recipe"]
        seeds = [mnli.parent / key_of(seed_recipe(recipe, seed)) for seed in recipe["seeds"]]
        assert len(seeds) == 2
        mnli.unlink()
        (seeds[1] / "manifest.json").unlink()
        event = {"event": "log", "time": 1.0, "step": 3, "steps": 12}
        pace = {"tokens_per_second": 1500.0, "seconds_left": 90.0}
        with (seeds[1] / "events.jsonl").open("a") as events:
            events.write(json.dumps(event | pace) + '\n{"event": "log", "ti')
        hold(
            stack, mnli.with_suffix("") / "lock", {"host": "node7", "pid": 42, "slurm_job": "1234"}
        )
        # One failed, one was stopped, one was made by another recipe, one waits.
        sst2 = tuning(project, "doc-sentences", "sst2")
        log_of(project, sst2).write_text(f"something else\n{ERROR}\n")
        race = tuning(project, "doc-sentences", "race")
        log_of(project, race).write_text(f"{STOPPED}\n")
        race.unlink()
        older = tuning(project, "doc-sentences", "squad11")
        older.rename(older.with_stem("0123456789ab"))
        waiting = tuning(project, "doc-sentences", "squad20")
        for gone in (sst2, waiting):
            gone.unlink()
        for manifest in (sst2, older, waiting):
            shutil.rmtree(manifest.with_suffix(""))
        records = project / ".snakemake/files"
        records.mkdir(parents=True, exist_ok=True)
        makes = [str(waiting.relative_to(project))]
        hold(stack, records / "a.json", {"host": "login1", "pid": 7, "makes": makes, "reads": []})
        hold(stack, records / "b.json", {"host": "x", "pid": 8, "makes": ["other"], "reads": []})
        yield project


def test_a_finished_target_is_all_done(finished):
    """Without words it is about what was last asked for here, at its scale."""
    text = status(finished)
    assert text.startswith("results/table2.csv at scale smoke: 48/48 jobs, all done\n")
    assert "pre-training 4/4  fine-tuning 20/20" in text
    assert status(finished, "table2", "--scale", "smoke").startswith("table2 at scale smoke: 48/48")
    told = json.loads(status(finished, "--json"))
    assert (told["states"], told["seconds_left"], told["at_work"]) == ({"done": 48}, 0, [])
    assert {job["state"] for job in told["jobs"]} == {"done"}
    assert all(job["seconds"] > 0 for job in told["jobs"])


def test_every_state_is_told_with_where_and_why(at_work):
    told = json.loads(status(at_work, "--json"))
    jobs = {job["name"]: job for job in told["jobs"]}
    assert Counter(job["state"] for job in told["jobs"]) == told["states"]
    mnli = jobs["doc-sentences seed 0 mnli"]
    assert {name: mnli[name] for name in ("state", "host", "pid", "slurm_job")} == {
        "state": "running",
        "host": "node7",
        "pid": 42,
        "slurm_job": "1234",
    }
    assert (mnli["step"], mnli["steps"], mnli["tokens_per_second"]) == (3, 12, 1500.0)
    assert mnli["share_done"] == 0.625  # a seed of two, and a quarter of the other
    assert time.time() - 60 < mnli["since"] <= time.time()
    sst2 = jobs["doc-sentences seed 0 sst2"]
    assert (sst2["state"], sst2["note"]) == ("failed", ERROR)
    assert (at_work / sst2["log"]).read_text().endswith(f"{ERROR}\n")
    race, older = jobs["doc-sentences seed 0 race"], jobs["doc-sentences seed 0 squad11"]
    assert (race["state"], race["note"]) == ("stale", "stopped: SIGTERM, after update 3")
    assert (older["state"], older["note"]) == ("stale", "made by another recipe (0123456789ab)")
    assert jobs["doc-sentences seed 0 squad20"]["state"] == "waiting"
    assert [(one["host"], one["pid"]) for one in told["at_work"]] == [("login1", 7)]
    # The seed at work has 90 s to go; all others took seconds.
    assert 90 < told["device_seconds_left"] < told["device_seconds_left"] + 1

    text = status(at_work)
    assert "snakemake at work: login1, process 7, since " in text
    assert "  node7, SLURM job 1234, since " in text
    assert "seed 2 of 2, update 3 of 12, 1.5k tokens/s" in text
    assert f"✗ doc-sentences seed 0 sst2: {ERROR}\n  {sst2['log']}\n" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("    ", "doc-sen"))]
    (header,) = [row for row in rows if row[0] == "pre-training"]
    marks = dict(zip(header, rows[-1][1:], strict=True))
    assert rows[-1][0] == "doc-sentences"
    assert marks == {
        "pre-training": "●",
        "mnli": "◐",
        "sst2": "✗",
        "race": "○",
        "squad11": "○",
        "squad20": "·",
    }


def test_looking_changes_nothing_and_needs_no_more_than_ascii(at_work):
    def seen():
        files = [path for path in at_work.rglob("*") if "__pycache__" not in path.parts]
        return {path: path.stat().st_mtime_ns for path in files if path.is_file()}

    before = seen()
    command = [sys.executable, "-m", "study.status", TABLE]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    text = subprocess.run(
        command, cwd=at_work, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert text.isascii()
    assert re.search(r"^# done  > running  \. waiting  x failed  o stale", text, re.MULTILINE)
    assert seen() == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["table22"], "table22: no result of this study, did you mean table2?"),
        (["--scale", "smokes"], None),
        (["--watch", "--json"], "--watch and --json: expected one of them"),
    ],
)
def test_wrong_input_is_one_line(finished, words, line):
    command = [sys.executable, "-m", "study.status", *words]
    result = subprocess.run(command, cwd=finished, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert line is None or result.stderr == f"error: {line}\n"


def test_on_a_terminal_it_renews_itself_at_any_size_until_ctrl_c(at_work):
    """No line is longer than the terminal is wide, and the cursor is there again in the end."""
    terminal, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 60))
    command = [sys.executable, "-m", "study.status", "--watch"]
    # pytest's workers have LINES and COLUMNS, which would count more than the terminal's size.
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    environment = {k: v for k, v in environment.items() if k not in ("LINES", "COLUMNS")}
    with subprocess.Popen(
        command, cwd=at_work, env=environment, stdout=inner, stderr=inner, preexec_fn=heed_signals
    ) as child:
        os.close(inner)
        shown = ""

        def read_until(text):
            nonlocal shown
            while text not in shown:
                if not select.select([terminal], [], [], 200)[0]:
                    child.kill()  # else leaving the block would wait for it for ever
                    pytest.fail(f"no {text!r} after {shown!r}")
                shown += os.read(terminal, 4096).decode(errors="replace")
            seen, _, shown = shown.partition(text)
            return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "\r\n", seen)

        first = read_until("race: stopped")
        assert "doc-sentences seed 0 mnli" in first
        termios.tcsetwinsize(terminal, (10, 40))
        second = read_until("\x1b[2J") and read_until("and 2 more")
        assert "doc-sentences seed 0 mnli" not in second
        assert "doc-sentences" in second
        for text, width in ((first, 60), (second, 40)):
            assert max(map(len, text.splitlines())) <= width
        child.send_signal(signal.SIGINT)
        read_until("\x1b[?25h")
        read_until("stale\r\n")
        assert child.wait() == 0
    os.close(terminal)
