"""Tell, without a network, whether the locks in requirements/ belong to pyproject.toml.

``check`` compares; ``record`` stores the fingerprint of what the locks were made from. `make lock`
calls it after it made them.
"""

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
RECORD = "requirements/inputs.sha256"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def asked(project: dict) -> dict[str, list[str]]:
    """Return the requirements behind each lock, from a parsed pyproject.toml."""
    runtime = project["project"]["dependencies"]
    return {"runtime": runtime, "dev": [*runtime, *project["dependency-groups"]["dev"]]}


def fingerprint(project: dict) -> str:
    """Return the SHA-256 of everything in pyproject.toml that decides what a lock holds."""
    basis = {
        "python": project["project"]["requires-python"],
        "build": sorted(project["build-system"]["requires"]),
        **{name: sorted(lines) for name, lines in asked(project).items()},
    }
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the locked versions by package name (more than one where platforms differ)."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(lock.read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def faults(root: Path) -> list[str]:
    """Return one sentence for each way in which the locks do not fit; none when they do."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    locked = {name: pins(root / f"requirements/{name}.lock") for name in ("runtime", "dev")}
    found = []
    for name, lines in asked(project).items():
        wanted = [*lines, *project["build-system"]["requires"]]
        for requirement in map(Requirement, wanted):
            versions = locked[name].get(canonicalize_name(requirement.name), set())
            if not any(requirement.specifier.contains(version) for version in versions):
                has = ", ".join(sorted(versions)) or "nothing"
                found.append(f"requirements/{name}.lock: pyproject.toml asks for {requirement}, "
                             f"the lock has {has}")  # fmt: skip
    for name, versions in locked["runtime"].items():
        if locked["dev"].get(name) != versions:
            found.append(f"requirements/dev.lock: {name} differs from runtime.lock")
    record = root / RECORD
    if not record.is_file() or record.read_text().split()[:1] != [fingerprint(project)]:
        found.append(f"{RECORD}: the dependencies in pyproject.toml changed after the locks")
    return found


def main(arguments: list[str]) -> int:
    """Run ``check`` or ``record``; return an exit code."""
    if arguments == ["record"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        (ROOT / RECORD).write_text(f"{fingerprint(project)}  dependencies in pyproject.toml\n")
        return 0
    if arguments != ["check"]:
        print(f"expected 'check' or 'record', received {arguments}", file=sys.stderr)
        return 2
    found = faults(ROOT)
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        print("The locks are out of step: run `make lock`, and commit what it makes.",
              file=sys.stderr)  # fmt: skip
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
