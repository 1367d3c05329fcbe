"""What stands around the code: hooks, workflows, the catalog's file, the container recipe."""

import re

import yaml
from project import ROOT


def pinned(name: str) -> str:
    """The version that a requirements file pins."""
    text = (ROOT / "requirements-dev.txt").read_text() + (ROOT / "requirements.txt").read_text()
    return re.search(rf"^{name}==(\S+)$", text, re.MULTILINE)[1]


def test_hooks_are_of_the_versions_that_the_tests_run():
    """All of them come from the package index, so that whoever has that needs nothing else."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: hook.get("additional_dependencies") for hook in local["hooks"]}
    ruff, snakefmt = f"ruff=={pinned('ruff')}", f"snakefmt=={pinned('snakefmt')}"
    assert hooks["ruff-check"] == hooks["ruff-format"] == [ruff]
    assert hooks["snakefmt"] == [snakefmt]
    assert {"check-added-large-files", "mypy"} <= hooks.keys()


def test_no_file_is_larger_than_the_hook_allows():
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    most = 1024 * int(re.search(r"--maxkb=(\d+)", config)[1])
    folders = ("analysis", "config", "docs", "language", "model", "study", "tests")
    sizes = {p: p.stat().st_size for folder in folders for p in (ROOT / folder).rglob("*.*")}
    assert {path for path, size in sizes.items() if size > most} == set()


def test_workflows_run_what_a_person_runs():
    steps = {
        name: [
            step["run"]
            for job in yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())[
                "jobs"
            ].values()
            for step in job["steps"]
            if "run" in step
        ]
        for name in ("tests", "docs")
    }
    assert steps["tests"][-1] == ".ci/run"
    assert steps["docs"] == [
        "pip install $(grep ^mkdocs requirements-dev.txt)",
        "mkdocs build --strict",
    ]


def test_the_container_has_what_the_study_needs_and_the_project_allows():
    recipe = (ROOT / "Dockerfile").read_text()
    version = re.search(r"^FROM python:(\d+)\.(\d+)\.\d+-slim", recipe, re.MULTILINE)
    assert (int(version[1]), int(version[2])) >= (3, 11)
    assert "--requirement /tmp/requirements.txt" in recipe
    assert (ROOT / ".dockerignore").read_text() == "*\n!requirements.txt\n"


def test_the_catalog_is_told_what_its_documentation_asks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert deployment == {
        "conda": True,
        "apptainer": False,
        "apptainer+conda": False,
        "report": True,
    }


def test_the_citation_names_the_version_of_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert {"title", "message", "authors", "license"} <= set(citation)


def test_the_changelog_has_the_version_that_comes():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "Unreleased"
    assert re.findall(r"^### (.+)$", text, re.MULTILINE)[:2] == ["Added", "Changed"]
