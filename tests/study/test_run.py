"""A run directory has one owner; a second start waits and then adopts."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from study.command import Resumable
from study.errors import StudyError
from study.identity import key_of
from study.run import open_run

RECIPE = {"stage": "store", "version": 1}

HOLDER = textwrap.dedent(
    """
    import sys
    from study.run import open_run
    with open_run(sys.argv[1], {"stage": "store", "version": 1}) as run:
        if run.adopt():
            print("adopted", flush=True)
            raise SystemExit
        print("owner", flush=True)
        sys.stdin.readline()
        (run.directory / "out").write_text("done")
        run.publish(["out"], {})
    """
)


def start(manifest):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(manifest)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_second_start_waits_and_adopts(tmp_path):
    manifest = tmp_path / "manifest.json"
    first = start(manifest)
    assert first.stdout.readline() == "owner\n"
    second = start(manifest)
    told = second.stderr.readline()
    assert "waiting for" in told
    assert f'"pid": {first.pid}' in told
    first.communicate("\n")
    assert second.communicate()[0] == "adopted\n"
    assert json.loads(manifest.read_text())["key"] == key_of(RECIPE)


def test_lock_of_a_killed_owner_is_free(tmp_path):
    manifest = tmp_path / "manifest.json"
    first = start(manifest)
    assert first.stdout.readline() == "owner\n"
    first.kill()
    first.communicate()
    with open_run(manifest, RECIPE) as run:
        assert run.adopt() is None


def test_adoption_restores_a_lost_manifest_and_refuses_a_broken_result(tmp_path):
    manifest = tmp_path / "manifest.json"
    with open_run(manifest, RECIPE) as run:
        (run.directory / "out").write_text("done")
        run.publish(["out"], {"n": 1})
    text = manifest.read_text()
    manifest.unlink()
    with open_run(manifest, RECIPE) as run:
        assert run.adopt().figures == {"n": 1}
    assert manifest.read_text() == text
    with open_run(manifest, RECIPE) as run:
        (run.directory / "out").write_text("cut")
        assert run.adopt() is None


def test_provenance_lies_beside_the_result_and_outside_the_manifest(tmp_path):
    manifest = tmp_path / "manifest.json"
    with open_run(manifest, RECIPE) as run:
        run.publish([], {}, {"tokens_per_second": 3.5})
        record = json.loads((run.directory / "provenance.json").read_text())
    assert record["tokens_per_second"] == 3.5
    assert set(record) >= {"code", "versions", "host", "processor", "wall_seconds", "command"}
    assert "host" not in manifest.read_text()


def run_of(folder):
    return folder / key_of(RECIPE)


def test_who_waits_leaves_when_asked_to_stop(tmp_path):
    first = start(tmp_path / "manifest.json")
    assert first.stdout.readline() == "owner\n"
    reasons = iter([None, None, "SIGTERM"])
    with (
        pytest.raises(Resumable, match=r"^SIGTERM, while waiting for .*/lock$"),
        open_run(tmp_path / "manifest.json", RECIPE, lambda: next(reasons)),
    ):
        pass
    first.communicate("\n")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EACCES, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch, number):
    """Simulated: no file system here refuses them."""

    def refuse(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", refuse)
    with (
        pytest.raises(StudyError, match=rf"lock: no lock to be had \({os.strerror(number)}\)"),
        open_run(tmp_path / "manifest.json", RECIPE),
    ):
        pass


def test_a_folder_above_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "store").touch()
    with (
        pytest.raises(StudyError, match=r"expected a folder; remove what lies there"),
        open_run(tmp_path / "store" / "books" / "manifest.json", RECIPE),
    ):
        pass


DYING = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from study.manifest import write_atomic
    os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
    write_atomic(Path(sys.argv[1]), b"x" * 100)
    """
)


def die_while_writing(path):
    """Leave what SIGKILL leaves of a file that was being written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    killed = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL


def hidden(folder):
    return [path for path in folder.rglob(".*") if path.is_file()]


def test_what_a_killed_process_left_half_written_goes_with_the_next_start(tmp_path):
    manifest, run = tmp_path / "manifest.json", run_of(tmp_path)
    for path in (manifest, run / "model.safetensors", run / "checkpoints" / "step-000000004"):
        die_while_writing(path)
    assert len(hidden(tmp_path)) == 3
    (run / ".gitignore").touch()
    with open_run(manifest, RECIPE):
        assert hidden(tmp_path) == [run / ".gitignore"]


def test_a_result_written_again_takes_its_own_remains_along_and_no_living_ones(tmp_path):
    die_while_writing(tmp_path / "table2.csv")
    die_while_writing(tmp_path / "table3.csv")
    with (tmp_path / ".table2.csv.abcdefgh").open("wb") as living:
        fcntl.lockf(living, fcntl.LOCK_EX)
        write = "import sys; from pathlib import Path; from study.manifest import write_atomic; "
        write += "write_atomic(Path(sys.argv[1]), 'done')"
        subprocess.run([sys.executable, "-c", write, tmp_path / "table2.csv"], check=True)
    names = sorted(path.name[:11] for path in hidden(tmp_path))
    assert names == [".table2.csv", ".table3.csv"]
    assert (tmp_path / "table2.csv").read_text() == "done"


def test_no_room_for_a_stages_files_names_the_run_directory(tmp_path):
    """A limit on the size of files stands for the end of the disk; numpy names no file."""
    code = (
        "import resource, sys; import numpy as np; from study.command import run_command\n"
        "from study.run import open_run\n"
        "def main(arguments):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "    with open_run(sys.argv[1], {'stage': 'store', 'version': 1}) as run:\n"
        "        np.zeros(10_000).tofile((run.directory / 'x').open('wb'))\n"
        "run_command(main)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "manifest.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {run_of(tmp_path)}: no room to write (")
    assert result.stderr.count("\n") == 1


def test_nothing_that_a_machine_does_not_tell_stops_a_run(tmp_path):
    """As on macOS, without git, and with a package whose metadata are gone: all is None."""
    code = (
        "import importlib.metadata, os, socket, sys, time\n"
        "from pathlib import Path\n"
        "def gone(*arguments, **named):\n"
        "    raise PermissionError(13, 'Permission denied')\n"
        "for name in ('sched_getaffinity', 'sched_setaffinity', 'posix_fadvise'):\n"
        "    delattr(os, name)\n"
        "del time.CLOCK_BOOTTIME\n"
        "importlib.metadata.version = socket.gethostname = gone\n"
        "read = Path.read_text\n"
        "Path.read_text = lambda p, **k: gone() if '/proc' in str(p) else read(p, **k)\n"
        "from study.run import open_run\n"
        "with open_run(sys.argv[1], {'stage': 'store', 'version': 1}) as run:\n"
        "    run.publish([], {})\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "manifest.json")]
    subprocess.run(command, check=True, env={**os.environ, "PATH": str(tmp_path)})
    record = json.loads((run_of(tmp_path) / "provenance.json").read_text())
    assert (record["code"], record["host"]) == (None, None)
    assert set(record["versions"]) >= {"python", "torch", "snakemake"}
    assert record["versions"]["torch"] is None
    assert record["cores"] == os.cpu_count()
