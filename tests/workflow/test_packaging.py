"""What the project says it needs is what it uses, and is said once in three places."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT

# Distributions whose module has another name.
MODULES = {"PyYAML": "yaml", "scikit-learn": "sklearn"}
# The task wsc says what to install where a study asks for it; torch brings Triton along where it
# was built for GPUs.
OPTIONAL = {"spacy", "triton"}
# Needed without an import of ours: torch.utils.tensorboard, --profile slurm, transformers' Trainer,
# what looks at the code and the pages, pytest's option --numprocesses, what runs a notebook.
UNIMPORTED = {
    "tensorboard",
    "snakemake-executor-plugin-slurm",
    "accelerate",
    "pytest-timeout",
    "ruff",
    "snakefmt",
    "mypy",
    "types-PyYAML",
    "mkdocs",
    "mkdocs-material",
    "pytest-xdist",
    "ipykernel",
}


def pins(name: str) -> dict[str, str]:
    """Version by distribution of a requirements file; every line must pin one exactly."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line or line == "-r requirements.txt":
            continue
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][0-9a-z.]*)(; .+)?", line)
        assert match, f"{name}: {line!r} is not an exact pin"
        found[match[1]] = match[2]
    return found


def third_party_imports(*places: str) -> dict[str, Path]:
    """Top-level modules, neither Python's own nor ours, each with a file that imports it."""
    ours = {"study", "language", "model", "analysis", "roberta_ablations", "tests", "benchmarks"}
    ours |= {path.stem for path in (ROOT / "tests").rglob("*.py")}
    found = {}
    for place in places:
        for path in (ROOT / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in (name.split(".")[0] for name in names):
                    if name not in ours and name not in sys.stdlib_module_names:
                        found[name] = path.relative_to(ROOT)
    return found


def modules(distributions: dict[str, str]) -> set[str]:
    """Module names of distributions."""
    return {MODULES.get(name, name) for name in distributions}


def test_conda_and_pip_say_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (packages,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert dict(line.split("==") for line in packages) == pins("requirements.txt")
    conda = {entry for entry in environment["dependencies"] if isinstance(entry, str)}
    assert conda == {"python>=3.11", "pip"}
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()


def test_development_adds_to_the_requirements():
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert not pins("requirements-dev.txt").keys() & pins("requirements.txt").keys()


def test_torch_is_the_version_we_measured_with():
    assert pins("requirements.txt")["torch"] == "2.13.0"


@pytest.mark.parametrize(
    ("places", "files"),
    [
        (
            ("study", "language", "model", "analysis", "roberta_ablations"),
            ("requirements.txt",),
        ),
        # benchmarks/ compares with rivals that it asks its reader to install.
        (("tests",), ("requirements.txt", "requirements-dev.txt")),
    ],
)
def test_every_import_is_required(places: tuple[str, ...], files: tuple[str, ...]):
    required = set().union(*(modules(pins(name)) for name in files))
    missing = {
        name: str(path)
        for name, path in third_party_imports(*places).items()
        if name not in required | OPTIONAL
    }
    assert not missing, f"imported but not in {files[-1]}: {missing}"


def test_every_requirement_is_used():
    used = {
        *third_party_imports("study", "language", "model", "analysis", "tests", "benchmarks"),
        "snakemake",
    }
    required = {**pins("requirements.txt"), **pins("requirements-dev.txt")}
    assert modules(required) - used - UNIMPORTED == set()


def test_the_study_is_read_without_torch_or_pandas():
    """Every job of a cluster reads the Snakefile, which reads study/."""
    assert not third_party_imports("study").keys() & {"torch", "pandas", "pyarrow", "numpy"}


def test_the_tests_own_commands_run_by_hand(tmp_path):
    for command in (["tests/smoke.py", tmp_path / "hub"], ["-m", "tests.kill_campaign", "--help"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "hub").is_dir()
