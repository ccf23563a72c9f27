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


#: Locks of the images, each with what it was made from besides pyproject.toml.
IMAGE_LOCKS = ("image-serve", "image-train-cuda")
IMAGE_INPUTS = ("image-serve.in", "image-serve.override", "image-train-cuda.in")


def asked(project: dict) -> dict[str, list[str]]:
    """Return the requirements behind each lock, from a parsed pyproject.toml."""
    runtime = project["project"]["dependencies"]
    return {"runtime": runtime, "dev": [*runtime, *project["dependency-groups"]["dev"]]}


def fingerprint(root: Path) -> str:
    """Return the SHA-256 of everything that decides what a lock holds."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    basis = {
        **{name: lines_of(root / f"requirements/{name}") for name in IMAGE_INPUTS},
        "python": project["project"]["requires-python"],
        "build": sorted(project["build-system"]["requires"]),
        **{name: sorted(lines) for name, lines in asked(project).items()},
    }
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()


def lines_of(path: Path) -> list[str]:
    """Return the requirements in a file, without its comments."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return sorted(line for line in lines if line and not line.startswith("#"))


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
    found += image_faults(root, locked["runtime"])
    record = root / RECORD
    if not record.is_file() or record.read_text().split()[:1] != [fingerprint(root)]:
        found.append(f"{RECORD}: what pyproject.toml or requirements/*.in ask for changed after "
                     "the locks")  # fmt: skip
    return found


def image_faults(root: Path, runtime: dict[str, set[str]]) -> list[str]:
    """Return a sentence for each way in which an image would not hold what was tested."""
    found = []
    for name in IMAGE_LOCKS:
        locked = pins(root / f"requirements/{name}.lock")
        for package, versions in locked.items():
            if not versions <= runtime.get(package, versions):
                found.append(f"requirements/{name}.lock: {package} differs from runtime.lock")
        for line in lines_of(root / f"requirements/{name}.in"):
            if canonicalize_name(Requirement(line).name) not in locked:
                found.append(f"requirements/{name}.lock: {name}.in asks for {line}, "
                             "the lock has nothing")  # fmt: skip
    cuda = pins(root / "requirements/image-train-cuda.lock")
    for package in sorted(set(runtime) - set(cuda)):
        found.append(f"requirements/image-train-cuda.lock: {package} of runtime.lock is missing")
    return found


def main(arguments: list[str]) -> int:
    """Run ``check`` or ``record``; return an exit code."""
    if arguments == ["record"]:
        (ROOT / RECORD).write_text(f"{fingerprint(ROOT)}  pyproject.toml and requirements/*.in\n")
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
