"""Reference predictions of a release: what it must predict again wherever it is served.

``reference.json`` stands in the model folder. It holds some training polymers, what the ensemble
predicted for them when it was made, and how far another machine may be from that. A server that
gets other numbers has other weights, tokens, scalers or code, and must not serve them.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyid.errors import PolyIDError

if TYPE_CHECKING:
    from polyid.predict import Predictor

REFERENCE = "reference.json"

#: Training polymers that are kept: from the smallest to the largest.
COUNT = 12

#: Tolerance over the interquartile range of a property's labels. Two processors differ by 1e-6 of
#: it, a graphics processor that multiplies in TF32 by 1e-3; a wrong weight or token by far more.
SHARE = 0.01

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ReferencePolymer(BaseModel):
    """A polymer and what was predicted for it."""

    model_config = _STRICT
    smiles_polymer: str
    pm: float | None = None
    predictions: dict[str, float] = Field(min_length=1)
    """Property → mean of the ensemble, in the product's unit."""


class Reference(BaseModel):
    """The whole file."""

    model_config = _STRICT
    format: Literal[1] = 1
    units: dict[str, str]
    tolerance: dict[str, float]
    """Property → largest difference that passes, in its unit."""
    polymers: list[ReferencePolymer] = Field(min_length=1)


def write_reference(folder: Path, frame: pd.DataFrame, count: int = COUNT) -> Path:
    """Predict some training polymers with the model in ``folder`` and keep the answers there.

    Parameters
    ----------
    folder
        A complete model folder: members, domain and intervals.
    frame
        Training polymers: ``smiles_polymer``, and ``pm`` for a model that reads it.
    count
        How many polymers to keep.

    Raises
    ------
    PolyIDError
        If the model does not predict one of its own training polymers.
    """
    from polyid.predict import Predictor, Query
    from polyid.store import ResolvedModel

    predictor = Predictor(ResolvedModel(folder, None, None, None))
    polymers = []
    for smiles, pm in _chosen(frame, predictor.takes_pm, count):
        result = predictor.predict([Query(smiles, pm=pm, kind="oligomer")])[0]
        if result.properties is None:
            raise PolyIDError(f"{folder} does not predict its training polymer: {result.error}")
        values = {name: estimate.value for name, estimate in result.properties.items()}
        polymers.append(ReferencePolymer(smiles_polymer=smiles, pm=pm, predictions=values))
    parameters = predictor.multimodel.parameters
    assert parameters is not None
    reference = Reference(
        units=parameters.units, tolerance=_tolerance(predictor), polymers=polymers
    )
    path = folder / REFERENCE
    text = json.dumps(reference.model_dump(), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_reference(folder: Path) -> Reference | None:
    """Read a model folder's reference predictions; None if it has none (older releases).

    Raises
    ------
    PolyIDError
        If the file is damaged or holds something else.
    """
    path = folder / REFERENCE
    try:
        return Reference.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolyIDError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PolyIDError(
            f"{path} holds no reference predictions: {where}: {first['msg']}. "
            "Fetch the model again, or release it anew."
        ) from error


def check_reference(predictor: "Predictor", reference: Reference) -> list[str]:
    """Predict the reference polymers again; return every difference beyond the tolerance.

    Returns
    -------
    list of str
        A sentence per property that differs; empty if the model predicts what it did.
    """
    from polyid.predict import Query

    faults = []
    for place, known in enumerate(reference.polymers, start=1):
        query = Query(known.smiles_polymer, pm=known.pm, kind="oligomer")
        result = predictor.predict([query])[0]
        if result.properties is None:
            faults.append(f"Reference polymer {place} is not predicted: {result.error}")
            continue
        if set(result.properties) != set(known.predictions):
            faults.append(
                f"Reference polymer {place} has {', '.join(sorted(known.predictions))}; the "
                f"model predicts {', '.join(sorted(result.properties))}."
            )
            continue
        for name, expected in known.predictions.items():
            found, allowed = result.properties[name], reference.tolerance.get(name, 0.0)
            if not abs(found.value - expected) <= allowed:
                faults.append(
                    f"Reference polymer {place}: {name} is {found.value:.6g} {found.unit}, "
                    f"expected {expected:.6g} within {allowed:.2g}."
                )
    return faults


def _chosen(frame: pd.DataFrame, takes_pm: bool, count: int) -> list[tuple[str, float | None]]:
    """Polymers of every size, the same for the same table."""
    rows = {
        (str(row["smiles_polymer"]), float(row["pm"]) if takes_pm else None)
        for _, row in frame.iterrows()
    }
    ordered = sorted(rows, key=lambda row: (len(row[0]), row[0], row[1] or 0.0))
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[place] for place in sorted(set(places.tolist()))]


def _tolerance(predictor: "Predictor") -> dict[str, float]:
    """Tolerance per property, in its unit, from the members' scalers."""
    scales = [m.data_scaler.scale for m in predictor.multimodel.models if m.data_scaler]
    spread = np.mean(scales, axis=0)
    allowed = {
        name: float(f"{SHARE * value:.3g}")
        for name, value in zip(predictor.properties, spread, strict=True)
    }
    if not all(math.isfinite(value) and value > 0 for value in allowed.values()):
        raise PolyIDError(f"The model's scalers are {allowed}; expected positive numbers.")
    return allowed
