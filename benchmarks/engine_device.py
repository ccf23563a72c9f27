"""Our side on an accelerator with JAX: NumPy, SciPy, JAX and Keras, and nothing else.

``engine.py prepare`` writes the packed stereo set where everything is installed (it needs RDKit);
``engine.py device`` trains on it where the accelerator is: the publication's recipe at batch 1, for
1, 5, 10 and 50 members in one program. Neither imports TensorFlow on the device.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from environments import ROOT

FOLDER = ROOT / "runs" / "benchmarks" / "device"


def main(mode: str, quick: bool, whole: bool) -> dict[str, Any]:
    """Prepare the data, or measure."""
    sys.path.insert(0, str(ROOT))
    return prepare() if mode == "prepare" else device(quick, whole)


def prepare(folder: Path = FOLDER) -> dict[str, Any]:
    """Pack the stereo set for the recipe's network, one member per fold."""
    import numpy as np
    from engine import recipe
    from polymers import read

    from polyid.engine.packing import buckets
    from polyid.scaling import Scaler
    from polyid.structures import build

    polymers, sizes = read("stereo"), recipe()
    made = build(polymers.smiles, sizes["num_messages"])
    packed = buckets(made.quotients, tuple(sizes["buckets"]))
    labels = np.array(polymers.labels, dtype=float)
    scaled = Scaler.fit(labels, tuple(polymers.columns)).transform(labels)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"labels": scaled.astype(np.float32), "pm": np.array(polymers.pm, dtype=np.float32)}
    for i, bucket in enumerate(packed):
        arrays |= {f"table_{i}": bucket.table, f"members_{i}": bucket.members}
    np.savez(folder / "stereo.npz", **arrays)
    facts = {
        "sizes": sizes,
        "layouts": [bucket.layout for bucket in packed],
        "atom_classes": made.vocabulary.atom_classes,
        "bond_classes": made.vocabulary.bond_classes,
        "outputs": len(polymers.columns),
    }
    (folder / "stereo.json").write_text(json.dumps(facts), encoding="utf-8")
    print(f"{len(polymers.smiles)} polymers in {len(packed)} buckets: {folder}")
    return facts


def device(quick: bool, whole: bool, folder: Path = FOLDER) -> dict[str, Any]:
    """Milliseconds per step for several numbers of members, and the whole recipe's time."""
    os.environ["KERAS_BACKEND"] = "jax"
    if not (folder / "stereo.json").exists():
        raise SystemExit(f"{folder} has no data: run `python benchmarks/engine.py prepare` first.")
    import jax

    cache = ROOT / "runs" / "benchmarks" / "jax"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    facts = json.loads((folder / "stereo.json").read_text(encoding="utf-8"))
    sizes = facts["sizes"]
    where = jax.devices()[0]
    found: dict[str, Any] = {"device": f"{where.platform} {where.device_kind}", "members": {}}
    print(f"{found['device']}, JAX {jax.__version__}")
    print(f"{'members':>8} {'first step':>11} {'ms/step':>9} {'µs/update':>10}")
    for members in (1, 2) if quick else (1, 5, 10, 50):
        result = measure(facts, folder, members, epochs=2 if quick else 4)
        found["members"][members] = result
        ms = result["ms_per_step"]
        print(
            f"{members:8d} {result['first_step_s']:9.1f} s {ms:9.3f} {1000 * ms / members:10.1f}",
            flush=True,
        )
    folds = sizes["folds"]
    if folds in found["members"]:
        one = found["members"][folds]
        steps = one["steps_per_epoch"] * sizes["epochs"]
        found["projected_s"] = one["first_step_s"] + steps * one["ms_per_step"] / 1000
        print(f"{folds} folds × {sizes['epochs']} epochs: projected {found['projected_s']:.0f} s")
    if whole:
        result = measure(facts, folder, folds, sizes["epochs"])
        found["whole_s"], found["whole"] = result["seconds"], result
        print(f"{folds} folds × {sizes['epochs']} epochs: took {result['seconds']:.0f} s")
    if "tensorflow" in sys.modules:
        raise SystemExit("TensorFlow was imported; this mode must run without it.")
    return found


def measure(facts: dict[str, Any], folder: Path, count: int, epochs: int) -> dict[str, Any]:
    """Train ``count`` members, of as many folds as the recipe has, for ``epochs``."""
    import numpy as np

    from polyid.engine.fit import Fitter, Member, Recipe, pools
    from polyid.engine.order import steps_per_bucket
    from polyid.engine.packing import Bucket, Layout
    from polyid.engine.weights import Architecture

    sizes = facts["sizes"]
    with np.load(folder / "stereo.npz") as data:
        arrays = dict(data)
    packed = [
        Bucket(
            Layout(tuple(atoms), tuple(edges), degree), arrays[f"members_{i}"], arrays[f"table_{i}"]
        )
        for i, (atoms, edges, degree) in enumerate(facts["layouts"])
    ]
    labels, folds = arrays["labels"], sizes["folds"]
    fold = np.random.default_rng(0).permutation(len(labels)) % folds
    none = np.zeros(0, dtype=np.intp)
    members = [Member(i, np.flatnonzero(fold != i % folds), none, labels) for i in range(count)]
    steps = steps_per_bucket([pools(m.train, packed) for m in members], 1)
    architecture = Architecture(
        "pm",
        facts["atom_classes"],
        facts["bond_classes"],
        sizes["features"],
        sizes["mol_features"],
        sizes["num_messages"],
        facts["outputs"],
        0.0,
    )
    began = time.perf_counter()
    recipe = Recipe(epochs, 1, sizes["learning_rate"], sizes["decay"])
    fitter = Fitter(architecture, recipe, packed, count, steps, arrays["pm"])
    ends = [time.perf_counter()]
    # an epoch ends with its losses on the host, so all of its steps are done
    fitter.fit(members, on_epoch=lambda epoch: ends.append(time.perf_counter()))
    lasted = np.diff(ends)
    ms = 1000 * statistics.median(lasted[1:] if len(lasted) > 1 else lasted) / sum(steps)
    return {
        "seconds": ends[-1] - began,
        "first_step_s": ends[1] - began - sum(steps) * ms / 1000,
        "ms_per_step": ms,
        "steps_per_epoch": sum(steps),
    }
