"""Train and predict with the engine alone, on the backend that KERAS_BACKEND names.

``walk_alone.py FOLDER`` reads ``in.npz`` and ``in.json`` there and writes ``out.npz``.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from polyid.engine.ensemble import Ensemble, Steps
from polyid.engine.network import forward
from polyid.engine.order import DataOrder
from polyid.engine.packing import Bucket, Layout
from polyid.engine.weights import Architecture


def main(folder: Path) -> None:
    """Walk one epoch as `test_walks.train` does."""
    data = np.load(folder / "in.npz")
    settings = json.loads((folder / "in.json").read_text())
    architecture = Architecture(**settings["architecture"])
    layouts = [
        Layout(tuple(each["atoms"]), tuple(each["edges"]), each["degree"])
        for each in settings["layouts"]
    ]
    parts = [Bucket(x, data[f"members_{i}"], data[f"table_{i}"]) for i, x in enumerate(layouts)]
    names, starts = settings["names"], data["starts"]
    model = Ensemble(architecture, len(names), parts, 1, data["pm"], 5)
    model.flat.assign(starts)
    model.restart_dropout(names)
    optimizer = keras.optimizers.Adam(learning_rate=1e-2, weight_decay=0.5)
    model.compile(optimizer=optimizer, jit_compile=True)
    order = DataOrder([[np.arange(len(p.members)) for p in parts]] * len(names), 1, 5, names)
    labels = np.stack([data["labels"]] * len(names))
    model.fit(
        model.feed(Steps(order, labels, parts, 0, 1)),
        epochs=1,
        steps_per_epoch=order.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    rows = np.broadcast_to(parts[0].table[:1], (len(names), 1, layouts[0].width))
    pm = np.broadcast_to(data["pm"][parts[0].members[:1]], (len(names), 1))
    args = (keras.ops.convert_to_tensor(x) for x in (starts, rows, pm))
    np.savez(
        folder / "out.npz",
        flat=np.asarray(model.flat),
        losses=np.asarray(model.loss_sum),
        predicted=np.asarray(forward(architecture, layouts[0], *args)),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
