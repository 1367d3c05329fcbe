"""Several processes from one command: one line for a failure, its code, time to save."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from project import ROOT
from signals import heed_signals

from study.command import EXIT_RESUMABLE

RANK = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from study.command import Resumable, run_command
    from study.errors import StudyError
    from study.stopping import StopRequest

    RANK, FOLDER = int(os.environ["RANK"]), Path(__file__).parent

    def wait_for(name):
        while not (FOLDER / name).exists():
            time.sleep(0.01)

    def main(arguments):
        {body}

    run_command(main)
    """
)


def launch(folder: Path, body: str, *arguments: str, processes: int = 2) -> subprocess.Popen:
    """Start `python -m model.launch` on a module `toy` whose main is `body`."""
    (folder / "toy.py").write_text(RANK.format(body=textwrap.indent(body, " " * 4).strip()))
    path = f"{folder}:{ROOT}"
    return subprocess.Popen(
        [sys.executable, "-m", "model.launch", str(processes), "toy", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=heed_signals,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(child: subprocess.Popen) -> tuple[int, str]:
    """Exit code and stderr; nothing is said on stdout."""
    output, errors = child.communicate()
    assert output == ""
    return child.returncode, errors


def test_every_process_knows_its_rank_and_gets_the_arguments(tmp_path):
    body = "(FOLDER / f'{RANK} {os.environ[\"WORLD_SIZE\"]} {sys.argv[1]}').touch()"
    assert end(launch(tmp_path, body, "--log", str(tmp_path / "log"), processes=3)) == (0, "")
    names = {path.name for path in tmp_path.iterdir() if " " in path.name}
    assert names == {"0 3 --log", "1 3 --log", "2 3 --log"}


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("raise StudyError('a.bin: cut')", 2, "error: a.bin: cut\n"),
        ("raise Resumable('time budget')", 75, "stopped: time budget; run the same command again"),
        # One fails, the others would wait for it for ever.
        ("if RANK: open('gone')\nwait_for('never')", 2, "error: gone: No such file or directory\n"),
        ("if RANK: os.kill(os.getpid(), 9)\nwait_for('never')", 2, "process 2 of 2 was ended by S"),
        ("if RANK: os._exit(7)\nwait_for('never')", 7, "error: process 2 of 2 failed\n"),
    ],
)
def test_a_failure_is_one_line_and_ends_all(tmp_path, body, code, line):
    found, errors = end(launch(tmp_path, body, "--log", str(tmp_path / "logs" / "log")))
    assert found == code
    assert line in errors
    assert errors.count("\n") == 1
    assert (tmp_path / "logs" / "log").read_text() == errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_handed_on_and_all_get_the_time_to_save(tmp_path, number):
    body = """\
with StopRequest() as stop:
    (FOLDER / f"ready-{RANK}").touch()
    while not stop.reason():
        time.sleep(0.01)
    wait_for("saved")
    raise Resumable(stop.reason())
"""
    child = launch(tmp_path, body)
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert child.poll() is None
    child.send_signal(number)
    (tmp_path / "saved").touch()
    code, errors = end(child)
    assert code == EXIT_RESUMABLE
    assert errors == "stopped: SIGTERM; run the same command again to go on\n"


def test_who_has_nothing_to_save_is_stopped_as_well(tmp_path):
    child = launch(tmp_path, "(FOLDER / f'ready-{RANK}').touch()\nwait_for('never')")
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    expected = "stopped: SIGTERM; run the same command again to go on\n"
    assert end(child) == (EXIT_RESUMABLE, expected)


@pytest.mark.parametrize(
    ("arguments", "told"), [(["two", "toy"], "invalid int value"), (["0", "toy"], "expected a")]
)
def test_bad_arguments_are_one_line(arguments, told):
    command = [sys.executable, "-m", "model.launch", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
