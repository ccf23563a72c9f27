"""What quotient graphs save, by chain length: the same arithmetic with every atom its own class.

``python benchmarks/chain_length.py`` predicts chains of several kinds with one member of the
publication's sizes on one core, twice: as quotient graphs, and as the same graphs in which no
class holds more than one element. ``--plot docs/engine-chain-length.svg`` draws the ratios.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polymers import ROOT

sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

_IMIDE = "c1ccc(cc1)Oc1ccc(cc1)N1C(=O)c2cc3c(cc2C1=O)C(=O)N(C3=O)"
#: Kind of chain → how its repeat units stand, and a repeat unit.
KINDS = {
    "polystyrene, head to tail": ("regular", "CC(c1ccccc1)"),
    "a polyimide (PMDA-ODA)": ("regular", _IMIDE),
    "polystyrene, random direction": ("random", "CC(c1ccccc1)"),
    "styrene/acrylate, random order": ("copolymer", "CC(c1ccccc1)"),
}
LENGTHS = (1, 2, 3, 5, 8, 12, 18, 30, 50)
_ROUNDS = 5


def chain(kind: str, unit: str, length: int) -> str:
    """Write a chain of ``length`` repeat units as SMILES."""
    import random

    draw = random.Random(length)  # noqa: S311
    turned = {"random": "C(c1ccccc1)C", "copolymer": "CC(C(=O)OC)"}
    other = turned.get(kind, unit)
    return "C" + "".join(draw.choice((unit, other)) for _ in range(length)) + "C"


def singletons(graph: Any, depth: int) -> Any:
    """Refine a graph whose elements all differ: nothing is merged."""
    import numpy as np

    from polyid.quotient import quotient

    apart = graph._replace(
        atom=np.arange(len(graph.atom), dtype=np.int32),
        bond=np.arange(len(graph.bond), dtype=np.int32),
    )
    made = quotient(apart, depth)
    # the embeddings are those of the real tokens
    return made._replace(
        atom_token=graph.atom[made.atom_token], edge_token=graph.bond[made.edge_token]
    )


def measure(lengths: tuple[int, ...] = LENGTHS) -> dict[str, Any]:
    """Milliseconds of both sides and their ratio, by kind and length."""
    import numpy as np
    from engine import recipe

    from polyid.engine.batch import join
    from polyid.engine.inference import forward
    from polyid.engine.weights import Architecture, flatten, initial
    from polyid.graphs import features
    from polyid.quotient import quotient
    from polyid.vocabulary import Vocabulary

    sizes = recipe()
    depth = sizes["num_messages"]
    texts = {
        (name, n): chain(kind, unit, n) for name, (kind, unit) in KINDS.items() for n in lengths
    }
    vocabulary = Vocabulary.learn([features(text) for text in texts.values()])
    architecture = Architecture(
        sizes["name"],
        vocabulary.atom_classes,
        vocabulary.bond_classes,
        sizes["features"],
        sizes["mol_features"],
        depth,
        7,
    )
    weights = flatten(architecture, initial(architecture, 0, 0))
    found: dict[str, Any] = {name: [] for name in KINDS}
    for (name, n), text in texts.items():
        graph = vocabulary.encode(features(text))
        sides = [join([made]) for made in (quotient(graph, depth), singletons(graph, depth))]
        values = [forward(architecture, weights, side) for side in sides]
        off = float(np.abs(values[0] - values[1]).max())
        acts = [lambda side=side: forward(architecture, weights, side) for side in sides]
        ours, whole = (1_000 * s for s in _turns(acts))
        found[name].append(
            {
                "units": n,
                "atoms": len(graph.atom),
                "ours_ms": ours,
                "whole_ms": whole,
                "ratio": whole / ours,
                "largest_difference": off,
            }
        )
        print(
            f"{name:32} {n:3} units {len(graph.atom):5} atoms {whole:8.1f} ms {ours:8.1f} ms "
            f"{whole / ours:6.1f}×  difference {off:.1e}",
            flush=True,
        )
    return found


def _turns(acts: list[Callable[[], object]]) -> list[float]:
    """Median seconds of each, one after the other in turns."""
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(_ROUNDS):
        for act, times in zip(acts, taken, strict=True):
            begun = time.perf_counter()
            act()
            times.append(time.perf_counter() - begun)
    return [statistics.median(times) for times in taken]


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw the ratio by chain length."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    colours = ("#0072b2", "#009e73", "#d55e00", "#a8558b")
    with rc_context({"svg.hashsalt": "engine", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for (name, rows), colour, marker in zip(found.items(), colours, "osD^", strict=True):
            units, ratio = [row["units"] for row in rows], [row["ratio"] for row in rows]
            axes.plot(units, ratio, marker=marker, color=colour, label=name)
        axes.set(xscale="log", yscale="log", xlabel="repeat units in the chain")
        axes.set_ylabel("time on the whole graph ÷ on classes")
        axes.set_xticks(LENGTHS, [str(n) for n in LENGTHS])
        ticks = (1, 2, 5, 10, 20)
        axes.set_yticks(ticks, [f"{n}×" for n in ticks])
        axes.minorticks_off()
        axes.axhline(1, color="#5b6770", linewidth=0.8)
        axes.grid(color="#d8dee4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the ratios")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    asked = parser.parse_args()
    found = measure()
    if asked.plot:
        plot(found, asked.plot)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
