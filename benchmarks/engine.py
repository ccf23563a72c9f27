"""Our engine against the published package, in one run and in turns, on the same polymers.

``python benchmarks/engine.py`` measures both sides; ``--only train_table`` one part; ``--quick``
a few updates of each; ``--peers`` adds chemprop and PyTorch Geometric; ``device`` measures our
side alone on JAX. See README.md here.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environments import ROOT, python_of
from polymers import Polymers, pieces, read
from workers import Worker, together

PARTS = ("train_table", "train_stereo", "predict", "featurise")
CACHE = ROOT / "runs" / "benchmarks"


class Bench:
    """What is measured, by which interpreters, and how long."""

    def __init__(self, quick: bool) -> None:
        self.rounds = 1 if quick else 3
        self.quick = quick
        self.sizes = recipe()
        self.ours = Path(sys.executable)
        self.theirs = python_of("published", CACHE / "env")
        self.raw: dict[str, Any] = {}
        self.open: list[Worker] = []
        self.compiled = Path(tempfile.mkdtemp(prefix="compiled-", dir=_folder(CACHE)))

    def worker(self, side: str, part: str, polymers: Polymers, **task: Any) -> Worker:
        """Start a process of one side."""
        task |= {"part": part, "polymers": polymers.as_dict(), "sizes": self.sizes}
        environment = {}
        if side == "ours":
            task["cache"] = str(CACHE / "structures")
            environment = {"KERAS_BACKEND": "tensorflow"}
            if part == "train":  # whose first update is timed
                environment["POLYID_KERNELS"] = str(self.compiled)
        if task.get("threads"):
            environment["OMP_NUM_THREADS"] = str(task["threads"])
        python = self.ours if side == "ours" else self.theirs
        worker = Worker(python, f"engine_{side}.py", task, CACHE / "logs", environment)
        self.open.append(worker)
        return worker

    def close(self) -> None:
        """End all processes."""
        for worker in self.open:
            worker.close()
        self.open.clear()

    def train(self, name: str) -> None:
        """Milliseconds per update at batch 1, both sides alone and two processes side by side."""
        polymers = read(name)
        chosen = polymers.spread(8 if self.quick else 16)
        raw = self.raw.setdefault(f"train_{name}", {})

        def start(side: str, threads: int | None) -> Worker:
            return self.worker(side, "train", polymers, chosen=chosen, threads=threads)

        def start_theirs() -> list[Worker]:
            return [start("theirs", None), start("theirs", 1), start("theirs", 1)]

        alone = name == "table"  # compilation is timed once, with nothing beside it
        theirs = [] if alone else start_theirs()
        first = start("ours", 1)
        cold = first.hear()["seconds"]
        second = start("ours", 1)
        cached = second.hear()["seconds"]
        if alone:
            raw["compile_cold_s"], raw["compile_cached_s"] = cold, cached
            theirs = start_theirs()
        whole = start("ours", 2)
        for worker in (whole, *theirs):
            answer = worker.hear()
        raw["theirs_first_update_s" if alone else "theirs_first_update_beside_s"] = answer[
            "seconds"
        ]
        default, *pair = theirs
        # a round beforehand: the end of the published package's first epoch costs it seconds
        together([first, second, whole, *theirs], count=len(chosen))
        crews = {
            "theirs_default": [default],
            "ours_two_threads": [whole],
            "theirs_two_processes": pair,
            "ours_two_processes": [first, second],
        }
        measured: dict[str, list[dict[str, float]]] = {key: [] for key in crews}
        for _ in range(self.rounds):
            for key, crew in crews.items():
                count = len(chosen) * (4 if key.startswith("ours") else 1)
                measured[key].append(together(crew, count=count))
        for key, found in measured.items():
            per = [1000 * f["seconds"] / f["count"] for f in found]
            raw[key] = {
                "ms_per_update": statistics.median(per),
                "all_ms": per,
                "peak_mb": found[-1]["peak_mb"],
            }

    def predict(self) -> None:
        """Polymers per second with ten members, from SMILES to values."""
        polymers = read("table")
        members, few = 10, 4 if self.quick else 8
        task = {"members": members, "chosen": polymers.spread(8)}
        ours = self.worker("ours", "predict", polymers, **task)
        theirs = self.worker("theirs", "predict", polymers, **task)
        ours.hear(), theirs.hear()
        many = pieces(polymers.spread(64 * (self.rounds + 1), 0.3), self.rounds + 1)
        some = pieces(polymers.spread(few * self.rounds), self.rounds)
        warm = ours.ask(items=_texts(polymers, many[-1]))
        self.raw["predict"] = {"members": members, "ours_first_s": warm["seconds"]}
        self._turns("predict", ours, theirs, polymers, many, some)

    def featurise(self) -> None:
        """Polymers per second from SMILES to what a network reads, cold and from our cache.

        Ours are the whole table, as before a training, on all cores; the published package has
        one way, one core, and takes a sample.
        """
        polymers = read("table")
        ours = self.worker("ours", "featurise", polymers)
        theirs = self.worker("theirs", "featurise", polymers, chosen=polymers.spread(8))
        ours.hear(), theirs.hear()
        every = list(range(len(polymers.smiles)))
        some = pieces(polymers.spread((8 if self.quick else 24) * self.rounds), self.rounds)
        whole = [every] * self.rounds
        self._turns("featurise", ours, theirs, polymers, whole, some, prefix=["all_cores"])
        texts = _texts(polymers, every)
        ours.ask(items=["cached", *texts])
        for how in ("one_core", "cached"):
            found = [ours.ask(items=[how, *texts]) for _ in range(self.rounds)]
            self.raw["featurise"][f"ours_{how}_per_s"] = statistics.median(
                len(texts) / f["seconds"] for f in found
            )

    def _turns(
        self,
        part: str,
        ours: Worker,
        theirs: Worker,
        polymers: Polymers,
        many: list[list[int]],
        some: list[list[int]],
        prefix: list[str] | None = None,
    ) -> None:
        raw = self.raw.setdefault(part, {})
        rates: dict[str, list[float]] = {"theirs": [], "ours": []}
        for mine, other in zip(many, some, strict=False):
            for side, worker, rows, before in (
                ("theirs", theirs, other, []),
                ("ours", ours, mine, prefix or []),
            ):
                found = worker.ask(items=[*before, *_texts(polymers, rows)])
                rates[side].append(len(rows) / found["seconds"])
                raw[f"{side}_peak_mb"] = found["peak_mb"]
        for side, values in rates.items():
            raw[f"{side}_per_s"], raw[f"{side}_all"] = statistics.median(values), values


def recipe() -> dict[str, Any]:
    """Sizes of the publication's recipe."""
    import yaml

    path = ROOT / "trainer" / "recipes" / "publication.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    model, training = content["model"], content["training"]
    keys = ("learning_rate", "decay", "buckets", "epochs")
    return {**model, **{key: training[key] for key in keys}, "folds": content["folds"]["count"]}


