"""Which files are a split: every layout of the hub, whole sets only, nothing that nearly fits."""

import os
import tempfile
from pathlib import Path

import pytest
from project import ROOT

from study.errors import StudyError
from study.parts import local_parts, own_files, repository_parts
from study.read import load_study_file


def parts(*names, config="plain", split="train"):
    return repository_parts(names, config, split, "org/name")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["plain/train-00000-of-00001.parquet"], [0]),
        (["plain/train-00001-of-00002.parquet", "plain/train-00000-of-00002.parquet"], [1, 0]),
        (["plain/train-00000-of-00001-b42a775f407cee45.parquet"], [0]),
        (
            ["plain/train-00001-of-00002-a.parquet", "plain/train-00000-of-00002-b.parquet"],
            [1, 0],
        ),
        (["data/train-00000-of-00001.parquet", "README.md"], [0]),
        (["README.md", "train-00000-of-00001.parquet"], [1]),
        (["train-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"], [1]),
        (["plain/train/0001.parquet", "plain/train/0000.parquet"], [1, 0]),
        # Other splits, configurations and files beside them do not matter.
        (
            [
                *("plain/test-00000-of-00003.parquet", "other/train-00000-of-00001.parquet"),
                *("plain/train-clean-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"),
                *("plain/train-00000-of-00001.parquet", "plain/partial-train/0000.parquet"),
            ],
            [4],
        ),
    ],
)
def test_whole_sets_are_found_by_number(names, expected):
    assert parts(*names) == [names[place] for place in expected]


# As the hub lists them: what the corpora of the study and of its scale `paper` are named after.
LISTED = {
    "books": [f"data/train-{i:05}-of-00008-{i:016x}.parquet" for i in range(8)],
    "wiki": [f"20231101.en/train-{i:05}-of-00041.parquet" for i in range(41)],
    "news": [f"ccnews-{i:05}-of-00143.parquet" for i in range(143)],
    "web": [f"plain_text/train-{i:05}-of-00080.parquet" for i in range(80)],
    "stories": [f"data/train-{i:05}-of-00069-{i:016x}.parquet" for i in range(69)],
}
BESIDE = [
    *(".gitattributes", "README.md", "20231101.de/train-00000-of-00020.parquet"),
    "data/dev-00000-of-00001-e7e3aca463a8877c.parquet",
]


@pytest.mark.parametrize("corpus", LISTED)
def test_the_papers_corpora_are_found_in_their_repositories(corpus, monkeypatch):
    monkeypatch.chdir(ROOT)
    spec = load_study_file("paper").corpora[corpus]
    listed = LISTED[corpus]
    beside = BESIDE[:3] if corpus == "news" else BESIDE
    found = repository_parts([*listed, *beside], spec.source.config, spec.split, spec.source.repo)
    assert found == listed


def test_a_mirror_may_hold_parts_at_its_root(tmp_path):
    for i in range(2):
        (tmp_path / f"ccnews-{i:05}-of-00002.parquet").write_bytes(b"PAR1")
    found = local_parts(tmp_path, "default", "ccnews")
    assert [path.name for path in found] == [f"ccnews-{i:05}-of-00002.parquet" for i in range(2)]


