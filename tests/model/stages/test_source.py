"""The source stage: mirror, moved and changed files, and the hub through a small real server."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import REVISION, HubHandler
from project import ROOT

from model.stages.sentences import main as sentences
from model.stages.source import main
from model.text.sources import source_files
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest
from study.places import Places, check_places, own_contents

FILE = "plain/train-00000-of-00001.parquet"
RECIPE = {
    "stage": "source",
    "version": 1,
    "repo": "org/name",
    "config": "plain",
    "revision": REVISION,
    "splits": ["train"],
}


def write_mirror(root, texts=("One.", "Two.")):
    path = root / "org/name" / FILE
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": list(texts)}), path)
    return path


def fetch(manifest, *more, recipe=RECIPE):
    main(["--recipe", json.dumps(recipe), "--manifest", str(manifest), *map(str, more)])
    return load_manifest(manifest, stage="source")


def test_generated_source_lies_in_its_run_directory(tmp_path):
    recipe = {
        **{"stage": "source", "version": 1, "generator": 1, "generated": "sst2", "seed": 3},
        **{"sizes": {"train": 5, "validation": 4}, "splits": ["train", "validation"]},
    }
    manifest = fetch(tmp_path / "source.json", recipe=recipe)
    (path,) = source_files(manifest, "validation")
    assert path.is_relative_to(manifest.run_directory)
    assert pq.read_table(path).column_names == ["sentence", "label", "idx"]
    assert [entry["rows"] for entry in manifest.figures["files"]["train"]] == [5]
    # A mirror that is named for other sources does not matter to this one.
    assert source_files(manifest, "validation", Places(tmp_path)) == [path]


def test_mirror_files_are_used_in_place(tmp_path):
    path = write_mirror(tmp_path / "mirror")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "mirror")
    assert source_files(manifest, "train") == [path]
    assert manifest.figures["files"]["train"] == [
        {
            "name": FILE,
            "rows": 2,
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    ]
    assert str(tmp_path) not in (tmp_path / "source.json").read_text()


def test_a_moved_mirror_is_found_again_and_a_changed_one_refused(tmp_path):
    write_mirror(tmp_path / "old")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "old")
    before = (tmp_path / "source.json").read_bytes()
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(StudyError, match=r"missing, though .*lists it"):
        source_files(manifest, "train")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "new")
    assert source_files(manifest, "train") == [tmp_path / "new/org/name" / FILE]
    assert (tmp_path / "source.json").read_bytes() == before
    (tmp_path / "new").rename(tmp_path / "gone")
    write_mirror(tmp_path / "other", ["Other."])
    differs = rf"other/org/name/{FILE}: \d+ bytes, expected \d+, not as"
    with pytest.raises(StudyError, match=differs):
        fetch(tmp_path / "source.json", "--mirror", tmp_path / "other")


def test_a_location_that_tells_no_path_is_one_line(tmp_path):
    write_mirror(tmp_path / "mirror")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "mirror")
    location = manifest.run_directory / "location.json"
    for content in ("[]", "{}", '{"root": 3}', "x"):
        location.write_text(content)
        with pytest.raises(StudyError, match=r"location\.json: field root: no path; to make it"):
            source_files(manifest, "train")
    location.unlink()
    with pytest.raises(StudyError, match=r"location\.json: No such file"):
        source_files(manifest, "train")


def test_a_file_of_other_bytes_and_equal_size_is_refused(tmp_path):
    path = write_mirror(tmp_path / "mirror")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "mirror")
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(StudyError, match=r"train-00000-of-00001\.parquet: another SHA-256, not as"):
        source_files(manifest, "train")


def test_a_file_of_another_size_is_refused(tmp_path):
    path = write_mirror(tmp_path / "mirror")
    manifest = fetch(tmp_path / "source.json", "--mirror", tmp_path / "mirror")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StudyError, match=f"{size - 7} bytes, expected {size}"):
        source_files(manifest, "train")
    with pytest.raises(StudyError, match=r"field figures\.files\.dev: missing"):
        source_files(manifest, "dev")


@pytest.fixture
def hub(tmp_path):
    parquet = write_mirror(tmp_path / "hub").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.files = {
        FILE: parquet,
        "plain/test-00000-of-00001.parquet": parquet,
        "other/train-00000-of-00001.parquet": parquet,
        "README.md": b"# card",
    }
    server.asked, server.failures, server.failing = [], [], ""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch_from_hub(server, manifest, home, recipe=RECIPE, more=()):
    """Run the command itself: the hub's address is read when its client is imported."""
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "model.stages.source", "--recipe", json.dumps(recipe)]
    return subprocess.run(
        [*command, "--manifest", str(manifest), *more],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_hub_snapshot_at_the_pinned_revision(hub, tmp_path):
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    manifest = load_manifest(tmp_path / "source.json", stage="source")
    [path] = source_files(manifest, "train")
    assert path.is_relative_to(manifest.run_directory.resolve())
    assert path.read_bytes() == hub.files[FILE]
    assert not list(manifest.run_directory.rglob("test-*.parquet"))
    assert not any("README" in asked or "/other/" in asked for asked in hub.asked)
    mirrored = fetch(tmp_path / "mirrored.json", "--mirror", tmp_path / "hub")
    assert mirrored.figures == manifest.figures


def test_unknown_revision_is_one_line(hub, tmp_path):
    recipe = {**RECIPE, "revision": "f" * 40}
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home", recipe)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "org/name at revision ffff" in line and "Traceback" not in done.stderr
    assert not (tmp_path / "source.json").exists()


def line_of(done):
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return line


def test_what_is_not_on_the_hub_is_asked_for_once(hub, tmp_path):
    """A missing repository, revision or file does not come with time."""
    home = tmp_path / "home"
    for change, line in (
        (
            {"repo": "org/none"},
            "org/none: not on the hub, or not for everybody (status 404)",
        ),
        ({"revision": "f" * 40}, "error: org/name at revision ffff"),
        ({"splits": ["dev"]}, f"org/name at revision {REVISION}: no files plain/dev-*.parquet"),
    ):
        hub.asked.clear()
        done = fetch_from_hub(hub, tmp_path / "source.json", home, {**RECIPE, **change})
        assert line in line_of(done)
        assert len([asked for asked in hub.asked if asked.startswith("/api/datasets")]) == 1
    assert not (tmp_path / "source.json").exists()


def test_without_a_network_the_cause_is_the_one_line(hub, tmp_path):
    hub.server_port = 9  # nobody listens there
    line = line_of(fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home"))
    assert "org/name at revision" in line and "Connection refused" in line
    assert line.endswith("without internet name an offline mirror (--config mirror=DIR)")


@pytest.mark.parametrize("failing", [REVISION, FILE])
def test_what_may_pass_is_tried_again(hub, tmp_path, failing):
    hub.failing, hub.failures = failing, [503, 500]
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert not hub.failures
    assert load_manifest(tmp_path / "source.json").figures["files"]["train"][0]["rows"] == 2


def test_what_does_not_pass_after_all_is_one_line(hub, tmp_path):
    hub.failing, hub.failures = REVISION, [503] * 9
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home")
    assert "503" in line_of(done)
    assert len(hub.failures) == 6
    assert "again in 1 s (2 of 3)" in done.stderr and "again in 2 s (3 of 3)" in done.stderr


def test_only_the_parts_that_hold_the_documents_are_downloaded(hub, tmp_path):
    whole = hub.files[FILE]
    names = [f"plain/train-{part:05}-of-00004.parquet" for part in range(4)]
    hub.files = {**dict.fromkeys(names, whole), "plain/test-00000-of-00001.parquet": whole}
    needed = ["--needed", json.dumps({key_of(RECIPE): 3, "other": 1})]
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home", RECIPE, needed)
    assert done.returncode == 0, done.stderr
    manifest = load_manifest(tmp_path / "source.json")
    assert [entry["name"] for entry in manifest.figures["files"]["train"]] == names[:2]
    assert manifest.figures["of"] == {"train": 4}
    assert len(source_files(manifest, "train")) == 2
    assert not any("00002-of" in asked or "00003-of" in asked for asked in hub.asked)
    # Four documents are there: more need more parts, and four need no more.
    recipe = {
        **{"stage": "sentences", "version": 1, "source": manifest.key, "corpus": "toy"},
        **{"column": "text", "split": "train", "shard": 0, "shards": 1, "language": "en"},
        **{"splitter": "sentencex", "heldout_fraction": 0.0},
    }
    for documents in (5, None):
        with pytest.raises(StudyError, match=r"only 2 were fetched, with 4 documents, .*make it"):
            run_sentences(tmp_path, {**recipe, "documents": documents})
    run_sentences(tmp_path, {**recipe, "documents": 4})
    assert load_manifest(tmp_path / "s.json").figures["train"]["documents"] == 4
    # A mirror with all parts holds the same first ones.
    for name in names:
        (tmp_path / "mirror/org/name/plain").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror/org/name" / name).write_bytes(whole)
    check_places({str(manifest.path): RECIPE}, tmp_path / "mirror")
    assert len(source_files(manifest, "train", Places(tmp_path / "mirror"))) == 2
    del hub.files[names[3]]
    done = fetch_from_hub(hub, tmp_path / "other/source.json", tmp_path / "home", RECIPE, needed)
    assert "part 00003 of 00004 is missing" in line_of(done)


def run_sentences(folder, recipe):
    manifests = ["--manifest", str(folder / "s.json"), "--source", str(folder / "source.json")]
    sentences(["--recipe", json.dumps(recipe), *manifests])


def test_the_newest_commit_is_recorded_where_no_revision_is_named(hub, tmp_path):
    recipe = {name: value for name, value in RECIPE.items() if name != "revision"}
    done = fetch_from_hub(hub, tmp_path / "source.json", tmp_path / "home", recipe)
    assert done.returncode == 0, done.stderr
    manifest = load_manifest(tmp_path / "source.json")
    assert manifest.figures["revision"] == REVISION
    provenance = json.loads((manifest.run_directory / "provenance.json").read_text())
    assert provenance["commit"] == REVISION


def folder_source(manifest, folder, *more):
    """Fetch a folder's files as the study does: by what they are, told where they lie."""
    recipe = {
        **{"stage": "source", "version": 1, "files": own_contents(folder, ["train"])},
        "splits": ["train"],
    }
    places = json.dumps({key_of(recipe): str(folder)})
    return fetch(manifest, "--places", places, *more, recipe=recipe)


def test_a_folder_is_what_its_files_are_wherever_it_lies_and_whatever_they_are_called(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for name, text in (("a.txt", "One."), ("b.txt", "Two.")):
        (folder / name).write_text(text)
    manifest = folder_source(tmp_path / "source.json", folder)
    assert [path.name for path in source_files(manifest, "train")] == ["a.txt", "b.txt"]
    folder.rename(tmp_path / "new")
    with pytest.raises(StudyError, match=r"old/a\.txt: missing, though .*lists it"):
        source_files(manifest, "train")
    (tmp_path / "new/b.txt").rename(tmp_path / "new/c.txt")
    moved = Places(by_key={manifest.key: str(tmp_path / "new")})
    assert [path.name for path in source_files(manifest, "train", moved)] == ["a.txt", "c.txt"]
    assert folder_source(tmp_path / "source.json", tmp_path / "new").key == manifest.key
    assert [path.name for path in source_files(manifest, "train")] == ["a.txt", "c.txt"]
    (tmp_path / "new/a.txt").write_text("One!")
    with pytest.raises(StudyError, match=r"a\.txt: another SHA-256, .*the same snakemake command"):
        source_files(manifest, "train", moved)
    assert folder_source(tmp_path / "other.json", tmp_path / "new").key != manifest.key


def test_one_file_is_what_it_holds_whatever_it_is_called(tmp_path):
    (tmp_path / "one.csv").write_text("text\nOne.\n")
    manifest = folder_source(tmp_path / "source.json", tmp_path / "one.csv")
    assert source_files(manifest, "train") == [tmp_path / "one.csv"]
    (tmp_path / "one.csv").rename(tmp_path / "other.csv")
    moved = folder_source(tmp_path / "source.json", tmp_path / "other.csv")
    assert moved.key == manifest.key
    assert source_files(moved, "train") == [tmp_path / "other.csv"]


def test_a_folder_of_very_many_files_is_told_by_one_digest(tmp_path):
    """A command has its recipe as an argument, which Linux limits to 128 KiB."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number:04}.txt").write_text(f"Text {number}.")
    manifest = folder_source(tmp_path / "source.json", folder)
    ((what, digest),) = manifest.recipe["files"]["train"]
    assert what == "1200 files" and len(digest) == 64
    assert [path.name for path in source_files(manifest, "train")][::600] == [
        "0000.txt",
        "0600.txt",
    ]
    recipe = manifest.recipe
    (folder / "0700.txt").write_text("Another text.")
    places = json.dumps({manifest.key: str(folder)})
    with pytest.raises(StudyError, match="texts: split train: not the files of the recipe"):
        fetch(tmp_path / "elsewhere/source.json", "--places", places, recipe=recipe)
    assert folder_source(tmp_path / "other.json", folder).key != manifest.key


def test_files_that_change_before_they_are_fetched_are_refused(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("One.")
    recipe = {
        **{"stage": "source", "version": 1, "splits": ["train"]},
        "files": own_contents(tmp_path / "texts", ["train"]),
    }
    (tmp_path / "texts/a.txt").write_text("Two.")
    places = json.dumps({key_of(recipe): str(tmp_path / "texts")})
    with pytest.raises(StudyError, match="texts: split train: not the files of the recipe"):
        fetch(tmp_path / "source.json", "--places", places, recipe=recipe)
    with pytest.raises(StudyError, match="--places: no folder for the recipe's files"):
        fetch(tmp_path / "source.json", recipe=recipe)
    assert not (tmp_path / "source.json").exists()