def best_of(part: dict[str, Any], side: str) -> float:
    """Milliseconds per update in the side's best way."""
    ways = [w for key, w in part.items() if key.startswith(side) and isinstance(w, dict)]
    return min(way["ms_per_update"] for way in ways)


def ratios(raw: dict[str, Any]) -> dict[str, float]:
    """Our throughput over theirs, each side in its best way."""
    found: dict[str, float] = {}
    for name in ("train_table", "train_stereo"):
        if name in raw:
            best = {side: best_of(raw[name], side) for side in ("ours", "theirs")}
            found[name] = best["theirs"] / best["ours"]
            found |= {key: v for key, v in raw[name].items() if key.startswith("compile")}
    if "predict" in raw:
        found["predict"] = raw["predict"]["ours_per_s"] / raw["predict"]["theirs_per_s"]
    if "featurise" in raw:
        part = raw["featurise"]
        found["featurise"] = part["ours_per_s"] / part["theirs_per_s"]
        found["featurise_cached"] = part["ours_cached_per_s"] / part["theirs_per_s"]
    return found


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", nargs="?", choices=["cpu", "device", "prepare"], default="cpu")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (repeat it)")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--peers", action="store_true", help="chemprop and PyG too")
    parser.add_argument("--whole", action="store_true", help="device: train the whole recipe")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    asked = parser.parse_args(arguments)
    if asked.mode != "cpu":
        import engine_device

        figures = engine_device.main(asked.mode, asked.quick, asked.whole)
        return _write(figures, asked.json)
    from report import table

    bench = Bench(asked.quick)
    bench.raw["machine"] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    acts: dict[str, Callable[[], None]] = {
        "train_table": lambda: bench.train("table"),
        "train_stereo": lambda: bench.train("stereo"),
        "predict": bench.predict,
        "featurise": bench.featurise,
    }
    try:
        for part in asked.only or PARTS:
            print(f"{part} …", file=sys.stderr, flush=True)
            acts[part]()
            bench.close()
        if asked.peers:
            import engine_peers

            bench.raw["peers"] = engine_peers.measure(asked.quick)
    finally:
        bench.close()
        shutil.rmtree(bench.compiled, ignore_errors=True)
    found = ratios(bench.raw)
    print(table(found, bench.raw))
    return _write({**found, "raw": bench.raw}, asked.json)


def _write(figures: dict[str, Any], path: Path | None) -> int:
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _texts(polymers: Polymers, rows: Any) -> list[str]:
    return [polymers.smiles[i] for i in rows]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
