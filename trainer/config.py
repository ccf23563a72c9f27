"""The recipe, ``params.yaml``: strict, complete, no default hidden in code.

Every key must be there, an unknown one is an error with a suggestion (see `trainer.strict`), so
the file alone says what a run does.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from polyid.dataset import Columns, DataSpec, PropertyColumn
from polyid.properties import PROPERTIES, UNIT_SPELLINGS, file_units
from trainer.strict import ConfigError, load_strict, suggest

Positive = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ColumnsConfig(_Strict):
    """Names of columns; null where the file has none."""

    smiles: str
    monomers: str
    mechanism: str
    distribution: str | None
    pm: str | None
    replicate: str | None


class PropertyConfig(_Strict):
    """Where the file keeps a property, and in which unit."""

    column: str
    unit: str


class DataConfig(_Strict):
    """How to read the data file."""

    licence: str
    """Of the data; it goes into the record and the model card."""
    columns: ColumnsConfig
    properties: dict[str, PropertyConfig] = Field(min_length=1)

    @field_validator("properties")
    @classmethod
    def _known(cls, value: dict[str, PropertyConfig]) -> dict[str, PropertyConfig]:
        for name, where in value.items():
            if name not in PROPERTIES:
                raise ValueError(
                    f"property {name!r} is not known{suggest(name, PROPERTIES)}; expected some of "
                    f"{list(PROPERTIES)}"
                )
            units = file_units(name)
            if UNIT_SPELLINGS.get(where.unit, where.unit) not in units:
                raise ValueError(f"{name} cannot be in {where.unit!r}; expected one of {units}")
        return value

    def spec(self) -> DataSpec:
        """Return the same for `polyid.dataset.load_table`."""
        properties = {n: PropertyColumn(p.column, p.unit) for n, p in self.properties.items()}
        return DataSpec(Columns(**self.columns.model_dump()), properties)


class FoldsConfig(_Strict):
    """How the data are split."""

    count: int = Field(ge=2, le=50)
    split: Literal["grouped", "random"]
    also: Literal["grouped", "random"] | None
    """Another split to train as well, for the report to show what the two do to the score."""
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _other(self) -> "FoldsConfig":
        if self.also == self.split:
            raise ValueError(
                f"folds.also is {self.also!r}, the split itself; expected the other one or null"
            )
        return self


class ModelConfig(_Strict):
    """The network."""

    name: Literal["global100", "pm"]
    features: Positive
    """Width of atom and edge states: PolyID's ``atom_features`` and ``bond_features``."""
    mol_features: Positive
    num_messages: Annotated[int, Field(gt=0, le=30)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    dp: Annotated[int, Field(ge=1, le=100)]
    """Monomer units of a chain that is built from monomers or a repeat unit."""


class TrainingConfig(_Strict):
    """How members are trained; see `polyid.engine.fit.Recipe`."""

    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Annotated[float, Field(ge=0)]
    schedule: Literal["constant", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    loss: Literal["mae", "huber"]
    select: Literal["last", "best"]
    holdout: Annotated[float, Field(ge=0, lt=0.5)]
    """Share of a member's training monomer sets kept aside to choose its epoch by."""
    patience: Positive | None
    validate_every: Positive
    buckets: list[Annotated[float, Field(gt=0, le=1)]]
    """Shares of the polymers, by size, that share a compiled shape."""
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingConfig":
        if self.select == "best" and self.holdout == 0:
            raise ValueError(
                "training.select is 'best', which needs polymers to choose by that are not the "
                "held-out fold; set training.holdout to a share such as 0.1"
            )
        if self.patience is not None and self.select != "best":
            raise ValueError("training.patience needs training.select: best; set it to null")
        return self


class DomainConfig(_Strict):
    """Domain of validity."""

    radius: Annotated[int, Field(ge=0, le=5)]


class IntervalsConfig(_Strict):
    """Prediction intervals."""

    level: Annotated[float, Field(gt=0.5, lt=1)]


class ConductConfig(_Strict):
    """How a run is kept and watched: it decides no result, and is no part of a fingerprint.

    The one section that may be left out; the command line can say the same.
    """

    checkpoints: str | None = None
    """Store of checkpoints beside the work folder: ``hf://ns/name``, ``s3://bucket/folder`` …"""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 10.0
    """Least minutes between two uploads."""
    track: list[Literal["tensorboard", "trackio", "wandb"]] = []
    """Who is told how training goes."""
    stall: Annotated[float, Field(gt=1)] = 10.0
    """An alarm when no step ends within so many times the usual."""


class Params(_Strict):
    """The whole recipe."""

    recipe: str
    data: DataConfig
    folds: FoldsConfig
    model: ModelConfig
    training: TrainingConfig
    domain: DomainConfig
    intervals: IntervalsConfig
    conduct: ConductConfig = Field(default=ConductConfig(), exclude=True)

    @model_validator(mode="after")
    def _pm(self) -> "Params":
        if (self.model.name == "pm") != (self.data.columns.pm is not None):
            raise ValueError(
                f"model.name is {self.model.name!r} and data.columns.pm is "
                f"{self.data.columns.pm!r}: the pm model needs a pm column, and only it takes one"
            )
        return self

    def plain(self) -> dict[str, Any]:
        """Return plain data, as hashed and recorded."""
        return self.model_dump(mode="json")


def recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    folder = resources.files("trainer") / "recipes"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith("yaml"))


def load_params(where: str | Path, overrides: Sequence[str] = ()) -> Params:
    """Read a recipe: a file, or the name of one that ships with the package.

    Raises
    ------
    ConfigError
        With every fault at once.
    """
    path = Path(where)
    if not path.exists():
        if str(where) not in recipes():
            raise ConfigError(
                f"{where} is neither a file nor a recipe; expected a path or one of {recipes()}."
            )
        path = Path(str(resources.files("trainer") / "recipes" / f"{where}.yaml"))
    return load_strict(path, Params, overrides)
