"""Manifests are believed only when whole and of the key that is asked for."""

import json
import os

import pytest

from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest, publish_manifest, write_atomic
from study.run import open_run

RECIPE = {"stage": "store", "version": 1, "x": 1}


def published(folder):
    path = folder / "store" / "manifest.json"
    run_directory = path.parent / key_of(RECIPE)
    run_directory.mkdir(parents=True)
    (run_directory / "tokens.bin").write_bytes(b"12345678")
    publish_manifest(path, RECIPE, files=["tokens.bin"], figures={"tokens": 4})
    return path


def test_published_manifest_reads_back(tmp_path):
    path = published(tmp_path)
    manifest = load_manifest(path, key=key_of(RECIPE), stage="store")
    assert manifest.figures == {"tokens": 4}
    assert manifest.file("tokens.bin").read_bytes() == b"12345678"
    assert manifest.files["tokens.bin"]["bytes"] == 8


def test_publishing_again_writes_the_same_bytes(tmp_path):
    path = published(tmp_path)
    before = path.read_bytes()
    publish_manifest(path, RECIPE, files=["tokens.bin"], figures={"tokens": 4.0})
    assert path.read_bytes() == before


def test_manifest_of_another_recipe_is_refused_with_the_command(tmp_path):
    path = published(tmp_path)
    with pytest.raises(StudyError, match=r"made from recipe .*; to make it anew: rm -r .*manifest"):
        load_manifest(path, key="000000000000")
    with pytest.raises(StudyError, match="field stage: expected samples, found store"):
        load_manifest(path, stage="samples")


@pytest.mark.parametrize("field", ["stage", "key", "recipe", "files", "figures"])
def test_missing_field_is_named(tmp_path, field):
    path = published(tmp_path)
    data = json.loads(path.read_text())
    del data[field]
    path.write_text(json.dumps(data))
    with pytest.raises(StudyError, match=rf"not a manifest \(field {field}: missing\)"):
        load_manifest(path)
    for wrong in (None, 3, ["x"]):
        path.write_text(json.dumps({**data, field: wrong}))
        with pytest.raises(StudyError, match=rf"not a manifest \(field {field}: expected "):
            load_manifest(path)


def test_edited_recipe_no_longer_matches_its_key(tmp_path):
    path = published(tmp_path)
    data = json.loads(path.read_text())
    data["recipe"]["x"] = 2
    path.write_text(json.dumps(data))
    with pytest.raises(StudyError, match="is not the key of its recipe"):
        load_manifest(path)


def test_missing_shortened_and_altered_files_are_told_apart(tmp_path):
    manifest = load_manifest(published(tmp_path))
    file = manifest.run_directory / "tokens.bin"
    file.write_bytes(b"12345679")
    with pytest.raises(StudyError, match="SHA-256 differs"):
        manifest.file("tokens.bin")
    file.write_bytes(b"1234")
    with pytest.raises(StudyError, match="4 bytes, expected 8; to make it anew: rm -r"):
        manifest.file("tokens.bin")
    file.unlink()
    with pytest.raises(StudyError, match="missing, though"):
        manifest.file("tokens.bin")
    with pytest.raises(StudyError, match="lists no file other"):
        manifest.file("other.bin")


def test_absent_and_broken_manifests_name_the_command_that_builds_them(tmp_path):
    with pytest.raises(StudyError, match="No such file or directory; snakemake makes it"):
        load_manifest(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"stage": "st')
    with pytest.raises(StudyError, match="not a manifest"):
        load_manifest(tmp_path / "cut.json")


def test_failed_atomic_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "file"
    write_atomic(target, "old")
    with pytest.raises(TypeError):
        write_atomic(target, 3)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_pipe_is_never_replaced_by_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(StudyError, match="pipe: expected the name of a file, found that of a dev"):
        write_atomic(path, "x")
    with pytest.raises(StudyError, match="pipe: expected the name"), open_run(path, RECIPE):
        pass
    assert path.is_fifo()
    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]
