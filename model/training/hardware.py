"""What the device can do and what it used: measured matrix products, memory, energy."""

import ctypes
import resource
import sys
import time
from functools import lru_cache

import torch

from study.run import if_known

SLOW_PRODUCT = 5e9  # FLOP/s, below which a large product would take seconds
# Of glibc's malloc.h, and blocks up to which freed memory is kept.
TRIM_THRESHOLD, MAP_THRESHOLD, KEPT_BYTES = -1, -3, 2**30
OLD_KEPT_BYTES = 2**25  # the most that releases before 2.35 take


@lru_cache
def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, measured in about 0.2 s.

    The yardstick of utilisation: what this device does now, with these threads, not its data sheet.
    """
    if device.type == "cuda":
        return _product_rate(device, dtype, 8192)
    # A processor may multiply fp16 or bf16 by hand, a hundred times slower than fp32.
    small = _product_rate(device, dtype, 256)
    return small if small < SLOW_PRODUCT else _product_rate(device, dtype, 1024)


def _product_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """The fastest of six products of two square matrices."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        _wait(device)
        started = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def keep_freed_memory() -> None:
    """Let this process keep freed blocks for the next step, where its C library can (glibc).

    It would hand large ones back after every step and have the next step's pages filled with zeros
    again: up to a fifth of a step on a CPU.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        if not library.mallopt(MAP_THRESHOLD, KEPT_BYTES):
            library.mallopt(MAP_THRESHOLD, OLD_KEPT_BYTES)
        library.mallopt(TRIM_THRESHOLD, 2 * KEPT_BYTES - 1)


def device_name(device: torch.device) -> str | None:
    """The GPU's name; None on the CPU, whose name provenance records anyway."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def peak_memory_bytes(device: torch.device) -> int:
    """Most bytes held so far: by tensors on a GPU, by the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def energy_joules(device: torch.device) -> float | None:
    """Energy the GPU has used since its driver was loaded; None where nothing tells."""
    return if_known(_energy_joules, device) if device.type == "cuda" else None


def _energy_joules(device: torch.device) -> float | None:
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    failed = (
        nvml.nvmlInit_v2()
        or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle))
        or nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
    )
    return None if failed else millijoules.value / 1000
