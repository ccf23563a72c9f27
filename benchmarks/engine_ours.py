"""Our side of `engine.py`: one process that trains, predicts or featurises when it is its turn."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from turns import Meter, Turns, rounds

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    """Do what the task says."""
    turns = Turns()
    task = turns.task
    if task["part"] == "featurise":
        featurise(turns)
    import tensorflow as tf

    if task.get("threads"):
        tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
    {"train": train, "predict": predict}[task["part"]](turns)


def architecture(task: dict[str, Any], vocabulary: Any) -> Any:
    """Build the network of the publication's sizes."""
    from polyid.engine.weights import Architecture

    sizes = task["sizes"]
    pm = task["polymers"]["pm"] is not None
    return Architecture(
        "pm" if pm else "global100",
        vocabulary.atom_classes,
        vocabulary.bond_classes,
        sizes["features"],
        sizes["mol_features"],
        sizes["num_messages"],
        len(task["polymers"]["columns"]),
        0.0 if pm else sizes["dropout"],
    )


def train(turns: Turns) -> None:
    """Train one member at batch size 1 on the chosen polymers, without end."""
    import numpy as np

    from polyid.engine.fit import Fitter, Member, Recipe, pools
    from polyid.engine.order import steps_per_bucket
    from polyid.engine.packing import buckets
    from polyid.scaling import Scaler
    from polyid.structures import build

    task = turns.task
    polymers, sizes = task["polymers"], task["sizes"]
    made = build(polymers["smiles"], sizes["num_messages"], cache=Path(task["cache"]))
    packed = buckets(made.quotients, tuple(sizes["buckets"]))
    # few polymers may leave a bucket empty, and a step cannot take a batch from it
    packed = [bucket for bucket in packed if np.isin(bucket.members, task["chosen"]).any()]
    labels = np.array(polymers["labels"], dtype=float)
    scaler = Scaler.fit(labels, tuple(polymers["columns"]))
    member = Member(
        0,
        np.array(task["chosen"]),
        np.zeros(0, dtype=np.intp),
        scaler.transform(labels).astype(np.float32),
    )
    steps = steps_per_bucket([pools(member.train, packed)], 1)
    recipe = Recipe(10**6, 1, sizes["learning_rate"], sizes["decay"])
    pm = None if polymers["pm"] is None else np.array(polymers["pm"], dtype=np.float32)
    meter = Meter(turns)
    fitter = Fitter(architecture(task, made.vocabulary), recipe, packed, 1, steps, pm)
    fitter.fit([member], should_stop=meter)


def predict(turns: Turns) -> None:
    """Predict with an ensemble of random members, from SMILES to the properties' units."""
    import numpy as np

    from polyid.engine.weights import initial
    from polyid.modelfiles import ModelParameters
    from polyid.multimodel import MultiModel, SingleModel
    from polyid.scaling import Scaler
    from polyid.structures import build

    task = turns.task
    polymers = task["polymers"]
    mm = MultiModel()
    mm.prediction_columns = polymers["columns"]
    # the vocabulary of a few hundred polymers is the vocabulary of all
    mm.vocabulary = build(polymers["smiles"], 1, cache=Path(task["cache"])).vocabulary
    a = architecture(task, mm.vocabulary)
    mm.parameters = ModelParameters(
        a.name,
        tuple(mm.prediction_columns),
        task["members"],
        a.features,
        a.mol_features,
        a.num_messages,
        a.dropout,
        18,
    )
    count = len(mm.prediction_columns)
    scaler = Scaler(tuple(mm.prediction_columns), np.zeros(count), np.ones(count))
    for i in range(task["members"]):
        member = SingleModel(mm.prediction_columns, model_id=str(i))
        member.weights, member.vocabulary, member.data_scaler = initial(a, 0, i), None, scaler
        mm.models.append(member)
    turns.answer(ready=True)
    rounds(turns, mm.predict_members)


def featurise(turns: Turns) -> None:
    """From SMILES to quotient graphs, as before a training: the turn says on which cores.

    ``all_cores`` starts its helpers anew each time; ``cached`` reads the result back from disk.
    """
    from polyid.graphs import features
    from polyid.structures import build

    depth = turns.task["sizes"]["num_messages"]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        turns.answer(ready=True)

        def act(items: list[Any]) -> None:
            how, smiles = items[0], items[1:]
            features.cache_clear()  # holds the last polymers of the turn before
            kept = cache if how == "cached" else None
            build(smiles, depth, cache=kept, processes=1 if how == "one_core" else None)

        rounds(turns, act)


if __name__ == "__main__":
    main()
