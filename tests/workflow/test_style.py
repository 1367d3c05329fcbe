"""Files are formatted and linted by the tools that pyproject.toml configures."""

import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["snakefmt", "--check", "Snakefile", "rules", "tests"],
    ],
    ids=" ".join,
)
def test_style(command: list[str]):
    program = Path(sys.executable).parent / command[0]
    result = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_page_has_a_gap_that_was_to_be_filled():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
    assert len(pages) > 10
    assert not [str(page) for page in pages if "@@" in page.read_text()]
