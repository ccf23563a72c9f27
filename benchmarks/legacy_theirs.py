"""Train and save tiny ensembles with the published package, and predict; for `legacy.py`.

``legacy_theirs.py TASK.json``: runs in the environment of `published.lock`. Predictions are those
of the saved weights (the package saves each member's best epoch), one polymer at a time: under
Keras 3.15 nfp loses the padding mask after the first block, so the package is exact only so. They
are loaded into the networks that are still in memory, because Keras 3.15 refuses to open the files
as models: nfp makes some layers only when they are first called.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from engine_theirs import builder_of, preprocessor_class
from rdkit import RDLogger

from polyid import MultiModel, Parameters

RDLogger.DisableLog("rdApp.*")


def main() -> None:
    """Train, save, predict."""
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    polymers, folder = task["polymers"], Path(task["folder"])
    pm = polymers["pm"] is not None
    frame = pd.DataFrame(polymers["labels"], columns=polymers["columns"], dtype=float)
    frame["smiles_polymer"] = frame["smiles_monomer"] = polymers["smiles"]
    frame["distribution"], frame["replicate_structure"] = "[]", 0
    if pm:
        frame["pm"] = polymers["pm"]
    frame.to_csv(folder / "input.csv")
    mm = MultiModel()
    mm.load_dataset(folder / "input.csv", prediction_columns=polymers["columns"])
    mm.split_data(kfolds=task["members"], stratify=False)
    mm.generate_data_scaler()
    mm.generate_preprocessors(preprocessor=preprocessor_class(pm))
    sizes = task["sizes"]
    width = dict.fromkeys(("atom_features", "bond_features", "num_features"), sizes["features"])
    params = Parameters(
        batch_size=1,
        epochs=task["epochs"],
        mol_features=sizes["mol_features"],
        num_messages=sizes["num_messages"],
        learning_rate=sizes["learning_rate"],
        **width,
    ).to_dict()
    saved = folder / "saved"
    mm.train_models(
        builder_of(pm, sizes), model_params=params, save_folder=saved, save_training=True, verbose=0
    )
    for i, member in enumerate(mm.models):
        member.model.load_weights(saved / f"model_{i}" / f"model_{i}.keras")
    names = [f"{column}_pred" for column in polymers["columns"]]
    found = [m.predict(frame)[names].to_numpy().tolist() for m in mm.models]
    tokens = [[m.preprocessor.atom_classes, m.preprocessor.bond_classes] for m in mm.models]
    result = {"predicted": found, "tokens": tokens}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
