"""Names are data: they exist, they can stand in a path, and no two of them are one file."""

from pathlib import Path

import pytest
import smoke
import yaml
from project import ROOT

from study.errors import StudyError
from study.graph import Study
from study.names import RULE

SCALE = "config/scales/smoke.yaml"
# The included files by the sections that stand in them; the rest is in config/study.yaml.
FILES = {
    "cells": "cells",
    "families": "cells",
    "tasks": "tasks",
    "finetuning": "finetuning",
    "tables": "tables",
    "hyperparameter_tables": "tables",
}


def file_of(section: str) -> str:
    return f"config/study/{FILES[section]}.yaml" if section in FILES else "config/study.yaml"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            ["cells", "batch-2k-64-epoch"],
            "cells.batch-2k-64-epoch: not in the study file, where a scale adds nothing, did you "
            "mean batch-2k-64-epochs?",
        ),
        (
            ["families", "batch-3k"],
            "families.batch-3k: not in the study file, where a scale adds nothing, did you mean "
            "batch-8k?",
        ),
        (
            ["tasks", "boolq"],
            "tasks.boolq: not in the study file, where a scale adds nothing; known: squad11, ",
        ),
        (
            ["corpora", "book"],
            "corpora.book: not in the study file, where a scale adds nothing but corpora with a "
            "source, did",
        ),
        (["vocabularies", "byte-5k"], "vocabularies.byte-5k: not in the study file, where a scale"),
        (["finetuning", "robert"], "finetuning.robert: not in the study file, where a scale adds"),
        (
            ["finetuning", "bert", "sst"],
            "finetuning.bert.sst: no such task, did you mean sst2?",
        ),
        # Lists are replaced whole: rows in a scale would silently take the place of all others.
        (["tables", "table2", "rows"], "tables: a scale changes sizes; tables stand in the study"),
        (["hyperparameter_tables", "table9"], "hyperparameter_tables: a scale changes sizes; "),
        (["cell", "doc-sentences"], "cell: unknown key, did you mean cells?"),
    ],
)
def test_a_scale_names_only_what_the_study_has(edit, keys, message):
    edit("scales/smoke.yaml", keys, {})
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert str(error.value).startswith(f"{SCALE}: {message}")


def test_a_scale_names_nothing_of_a_section_that_the_study_lacks(edit):
    edit("study.yaml", ["families"], None)
    with pytest.raises(StudyError) as error:
        Study("smoke")
    told = "families.batch-256: not in the study file, where a scale adds nothing; known: none"
    assert str(error.value) == f"{SCALE}: {told}"


def test_a_null_of_a_scale_takes_no_cell_away(edit):
    edit("scales/smoke.yaml", ["cells", "batch-2k"], None)
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert str(error.value) == f"{SCALE}: cells.batch-2k: expected a mapping, found null"


BAD_NAMES = [
    *("a/b", "..", "", "a b", "{wildcard}", "mnli2.0", "x+", "`touch x`", "$(x)", "größe", "-x"),
    *("a\nb", "a'b", 'a"b', "a*", "a;b", "x" * 65, "%s", "_a", "a[0-9]"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    "section",
    ["corpora", "vocabularies", "cells", "families", "tasks", "finetuning", "tables"],
)
def test_a_name_that_no_path_can_hold_is_refused(edit, section, name):
    edit("study.yaml", [section, name], {})
    with pytest.raises(StudyError) as error:
        Study("smoke")
    shown = name.encode("unicode_escape").decode() if "\n" in name else name
    assert str(error.value) == f"{file_of(section)}: {section}.{shown}: no name: {RULE}"


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (
            ["tables", "table2", "rows"],
            [{"id": "a.b", "label": "x"}],
            "tables.table2.rows.0.id: no name: ",
        ),
        (
            ["hyperparameter_tables", "table9", "rows"],
            [{"id": "", "label": "x", "key": "steps"}],
            "hyperparameter_tables.table9.rows.0.id: no name: ",
        ),
        (["tasks", "mnli", "more_dev"], {"m/m": "train"}, "tasks.mnli.more_dev.m/m: no name: "),
        (["tasks", "sst2", "dev"], "../x", "tasks.sst2.dev: expected a name of the hub, or two "),
        (["tasks", "sst2", "dev"], "val*", "tasks.sst2.dev: expected a name of the hub, or two "),
        (["tasks", "sst2", "test"], {"test": "a/b/c"}, "tasks.sst2.test.test: expected a name of"),
        (
            ["corpora", "wiki", "split"],
            "",
            "corpora.wiki.split: expected a name of the hub, or two",
        ),
        (
            ["corpora", "wiki", "source"],
            {"repo": "/etc", "config": "x"},
            "corpora.wiki.source.repo: expected a name of the hub, or two with / between them",
        ),
        (
            ["execution", "text", "resources", "slurm_partition"],
            "a; touch x",
            "execution.text.resources.slurm_partition: string should match pattern",
        ),
    ],
)
def test_inner_names_are_checked_as_well(edit, keys, value, message):
    edit("study.yaml", keys, value)
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert str(error.value).startswith(f"{file_of(keys[0])}: {message}")


