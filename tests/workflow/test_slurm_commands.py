"""What `snakemake --profile slurm` submits, word for word, without a cluster.

The commands of SLURM are small scripts here. `sbatch` notes its arguments and makes the files that
the jobs would have made; `squeue` reports every job as finished.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import smoke
from gpus_toy import make_gpus
from project import ROOT

from study.graph import Study

SUBMIT_FAST = [
    *("--slurm-init-seconds-before-status-checks", "1"),
    *("--seconds-between-status-checks", "1"),
    *("--max-jobs-per-timespan", "100/1s"),
]
COMMANDS = {
    "sbatch": """\
#!{python}
import fcntl, json, pathlib, sys
with open("{folder}/submissions", "a+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(json.dumps(sys.argv[1:]) + "\\n")
    file.flush()
    file.seek(0)
    number = len(file.readlines())
for name in pathlib.Path("{folder}/outputs").read_text().splitlines():
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).touch()
with open("{folder}/states", "a") as file:
    file.write(f"{{number}}|COMPLETED\\n")
print(number)
""",
    "squeue": "#!/bin/sh\ncat {folder}/states\n",
    "sinfo": "#!/bin/sh\nprintf 'PARTITION\\nshort\\nmain*\\n'\n",
    "scontrol": "#!/bin/sh\necho 'MinJobAge = 300 sec'\n",
    "sacct": "#!/bin/sh\nexit 1\n",
}


class FakeSlurm:
    """A folder of stand-ins for SLURM's commands, and the study folder they serve."""

    def __init__(self, folder: Path, study: Path) -> None:
        self.folder, self.study = folder, study
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for name, text in COMMANDS.items():
            program = programs / name
            program.write_text(text.format(folder=folder, python=sys.executable))
            program.chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path}

    def snakemake(self, profile: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `snakemake --profile PROFILE` in the study folder."""
        return subprocess.run(
            ["snakemake", "--profile", profile, *arguments],
            cwd=self.study,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def submissions(self, outputs: list[str], *arguments: str) -> list[list[str]]:
        """Arguments of every sbatch that building `outputs` takes, in order of submission."""
        (self.folder / "outputs").write_text("\n".join(outputs))
        (self.folder / "states").touch()
        result = self.snakemake("slurm", *SUBMIT_FAST, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        lines = (self.folder / "submissions").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def toy(tmp_path: Path) -> FakeSlurm:
    """The toy study beside copies of our profiles."""
    study = tmp_path / "study"
    study.mkdir()
    shutil.copy(ROOT / "tests/support/slurm_toy.smk", study / "Snakefile")
    for name in ("slurm", "profiles", "workstation"):
        shutil.copytree(ROOT / name, study / name)
    return FakeSlurm(tmp_path / "fake", study)


def test_every_word_of_a_submission(toy: FakeSlurm):
    """Resources of a rule become options of sbatch; the rest comes from the profile."""
    outputs = ["part_a.txt", "part_b.txt", "trained.txt"]
    submissions = toy.submissions(outputs, "--", "table.csv")
    names = [arguments[arguments.index("--job-name") + 1] for arguments in submissions]
    assert len(set(names)) == 1 and re.fullmatch(r"[0-9a-f-]{36}", names[0])
    short = {}
    for arguments in submissions:
        assert arguments[-1].startswith("--wrap=") and "--executor slurm-jobstep" in arguments[-1]
        comment = arguments[arguments.index("--comment") + 1]
        short[comment] = " ".join(arguments[:-1]).replace(names[0], "NAME")
    logs = toy.study / ".snakemake" / "slurm_logs"
    assert short == {
        "rule_part_wildcards_a": (
            f"--parsable --job-name NAME --output {logs}/rule_part/a/%j.log --export=ALL "
            "--comment rule_part_wildcards_a -p main -t 5 --mem 500 --nodes=1 --requeue "
            f"--ntasks=1 --cpus-per-task=1 -D {toy.study}"
        ),
        "rule_part_wildcards_b": (
            f"--parsable --job-name NAME --output {logs}/rule_part/b/%j.log --export=ALL "
            "--comment rule_part_wildcards_b -p main -t 5 --mem 500 --nodes=1 --requeue "
            f"--ntasks=1 --cpus-per-task=1 -D {toy.study}"
        ),
        "rule_train": (
            f"--parsable --job-name NAME --output {logs}/rule_train/%j.log --export=ALL "
            "--comment rule_train -p main -t 600 --mem 32000 --nodes=1 --requeue "
            f"--cpus-per-task=2 -D {toy.study} --gpus=1"
        ),
    }
    assert len(toy.submissions(outputs, "--", "table.csv")) == 3, "a finished study submits nothing"


def test_edited_defaults_reach_the_submission(toy: FakeSlurm):
    """The two lines that the README says to edit: partition and account."""
    profile = toy.study / "slurm" / "profile.yaml"
    text = profile.read_text()
    text = re.sub(r'# (slurm_partition: )"gpu"', r'\1"short"', text)
    profile.write_text(text)
    submissions = toy.submissions(["part_a.txt"], "--", "part_a.txt")
    assert submissions[0][submissions[0].index("-p") + 1] == "short"


@pytest.mark.parametrize("profile", ["slurm", "workstation"])
def test_profiles_are_found_from_the_root(toy: FakeSlurm, profile: str):
    """`--profile NAME` means the folder ./NAME, and profiles/default comes on top."""
    result = toy.snakemake(profile, "-n", "--", "table.csv")
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    assert f"Using profiles {profile} and workflow specific profile profiles/default" in output


def test_jobs_take_turns_on_the_workstation_gpu(tmp_path: Path):
    """Snakemake starts all at once; the launcher has them wait for the GPU."""
    shutil.copytree(ROOT / "workstation", tmp_path / "workstation")
    (tmp_path / "use.py").write_text(
        "import pathlib, time\nfolder = pathlib.Path('in-use')\n"
        "folder.mkdir()\ntime.sleep(0.2)\nfolder.rmdir()\n"
    )
    (tmp_path / "Snakefile").write_text(
        "rule all:\n    input: expand('{i}.txt', i=range(3))\n"
        "rule train:\n    output: '{i}.txt'\n    resources: gpu=1\n"
        "    shell: 'python -m model.launch --gpu 0 1 use && touch {output}'\n"
    )
    fake = FakeSlurm(tmp_path / "fake", tmp_path)
    gpus, _ = make_gpus(tmp_path, 1)
    path = f"{tmp_path}/bin:{fake.environment['PATH']}"
    fake.environment = gpus | {"PATH": path, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    result = fake.snakemake("workstation", "--cores", "3", "--retries", "0")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def paper_study(tmp_path: Path) -> FakeSlurm:
    """A copy of the real workflow at the published sizes, its downloads already there."""
    study = tmp_path / "study"
    for name in ("rules", "config", "study", "model", "analysis", "slurm", "profiles"):
        shutil.copytree(ROOT / name, study / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, study)
    for path in Study("paper").jobs:
        if path.startswith("runs/paper/sources/"):
            (study / path).parent.mkdir(parents=True)
            (study / path).touch()
    return FakeSlurm(tmp_path / "fake", study)


def two_nodes(paper_study: FakeSlurm) -> None:
    """Let pre-trainings run on sixteen GPUs of two nodes."""

    def change(data: dict) -> None:
        data["execution"] = {
            "like": "gpu",
            "pretrain": {"processes": 16, "resources": {"gpu": 16, "nodes": 2}},
        }

    smoke.change(paper_study.study / "config/scales/paper.yaml", change)


def asked_of_slurm(stage: str) -> str:
    """The options of sbatch that the execution section of a stage means."""
    execution = getattr(Study("paper").config.execution, stage)
    asked = execution.resources
    cpus = f"--cpus-per-task={execution.cores}"
    return (
        f"-p {asked.slurm_partition or 'main'} -t {asked.runtime} --mem {asked.mem_mb} --nodes=1 "
        "--requeue " + (f"{cpus} --gpus={asked.gpu}" if asked.gpu else f"--ntasks=1 {cpus}")
    )


@pytest.mark.parametrize("nodes", [1, 2])
def test_what_each_rule_of_the_paper_asks_for(paper_study: FakeSlurm, nodes: int):
    """GPUs, memory, time and cores come from the scale's execution section, for every rule."""
    if nodes == 2:
        two_nodes(paper_study)
    jobs = list(Study("paper").jobs)
    target = Study("paper").jobs.finetune("full-sentences", 0, "squad11").path
    submissions = paper_study.submissions(jobs, "--config", "scale=paper", "--", target)
    asked = {}
    for arguments in submissions:
        rule = arguments[arguments.index("--comment") + 1].split("_wildcards_")[0]
        begin, end = arguments.index("-p"), arguments.index("-D")
        words = " ".join(arguments[begin:end] + arguments[end + 2 : -1])
        assert asked.setdefault(rule, words) == words
    text, pretrain, finetune = map(asked_of_slurm, ("text", "pretrain", "finetune"))
    assert "--gpus=" in pretrain and "--gpus=" in finetune and "--gpus=" not in text
    if nodes == 2:
        pretrain = (
            "-p main -t 1440 --mem 256000 --nodes=2 --requeue --ntasks=2 --cpus-per-task=32 "
            "--gres=gpu:8"
        )
    assert asked == {
        "rule_sentences": text,
        "rule_vocabulary": text,
        "rule_tokens": text,
        "rule_store": text,
        "rule_samples": text,
        "rule_features": text,
        "rule_pretrain": pretrain,
        "rule_scores-full-sentences-seed-0_finetune": finetune,
    }
