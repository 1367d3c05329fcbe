"""`python -m study.devices`: the GPUs that jobs started here may use, and what of each is taken.

Every GPU has four slots. A job takes slots before it loads torch and holds them while any of its
processes lives; it is shown the GPUs on which they lie and no others, so each job sees its own as
cuda:0. A pre-training takes all slots of a GPU for each of its processes, a fine-tuning as many as
its memory needs.

A slot is a name that Linux gives to one socket at a time (an abstract Unix socket: no file). All
users and all checkouts on a machine see the same names, nothing is written anywhere, and a name is
free again when the last process that holds it has ended, however it ended. Containers see each
other's names where they share the host's network.
"""

import errno
import math
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from study.command import command_parser, run_command
from study.errors import StudyError

VISIBLE = "CUDA_VISIBLE_DEVICES"
SLOTS = 4  # of a GPU; more small jobs than that at once do not make it any faster
# Of what the formula says: a CUDA context and its libraries, what the allocator keeps unused, and
# the share of a GPU that is there for tensors.
CONTEXT_MB, ALLOCATOR, USABLE = 1500, 1.2, 0.95
NAMESPACE = "\0roberta-ablations/gpu"
NOTHING = ("-1", "NoDevFiles")  # with these the list of visible GPUs ends, for CUDA and for SLURM
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # there where a GPU may be, with no nvidia-smi
SECONDS = 120  # that nvidia-smi may take, which first wakes all GPUs
GPU = re.compile(r"GPU (\d+): (.*) \(UUID: (\S+)\)")
INSTANCE = re.compile(r"\s+(MIG \S+) .*\(UUID: (\S+)\)")
MIB = 1.048576  # MB


@dataclass(frozen=True)
class Device:
    """A GPU, or an instance of one that is split (MIG)."""

    word: str  # what CUDA_VISIBLE_DEVICES calls it
    shown: str  # what a person calls it
    place: str = ""  # what its slots are called by; the same for all who may use it
    memory_mb: float | None = None  # None where nothing tells
    used_mb: float = 0.0  # of it, by whatever program, when we looked

    def slots_needed(self, memory_mb: float) -> int:
        """Slots of this GPU for a process whose tensors need so much; 0 asks for all of it."""
        if not memory_mb or self.memory_mb is None:
            return SLOTS
        share = (ALLOCATOR * memory_mb + CONTEXT_MB) / (USABLE * self.memory_mb)
        return min(SLOTS, max(1, math.ceil(SLOTS * share)))


def visible_devices() -> list[Device]:
    """The GPUs that a job started here may use, in the order of CUDA_VISIBLE_DEVICES.

    Numbers are those that nvidia-smi shows. Raises StudyError for one that is not there, and where
    nvidia-smi fails.
    """
    words = None
    if VISIBLE in os.environ:
        words = [word.strip() for word in os.environ[VISIBLE].split(",") if word.strip()]
        words = words[: next((n for n, word in enumerate(words) if word in NOTHING), None)]
    if words == []:
        return []
    listed = _listed_devices()
    if listed is None:
        if words is None and not any(Path(driver).exists() for driver in DRIVERS):
            return []
        # What SLURM gave to a job is that job's alone, and may be 0 in each of them.
        owner = os.environ.get("SLURM_JOB_ID", "")
        return [Device(word, f"GPU {word}", f"{owner}/{word}") for word in words or ["0"]]
    if words is None:
        return [device for devices in listed.values() for device in devices]
    chosen = [device for word in words for device in _named(word, listed)]
    return list(dict.fromkeys(chosen))


def _named(word: str, listed: dict[str, list[Device]]) -> list[Device]:
    """What a word of CUDA_VISIBLE_DEVICES means: a number, or the beginning of a UUID."""
    if word in listed:
        return listed[word]
    devices = [device for of_gpu in listed.values() for device in of_gpu]
    found = [device for device in devices if device.word.startswith(word)]
    if not found and word.startswith("MIG-"):
        return [Device(word, word, word)]  # older drivers have another name for the same instance
    if len(found) != 1 or not word.startswith(("GPU-", "MIG-")):
        there = ", ".join(listed) or "none"
        raise StudyError(f"{VISIBLE}: {word}: no GPU of this machine (nvidia-smi shows {there})")
    return found


