"""Hardware that can be rented: name, cores, memory, accelerator, dollars an hour."""

from __future__ import annotations

import os
from typing import Any

from polyid.engine import jit

# name: cores, memory, (model, how many, its memory), USD an hour as documented in 2026
_TABLE: dict[str, tuple[str, str, tuple[str, int, str] | None, float]] = {
    "cpu-basic": ("2 vCPU", "16 GB", None, 0.01),
    "cpu-upgrade": ("8 vCPU", "32 GB", None, 0.03),
    "cpu-performance": ("8 vCPU", "32 GB", None, 0.3),
    "cpu-xl": ("16 vCPU", "124 GB", None, 1.0),
    "t4-small": ("4 vCPU", "15 GB", ("T4", 1, "16 GB"), 0.4),
    "t4-medium": ("8 vCPU", "30 GB", ("T4", 1, "16 GB"), 0.6),
    "l4x1": ("8 vCPU", "30 GB", ("L4", 1, "24 GB"), 0.8),
    "a10g-small": ("4 vCPU", "15 GB", ("A10G", 1, "24 GB"), 1.0),
    "a10g-large": ("12 vCPU", "46 GB", ("A10G", 1, "24 GB"), 1.5),
    "l40sx1": ("8 vCPU", "62 GB", ("L40S", 1, "48 GB"), 1.8),
    "a100-large": ("12 vCPU", "142 GB", ("A100", 1, "80 GB"), 2.5),
    "rtx-pro-6000": ("24 vCPU", "128 GB", ("RTX PRO 6000", 1, "96 GB"), 2.75),
    "h200": ("23 vCPU", "256 GB", ("H200", 1, "141 GB"), 5.0),
}
_JOBS_ONLY = {"cpu-performance", "cpu-xl", "h200"}
JOBS = list(_TABLE)
SPACES = [name for name in _TABLE if name not in _JOBS_ONLY]


def rows(names: list[str], *, spaces: bool = False) -> list[dict[str, Any]]:
    """The list as ``list_jobs_hardware`` and ``list_spaces_hardware`` read it."""
    found = []
    for name in names:
        cpu, ram, gpu, hourly = _TABLE[name]
        minute = 0.0 if spaces and name == "cpu-basic" else hourly / 60
        row: dict[str, Any] = {
            "name": name,
            "prettyName": name.replace("-", " ").title(),
            "cpu": cpu,
            "ram": ram,
            "ephemeralStorage": "50 GB",
            "accelerator": None,
            "unitCostMicroUSD": round(minute * 1e6),
            "unitCostUSD": minute,
            "unitLabel": "minute",
        }
        if gpu:
            model, count, memory = gpu
            row["accelerator"] = {
                "type": "gpu",
                "model": model,
                "quantity": str(count),
                "vram": memory,
                "manufacturer": "Nvidia",
            }
        found.append(row)
    return found


def environment(name: str) -> dict[str, str]:
    """What a job on this hardware finds in its environment."""
    cpu, ram, gpu, _ = _TABLE[name]
    return {
        "ACCELERATOR": gpu[0].lower() if gpu else "none",
        "CPU_CORES": cpu.split()[0],
        "MEMORY": ram.replace(" GB", "Gi"),
    }


def kernels() -> dict[str, str]:
    """Return where loops are kept once compiled, and what this machine says of BLAS.

    Other kernels of BLAS give the baselines other last bits.
    """
    said = {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")}
    return {"POLYID_KERNELS": str(jit.root()), **said}