@pytest.mark.parametrize(
    "name", ["scores", "provenance", "curves", "all", "plan", "Scores", "README"]
)
def test_a_table_named_as_another_result_is_refused(edit, name):
    for section in ("tables", "hyperparameter_tables"):
        edit("study.yaml", [section], {name: {}})
        with pytest.raises(StudyError) as error:
            Study("smoke")
        expected = f"{file_of(section)}: {section}.{name}: the name is taken; choose another"
        assert str(error.value) == expected
        edit("study.yaml", [section], {})


def test_results_are_looked_up_by_their_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study("smoke")
    files = study.result_files()
    assert files["results/table2.md"] == "table2"
    assert files["results/figures/table2.png"] == "figures/table2"
    assert files["results/cells/full-sentences-lr-0.002.csv"] == "cells/full-sentences-lr-0.002"
    assert files["results/submission/glue.zip"] == "submission/glue"
    for result in set(files.values()):
        assert study.identity(result)
    with pytest.raises(StudyError, match="score: no such result, did you mean scores"):
        study.identity("score")


def test_the_readme_lists_every_table(monkeypatch):
    monkeypatch.chdir(ROOT)
    readme = (ROOT / "README.md").read_text()
    config = Study("smoke").config
    for table in (*config.tables, *config.hyperparameter_tables):
        assert f"`results/{table}.csv`" in readme


def test_jobs_say_what_they_are_of(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study("demo")
    for job in study.jobs.values():
        assert job.names
    assert study.jobs.pretrain("full-sentences-lr-0.01", 2).names == {
        "cell": "full-sentences-lr-0.01",
        "seed": 2,
    }
    (name, *_) = study.config.settings("large-160gb-500k", "mnli")
    assert "." in name
    assert study.jobs.finetune("large-160gb-500k", 1, "mnli", name).names == {
        "cell": "large-160gb-500k",
        "seed": 1,
        "task": "mnli",
        "setting": name,
    }
    assert study.jobs.store_of("large-160gb-500k").names == {
        "data": ("books", "wiki", "news", "web", "stories"),
        "vocabulary": "byte-50k",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {("cells", "Doc-Sentences"): {}},
            "cells.Doc-Sentences: cells.doc-sentences has this name too; their files would be one",
        ),
        (
            {("tasks", "WIKI"): {"like": "sst2"}},
            "tasks.WIKI: corpora.wiki has this name too; their files would be one",
        ),
        (
            {("hyperparameter_tables", "TABLE2"): {}},
            "hyperparameter_tables.TABLE2: tables.table2 has this name too; their files would be",
        ),
        ({("tasks", "default"): {"like": "sst2"}}, "tasks.default: the name is taken; choose"),
        (
            {
                ("tables", "table2", "rows"): [
                    {"id": "a", "label": "x", "cell": "doc-sentences"},
                    {"id": "A", "label": "y", "cell": "full-sentences"},
                ]
            },
            "tables.table2.rows: A is there twice",
        ),
        (
            {
                ("tables", "table2", "columns"): [
                    {"task": "sst2", "metric": "accuracy", "label": "x"}
                ]
                * 2
            },
            "tables.table2.columns: sst2.accuracy is there twice",
        ),
        (
            {
                ("hyperparameter_tables", "table9", "columns"): [
                    {"id": "label", "label": "x", "cell": "doc-sentences"}
                ]
            },
            "hyperparameter_tables.table9.columns: label is there twice",
        ),
        (
            {("cells", "batch-2k-lr-1"): {}, ("families", "batch-2k", "learning_rates"): [7e-4, 1]},
            "families.batch-2k.learning_rates: cell batch-2k-lr-1 has the name of a member, 1",
        ),
        (
            {("families", "batch-2k", "learning_rates"): [7e-4, 7e-4]},
            "families.batch-2k.learning_rates: 0.0007 is there twice (six digits count)",
        ),
        (
            {("families", "batch-2k", "members"): {}},
            "families.batch-2k.members: unknown key; members follow from learning_rates",
        ),
        (
            {("finetuning", "roberta", "default", "grid"): {"batch": [16, 16]}},
            "finetuning.roberta.default.grid: a setting twice: batch-16",
        ),
    ],
)
def test_two_things_of_one_name_are_refused(edit, changes, message):
    for keys, value in changes.items():
        edit("study.yaml", list(keys), value)
    with pytest.raises(StudyError) as error:
        Study("paper")
    assert str(error.value).startswith(f"{file_of(message.split('.')[0])}: {message}")


