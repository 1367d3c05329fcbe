"""Digests are computed once while a file stays as it is, and every reader compares them."""

import json
import os
import threading
import time

import pytest

from study.digests import (
    MEMORY,
    SETTLED_NS,
    file_digest,
    inherit_digests,
    remembered_digests,
    sha256_file,
)
from study.errors import StudyError

ONE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of b"test"


def settled_file(folder, content=b"test"):
    """A file that was written long enough ago to be remembered."""
    path = folder / "data.bin"
    path.write_bytes(content)
    while time.time_ns() - path.stat().st_ctime_ns <= SETTLED_NS:
        time.sleep(0.1)
    return path


def test_a_file_that_stayed_as_it_was_is_not_read_again(tmp_path):
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    assert remembered_digests({"data.bin": path}, [memory]) == {}
    assert file_digest(path, "data.bin", memory) == ONE
    entries = json.loads(memory.read_text())
    assert entries["data.bin"][-1] == ONE
    # What the memory says is believed: the file itself is not looked into.
    entries["data.bin"][-1] = "0" * 64
    memory.write_text(json.dumps(entries))
    assert file_digest(path, "data.bin", memory) == "0" * 64
    assert remembered_digests({"other name": path}, [memory]) == {}


def test_other_bytes_of_equal_size_and_time_are_noticed(tmp_path):
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    file_digest(path, "data.bin", memory)
    before = path.stat()
    path.write_bytes(b"tent")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert file_digest(path, "data.bin", memory) == sha256_file(path) != ONE


def test_another_name_of_a_file_is_no_other_file(tmp_path):
    """Its links are counted in its ctime: more or fewer of them are no reason to read it again."""
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    file_digest(path, "data.bin", memory)
    link, other = tmp_path / "link.bin", tmp_path / "other.json"
    link.hardlink_to(path)
    assert remembered_digests({"data.bin": path}, [memory]) == {"data.bin": ONE}
    inherit_digests(tmp_path, {"link.bin": "data.bin"}, other, memory)
    assert [*json.loads(other.read_text())] == ["link.bin"]
    path.unlink()
    assert remembered_digests({"link.bin": link}, [other]) == {"link.bin": ONE}
    link.write_bytes(b"tent")
    assert remembered_digests({"link.bin": link}, [other]) == {}


def test_once_a_link_was_seen_changes_are_noticed_as_before(tmp_path):
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    file_digest(path, "data.bin", memory)
    (tmp_path / "link.bin").hardlink_to(path)
    inherit_digests(tmp_path, {"link.bin": "data.bin"}, tmp_path / "other.json", memory)
    before = path.stat()
    path.write_bytes(b"tent")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert remembered_digests({"data.bin": path}, [memory]) == {}


def test_digests_of_copies_and_of_changed_files_are_not_inherited(tmp_path):
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    file_digest(path, "data.bin", memory)
    copy = tmp_path / "copy.bin"
    copy.write_bytes(path.read_bytes())
    inherit_digests(tmp_path, {"copy.bin": "data.bin"}, tmp_path / "other.json", memory)
    path.write_bytes(b"tent")
    (tmp_path / "link.bin").hardlink_to(path)
    inherit_digests(tmp_path, {"link.bin": "data.bin"}, tmp_path / "other.json", memory)
    assert not (tmp_path / "other.json").exists()


def test_a_large_file_is_waited_for_so_that_it_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("study.digests.LARGE", 4)
    path, memory = tmp_path / "data.bin", tmp_path / MEMORY
    path.write_bytes(b"test")
    assert file_digest(path, "data.bin", memory) == ONE
    assert remembered_digests({"data.bin": path}, [memory]) == {"data.bin": ONE}


def test_a_file_that_was_just_written_is_not_remembered(tmp_path):
    """Its clock is too coarse to tell a second write from the first."""
    path, memory = tmp_path / "data.bin", tmp_path / MEMORY
    path.write_bytes(b"test")
    future = time.time_ns() + 60 * SETTLED_NS
    os.utime(path, ns=(future, future))
    assert file_digest(path, "data.bin", memory) == ONE
    assert not memory.exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"data.bin": 3}', '{"data.bin": []}', "\0"])
def test_a_broken_memory_costs_hashing_and_nothing_else(tmp_path, content):
    path, memory = settled_file(tmp_path), tmp_path / MEMORY
    memory.write_text(content)
    assert file_digest(path, "data.bin", memory) == ONE
    assert json.loads(memory.read_text())["data.bin"][-1] == ONE


def test_without_a_place_for_the_memory_files_are_hashed(tmp_path):
    path = settled_file(tmp_path)
    assert file_digest(path, "data.bin", tmp_path / "nowhere" / MEMORY) == ONE


def test_many_at_once_leave_a_whole_memory_and_no_other_file(tmp_path):
    path, memory, found = settled_file(tmp_path), tmp_path / MEMORY, []

    def verify(number):
        found.extend(file_digest(path, f"{number}-{i}", memory) for i in range(10))

    threads = [threading.Thread(target=verify, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ONE] * 80
    assert {entry[-1] for entry in json.loads(memory.read_text()).values()} == {ONE}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.bin", MEMORY]


def test_an_unreadable_file_is_one_line(tmp_path):
    with pytest.raises(StudyError, match=r"gone\.bin: cannot be read \(No such file"):
        file_digest(tmp_path / "gone.bin", "gone.bin", tmp_path / MEMORY)
    with pytest.raises(StudyError, match=r"cannot be read \(Is a directory\)"):
        file_digest(tmp_path, "folder", tmp_path / MEMORY)
