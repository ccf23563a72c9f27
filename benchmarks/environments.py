"""Environments of their own for what we are measured against, installed from locks with hashes."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent


def python_of(name: str, folder: Path) -> Path:
    """Interpreter of the environment ``name`` (of ``name.lock``), made if it is missing.

    The locks were resolved with uv; ``--no-deps`` because the published polyid pins a scikit-learn
    that does not import beside NumPy 2, and the lock holds everything.
    """
    lock = HERE / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:8]
    where = folder / f"{name}-{digest}"
    python = where / "bin" / "python"
    if not (where / ".done").exists():
        shutil.rmtree(where, ignore_errors=True)
        print(f"Installing {lock.name} into {where}: once", file=sys.stderr, flush=True)
        uv = _uv()
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, where], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "--no-deps", "--require-hashes", "-r", lock], check=True)
        (where / ".done").touch()
    return python


def _uv() -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise SystemExit("uv is missing: run `make setup-dev`, and this with .venv/bin/python.")
    return [found]
