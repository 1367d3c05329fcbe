"""The GPU's kernels on a machine without one: Triton's interpreter runs them, in fp32."""

import os
import subprocess
import sys

import pytest
import torch
from project import ROOT

KERNELS = ("test_packed_attention.py", "test_dropout_kernel.py")


@pytest.mark.skipif(torch.cuda.is_available(), reason="these tests run on the GPU itself")
def test_kernels_equal_the_plain_reference_in_the_interpreter(tmp_path):
    """In a process of its own, for Triton decides when it is imported."""
    pytest.importorskip("triton", "3.7", reason="older interpreters fail with numpy 2.4")
    files = [f"tests/model/network/{name}" for name in KERNELS]
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'pytest'}"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout
