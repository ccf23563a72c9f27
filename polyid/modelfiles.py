"""A model folder's own files: parameters, and per member weights, vocabulary and scaler. No pickle.

::

    parameters.json
    model_fold_0/model.weights.h5   named weights, see `polyid.engine.weights`
    model_fold_0/preprocessor.json  token vocabulary
    model_fold_0/scaler.json        medians and interquartile ranges of the labels
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from polyid.engine.weights import NAMES, Architecture, Weights, shapes
from polyid.errors import PolyIDError
from polyid.properties import PROPERTIES
from polyid.scaling import Scaler
from polyid.vocabulary import Vocabulary

PARAMETERS = "parameters.json"
WEIGHTS, PREPROCESSOR, SCALER = "model.weights.h5", "preprocessor.json", "scaler.json"


@dataclass(frozen=True)
class ModelParameters:
    """What a `MultiModel` needs to rebuild itself."""

    model: str
    """``global100`` or ``pm``."""
    prediction_columns: tuple[str, ...]
    members: int
    features: int
    mol_features: int
    num_messages: int
    dropout: float
    dp: int
    """Monomer units of the chains it was trained on."""
    format: int = 1
    atom_features: str = "atom_features_v1"
    bond_features: str = "bond_features_v2"
    explicit_hs: bool = True

    @property
    def units(self) -> dict[str, str]:
        """Unit of each property."""
        return {name: PROPERTIES[name].unit for name in self.prediction_columns}

    def architecture(self, vocabulary: Vocabulary) -> Architecture:
        """Shapes of one member's network."""
        return Architecture(
            self.model,
            vocabulary.atom_classes,
            vocabulary.bond_classes,
            self.features,
            self.mol_features,
            self.num_messages,
            len(self.prediction_columns),
            self.dropout,
        )

    def save(self, folder: Path) -> None:
        """Write ``parameters.json``."""
        data = asdict(self) | {"units": self.units}
        text = json.dumps(data, indent=1, ensure_ascii=False)
        (folder / PARAMETERS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ModelParameters":
        """Read ``parameters.json``.

        Raises
        ------
        PolyIDError
            If it is missing or holds something else.
        """
        path = folder / PARAMETERS
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            data.pop("units", None)
            data["prediction_columns"] = tuple(data["prediction_columns"])
            found = cls(**data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PolyIDError(f"{path} holds no model parameters: {error}") from error
        if found.format != 1 or found.model not in NAMES:
            raise PolyIDError(
                f"{path}: format {found.format}, model {found.model!r}; expected format 1 and a "
                f"model of {list(NAMES)}. A newer release of polyid may read it."
            )
        return found


@dataclass(frozen=True)
class MemberFiles:
    """One member as it is stored."""

    weights: Weights
    vocabulary: Vocabulary
    scaler: Scaler


def member_folder(folder: Path, member: int) -> Path:
    """Where a member is kept."""
    return folder / f"model_fold_{member}"


def save_member(folder: Path, member: int, files: MemberFiles) -> None:
    """Write one member."""
    where = member_folder(folder, member)
    where.mkdir(parents=True, exist_ok=True)
    with h5py.File(where / WEIGHTS, "w") as h5:
        for name, value in files.weights.items():
            h5.create_dataset(name, data=value)
    files.vocabulary.save(where / PREPROCESSOR)
    files.scaler.save(where / SCALER)


def load_member(folder: Path, member: int, parameters: ModelParameters) -> MemberFiles:
    """Read one member.

    Raises
    ------
    PolyIDError
        If a file is missing, damaged or of another shape than ``parameters`` say.
    """
    where = member_folder(folder, member)
    vocabulary = Vocabulary.load(where / PREPROCESSOR)
    scaler = Scaler.load(where / SCALER)
    path = where / WEIGHTS
    weights: Weights = {}
    try:
        with h5py.File(path, "r") as h5:
            for name, shape in shapes(parameters.architecture(vocabulary)).items():
                value = np.asarray(h5[name], dtype=np.float32)
                if value.shape != shape:
                    raise PolyIDError(f"{path}: {name} has shape {value.shape}, expected {shape}.")
                weights[name] = value
    except (OSError, KeyError) as error:
        raise PolyIDError(f"{path} holds no weights of this model: {error}") from error
    if scaler.properties != parameters.prediction_columns:
        raise PolyIDError(
            f"{where / SCALER} is for {list(scaler.properties)}, expected "
            f"{list(parameters.prediction_columns)}."
        )
    return MemberFiles(weights, vocabulary, scaler)