def test_a_split_of_another_configuration_and_generated_files():
    names = ["ax/test-00000-of-00001.parquet", "mnli/train-00000-of-00001.parquet"]
    assert parts(*names, config="mnli", split="ax/test") == names[:1]
    with pytest.raises(StudyError, match="org/name: no files ax/test-"):
        parts("data/test-00000-of-00001.parquet", config="mnli", split="ax/test")
    assert parts("train-00000-of-00001.parquet", config=None) == ["train-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], r"org/name: no files plain/train-\*\.parquet"),
        (["plain/validation-00000-of-00001.parquet"], "org/name: no files plain/train-"),
        (["plain/train-clean-00000-of-00001.parquet"], "org/name: no files plain/train-"),
        (["plain/partial-train/0000.parquet"], "org/name: no files plain/train-"),
        (["plain/train.parquet"], "org/name: no files plain/train-"),
        (
            ["plain/train-00000-of-00002-b42a775f407cee45.parquet"],
            "org/name/plain: part 00001 of 00002 is missing beside train-00000-of-00002-b42a775f40",
        ),
        (["plain/train-00001-of-00002.parquet"], "part 00000 of 00002 is missing"),
        (
            ["plain/train-00000-of-00001.parquet", "plain/train-00000-of-00002.parquet"],
            "plain/train-00000-of-00002.parquet: of another set than train-00000-of-00001.parquet",
        ),
        (
            ["plain/train-00000-of-00002.parquet", "plain/train-00001-of-00002-ab.parquet"],
            "train-00001-of-00002-ab.parquet: of another set",
        ),
        (
            ["plain/train-00000-of-00001-aa.parquet", "plain/train-00000-of-00001-bb.parquet"],
            "train-00000-of-00001-bb.parquet: the same part as train-00000-of-00001-aa.parquet",
        ),
        (["plain/train-00002-of-00002.parquet"], "expected a number below 00002"),
        (["plain/train-0000-of-0001.parquet"], "train-0000-of-0001.parquet: expected train-0000i-"),
        (["plain/train-00000-of-00001 (1).parquet"], "expected train-0000i-of-0000n.parquet"),
        (["plain/train-00000-of-00001-clean.parquet"], "expected train-0000i-of-0000n.parquet"),
        (["plain/train-final.parquet"], "plain/train-final.parquet: expected train-0000i-of-"),
        (["plain/train/0001.parquet"], "plain/train/0001.parquet: expected 0000.parquet"),
        (["plain/train/0000.parquet", "plain/train/0002.parquet"], "expected 0001.parquet"),
        (["plain/train/0000.parquet", "plain/train/a.parquet"], "a.parquet: expected 0001.parquet"),
        (
            ["plain/train/0000.parquet", "plain/train-00000-of-00001.parquet"],
            "org/name/plain: split train twice",
        ),
    ],
)
def test_what_is_no_whole_set_is_refused(names, line):
    with pytest.raises(StudyError, match=line) as caught:
        parts(*names)
    assert "\n" not in str(caught.value)


