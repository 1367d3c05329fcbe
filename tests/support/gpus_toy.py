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


def make_gpus(
    folder: Path, number: int, used: dict[int, int] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Environment of commands that see so many GPUs of 80 GB, and the GPUs' UUIDs.

    `used` has the MiB that other programs take, by the GPU's number.

    UUIDs are new, so slots on them are nobody else's.
    """
    uuids = [f"GPU-{uuid4()}" for _ in range(number)]
    gpus = enumerate(uuids)
    listing = "".join(f"GPU {n}: NVIDIA H100 80GB HBM3 (UUID: {uuid})\n" for n, uuid in gpus)
    taken = [(used or {}).get(place, 0) for place in range(number)]
    memory = "".join(f"{uuid}, 81559, {mib}\n" for uuid, mib in zip(uuids, taken, strict=True))
    return machine(folder, listing, memory), uuids


def machine(folder: Path, listing: str, memory: str = "") -> dict[str, str]:
    """Environment in which nvidia-smi prints this for `-L`, and that for a query of memory."""
    program = folder / "bin/nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(SCRIPT.format(python=sys.executable, listing=listing, memory=memory))
    program.chmod(0o755)
    known = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return known | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
