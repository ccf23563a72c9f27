"""What a run's record says about its surroundings: code commit, packages, machine."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from trainer.record import HardwareRecord

#: Packages whose version can change a result.
PACKAGES = (
    "tensorflow",
    "keras",
    "nfp",
    "rdkit",
    "numpy",
    "pandas",
    "scikit-learn",
)

_SECONDS = 20
_COMMIT = re.compile(r"[0-9a-f]{40}")


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit of the git checkout that ``folder`` stands in, and whether files differ from it.

    Returns
    -------
    commit : str or None
        40 hexadecimal digits; None outside git, without git, or before the first commit. A
        container image has no checkout: ``IMAGE_COMMIT`` names the commit it was built from.
    dirty : bool or None
        True if a tracked file was changed or an untracked one is not ignored.
    """
    commit = _output(["git", "-C", str(folder), "rev-parse", "--verify", "HEAD"])
    if commit is None:
        built = os.environ.get("IMAGE_COMMIT", "")
        return (built if _COMMIT.fullmatch(built) else None), None
    status = _output(["git", "-C", str(folder), "status", "--porcelain"])
    return commit, None if status is None else bool(status)


def dvc_md5(path: Path) -> str:
    """MD5 of a file's bytes, 32 hexadecimal digits: the name by which DVC stores it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def image_digest() -> str | None:
    """Digest of the container image the run stands in, from ``IMAGE_DIGEST``."""
    return os.environ.get("IMAGE_DIGEST") or None


def package_versions() -> dict[str, str | None]:
    """Installed version of each of `PACKAGES`, None where it is not installed."""
    return {name: _version(name) for name in PACKAGES}


def hardware() -> HardwareRecord:
    """Describe the processors and the memory this process may use."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return HardwareRecord(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        memory_gb=round(memory / 1e9, 1),
        gpus=_gpus(),
    )


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    return os.cpu_count() or 1


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def _gpus() -> list[str]:
    """Names of NVIDIA processors, from their driver's own tool (no framework is imported)."""
    return [row[0] for row in nvidia_smi("name")]


def nvidia_smi(fields: str) -> list[list[str]]:
    """Ask the driver's own tool for ``fields`` of each GPU, numbers without units."""
    listed = _output(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
    rows = [line for line in (listed or "").splitlines() if line.strip()]
    return [[cell.strip() for cell in row.split(",")] for row in rows]


def _output(command: list[str]) -> str | None:
    """Text a command prints, None if there is no such command or it fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