def _listed_devices() -> dict[str, list[Device]] | None:
    """By the number of the GPU: itself, or its instances; None without nvidia-smi."""
    text = _nvidia_smi("-L")
    if text is None:
        return None
    asked = "--query-gpu=uuid,memory.total,memory.used"
    sizes = _nvidia_smi(asked, "--format=csv,noheader,nounits") or ""
    memory = {uuid: numbers for uuid, *numbers in (line.split(", ") for line in sizes.splitlines())}
    found: dict[str, list[Device]] = {}
    split: set[str] = set()
    number = ""
    for line in text.splitlines():
        if gpu := GPU.match(line):
            number, name, uuid = gpu.groups()
            known = [MIB * int(text) for text in memory.get(uuid, ()) if text.isdigit()]
            found[number] = [Device(uuid, f"GPU {number} ({name})", uuid, *known)]
        elif instance := INSTANCE.match(line):
            name, uuid = instance.groups()
            if number not in split:
                found[number] = []
            split.add(number)
            told = re.search(r"(\d+)gb", name)
            size = 1000.0 * int(told[1]) if told else None
            found[number].append(Device(uuid, f"GPU {number} ({name})", uuid, size))
    return found


def _nvidia_smi(*arguments: str) -> str | None:
    """What nvidia-smi prints; None where there is none, StudyError with its words if it fails."""
    try:
        told = subprocess.run(
            ["nvidia-smi", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        raise StudyError(f"nvidia-smi: no answer within {SECONDS} seconds") from None
    output = told.stdout.strip() or told.stderr.strip()
    if told.returncode and "no devices" not in output.lower():
        reason = (output.splitlines() or [f"exit status {told.returncode}"])[0]
        raise StudyError(f"nvidia-smi: {reason}")
    return "" if told.returncode else told.stdout


def take_name(name: str) -> socket.socket | None:
    """A socket of this name, whose it is while a process has it open; None if there is one."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"{NAMESPACE}/{name}")
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held


class Claim:
    """A wish for slots on `count` GPUs, for processes that need `memory_mb` each (0: all of it).

    `taken` tries and never waits. Who has to try again keeps what it found so far on the GPUs where
    least is missing, so that jobs that need little do not pass it for ever. Only who holds the
    doors of all these GPUs keeps anything: no two keep what the other lacks.
    """

    def __init__(self, devices: list[Device], count: int, memory_mb: float):
        self.devices, self.count = devices, count
        self.needed = {device: device.slots_needed(memory_mb) for device in devices}
        self.slots: dict[Device, dict[int, socket.socket]] = {device: {} for device in devices}
        self.doors: dict[Device, socket.socket] = {}

    def taken(self) -> list[Device] | None:
        """The GPUs on which this process holds all slots that it needs; None: try again."""
        for device, slots in self.slots.items():
            for number in set(range(SLOTS)) - slots.keys():
                if slot := take_name(f"{device.place}/{number}"):
                    slots[number] = slot
        best = sorted(self.devices, key=self._preference)[: self.count]
        if not any(map(self._missing, best)):
            self._keep(best, doors=[])
            return [device for device in self.devices if device in best]
        keeps = sum(self.needed[device] for device in best) > 1 and self._take_doors(best)
        self._keep(best if keeps else [], doors=best if keeps else [])
        return None

    def _preference(self, device: Device) -> tuple[float, ...]:
        """Of GPUs that do, the emptiest of our jobs, and then of other programs."""
        return self._missing(device), -len(self.slots[device]), device.used_mb

    def _missing(self, device: Device) -> int:
        return max(0, self.needed[device] - len(self.slots[device]))

    def _take_doors(self, devices: list[Device]) -> bool:
        for device in devices:
            if device not in self.doors:
                door = take_name(f"{device.place}/door")
                if door is None:
                    return False
                self.doors[device] = door
        return True

    def _keep(self, devices: list[Device], doors: list[Device]) -> None:
        """Let go of everything but the slots needed on these GPUs, and these doors."""
        for device, slots in self.slots.items():
            needed = self.needed[device] if device in devices else 0
            for number in sorted(slots)[needed:]:
                slots.pop(number).close()
        for device in [device for device in self.doors if device not in doors]:
            self.doors.pop(device).close()

    def held(self) -> list[socket.socket]:
        """The slots that are held now."""
        return [slot for slots in self.slots.values() for slot in slots.values()]


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.devices`."""
    example = f"{VISIBLE}=2,5 python -m study.devices"
    command_parser("study.devices", __doc__, example).parse_args(arguments)
    devices = visible_devices()
    if not devices:
        print("no GPU is visible here: scales of the CPU run, others say so before their first job")
    for device in devices:
        free = [take_name(f"{device.place}/{number}") for number in range(SLOTS)]
        memory = ""
        if device.memory_mb is not None:
            used, there = (mb / MIB / 1024 for mb in (device.used_mb, device.memory_mb))
            memory = f", {used:.0f} of {there:.0f} GiB in use"
        print(f"{device.shown}{memory}: {free.count(None)} of {SLOTS} slots taken")
        for slot in filter(None, free):
            slot.close()


if __name__ == "__main__":
    run_command(main)
