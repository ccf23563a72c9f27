"""How fast the service is: start to ready, single predictions under load, a batch, memory.

``python benchmarks/serve.py`` makes an ensemble of publication size with random weights once,
starts the service on it, and asks for polymers of the property table that it has not seen yet.
``--seconds 300`` is the load of the goal; the default only shows that all works. ``--published``
lets the published package predict some of the same chains before and after, with ten members, for
a ratio. ``--json`` prints figures for machines.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from polymers import ROOT, read

sys.path.insert(0, str(ROOT))

CACHE = ROOT / "runs" / "benchmarks"
#: Chains that the published package predicts in a round: it takes more than a second for each.
_THEIRS = 6
#: Beginning of a chain → the same with a longer end; others take it in front.
_ENDS = {
    "O=C(O)": "O=C(O{})",
    "O=C(Cl)": "O=C(O{})",
    "O=C=N": "{}N",
    "C=C": "{}C",
    "N#C": "{}N",
    "Fc": "{}c",
    "Cl": "{}",
}
#: Figure → what it is, unit, goal.
_ROWS = {
    "ready_s": ("start to ready, model on disk", "s", 15.0),
    "p50_ms": ("single prediction, p50", "ms", 100.0),
    "p99_ms": ("single prediction, p99", "ms", 500.0),
    "batch_s": ("batch of polymers", "s", 60.0),
}


def main() -> None:
    """Measure and print."""
    options = _options()
    folder = publication_model(CACHE / "serve-model")
    with published(options.published) as theirs:
        before = theirs()
        found = asyncio.run(measure(folder, options))
        found |= ratios(found, [*before, *theirs()])
    print(json.dumps(found, indent=1) if options.json else table(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of load")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rows", type=int, default=1_000, help="of the batch")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--published", action="store_true", help="the published package too")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def publication_model(folder: Path, members: int = 10) -> Path:
    """Write a model folder of the publication's sizes with random weights, once."""
    if (folder / "checksums.json").exists():
        return folder
    import numpy as np
    import pandas as pd
    import yaml

    from polyid.checksums import write_checksums
    from polyid.domain import Domain
    from polyid.engine.weights import initial
    from polyid.intervals import Intervals
    from polyid.modelfiles import MemberFiles, ModelParameters, save_member
    from polyid.properties import PROPERTIES
    from polyid.reference import write_reference
    from polyid.scaling import Scaler
    from polyid.structures import build

    recipe = yaml.safe_load((ROOT / "trainer" / "recipes" / "publication.yaml").read_text())
    sizes = recipe["model"]
    read("table")  # says what to do if the file is missing
    frame = pd.read_csv(ROOT / "data" / "polyid_properties.csv")
    columns = [name for name in PROPERTIES if name in frame]
    frame = frame.dropna(subset=columns, how="all").reset_index(drop=True)
    vocabulary = build(list(frame["smiles_polymer"]), 1, cache=CACHE).vocabulary
    folder.mkdir(parents=True, exist_ok=True)
    parameters = ModelParameters(
        sizes["name"],
        tuple(columns),
        members,
        sizes["features"],
        sizes["mol_features"],
        sizes["num_messages"],
        sizes["dropout"],
        sizes["dp"],
    )
    parameters.save(folder)
    labels = frame[columns]
    scale = (labels.quantile(0.75) - labels.quantile(0.25)).to_numpy(float)
    scaler = Scaler(tuple(columns), labels.median().to_numpy(float), scale)
    for member in range(members):
        weights = initial(parameters.architecture(vocabulary), 0, member)
        save_member(folder, member, MemberFiles(weights, vocabulary, scaler))
    Domain.fit(frame, recipe["domain"]["radius"], columns).save(folder / "domain.json")
    rng, parts = np.random.default_rng(0), []
    for column in columns:
        known = frame[column].dropna().to_numpy()
        part = pd.DataFrame({"group": range(len(known)), "fold": np.arange(len(known)) % 10})
        guess = known + rng.normal(0, known.std() / 3, len(known))
        parts.append(part.assign(property=column, y_true=known, y_pred=guess))
    Intervals.fit(pd.concat(parts)).save(folder / "intervals.json")
    record = {"fingerprint": "0" * 16, "code": {"commit": None}, "data": {"hash": None}}
    (folder / "record.yaml").write_text(yaml.safe_dump(record))
    write_reference(folder, frame)
    write_checksums(folder)
    return folder


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Start the service and take all figures."""
    begun = time.perf_counter()
    with _service(folder, options.workers) as (url, pid):
        limits = httpx2.Limits(max_connections=options.clients + 1)
        async with httpx2.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
            await _ready(client)
            found: dict[str, Any] = {"ready_s": time.perf_counter() - begun}
            found["workers"], found["clients"] = options.workers, options.clients
            found["memory_before_mb"] = memory(pid)
            found |= await _load(client, options)
            found["memory_after_load_mb"] = memory(pid)
            found |= await _batch(client, options.rows)
            found["memory_after_batch_mb"] = memory(pid)
    return found


@contextmanager
def _service(folder: Path, workers: int) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "--model", str(folder), "--port", str(port)]
    command += ["--cache", str(CACHE / "serve-cache"), "--workers", str(workers)]
    with (CACHE / "serve.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(60)


async def _ready(client: httpx2.AsyncClient) -> None:
    while True:
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return
        except httpx2.TransportError:
            pass  # not listening yet
        await asyncio.sleep(0.02)


async def _load(client: httpx2.AsyncClient, options: argparse.Namespace) -> dict[str, Any]:
    """Ask for one polymer after the other with every client, each polymer once."""
    polymers, taken, codes = distinct(), [], {}
    end = time.perf_counter() + options.seconds

    async def ask() -> None:
        while (begun := time.perf_counter()) < end:
            answer = await client.post("/predict", json=next(polymers))
            taken.append(1_000 * (time.perf_counter() - begun))
            codes[str(answer.status_code)] = codes.get(str(answer.status_code), 0) + 1

    await asyncio.gather(*(ask() for _ in range(options.clients)))
    hundredths = statistics.quantiles(taken, n=100) if len(taken) > 1 else taken * 99
    return {
        "p50_ms": statistics.median(taken),
        "p99_ms": hundredths[98],
        "slowest_ms": max(taken),
        "per_s": len(taken) / options.seconds,
        "codes": codes,
    }


async def _batch(client: httpx2.AsyncClient, rows: int) -> dict[str, Any]:
    source = distinct(seed=1)
    body = [next(source) for _ in range(rows)]
    begun = time.perf_counter()
    answer = await client.post("/predict/batch", json=body)
    lines = answer.text.splitlines()
    good = sum(json.loads(line)["ok"] for line in lines)
    return {"batch_s": time.perf_counter() - begun, "batch_rows": len(lines), "batch_ok": good}


def distinct(seed: int = 0) -> Iterator[dict[str, str]]:
    """Chains of the property table in random order, then the same with ever longer ends."""
    from rdkit import Chem, rdBase

    known = read("table").smiles
    with rdBase.BlockLogs():  # all but a few ends can be longer
        changed = [c for c in known if Chem.MolFromSmiles(longer(c, 1)) is not None]
    # asked for in another way, a polymer is not answered from memory
    kind = "auto" if seed else "oligomer"
    for more in range(100):
        chains = changed if more else known
        for chain in random.Random(seed + more).sample(chains, len(chains)):  # noqa: S311
            yield {"smiles": longer(chain, more), "kind": kind}


def longer(chain: str, more: int) -> str:
    """Give a chain ``more`` carbons at its beginning: another polymer of about the same size."""
    if not more:
        return chain
    end, new = next((pair for pair in _ENDS.items() if chain.startswith(pair[0])), ("", "{}"))
    return new.format("C" * more) + chain.removeprefix(end)


@contextmanager
def published(wanted: bool) -> Iterator[Callable[[], list[float]]]:
    """Give what measures the published package: polymers a second, some rounds of them."""
    if not wanted:
        yield list
        return
    from engine import Bench

    bench = Bench(quick=True)
    polymers = read("table")
    try:
        worker = bench.worker(
            "theirs", "predict", polymers, members=10, chosen=polymers.spread(_THEIRS)
        )
        worker.hear()

        def rates() -> list[float]:
            texts = [polymers.smiles[row] for row in polymers.spread(_THEIRS)]
            answers = [worker.ask(items=texts) for _ in range(2)]
            return [len(texts) / answer["seconds"] for answer in answers]

        yield rates
    finally:
        bench.close()


def ratios(found: dict[str, Any], theirs: list[float]) -> dict[str, Any]:
    """Our polymers a second over theirs: asked for one at a time, and as a batch."""
    if not theirs:
        return {}
    rate = statistics.median(theirs)
    return {
        "published_per_s": rate,
        "published_all": theirs,
        "single_ratio": found["per_s"] / rate,
        "batch_ratio": found["batch_ok"] / found["batch_s"] / rate,
    }


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    pids, total = [pid], 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += [int(child) for child in (task / "children").read_text().split()]
    for one in pids:
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1]) / 1024
    return total


def table(found: dict[str, Any]) -> str:
    """Lines for a terminal."""
    lines = []
    for key, (title, unit, goal) in _ROWS.items():
        met = "met" if found[key] <= goal else "missed"
        lines.append(f"{title:36} {found[key]:10.1f} {unit:3} ≤ {goal:g} {unit} {met}")
    lines.append(
        f"{found['per_s']:.1f} predictions/s by {found['clients']} clients: {found['codes']}"
    )
    lines.append(f"slowest {found['slowest_ms']:.0f} ms; {found['workers']} workers")
    lines.append(f"batch: {found['batch_ok']} of {found['batch_rows']} rows predicted")
    memory_mb = [found[f"memory_{when}_mb"] for when in ("before", "after_load", "after_batch")]
    lines.append(
        "memory before, after load, after batch: " + ", ".join(f"{m:.0f} MB" for m in memory_mb)
    )
    if "published_per_s" in found:
        lines.append(
            f"published package: {found['published_per_s']:.2f} polymers/s; ours over theirs: "
            f"{found['single_ratio']:.1f} one at a time, {found['batch_ratio']:.1f} as a batch"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
