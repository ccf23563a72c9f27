"""The published package's side of `engine.py`, in the environment of `published.lock`.

Everything goes through the package's own classes, in its own way: rows of a frame through a
``tf.data`` generator with padded batches of 1. Two things are mended so that it runs at all:
under Keras 3 its `pm_model` takes ``pm`` as ``(batch, 1)`` and must be compiled, as its users do.
"""

from typing import Any

from turns import Meter, Turns, rounds


def main() -> None:
    """Do what the task says."""
    turns = Turns()
    import tensorflow as tf
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")  # nfp's questions to RDKit warn once per atom
    if turns.task.get("threads"):
        tf.config.threading.set_intra_op_parallelism_threads(turns.task["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
    {"train": train, "predict": predict, "featurise": featurise}[turns.task["part"]](turns)


def frame_of(polymers: dict[str, Any], rows: list[int] | None = None) -> Any:
    """Table with the columns that the package reads."""
    import pandas as pd

    frame = pd.DataFrame(polymers["labels"], columns=polymers["columns"], dtype=float)
    frame["smiles_polymer"] = polymers["smiles"]
    frame["smiles_monomer"], frame["distribution"] = polymers["smiles"], ""
    if polymers["pm"] is not None:
        frame["pm"] = polymers["pm"]
    return frame if rows is None else frame.iloc[rows].reset_index(drop=True)


def preprocessor_class(pm: bool) -> Any:
    """`PolymerPreprocessor`, or `PmPreprocessor` giving ``pm`` the shape its network asks for."""
    import numpy as np
    import polyid.preprocessors.preprocessors as home
    import tensorflow as tf

    if not pm:
        return home.PolymerPreprocessor

    class PmPreprocessor(home.PmPreprocessor):  # type: ignore[misc, name-defined]
        def get_graph_features(self, graph_data: dict[str, Any]) -> dict[str, Any]:
            return {"pm": np.array([graph_data["pm"]], dtype=np.float32)}

        @property
        def output_signature(self) -> dict[str, Any]:
            return {**super().output_signature, "pm": tf.TensorSpec((1,), tf.float32)}

    # pickles name it as the published one
    PmPreprocessor.__module__, PmPreprocessor.__qualname__ = home.__name__, "PmPreprocessor"
    home.PmPreprocessor = PmPreprocessor
    return PmPreprocessor


def builder_of(pm: bool, sizes: dict[str, Any]) -> Any:
    """`global100`, or a compiled `pm_model`."""
    import keras
    import nfp

    from polyid.models import global100, pm_model

    if not pm:
        return global100

    def compiled(
        preprocessor: Any, model_summary: bool, prediction_columns: Any, params: Any
    ) -> Any:
        model = pm_model(preprocessor, model_summary, prediction_columns, params)
        model.compile(
            optimizer=keras.optimizers.Adam(sizes["learning_rate"], weight_decay=sizes["decay"]),
            loss=[nfp.masked_mean_absolute_error],
            jit_compile=False,
        )
        return model

    return compiled


def params_of(sizes: dict[str, Any]) -> dict[str, Any]:
    """Settings by the published package's names."""
    from polyid import Parameters

    names = ("mol_features", "num_messages", "dropout", "learning_rate", "decay")
    width = dict.fromkeys(("atom_features", "bond_features", "num_features"), sizes["features"])
    return Parameters(batch_size=1, **width, **{n: sizes[n] for n in names}).to_dict()


def member_of(task: dict[str, Any], rows: list[int]) -> Any:
    """A `SingleModel` that knows the tokens and labels of ``rows``."""
    from polyid.preprocessors import atom_features_v1, bond_features_v2

    from polyid import SingleModel

    polymers = task["polymers"]
    frame = frame_of(polymers, rows)
    member = SingleModel(polymers["columns"], frame.iloc[:1], frame, model_id="0")
    member.generate_data_scaler()
    kind = preprocessor_class(polymers["pm"] is not None)
    member.generate_preprocessor(kind, atom_features_v1, bond_features_v2, batch_size=1)
    return member


def train(turns: Turns) -> None:
    """Train one member at batch size 1 on the chosen polymers, without end."""
    import keras

    task = turns.task
    member = member_of(task, task["chosen"])
    for _ in member.train_generator:  # fills the package's own cache of features
        pass
    meter = Meter(turns)

    class Told(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            meter()

    build = builder_of(task["polymers"]["pm"] is not None, task["sizes"])
    params = params_of(task["sizes"])
    model = build(member.preprocessor, False, task["polymers"]["columns"], params)
    model.fit(member.train_generator, epochs=10**6, verbose=0, callbacks=[Told()])


def predict(turns: Turns) -> None:
    """Predict with an ensemble: the same member so many times, which costs the same."""
    from polyid import MultiModel

    task = turns.task
    polymers = task["polymers"]
    member = member_of(task, task["chosen"])
    build = builder_of(polymers["pm"] is not None, task["sizes"])
    member.model = build(member.preprocessor, False, polymers["columns"], params_of(task["sizes"]))
    mm = MultiModel()
    mm.prediction_columns = polymers["columns"]
    mm.models = [member]
    frame = frame_of(polymers)
    mm.make_predictions(frame.iloc[task["chosen"][:1]])  # compiles
    mm.models = [member] * task["members"]
    index = {smiles: i for i, smiles in reversed(list(enumerate(polymers["smiles"])))}
    turns.answer(ready=True)

    def act(items: list[str]) -> None:
        mm.make_predictions(frame.iloc[[index[s] for s in items]].reset_index(drop=True))

    rounds(turns, act)


def featurise(turns: Turns) -> None:
    """From SMILES to the tensors of one graph, as its generators do."""
    task = turns.task
    member = member_of(task, task["chosen"])
    frame = frame_of(task["polymers"])
    index = {smiles: i for i, smiles in reversed(list(enumerate(frame["smiles_polymer"])))}
    turns.answer(ready=True)

    def act(items: list[str]) -> None:
        for _, row in frame.iloc[[index[s] for s in items]].iterrows():
            member.preprocessor(row, train=False)

    rounds(turns, act)


if __name__ == "__main__":
    main()
