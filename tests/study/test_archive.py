"""Archives: equal files give equal bytes, what is read is what was written, no half is believed."""

import os
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.archive import read_archive, write_archive
from study.errors import StudyError

NAMES = ("study.zip", "study.tar.gz", "study.tgz")


@pytest.fixture(params=NAMES)
def archive(request, tmp_path):
    return tmp_path / "new" / request.param


def test_equal_files_give_equal_bytes_whatever_their_dates(archive, tmp_path):
    source = tmp_path / "source.csv"
    source.write_text("a,b\n1,2\n")
    members = [("results/table.csv", source), ("runs/made up.json", b"{}")]
    write_archive(archive, members)
    first = archive.read_bytes()
    os.utime(source, (1e9, 1e9))
    source.chmod(0o600)
    other = archive.with_name(f"other-{archive.name}")
    write_archive(other, members)
    assert other.read_bytes() == first
    assert sorted(path.name for path in archive.parent.iterdir()) == sorted(
        [archive.name, other.name]
    )


def test_unpacked_files_are_of_one_date_in_the_order_given(archive, tmp_path):
    """Snakemake makes again what is older than what it was made from."""
    write_archive(archive, [("b.json", b"1"), ("a.json", b"2")])
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            entries = [(one.filename, one.date_time) for one in opened.infolist()]
        assert entries == [("b.json", (1980, 1, 1, 0, 0, 0)), ("a.json", (1980, 1, 1, 0, 0, 0))]
    else:
        with tarfile.open(archive) as opened:
            entries = [(one.name, one.mtime, one.mode, one.uid, one.uname) for one in opened]
        assert entries == [(name, 315532800, 0o644, 0, "") for name in ("b.json", "a.json")]


@settings(max_examples=20)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z.]{1,8}z){0,3}", fullmatch=True), st.binary()),
    st.sampled_from(NAMES),
)
def test_what_was_written_is_read(tmp_path_factory, files, name):
    path = tmp_path_factory.mktemp("archive") / name
    write_archive(path, files.items())
    assert read_archive(path, lambda name: True) == files
    assert read_archive(path, lambda name: len(name.parts) > 1) == {
        name: content for name, content in files.items() if "/" in name
    }


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_part_of_an_archive_is_refused(archive, share):
    write_archive(archive, [(f"{number}.json", os.urandom(500)) for number in range(20)])
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StudyError, match=rf"{archive.name}: not a whole archive"):
        read_archive(archive, lambda name: True)


def test_other_names_and_places_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"study\.rar: expected a name that ends in \.zip, \.tar"):
        write_archive(tmp_path / "study.rar", [])
    (tmp_path / "study.zip").mkdir()
    with pytest.raises(StudyError, match=r"study\.zip: a folder lies where this file belongs"):
        write_archive(tmp_path / "study.zip", [])
    with pytest.raises(StudyError, match=r"none\.zip: no such file"):
        read_archive(tmp_path / "none.zip", lambda name: True)


def test_what_cannot_be_packed_leaves_nothing_behind(archive, tmp_path):
    with pytest.raises(FileNotFoundError):
        write_archive(archive, [("a", b""), ("b", tmp_path / "gone")])
    assert list(archive.parent.iterdir()) == []
