"""Fetch `data/` with DVC where it is missing or not the version that data.dvc names.

Starting DVC takes two seconds, so its directory hash is computed here and DVC is only started when
it has something to do. `data.py FOLDER` does so in another repository: one that names its data in
other files is left to `dvc pull` itself, and one without DVC has them in git.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def directory_hash(folder: Path) -> str:
    """Return the hash under which DVC tracks a folder.

    It is the MD5 of the JSON list of the files' MD5 and relative path, sorted by path, with
    ``.dir`` behind it (DVC's object format since 2.0).
    """
    files = sorted(
        (path.relative_to(folder).as_posix(), hashlib.md5(path.read_bytes()).hexdigest())  # noqa: S324
        for path in folder.rglob("*")
        if path.is_file()
    )
    listing = json.dumps([{"md5": md5, "relpath": name} for name, md5 in files], sort_keys=True)
    return hashlib.md5(listing.encode()).hexdigest() + ".dir"  # noqa: S324


def state(pointer: Path) -> str:
    """Return ``same``, ``missing`` or ``other``: what the folder beside a .dvc file holds."""
    out = yaml.safe_load(pointer.read_text())["outs"][0]
    folder = pointer.parent / out["path"]
    if not folder.is_dir():
        return "missing"
    return "same" if directory_hash(folder) == out["md5"] else "other"


def main(root: Path = ROOT) -> int:
    """Bring the data of a repository into step with its .dvc files; return an exit code."""
    pointer = root / "data.dvc"
    if not (root / ".dvc").is_dir():
        return 0
    found = state(pointer) if pointer.is_file() else "missing"
    if found == "same":
        return 0
    print(f"[data] data/ is {found if found == 'missing' else 'not the version of data.dvc'}:"
          " fetching it with `dvc pull`", flush=True)  # fmt: skip
    done = subprocess.run([str(Path(sys.executable).with_name("dvc")), "pull", "-q"], cwd=root)
    if done.returncode == 0:
        return 0
    if found == "missing":
        print("[data] DVC could not fetch data/: its message stands above. Remotes and keys: "
              "docs/data-remotes.md", file=sys.stderr)  # fmt: skip
    else:
        print(
            "[data] data/ was changed here and DVC does not overwrite it.\n"
            "  to use the change:      .venv/bin/dvc add data\n"
            "  to throw it away:       .venv/bin/dvc checkout --force data.dvc\n"
            "then run the same command again.",
            file=sys.stderr,
        )
    return 2


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
