"""chemprop and PyTorch Geometric on the same polymers, in the environment of `peers.lock`.

They are other models: the comparison is of speed at a comparable width and depth (128 features, 12
message steps, batch 1, explicit hydrogens, Adam), not of the same function.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from turns import Turns

WIDTH, DEPTH = 128, 12


def measure(quick: bool) -> dict[str, Any]:
    """Ask a worker per peer; a peer that cannot be installed or run is told and left out."""
    import subprocess

    from engine import CACHE
    from environments import python_of
    from polymers import read
    from workers import Worker, WorkerError

    try:
        python = python_of("peers", CACHE / "env")
    except subprocess.CalledProcessError as error:
        text = f"left out: the package index does not give what peers.lock names ({error})"
        return {"peers": text}
    found: dict[str, Any] = {}
    for peer, name in itertools.product(("chemprop", "pyg"), ("table", "stereo")):
        polymers = read(name)
        chosen = polymers.spread(8 if quick else 24)
        task = {
            "peer": peer,
            "smiles": [polymers.smiles[i] for i in chosen],
            "labels": [polymers.labels[i] for i in chosen],
            "rounds": 1 if quick else 3,
        }
        worker = Worker(python, "engine_peers.py", task, CACHE / "logs")
        try:
            found[f"{peer} {name}"] = worker.hear()
        except WorkerError as error:
            found[f"{peer} {name}"] = f"left out: {error}"
        finally:
            worker.close()
    return found


def main() -> None:
    """Measure one peer on one set, as a worker."""
    turns = Turns()
    task = turns.task
    import torch
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
    torch.manual_seed(0)
    labels = torch.tensor(
        [[float("nan") if v is None else v for v in row] for row in task["labels"]]
    )
    labels = (labels - labels.nanmean(0)) / 50.0
    prepare = {"chemprop": chemprop, "pyg": pyg}[task["peer"]]
    prepare(["CCO"], 1)  # imports
    began = time.perf_counter()
    inputs, model = prepare(task["smiles"], labels.shape[1])
    featurise = (time.perf_counter() - began) / len(inputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def update(i: int) -> None:
        optimizer.zero_grad()
        there = torch.isfinite(labels[i])
        loss = (model(*inputs[i])[0] - labels[i])[there].abs().mean()
        loss.backward()
        optimizer.step()

    def forward(i: int) -> None:
        with torch.no_grad():
            model(*inputs[i])

    turns.answer(
        ms_per_update=_ms(update, len(inputs), task["rounds"]),
        ms_per_prediction=_ms(forward, len(inputs), task["rounds"]),
        ms_per_featurisation=1000 * featurise,
        parameters=sum(p.numel() for p in model.parameters()),
    )


def _ms(act: Callable[[int], None], count: int, rounds: int) -> float:
    """Median over rounds of the milliseconds per polymer, after a round that warms up."""
    found = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        for i in range(count):
            act(i)
        found.append(1000 * (time.perf_counter() - began) / count)
    return statistics.median(found[1:])


def chemprop(smiles: list[str], outputs: int) -> tuple[list[Any], Any]:
    """Directed message passing, mean aggregation and a linear head."""
    from chemprop import data, featurizers, models, nn
    from chemprop.utils import make_mol

    featurizer = featurizers.SimpleMoleculeMolGraphFeaturizer()
    molecules = [make_mol(text, keep_h=True, add_h=True) for text in smiles]
    graphs = [data.BatchMolGraph([featurizer(mol)]) for mol in molecules]
    model = models.MPNN(
        nn.BondMessagePassing(d_h=WIDTH, depth=DEPTH),
        nn.MeanAggregation(),
        nn.RegressionFFN(n_tasks=outputs, input_dim=WIDTH, hidden_dim=WIDTH),
    )
    return [(graph,) for graph in graphs], model


def pyg(smiles: list[str], outputs: int) -> tuple[list[Any], Any]:
    """Twelve GINE layers, mean pooling and a linear head."""
    import torch
    from torch_geometric.nn import GINEConv, global_mean_pool
    from torch_geometric.utils import from_smiles

    graphs = [from_smiles(text, with_hydrogen=True) for text in smiles]

    class Gine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.atom = torch.nn.Linear(graphs[0].x.shape[1], WIDTH)
            self.bond = torch.nn.Linear(graphs[0].edge_attr.shape[1], WIDTH)
            self.layers = torch.nn.ModuleList(
                GINEConv(
                    torch.nn.Sequential(
                        torch.nn.Linear(WIDTH, 2 * WIDTH),
                        torch.nn.ReLU(),
                        torch.nn.Linear(2 * WIDTH, WIDTH),
                    )
                )
                for _ in range(DEPTH)
            )
            self.head = torch.nn.Linear(WIDTH, outputs)

        def forward(self, x: Any, edges: Any, features: Any, batch: Any) -> Any:
            state, bond = self.atom(x), self.bond(features)
            for layer in self.layers:
                state = state + layer(state, edges, bond)
            return self.head(global_mean_pool(state, batch))

    inputs = [
        (g.x.float(), g.edge_index, g.edge_attr.float(), torch.zeros(len(g.x), dtype=torch.long))
        for g in graphs
    ]
    return inputs, Gine()


if __name__ == "__main__":
    sys.exit(main())
