"""Import what a run imports, in two processes: shows what does not load, and compiles it once."""

import subprocess
import sys

GROUPS = (
    ("tensorflow", "keras", "nfp"),
    (
        "rdkit.Chem.Draw.rdMolDraw2D",
        "rdkit.Chem.AllChem",
        "m2p",
        "sklearn.gaussian_process",
        "pandera.pandas",
        "pyarrow.parquet",
        "matplotlib.pyplot",
        "huggingface_hub",
        "pydantic",
        "jinja2",
        "rich.progress",
        "typer",
        "dvc.cli",
        "dvc.repo",
        "dvc_s3",
        "ruamel.yaml",
    ),
)


def main() -> int:
    """Import each group in its own process; print what failed; return 0 when all of them load."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", "\n".join(f"import {name}" for name in group)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for group in GROUPS
    ]
    failed = 0
    for process in running:
        told = process.communicate()[1]  # tensorflow greets on stderr: shown only with a failure
        if process.returncode:
            print(told, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
