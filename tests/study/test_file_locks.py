"""What a living snakemake makes and reads is nobody else's; a dead one's lock binds nobody."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from project import ROOT

from study.errors import StudyError
from study.file_locks import is_locked, living_snakemakes, lock_files

HOLD = """
import sys
from pathlib import Path
from study.file_locks import lock_files
record = lock_files(sys.argv[2].split(), sys.argv[3].split(), Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another(folder, outputs, inputs):
    """A process that locks files until the end."""
    command = [sys.executable, "-c", HOLD, str(folder), outputs, inputs]
    root = ROOT
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("outputs", "inputs", "message"),
    [
        (["x", "table"], [], "makes table"),
        (["x"], ["table"], "makes table"),
        (["scores"], [], "reads scores"),
    ],
)
def test_files_of_a_living_snakemake_are_refused_by_its_name(tmp_path, outputs, inputs, message):
    with another(tmp_path, "table", "scores") as process:
        with pytest.raises(StudyError) as caught:
            lock_files(outputs, inputs, tmp_path)
        assert f"(process {process.pid} on " in str(caught.value)
        assert message in str(caught.value)


def test_other_files_and_common_inputs_are_free(tmp_path):
    with another(tmp_path, "table2", "scores"), another(tmp_path, "table3", "scores"):
        lock_files(["table4"], ["scores"], tmp_path).close()


def test_a_killed_one_leaves_nothing_that_binds(tmp_path):
    with another(tmp_path, "table", "scores") as process:
        process.kill()
        process.wait()
        assert len(list(tmp_path.glob("*.json"))) == 1
        with lock_files(["table"], [], tmp_path) as record:
            assert [path.name for path in tmp_path.glob("*.json")] == [Path(record.name).name]
    assert list(tmp_path.glob("*.json")) == []


def test_who_is_at_work_is_seen_without_a_lock_of_ones_own(tmp_path):
    assert living_snakemakes(tmp_path) == []
    assert not is_locked(tmp_path / "none")
    with another(tmp_path, "table", "scores") as process:
        (record,) = living_snakemakes(tmp_path)
        assert (record["pid"], record["makes"], record["reads"]) == (
            process.pid,
            ["table"],
            ["scores"],
        )
        (path,) = tmp_path.glob("*.json")
        path.chmod(0o400)  # one that may only be read
        assert is_locked(path)
        process.kill()
        process.wait()
        assert not is_locked(path)
        assert living_snakemakes(tmp_path) == []
