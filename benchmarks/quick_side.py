"""One process of `quick.py`: trains one member, by our engine or by nfp's layers, in its turns."""

import sys
from pathlib import Path
from typing import Any

from turns import Meter, Turns

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    """Do what the task says."""
    turns = Turns()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    {"ours": ours, "reference": reference}[turns.task["side"]](turns)


def labels_of(task: dict[str, Any]) -> Any:
    """Scaled labels ``(rows, properties)``; NaN where there is none."""
    import numpy as np

    from polyid.scaling import Scaler

    polymers = task["polymers"]
    values = np.array(polymers["labels"], dtype=float)
    return Scaler.fit(values, tuple(polymers["columns"])).transform(values).astype(np.float32)


def ours(turns: Turns) -> None:
    """Train by the engine, as a worker of `trainer train` does, without end."""
    import numpy as np

    from polyid.engine.fit import Fitter, Member, Recipe, pools
    from polyid.engine.order import steps_per_bucket
    from polyid.engine.packing import buckets
    from polyid.engine.weights import Architecture
    from polyid.structures import build

    task, recipe = turns.task, turns.task["recipe"]
    made = build(task["polymers"]["smiles"], recipe["num_messages"], cache=Path(task["cache"]))
    packed = buckets(made.quotients, tuple(recipe["buckets"]))
    member = Member(0, np.array(task["chosen"]), np.zeros(0, dtype=np.intp), labels_of(task))
    steps = steps_per_bucket([pools(member.train, packed)], recipe["batch_size"])
    architecture = Architecture(
        "global100",
        made.vocabulary.atom_classes,
        made.vocabulary.bond_classes,
        recipe["features"],
        recipe["mol_features"],
        recipe["num_messages"],
        len(task["polymers"]["columns"]),
        recipe["dropout"],
    )
    how = Recipe(10**6, recipe["batch_size"], recipe["learning_rate"], recipe["decay"])
    fitter = Fitter(architecture, how, packed, 1, steps, None)
    fitter.fit([member], should_stop=Meter(turns))


def reference(turns: Turns) -> None:
    """Train nfp's layers on padded batches of whole graphs, without end."""
    import keras
    import numpy as np
    import pandas as pd

    from polyid.models import global100
    from polyid.preprocessor import PolymerPreprocessor

    task, recipe = turns.task, turns.task["recipe"]
    smiles, labels = task["polymers"]["smiles"], labels_of(task)
    chosen = np.random.default_rng(0).permutation(task["chosen"])
    preprocessor = PolymerPreprocessor()
    graphs = [preprocessor(pd.Series({"smiles_polymer": smiles[i]}), train=True) for i in chosen]
    size = recipe["batch_size"]
    starts = range(0, len(chosen) - size + 1, size)

    class Batches(keras.utils.PyDataset):
        """Padded batches, made before the clock starts."""

        def __init__(self) -> None:
            super().__init__()
            self.made = [padded_batch(graphs[i : i + size]) for i in starts]

        def __len__(self) -> int:
            return len(self.made)

        def __getitem__(self, index: int) -> Any:
            first = starts[index]
            return self.made[index], labels[chosen[first : first + size]]

    class Told(keras.callbacks.Callback):
        """Counts an update."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            meter()

    params = {
        "atom_features": recipe["features"],
        "mol_features": recipe["mol_features"],
        "num_messages": recipe["num_messages"],
        "dropout": recipe["dropout"],
        "learning_rate": recipe["learning_rate"],
        "decay": recipe["decay"],
    }
    data = Batches()
    model = global100(preprocessor, False, task["polymers"]["columns"], params)
    meter = Meter(turns)
    model.fit(data, epochs=10**6, verbose=0, callbacks=[Told()])


def padded_batch(graphs: list[Any]) -> dict[str, Any]:
    """Graphs of one batch, filled up with the token that pads to the largest of them."""
    import numpy as np

    return {
        key: np.stack([padded(g[key], max(len(other[key]) for other in graphs)) for g in graphs])
        for key in ("atom", "bond", "connectivity")
    }


def padded(values: Any, count: int) -> Any:
    """Fill up with the token that pads."""
    import numpy as np

    missing = [(0, count - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing)


if __name__ == "__main__":
    main()
