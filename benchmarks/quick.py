"""The training part of `make run`: our engine against nfp's layers, in one run and in turns.

Both sides take the recipe of params.yaml (network, batch size, labels) and two processes of one
thread, as `make run` does on two cores; graphs are ready before the clock starts. The reference is
`polyid.models.global100`, trained by Keras on padded batches of whole graphs.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from polymers import ROOT, read
from workers import Worker, together

CACHE = ROOT / "runs" / "benchmarks"


def main() -> None:
    """Measure, print the table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    print(f"{'':12}{'ms per update':>15}{'updates/s':>12}{'whole training':>18}")
    for side in ("reference", "ours"):
        ms, hours = found[side]["ms_per_update"], found[side]["training_s"] / 60
        print(f"{side:12}{ms:15.1f}{1000 / ms:12.1f}{hours:14.1f} min")
    print(f"ratio {found['ratio']:.1f} (updates per second, both on two processes)")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measure(rounds: int) -> dict[str, Any]:
    """Milliseconds per update of both sides, and what that makes of the whole recipe."""
    import yaml

    recipe = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    polymers = read("table")
    batch, folds = recipe["training"]["batch_size"], recipe["folds"]["count"]
    task = {
        "recipe": {**recipe["model"], **recipe["training"]},
        "polymers": polymers.as_dict(),
        "chosen": polymers.spread(16 * batch),
        "cache": str(CACHE / "structures"),
    }
    crews: dict[str, list[Worker]] = {}
    for side in ("reference", "ours"):
        crews[side] = []
        for _ in range(2):
            environment = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow"}
            if side == "ours":
                folder = CACHE / "xla"
                folder.mkdir(parents=True, exist_ok=True)
                environment["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={folder}"
            worker = Worker(
                Path(sys.executable), "quick_side.py", {**task, "side": side}, CACHE / "logs",
                environment,
            )  # fmt: skip
            worker.hear()  # the first update, which compiles
            crews[side].append(worker)
    raw: dict[str, list[float]] = {side: [] for side in crews}
    for _ in range(rounds):
        for side, crew in crews.items():
            count = 64 if side == "ours" else 16
            answer = together(crew, count=count)
            raw[side].append(1000 * answer["seconds"] / answer["count"])
    for crew in crews.values():
        for worker in crew:
            worker.close()
    rows = len(polymers.smiles) * (folds - 1) / folds
    updates = folds * recipe["training"]["epochs"] * rows / batch
    found: dict[str, Any] = {"updates": round(updates)}
    for side, values in raw.items():
        ms = statistics.median(values)
        found[side] = {"ms_per_update": ms, "all_ms": values, "training_s": updates * ms / 1000}
    found["ratio"] = found["reference"]["ms_per_update"] / found["ours"]["ms_per_update"]
    return found


if __name__ == "__main__":
    main()