@pytest.mark.parametrize("scale", ["../scales/smoke", "", "smoke.yaml", "none", "smoke/", "a b"])
def test_a_scale_is_a_name_of_its_folder(edit, scale):
    with pytest.raises(
        StudyError, match="no such scale; there are: babylm, demo, h200, laptop, night, paper"
    ):
        Study(scale)
    (Path("config/scales") / "my scale.yaml").write_text("like: smoke\n")
    with pytest.raises(StudyError, match=r"my scale\.yaml: not called as a scale is: a name has 1"):
        Study("my scale")


@pytest.mark.parametrize("replicates", [0, -1, 101, 10**9])
def test_replicates_are_few(edit, replicates):
    with pytest.raises(StudyError) as error:
        Study("smoke", replicates=replicates)
    assert str(error.value) == f"replicates: expected 1 to 100, found {replicates}"


def test_a_study_may_have_neither_families_nor_hyperparameter_tables(edit):
    def change(study):
        del study["families"], study["hyperparameter_tables"]
        study["tables"] = {"table2": study["tables"]["table2"]}

    smoke.edit(Path(), "study.yaml", change)
    smoke.edit(Path(), "scales/smoke.yaml", lambda scale: scale.pop("families") and None)
    assert len(Study("smoke").table_jobs("table2")) == 20


def readme_examples() -> list[str]:
    readme = (ROOT / "README.md").read_text()
    return [part.split("```")[0] for part in readme.split("```yaml\n")[1:]]


def test_the_readme_s_scale_is_one(edit):
    Path("config/scales/mine.yaml").write_text(readme_examples()[0])
    mine, laptop = Study("mine").config, Study("laptop").config
    assert mine.seeds.pretraining == [0, 1]
    assert mine.cells["full-sentences"].model.hidden == 256
    assert mine.cells["full-sentences"].steps == laptop.cells["full-sentences"].steps


def test_the_readme_s_example_is_for_the_study_file_and_told_so_in_a_scale(edit):
    _, example = readme_examples()
    text = Path(SCALE).read_text()
    start = text.index("cells:\n")
    pasted = example.split("tables:")
    Path(SCALE).write_text(f"{text[:start]}{pasted[0]}{text[start + 7 :]}tables:{pasted[1]}")
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert (
        str(error.value)
        == f"{SCALE}: tables: a scale changes sizes; tables stand in the study file"
    )
    Path(SCALE).write_text(f"{text[:start]}{pasted[0]}{text[start + 7 :]}")
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert str(error.value).startswith(
        f"{SCALE}: cells.full-sentences-heavy-mask: not in the study file, where a scale adds "
    )
    Path(SCALE).write_text(text)
    for section, entries in yaml.safe_load(example).items():
        for name, entry in entries.items():
            part = Path(f"config/study/{section}.yaml")
            known = yaml.safe_load(part.read_text())[section].get(name, {})
            rows = [*known.get("rows", []), *entry.get("rows", [])]
            edit(
                "study.yaml",
                [section, name],
                {**known, **entry, **({"rows": rows} if rows else {})},
            )
    assert "full-sentences-heavy-mask" in Study("smoke").table_cells("table2_extended")