def make(folder, *names, content="x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_files_of_a_mirror_must_be_files(tmp_path):
    make(tmp_path, "plain/train-00000-of-00003.parquet")
    part = tmp_path / "plain/train-00001-of-00003.parquet"
    part.symlink_to("gone")
    last = tmp_path / "plain/train-00002-of-00003.parquet"
    last.mkdir()
    with pytest.raises(StudyError, match=r"train-00001-of-00003\.parquet: a broken link"):
        local_parts(tmp_path, "plain", "train")
    part.unlink()
    part.symlink_to("train-00000-of-00003.parquet")
    with pytest.raises(StudyError, match=r"train-00002-of-00003\.parquet: not a file"):
        local_parts(tmp_path, "plain", "train")
    last.rmdir()
    last.write_bytes(b"")
    with pytest.raises(StudyError, match=r"train-00002-of-00003\.parquet: an empty file"):
        local_parts(tmp_path, "plain", "train")
    last.write_text("x")
    numbers = [path.name[6:11] for path in local_parts(tmp_path, "plain", "train")]
    assert numbers == ["00000", "00001", "00002"]


@pytest.mark.parametrize(
    ("names", "split", "expected"),
    [
        (["b.txt", "a.txt", "c.md", ".d.txt"], "train", ["a.txt", "b.txt"]),
        (["train/a.jsonl", "dev/b.jsonl", "c.txt"], "dev", ["dev/b.jsonl"]),
        (["train.jsonl", "dev.jsonl"], "train", ["train.jsonl"]),
        (["train-0.txt", "train-1.txt", "dev.txt"], "train", ["train-0.txt", "train-1.txt"]),
        (["train-00000-of-00001.parquet", "dev.parquet"], "dev", ["dev.parquet"]),
        (["test.parquet", "ax/test.parquet"], "ax/test", ["ax/test.parquet"]),
        (["train.csv", "dev.csv", "about.txt"], "train", ["train.csv"]),
        (["a.txt", "b.txt.gz", "about.csv"], "train", ["a.txt", "b.txt.gz"]),
        (["a.csv", "b.tsv.zst"], "train", ["a.csv", "b.tsv.zst"]),
        (
            ["train-0.jsonl.gz", "train-1.jsonl.gz"],
            "train",
            ["train-0.jsonl.gz", "train-1.jsonl.gz"],
        ),
        (["test.parquet", "ax/test/a.parquet"], "ax/test", ["ax/test/a.parquet"]),
        (
            ["train-00000-of-00001.parquet", "train-clean-00000-of-00001.parquet"],
            "train",
            ["train-00000-of-00001.parquet"],
        ),
    ],
)
def test_folder_files_of_a_split(tmp_path, names, split, expected):
    make(tmp_path, *names)
    found = own_files(tmp_path, split)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == expected


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["a.md"], "no .jsonl, .parquet, .txt, .csv or .tsv files for split train"),
        (["train-clean.txt"], "train-clean.txt: expected train.txt or train-<number>.txt"),
        (["train.txt", "train-clean.txt"], "train-clean.txt: expected train.txt or train-<number>"),
        (["train-00000-of-00002.parquet"], "part 00001 of 00002 is missing"),
        (["train/a-00000-of-00002.jsonl"], "train: part 00001 of 00002 is missing"),
        (["b-00000-of-00001.txt", "b-00000-of-00002.txt"], "b-00000-of-00002.txt: of another set"),
    ],
)
def test_folder_files_that_are_no_whole_split_are_refused(tmp_path, names, line):
    make(tmp_path, *names)
    with pytest.raises(StudyError, match=line):
        own_files(tmp_path, "train")


@pytest.mark.parametrize("place", ["train/b.txt", "train-1.txt", "b.txt"])
def test_broken_links_and_empty_files_of_a_folder_are_refused(tmp_path, place):
    make(tmp_path, place.replace("b.", "a.").replace("-1", "-0"))
    (tmp_path / place).symlink_to("gone")
    with pytest.raises(StudyError, match=f"{place}: a broken link"):
        own_files(tmp_path, "train")
    (tmp_path / place).unlink()
    make(tmp_path, place, content="")
    with pytest.raises(StudyError, match=f"{place}: an empty file"):
        own_files(tmp_path, "train")


def test_capital_letters_say_what_a_file_is_as_well(tmp_path):
    for name in ("b.txt", "A.TXT", "train-0.CSV.GZ"):
        make(tmp_path, name)
    assert own_files(tmp_path, "train") == [tmp_path / "train-0.CSV.GZ"]
    (tmp_path / "train-0.CSV.GZ").unlink()
    assert own_files(tmp_path, "train") == [tmp_path / "A.TXT", tmp_path / "b.txt"]
    assert own_files(tmp_path / "A.TXT", "train") == [tmp_path / "A.TXT"]


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    """Manifests and provenance are, and have names of files in them."""
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("One.")
    with pytest.raises(StudyError, match=r"caf\\udce9\.txt': a name that is not UTF-8; rename"):
        own_files(tmp_path, "train")


def test_an_unreadable_folder_is_named():
    """Also for root, whom permissions do not stop: as somebody else in a process of its own."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made, "texts")
        make(folder, "train/a.txt")
        (folder / "train").chmod(0)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                own_files(folder, "train")
            except StudyError as error:
                status = (
                    0 if str(error) == f"{folder}/train: cannot be read (Permission denied)" else 2
                )
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (folder / "train").chmod(0o755)
    assert status == 0
