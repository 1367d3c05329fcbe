"""A machine with GPUs, as far as nvidia-smi tells: the launcher asks nothing else."""

import os
import sys
from pathlib import Path
from uuid import uuid4

SCRIPT = """\
#!{python}
import sys
print({listing!r} if "-L" in sys.argv else {memory!r}, end="")
"""


def make_gpus(folder: Path, number: int, mib: int = 81559) -> tuple[dict[str, str], list[str]]:
    """Environment of commands that see so many GPUs of `mib` MiB, and the GPUs' UUIDs.

    UUIDs are new, so slots on them are nobody else's.
    """
    uuids = [f"GPU-{uuid4()}" for _ in range(number)]
    gpus = enumerate(uuids)
    listing = "".join(f"GPU {n}: NVIDIA H100 80GB HBM3 (UUID: {uuid})\n" for n, uuid in gpus)
    memory = "".join(f"{uuid}, {mib}\n" for uuid in uuids)
    return machine(folder, listing, memory), uuids


def machine(folder: Path, listing: str, memory: str = "") -> dict[str, str]:
    """Environment in which nvidia-smi prints this for `-L`, and that for a query of memory."""
    program = folder / "bin/nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(SCRIPT.format(python=sys.executable, listing=listing, memory=memory))
    program.chmod(0o755)
    known = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return known | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
