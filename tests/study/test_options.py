"""What is typed after --config arrives as it was typed, or one line says what was expected."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import smoke
from snakemake.cli import parse_config

from study.errors import StudyError
from study.options import Options, check_folder, read_options


def typed(*entries):
    """Options as the Snakefile reads them from a command line."""
    return read_options(entries, parse_config(list(entries)))


@pytest.mark.parametrize("mirror", ["20261126", "007", "1e3", "True", "~/x", "a #b", "'x'", "a=b"])
def test_text_stays_as_it_was_typed(mirror):
    assert typed(f"mirror={mirror}") == Options(mirror=mirror)
    assert typed(f"study={mirror}", f"scale={mirror}") == Options(study=mirror, scale=mirror)


def test_numbers_are_read_and_the_last_of_two_counts():
    assert typed("replicates=5", "flops=3.5e14") == Options(replicates=5, flops=3.5e14)
    assert typed("replicates=007").replicates == 7
    assert typed("finetuning_seeds=3") == Options(finetuning_seeds=3)
    assert typed("mirror=a", "mirror=b").mirror == "b"
    assert typed("mirror=[a,b]").mirror == "[a,b]"


def test_overrides_are_all_kept_in_their_order():
    assert typed("set=a.b=1", "scale=x", "set=c=[1, 2] d={e: f}", "set=a.b=2") == Options(
        scale="x", set=("a.b=1", "c=[1, 2] d={e: f}", "a.b=2")
    )
    assert read_options([], {"set": ["a=1", "b=2"]}) == Options(set=("a=1", "b=2"))
    assert read_options([], {"set": "a=1"}) == Options(set=("a=1",))
    with pytest.raises(StudyError, match="--config set: expected KEY=VALUE, found 1"):
        read_options([], {"set": [1]})


def test_values_of_a_configuration_file_have_no_text():
    assert read_options([], {"replicates": 2, "mirror": "a"}) == Options(replicates=2, mirror="a")
    with pytest.raises(StudyError, match=r"--config mirror: expected one word, found \['a'\]"):
        read_options([], {"mirror": ["a"]})
    with pytest.raises(StudyError, match="--config mirror: expected one word, found true"):
        read_options([], {"mirror": True})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        *(
            (f"replicates={text}", f"replicates: expected a number from 1 to 100, found {text}")
            for text in ("two", "true", "1e9", "-1", "0", "1.5", "100000", "1" * 30, "²", "1_0")
        ),
        (
            "finetuning_seeds=own",
            "finetuning_seeds: expected a number from 1 to 100, found own",
        ),
        *(
            (f"flops={text}", f"flops: expected a number above 0, like 3.5e14, found {text}")
            for text in ("abc", "inf", "0", "-1", "nan", "1e999")
        ),
        ("mirror=", "--config mirror: expected a value, found ''"),
        ("set=", "--config set: expected KEY=VALUE, found ''"),
        ("mirrors=x", "--config mirrors: unknown key, did you mean mirror?"),
        (
            "x1=x",
            "--config x1: unknown key; known: scale, study, mirror, replicates, "
            "finetuning_seeds, flops, set",
        ),
    ],
)
def test_a_wrong_value_ends_in_one_line(entry, message):
    with pytest.raises(StudyError) as error:
        typed(entry)
    assert str(error.value) == message


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = smoke.copy_project(tmp_path_factory.mktemp("options") / "project")
    smoke.write_hub(project / "007")
    return project


def snakemake(project: Path, *settings: str, target: str = "results/table7.csv", options=()):
    command = [sys.executable, "-m", "snakemake", "-n", *options, "--cores", "1"]
    command += ["--config", *settings]
    return subprocess.run(
        [*command, "--", target], cwd=project, capture_output=True, text=True, check=False
    )


def errors(result: subprocess.CompletedProcess) -> list[str]:
    """What is said beside snakemake's own two lines on its profile and host."""
    lines = result.stderr.splitlines()
    return [line for line in lines if not line.startswith(("Using ", "host: "))]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("replicates=true", "replicates: expected a number from 1 to 100, found true"),
        ("study=123", "123: No such file or directory"),
        ("mirror=[a,b]", "[a,b]: no such mirror folder"),
        (
            "scale=../scales/smoke",
            "no such scale; there are: babylm, demo, h200, laptop, night, paper, smoke",
        ),
        ("flops=inf", "flops: expected a number above 0, like 3.5e14, found inf"),
    ],
)
def test_snakemake_ends_with_the_line_and_status_2(project, setting, line):
    result = snakemake(project, "scale=smoke", setting)
    assert result.returncode == 2
    (told,) = errors(result)
    assert told.startswith("error: ")
    assert told.endswith(line)


def test_a_mirror_of_digits_a_scale_numbers_of_seeds_and_overrides_reach_the_jobs(project):
    settings = ("scale=smoke", "mirror=007", "replicates=02", "finetuning_seeds=3")
    settings += ("set=base.masking.rate=0.4", "set=heldout_fraction=0.2 about='it is {mine}'")
    result = snakemake(project, *settings, options=["-p"])
    assert result.returncode == 0, result.stderr
    shown = result.stdout + result.stderr
    assert re.search(r"--mirror=007\s", shown)
    assert re.search(r"--replicates=2 --finetuning-seeds=3\s", shown)
    words = next(shlex.split(line) for line in shown.splitlines() if " analysis.table " in line)
    assert words[words.index("--replicates=2") :][:4] == [
        *("--replicates=2", "--finetuning-seeds=3", "--set=base.masking.rate=0.4"),
        "--set=heldout_fraction=0.2 about='it is {mine}'",
    ]
    assert '"seeds":[0,1,2]' in shown
    assert '"rate":0.4,' in shown


def test_a_study_without_families_and_hyperparameter_tables_has_its_graph(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy)

    def change(study):
        del study["families"], study["hyperparameter_tables"]
        study["tables"] = {"table2": study["tables"]["table2"]}

    smoke.edit(copy, "study.yaml", change)
    smoke.edit(copy, "scales/smoke.yaml", lambda scale: scale.pop("families") and None)
    for target in ("results/table2.csv", "all"):
        result = snakemake(copy, "scale=smoke", "mirror=007", target=target)
        assert result.returncode == 0, result.stderr + result.stdout


def test_what_nobody_foresaw_is_one_line_with_a_way_to_see_the_rest(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    (copy / "study/places.py").open("a").write("\n\ndef check_places(*_):\n    return 1 / 0\n")
    result = snakemake(copy, "scale=smoke")
    assert result.returncode == 1
    (told,) = errors(result)
    expected = r"error: ZeroDivisionError: division by zero \(study/places\.py, line \d+\)\. Nobody"
    assert re.match(expected, told)
    result = snakemake(copy, "scale=smoke", options=["--debug"])
    assert "Traceback (most recent call last)" in result.stderr
    assert "return 1 / 0" in result.stderr


def test_a_folder_that_snakemake_cannot_work_in_is_one_line():
    check_folder("/home/me/my 'study', 50% ü")
    with pytest.raises(StudyError, match=r"^/home/{me}: braces in the project's path, which snake"):
        check_folder("/home/{me}")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["results/table22.csv"],
            "results/table22.csv: no result of this study, did you mean results/table2.csv?",
        ),
        (["runs/x"], "runs/x: no result of this study"),
        (["all", "--cores", "0"], "--cores: expected at least 1, found 0"),
        (["all", "--replicates", "0"], "replicates: expected 1 to 100, found 0"),
        (["all", "--finetuning-seeds", "101"], "finetuning_seeds: expected 1 to 100, found 101"),
    ],
)
def test_watch_ends_with_the_line_and_status_2(project, arguments, line):
    command = [sys.executable, "-m", "study.watch", *arguments, "--scale", "smoke"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, f"error: {line}\n")
