"""A run directory has one owner; a second start waits and then adopts."""

import json
import subprocess
import sys
import textwrap
import time

from study.identity import key_of
from study.run import open_run

RECIPE = {"stage": "store", "version": 1}

HOLDER = textwrap.dedent(
    """
    import sys, time
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
    first.communicate("\n", timeout=20)
    assert second.communicate(timeout=20)[0] == "adopted\n"
    assert json.loads(manifest.read_text())["key"] == key_of(RECIPE)


def test_lock_of_a_killed_owner_is_free(tmp_path):
    manifest = tmp_path / "manifest.json"
    first = start(manifest)
    assert first.stdout.readline() == "owner\n"
    first.kill()
    first.communicate()
    began = time.monotonic()
    with open_run(manifest, RECIPE) as run:
        assert run.adopt() is None
    assert time.monotonic() - began < 5


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
