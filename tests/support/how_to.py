"""Run a page of docs/how-to/ as a reader does: write its files, type its commands, in order.

A fenced block of `sh` is typed into bash in the project's folder, one shell per block, and must
end with 0. Any other fenced block whose first line is a comment that is a path
(`# config/scales/x.yaml`) is a file that the reader writes. Blocks of `console` and `text` only
show what comes out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import smoke
from project import ROOT
from signals import heed_signals

PAGES = ROOT / "docs/how-to"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+/\S+|\S+\.\w+)\n")
SHOWN = ("console", "text")


def checkout(folder: Path) -> Path:
    """A new clone on which `make` has set up `.venv`, which is the tests' own."""
    return set_up(smoke.copy_project(folder))


def set_up(project: Path) -> Path:
    """The same of a copy that is there."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "README.md"):
        shutil.copy(ROOT / name, project)
    environment = project / ".venv"
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    (environment / "installed").touch()
    return project


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block of a page, in order."""
    return BLOCK.findall((PAGES / f"{page}.md").read_text())


def follow(page: str, project: Path, swaps: dict[str, str], **environment: str) -> str:
    """Do in `project` what the page says; all that its commands printed.

    `swaps` makes it small: text of the page -> what a test takes instead, each of which must occur.
    `.venv` is activated, as README tells to.
    """
    steps, printed = blocks(page), ""
    for text in swaps:
        assert any(text in block for _, block in steps), f"{page}: nothing says {text}"
    path = f"{project / '.venv/bin'}:{os.environ['PATH']}"
    for language, block in steps:
        for text, small in swaps.items():
            block = block.replace(text, small)
        named = FILE.match(block)
        if language == "sh":
            result = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=project,
                env=os.environ | {"PATH": path} | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                preexec_fn=heed_signals,
                check=False,
            )
            printed += result.stdout
            assert result.returncode == 0, f"{page}:\n{block}\n{result.stdout}"
        elif named and language not in SHOWN:
            target = project / named[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block)
    return printed
