"""Types of study/ and analysis/ are clean by mypy, as pyproject.toml configures it."""

import subprocess
import sys

from project import ROOT


def test_types(tmp_path):
    command = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
