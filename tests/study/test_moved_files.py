"""A study over files of its own: what they are decides its keys, where they lie does not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT

from model.text.vocabulary_training import train_vocabulary
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The smoke study with `books` read from a folder, and its tokenizer from a file."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(4):
        (texts / f"book-{number}.txt").write_text(f"Book {number} begins. It ends here.\n" * 40)
    tokenizer = train_vocabulary(lambda: [["a few words"]], "byte-bpe", 300)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
    monkeypatch.chdir(tmp_path)
    place(tmp_path, "texts", "tokenizer.json")
    return tmp_path


def place(project, folder, tokenizer):
    """Name the folder and the tokenizer in the scale file."""
    path = project / "config/scales/smoke.yaml"
    scale = yaml.safe_load(path.read_text())
    scale["corpora"]["books"] = {"shards": 1, "source": {"folder": str(folder)}}
    scale["vocabularies"]["byte-50k"] = {"kind": "file", "path": str(tokenizer)}
    path.write_text(yaml.safe_dump(scale))


def keys():
    return set(Study("smoke").jobs)


def test_moved_folders_and_tokenizers_change_no_key(project):
    before = keys()
    (project / "texts").rename(project / "moved")
    (project / "tokenizer.json").rename(project / "other.json")
    place(project, project / "moved", project / "other.json")
    assert keys() == before
    study = Study("smoke")
    assert sorted(study.jobs.places.values()) == [
        str(project / "moved"),
        str(project / "other.json"),
    ]
    recipes = json.dumps([job.recipe for job in study.jobs.values()])
    assert str(project) not in recipes and "moved" not in recipes


def test_a_corrected_file_changes_the_keys_of_what_reads_it_and_of_nothing_else(project):
    before = keys()
    book = project / "texts/book-2.txt"
    book.write_text(book.read_text().replace("ends", "ENDS", 1))
    after = keys()
    gone = before - after
    assert len(gone) == len(after - before)
    stages = {path.split("/")[2] for path in gone}
    assert {"sources", "sentences", "tokens", "stores", "samples", "pretrain"} <= stages
    # Other corpora and the data of tasks do not read it.
    sources = [path for path in gone if path.startswith("runs/smoke/sources/")]
    assert len(sources) == 1 and sources[0].startswith("runs/smoke/sources/books/")
    assert not any(path.startswith("runs/smoke/sentences/wiki/") for path in gone)


def test_another_tokenizer_changes_the_keys_of_what_it_tokenises(project):
    before = keys()
    tokenizer = train_vocabulary(lambda: [["other words"]], "byte-bpe", 300)
    (project / "tokenizer.json").write_text(tokenizer.to_str())
    gone = before - keys()
    assert any(path.startswith("runs/smoke/vocabularies/byte-50k/") for path in gone)
    assert not any("character-30k" in path for path in gone)


def fetch(target):
    """Snakemake builds one file as a user would; its exit status and what it printed."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "scale=smoke"]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        [*command, "--", target], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stdout + done.stderr


def test_snakemake_finds_moved_files_and_runs_nothing_again(project):
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, project / part)
    for part in ("rules", "profiles", "study", "model", "analysis", "language"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    study = Study("smoke")
    source = study.jobs.source("books").path
    [sentences] = [p for p in study.jobs if p.startswith("runs/smoke/sentences/books/shard-0/")]
    status, printed = fetch(source)
    assert status == 0, printed
    (project / "texts").rename(project / "moved")
    place(project, project / "moved", "tokenizer.json")
    status, printed = fetch(source)
    assert status == 0 and "Nothing to be done" in printed
    status, printed = fetch(sentences)
    assert status == 0, printed
    assert "rule sentences" in printed and "rule source" not in printed
    # What is done stays asked for when the folder is gone altogether.
    shutil.rmtree(project / "moved")
    assert Study("smoke").jobs.source("books").path == source
    assert load_manifest(sentences).figures["train"]["documents"] > 0


def test_a_folder_that_is_not_there_is_named(project):
    place(project, "nowhere", "tokenizer.json")
    with pytest.raises(StudyError, match="nowhere: no such folder"):
        Study("smoke")
    place(project, "texts", "none.json")
    with pytest.raises(StudyError, match=r"vocabularies\.byte-50k\.path: none\.json: no such"):
        Study("smoke")
