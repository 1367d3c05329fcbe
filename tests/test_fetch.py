"""The source stage: mirror, moved and changed files, and the hub through a small real server."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.fetch import main
from model.text.sources import source_files
from study.errors import StudyError
from study.manifest import load_manifest

ROOT = Path(__file__).parent.parent
REVISION = "0123456789abcdef0123456789abcdef01234567"
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
    assert source_files(manifest, "validation", tmp_path) == [path]


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
    with pytest.raises(StudyError, match="other/org/name: not the files that"):
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
    with pytest.raises(StudyError, match=r"train-00000-of-00001\.parquet: SHA-256 differs from"):
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


class HubHandler(http.server.BaseHTTPRequestHandler):
    """The few answers of the hub that a snapshot needs."""

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def _answer(self, body):
        data = self.server.files
        self.server.asked.append(self.path)
        headers = {"X-Repo-Commit": REVISION}
        if self.path.startswith(f"/api/datasets/org/name/revision/{REVISION}"):
            siblings = [{"rfilename": name} for name in data]
            content = json.dumps({"id": "org/name", "sha": REVISION, "siblings": siblings})
            content = content.encode()
            headers["Content-Type"] = "application/json"
        elif self.path.startswith(f"/api/datasets/org/name/tree/{REVISION}"):
            tree = [
                {"type": "file", "path": name, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                for name, b in data.items()
            ]
            content = json.dumps(tree).encode()
            headers["Content-Type"] = "application/json"
        elif (name := self.path.removeprefix(f"/datasets/org/name/resolve/{REVISION}/")) in data:
            content = data[name]
            headers["ETag"] = f'"{hashlib.sha1(content).hexdigest()}"'
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


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
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch_from_hub(server, manifest, home, recipe=RECIPE):
    """Run the command itself: the hub's address is read when its client is imported."""
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "model.fetch", "--recipe", json.dumps(recipe)]
    return subprocess.run(
        [*command, "--manifest", str(manifest)],
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
