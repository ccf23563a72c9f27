"""Small models that are really trained, in a folder and in a registry, once per session."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from polyid.checksums import write_checksums
from polyid.multimodel import MultiModel
from polyid.parameters import Parameters
from polyid.polymers import to_polymer

FINGERPRINT, COMMIT, DATA_HASH = "0123456789abcdef", "ab" * 20, "cd" * 32
DP = 6

#: Monomers, mechanism, glass transition / °C, density / g/cm³ (rounded handbook values or guesses).
POLYMERS = [
    ("C=C", "vinyl", -100.0, 0.95),
    ("C=CC", "vinyl", -10.0, 0.9),
    ("C=CCC", "vinyl", -25.0, 0.91),
    ("C=C(C)C", "vinyl", -70.0, 0.92),
    ("C=Cc1ccccc1", "vinyl", 100.0, 1.05),
    ("C=C(C)c1ccccc1", "vinyl", 170.0, 1.07),
    ("C=Cc1ccc(C)cc1", "vinyl", 105.0, 1.04),
    ("C=CC(=O)OC", "vinyl", 10.0, 1.22),
    ("C=CC(=O)OCC", "vinyl", -22.0, 1.12),
    ("C=C(C)C(=O)OC", "vinyl", 105.0, 1.18),
    ("C=C(C)C(=O)OCC", "vinyl", 65.0, 1.12),
    ("C=COC(C)=O", "vinyl", 32.0, 1.19),
    ("OCC(=O)O", "ester", 40.0, 1.5),
    ("CC(O)C(=O)O", "ester", 57.0, 1.25),
    ("CC(O)CC(=O)O", "ester", 4.0, 1.25),
    ("O=C(O)CCCCCO", "ester", -60.0, 1.15),
    ("O=C(O)CCC(=O)O.OCCO", "ester", -10.0, 1.3),
    ("O=C(O)CCCCC(=O)O.OCCCCO", "ester", -60.0, 1.1),
    ("O=C(O)c1ccc(C(=O)O)cc1.OCCCCO", "ester", 40.0, 1.31),
    ("NCCCCCC(=O)O", "amide", 50.0, 1.13),
    ("NCCCCCCCCCCC(=O)O", "amide", 45.0, 1.04),
    ("O=C(O)CCCCC(=O)O.NCCCCCCN", "amide", 55.0, 1.14),
    ("O=C(O)CCCCCCCCC(=O)O.NCCCCCCN", "amide", 48.0, 1.08),
    ("O=C(O)CCCCC(=O)O.NCCCCN", "amide", 60.0, np.nan),
]


def tiny(frame: pd.DataFrame, builder: object, folder: Path) -> Path:
    """Train two members for a moment, calibrate their intervals, and write a whole model folder."""
    from polyid.intervals import Intervals

    mm = MultiModel()
    mm.load_dataset(frame)
    mm.split_data(kfolds=2)
    mm.generate_data_scaler()
    mm.generate_preprocessors()
    settings = Parameters(epochs=3, batch_size=8, atom_features=8, learning_rate=0.01, dp=DP)
    mm.train_models(builder, settings.to_dict(), folder)  # type: ignore[arg-type]
    data, parts = mm.df_input, []
    fold = mm.folds.of(data)
    pm = list(data["pm"]) if "pm" in data else None
    values = mm.predict_members(list(data["smiles_polymer"]), pm)[fold, np.arange(len(data))]
    for column, name in enumerate(mm.prediction_columns):
        part = data[["group"]].assign(property=name, fold=fold, y_true=data[name])
        parts.append(part.assign(y_pred=values[:, column]))
    Intervals.fit(pd.concat(parts)).save(folder / "intervals.json")
    record = {
        "fingerprint": FINGERPRINT,
        "code": {"commit": COMMIT},
        "data": {"hash": DATA_HASH},
    }
    (folder / "record.yaml").write_text(yaml.safe_dump(record))
    write_checksums(folder)
    return folder


@pytest.fixture
def float64() -> Iterator[None]:
    """Let Keras calculate in double precision."""
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small ``global100`` ensemble for Tg and density."""
    from polyid.models import global100

    rows = [
        (to_polymer(m, mechanism=mechanism, dp=DP, kind="monomers").smiles_polymer, m, mechanism)
        for m, mechanism, *_ in POLYMERS
    ]
    frame = pd.DataFrame(rows, columns=["smiles_polymer", "smiles_monomer", "mechanism"])
    frame["Glass_Transition"] = [tg for *_, tg, _ in POLYMERS]
    frame["Density"] = [density for *_, density in POLYMERS]
    return tiny(frame, global100, tmp_path_factory.mktemp("model") / "global100")


@pytest.fixture(scope="session")
def pm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small tacticity-aware ensemble for Tg."""
    from polyid.models import pm_model

    monomers = ["CC(O)C(=O)O", "CC(O)CC(=O)O", "CCC(O)CC(=O)O", "CCC(O)C(=O)O"]
    rows = [
        (
            to_polymer(m, mechanism="ester", dp=DP, pm=pm).smiles_polymer,
            m,
            "ester",
            pm,
            20 + 30 * pm,
        )
        for m in monomers
        for pm in (0.1, 0.5, 0.9)
    ]
    names = ["smiles_polymer", "smiles_monomer", "mechanism", "pm", "Glass_Transition"]
    frame = pd.DataFrame(rows, columns=names)
    return tiny(frame, pm_model, tmp_path_factory.mktemp("model") / "pm")


@pytest.fixture(scope="session")
def registry(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Registry whose current release, v1.0.0, is the small ``global100`` ensemble."""
    root = tmp_path_factory.mktemp("registry")
    shutil.copytree(model_folder, root / "candidates" / FINGERPRINT)
    release = root / "releases" / "v1.0.0"
    shutil.copytree(model_folder, release)
    (release / "release.json").write_text('{"tag": "v1.0.0"}')
    write_checksums(release)
    (root / "current.json").write_text(json.dumps({"tag": "v1.0.0"}))
    return root
