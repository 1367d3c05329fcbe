"""Runs on disk: what the disk gets back when they are deleted."""

import pytest

from study.stored import StoredRun, dispose


@pytest.fixture
def linked(tmp_path, monkeypatch):
    """A run of tokens and a store that has them by another name, and a file of its own."""
    monkeypatch.chdir(tmp_path)
    tokens, store = (StoredRun(tmp_path / name, "0" * 12, ()) for name in ("tokens", "store"))
    for run in (tokens, store):
        run.directory.mkdir(parents=True)
    (tokens.directory / "tokens.bin").write_bytes(bytes(2000))
    (store.directory / "tokens-0.bin").hardlink_to(tokens.directory / "tokens.bin")
    (store.directory / "corpora.npy").write_bytes(bytes(300))
    return tokens, store


def test_a_file_with_a_name_in_a_run_that_stays_gives_nothing_back(linked, capsys):
    tokens, store = linked
    for runs, line in (
        ([tokens], "1 run, 0 B"),
        ([store], "1 run, 300 B"),
        ([tokens, store], "2 runs, 2.3 kB"),
    ):
        dispose(runs, [], "to delete")
        *listed, last = capsys.readouterr().out.splitlines()
        assert last == f"{line} to delete"
        sizes = {tokens: "   2.0 kB", store: "   2.3 kB"}
        assert listed == [f"{sizes[run]}  {run.directory}" for run in runs]


def test_a_store_stays_whole_without_its_shards(linked, capsys):
    tokens, store = linked
    dispose([tokens], [], None)
    assert capsys.readouterr().out.endswith("1 run, 0 B deleted\n")
    assert not tokens.directory.exists()
    assert (store.directory / "tokens-0.bin").read_bytes() == bytes(2000)
    dispose([store], [], None)
    assert capsys.readouterr().out.endswith("1 run, 2.3 kB deleted\n")
