"""What a run is: its inputs, the fingerprint they make, and the folder it works in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from polyid.dataset import load_table
from polyid.folds import Folds, make_folds
from polyid.modelfiles import ModelParameters
from trainer.config import Params, load_params
from trainer.fingerprint import code_hash, data_hash, fingerprint, params_hash


@dataclass(frozen=True)
class Plan:
    """One run, before anything is done."""

    data: Path
    params: Params
    data_hash: str
    params_hash: str
    code_hash: str
    fingerprint: str
    work: Path
    """Folder of all runs; caches stand in it too."""

    @property
    def folder(self) -> Path:
        """Where this run keeps checkpoints, members and results."""
        return self.work / self.fingerprint

    @property
    def cache(self) -> Path:
        """What runs share: quotient graphs, baselines, compiled programs."""
        return self.work / "cache"

    @property
    def candidate(self) -> Path:
        """The folder that becomes the candidate."""
        return self.folder / "candidate"

    @property
    def properties(self) -> list[str]:
        """Names of the properties that are trained."""
        return list(self.params.data.properties)

    def frame(self) -> pd.DataFrame:
        """Read the dataset frame."""
        return load_table(self.data, self.params.data.spec())

    def folds(self, frame: pd.DataFrame) -> Folds:
        """Split the dataset frame."""
        f = self.params.folds
        return make_folds(frame, f.count, f.split, f.seed)

    def model_parameters(self) -> ModelParameters:
        """Return the content of ``parameters.json``."""
        m = self.params.model
        return ModelParameters(
            model=m.name,
            prediction_columns=tuple(self.properties),
            members=self.params.folds.count,
            features=m.features,
            mol_features=m.mol_features,
            num_messages=m.num_messages,
            dropout=m.dropout,
            dp=m.dp,
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain data, for a worker process."""
        return asdict(self) | {
            "data": str(self.data.resolve()),
            "params": self.params.plain(),
            "work": str(self.work.resolve()),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Plan":
        """Make from what `as_json` gave, without hashing anything anew."""
        paths = {key: Path(content[key]) for key in ("data", "work")}
        params = Params.model_validate(content["params"])
        return cls(**{**content, **paths, "params": params})


def make_plan(
    data: str | Path, params: str | Path | Params, work: str | Path, overrides: Sequence[str] = ()
) -> Plan:
    """Read the inputs and hash what decides the result.

    Raises
    ------
    ConfigError
        If the recipe is faulty.
    PolyIDError
        If the data file cannot be read.
    """
    recipe = params if isinstance(params, Params) else load_params(params, overrides)
    hashes = {
        "data": data_hash(Path(data)),
        "params": params_hash(recipe.plain()),
        "code": code_hash(),
    }
    return Plan(
        Path(data),
        recipe,
        hashes["data"],
        hashes["params"],
        hashes["code"],
        fingerprint(**hashes),
        Path(work),
    )
