"""A road small enough to be walked many times: few short chains, a tiny network, real commands."""

import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
TRAINER = [sys.executable, "-m", "trainer.cli"]
#: What this machine says of BLAS; other kernels give other last bits, elsewhere as in a container.
KERNELS = {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")}
TG, TM = "Glass_Transition", "Melt_Temp"

#: A recipe that beats the mean of the labels after a few seconds.
TINY: dict[str, Any] = {
    "recipe": "tiny",
    "data": {
        "licence": "MIT",
        "columns": {
            "smiles": "smiles_polymer",
            "monomers": "smiles_monomer",
            "mechanism": "mechanism",
            "distribution": "distribution",
            "pm": None,
            "replicate": None,
        },
        "properties": {
            TG: {"column": TG, "unit": "°C"},
            TM: {"column": TM, "unit": "°C"},
        },
    },
    "folds": {"count": 2, "split": "grouped", "also": None, "seed": 7},
    "model": {
        "name": "global100",
        "features": 8,
        "mol_features": 4,
        "num_messages": 2,
        "dropout": 0.05,
        "dp": 18,
    },
    "training": {
        "epochs": 60,
        "batch_size": 8,
        "learning_rate": 0.01,
        "decay": 1e-5,
        "schedule": "cosine",
        "warmup": 0.05,
        "loss": "mae",
        "select": "last",
        "holdout": 0.0,
        "patience": None,
        "validate_every": 60,
        "buckets": [1.0],
        "seed": 1,
    },
    "domain": {"radius": 2},
    "intervals": {"level": 0.9},
}
GATES: dict[str, Any] = {
    "mode": "enforce",
    "owner": "the tests",
    "rationale": "what the tiny recipe reaches",
    "floors": {
        TG: {"max_mae": 70.0, "min_r2": 0.05, "unit": "°C"},
        TM: {"max_mae": 95.0, "min_r2": 0.05, "unit": "°C"},
    },
    "must_beat_mean": True,
    "champion": {"confidence": 0.95, "max_regression": 0.5},
    "noise": {},
}


def changed(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Copy nested settings with changes, such as ``training__epochs=3``."""
    result = copy.deepcopy(content)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = result
        for part in path:
            place = place[part]
        place[last] = value
    return result


def small_table(table: Path, per_mechanism: int = 16) -> pd.DataFrame:
    """Shortest chains of three mechanisms with both properties' labels among them, as texts."""
    raw = pd.read_csv(table, dtype=str, keep_default_na=False)
    raw = raw[(raw[TG] != "") & raw["mechanism"].isin(["vinyl", "ester", "amide"])]
    raw = raw.assign(length=raw["smiles_polymer"].str.len())
    parts = [part.nsmallest(per_mechanism, "length") for _, part in raw.groupby("mechanism")]
    return pd.concat(parts).drop(columns="length").reset_index(drop=True)


@dataclass(frozen=True)
class Road:
    """A folder with data, recipe, gate, registry and runs, and the commands on them."""

    folder: Path
    hub: str | None = None
    """Address of the registry if it is on the Hub instead of in the folder."""

    @classmethod
    def laid(
        cls,
        folder: Path,
        table: pd.DataFrame,
        params: dict[str, Any] = TINY,
        gates: dict[str, Any] = GATES,
    ) -> "Road":
        """Write data, recipe and gate."""
        folder.mkdir(parents=True, exist_ok=True)
        road = cls(folder)
        table.to_csv(road.data, index=False)
        road.write(road.params, params)
        road.write(road.gates, gates)
        return road

    @property
    def data(self) -> Path:
        return self.folder / "data.csv"

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    @property
    def gates(self) -> Path:
        return self.folder / "gates.yaml"

    @property
    def registry(self) -> Path:
        return self.folder / "registry"

    @property
    def work(self) -> Path:
        return self.folder / "runs"

    def place(self, name: str) -> str:
        """Return what the option ``name`` is given."""
        return self.hub if name == "registry" and self.hub else str(getattr(self, name))

    def write(self, path: Path, content: dict[str, Any]) -> None:
        """Write settings."""
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def arguments(self, verb: str, *more: str) -> list[str]:
        """Command line of ``verb`` with all its places."""
        taken = {
            "check": ("data", "params", "gates"),
            "doctor": ("data", "params", "gates", "registry", "work"),
            "run": ("data", "params", "gates", "registry", "work"),
            "train": ("data", "params", "work"),
            "evaluate": ("data", "params", "work"),
            "gate": ("data", "params", "gates", "registry", "work"),
            "publish": ("data", "params", "gates", "registry", "work"),
            "rollback": ("registry",),
            "list": ("registry",),
            "show": ("registry",),
            "diff": ("registry",),
            "lineage": ("registry",),
        }[verb]
        places = [text for name in taken for text in (f"--{name}", self.place(name))]
        return [*TRAINER, verb, *places, *more]

    def call(
        self, verb: str, *more: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end; a traceback is a fault wherever it comes from."""
        done = subprocess.run(
            self.arguments(verb, *more), cwd=ROOT, capture_output=True, text=True,
            env=os.environ | (env or {}),
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def answer(self, verb: str, *more: str, code: int = 0) -> dict[str, Any]:
        """Run a verb with ``--json``, expect its exit code, and return what it says."""
        done = self.call(verb, "--json", *more)
        assert done.returncode == code, done.stdout + done.stderr
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    @contextmanager
    def started(
        self, verb: str, *more: str, env: dict[str, str] | None = None
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a verb in a process group of its own, and leave nothing of it behind."""
        with (self.folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                self.arguments(verb, *more), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                text=True, start_new_session=True, env=os.environ | (env or {}),
            )  # fmt: skip
        try:
            yield process
        finally:
            if in_group(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def output(self) -> str:
        """What the started command printed."""
        return (self.folder / "output.txt").read_text()

    def run_folder(self) -> Path:
        """Return the folder of the only run."""
        (found,) = [p for p in self.work.iterdir() if p.name != "cache"]
        return found

    def checkpoints(self) -> list[Path]:
        """Return checkpoints of all runs, by member and epoch."""
        return sorted(self.work.glob("*/checkpoints/*/epoch-*.npz"))


def in_group(group: int) -> list[int]:
    """Return the living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            continue  # it has ended meanwhile
        if after and int(after[2]) == group and after[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_for(what: Callable[[], Any], seconds: float = 120.0, step: float = 0.02) -> Any:
    """Return the first true answer of ``what``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(step)
    raise AssertionError(f"{what} did not come true in {seconds:g} s")


def assert_alike(ours: object, theirs: object, place: str = "metrics") -> None:
    """Compare two JSON values, numbers to the tolerance of 32-bit floats.

    Another machine, or another choice of BLAS kernels on the same one, may give other last bits.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), place
        for key in ours:
            assert_alike(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        assert len(ours) == len(theirs), place
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_alike(*pair, f"{place}[{i}]")
    elif isinstance(ours, float) and isinstance(theirs, float):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6, err_msg=place)
    else:
        assert ours == theirs, place


def file_hashes(folder: Path, pattern: str) -> dict[str, str]:
    """SHA-256 of the files that match."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
    }
