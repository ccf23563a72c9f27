"""Small models with random weights, registries of them, and the service as a process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import yaml
from card_kit import add_card

from polyid.checksums import write_checksums
from polyid.domain import Domain
from polyid.engine.weights import initial
from polyid.intervals import Intervals
from polyid.modelfiles import MemberFiles, ModelParameters, save_member
from polyid.polymers import to_polymer
from polyid.reference import write_reference
from polyid.scaling import Scaler
from polyid.structures import build

ROOT = Path(__file__).parents[2]
COMMIT, DATA_HASH, IMAGE = "ab" * 20, "cd" * 32, "sha256:" + "ef" * 32
DP = 6
#: Longest wait for anything: generous, for a machine that is busy with something else.
PATIENCE = 300.0

#: Monomers, mechanism, glass transition / °C, density / g/cm³ (rounded handbook values).
POLYMERS = [
    ("C=C", "vinyl", -100.0, 0.95),
    ("C=CC", "vinyl", -10.0, 0.9),
    ("C=CCC", "vinyl", -25.0, 0.91),
    ("C=C(C)C", "vinyl", -70.0, 0.92),
    ("C=Cc1ccccc1", "vinyl", 100.0, 1.05),
    ("C=CC(=O)OC", "vinyl", 10.0, 1.22),
    ("C=C(C)C(=O)OC", "vinyl", 105.0, 1.18),
    ("C=COC(C)=O", "vinyl", 32.0, 1.19),
    ("OCC(=O)O", "ester", 40.0, 1.5),
    ("CC(O)C(=O)O", "ester", 57.0, 1.25),
    ("CC(O)CC(=O)O", "ester", 4.0, 1.25),
    ("O=C(O)CCC(=O)O.OCCO", "ester", -10.0, 1.3),
    ("O=C(O)CCCCC(=O)O.OCCCCO", "ester", -60.0, 1.1),
    ("NCCCCCC(=O)O", "amide", 50.0, 1.13),
    ("O=C(O)CCCCC(=O)O.NCCCCCCN", "amide", 55.0, 1.14),
]


def table(pm: bool = False) -> pd.DataFrame:
    """Training polymers."""
    rows = []
    for monomers, mechanism, tg, density in POLYMERS:
        if pm and (mechanism != "ester" or "." in monomers or monomers.startswith("OCC")):
            continue
        for share in (0.1, 0.9) if pm else (None,):
            chain = to_polymer(
                monomers, mechanism=mechanism, dp=DP, kind="monomers", pm=share
            ).smiles_polymer
            rows.append((chain, monomers, mechanism, share, tg + 10 * (share or 0), density))
    names = ["smiles_polymer", "smiles_monomer", "mechanism", "pm", "Glass_Transition", "Density"]
    frame = pd.DataFrame(rows, columns=names)
    return frame if pm else frame.drop(columns="pm")


def write_model(
    folder: Path,
    seed: int = 0,
    *,
    pm: bool = False,
    reference: bool = True,
    card: bool = False,
) -> Path:
    """Write a model folder whose two members have random weights.

    Parameters
    ----------
    seed
        Of the weights, and part of the fingerprint.
    pm
        A model that reads the tacticity.
    reference
        With reference predictions.
    card
        With a card and its plots.
    """
    frame, columns = table(pm), ("Glass_Transition", "Density")
    folder.mkdir(parents=True)
    vocabulary = build(list(frame["smiles_polymer"]), 1).vocabulary
    name = "pm" if pm else "global100"
    parameters = ModelParameters(name, columns, 2, 8, 4, 2, 0.0, DP)
    parameters.save(folder)
    architecture = parameters.architecture(vocabulary)
    scaler = Scaler(columns, np.array([20.0, 1.1]), np.array([60.0, 0.15]))
    for member in range(2):
        weights = initial(architecture, seed, member)
        save_member(folder, member, MemberFiles(weights, vocabulary, scaler))
    Domain.fit(frame, 2, columns).save(folder / "domain.json")
    noise = np.random.default_rng(seed).normal(0, 1, len(frame))
    parts = [
        pd.DataFrame(
            {"group": range(len(frame)), "property": p, "fold": np.arange(len(frame)) % 3}
        ).assign(y_true=frame[p], y_pred=frame[p] + noise * size)
        for p, size in zip(columns, (20, 0.05), strict=True)
    ]
    Intervals.fit(pd.concat(parts)).save(folder / "intervals.json")
    record = {
        "fingerprint": f"{seed:016x}",
        "code": {"commit": COMMIT, "image": IMAGE},
        "data": {"hash": DATA_HASH},
        "started": pd.Timestamp("2026-01-31T12:00:00Z").to_pydatetime(),
    }
    (folder / "record.yaml").write_text(yaml.safe_dump(record))
    if reference:
        write_reference(folder, frame, 4)
    if card:
        names = ["sample", "mechanism"]
        rows = frame.assign(sample=frame["smiles_polymer"])[names].to_dict("list")
        predictions = pd.concat([part.assign(**rows) for part in parts])
        add_card(folder, predictions, f"{seed:016x}", DATA_HASH, COMMIT)
    write_checksums(folder)
    return folder


def spoil_weights(folder: Path) -> None:
    """Change a member so that only predictions show it: its checksums are right again."""
    import h5py

    with h5py.File(folder / "model_fold_0" / "model.weights.h5", "r+") as h5:
        h5["readout/bias"][...] += 1.0
    write_checksums(folder)


def release(root: Path, tag: str, model: Path) -> Path:
    """Put a model into a registry as its current release."""
    target = root / "releases" / tag
    shutil.copytree(model, target)
    content = {
        "tag": tag,
        "fingerprint": yaml.safe_load((model / "record.yaml").read_text())["fingerprint"],
    }
    (target / "release.json").write_text(json.dumps(content))
    write_checksums(target)
    (root / "current.json").write_text(json.dumps({"tag": tag}))
    return target


class Server:
    """The service as a process of its own, and a client."""

    def __init__(self, process: subprocess.Popen[str], log: list[str]) -> None:
        self.process, self.log = process, log
        self.url = ""
        self.client = httpx2.Client(timeout=PATIENCE)

    def get(self, path: str, **more: Any) -> httpx2.Response:
        """GET."""
        return self.client.get(self.url + path, **more)

    def post(self, path: str, **more: Any) -> httpx2.Response:
        """POST."""
        return self.client.post(self.url + path, **more)

    def predict(self, smiles: str, **more: Any) -> dict[str, Any]:
        """One prediction, which must be answered."""
        answer = self.post("/predict", json={"smiles": smiles, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def health(self) -> dict[str, Any]:
        """`/health`."""
        answer = self.get("/health")
        assert answer.status_code == 200
        return answer.json()

    def count(self, sample: str) -> float:
        """A sample of `/metrics`; 0 if it is not there yet."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def settled(self) -> dict[str, Any]:
        """`/health` once loading has come to an end."""
        return self.until(lambda: self.health(), lambda found: found["status"] != "starting")

    def until(self, ask: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        """Ask until the answer is good."""
        end = time.monotonic() + PATIENCE
        while True:
            found = ask()
            if good(found):
                return found
            assert time.monotonic() < end, f"{found}\n{''.join(self.log)}"
            assert self.process.poll() is None, "".join(self.log)
            time.sleep(0.1)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        path = Path(f"/proc/{self.process.pid}/task")
        found = []
        for task in path.iterdir():
            found += [int(pid) for pid in (task / "children").read_text().split()]
        return found

    def stop(self) -> int:
        """End it as a Space does."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(
    model: str | Path, cache: Path, *options: str, env: dict[str, str] | None = None
) -> Iterator[Server]:
    """Start the service on a free port, and end it."""
    command = [sys.executable, "-m", "app", "--model", str(model), "--port", "0"]
    command += ["--cache", str(cache), "--workers", "1", *options]
    surroundings = dict(env if env is not None else os.environ)
    # one thread per library: several services share the machine
    surroundings |= {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=surroundings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    log: list[str] = []
    server = Server(process, log)
    listening = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if "running on http" in line:
                server.url = "http" + line.split("http", 1)[1].split(" ")[0]
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert listening.wait(PATIENCE), "".join(log)
        assert server.url, "".join(log)
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        reader.join(PATIENCE)
