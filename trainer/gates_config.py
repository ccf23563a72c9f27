"""What ``gates.yaml`` may say: a strict, frozen model of the gate."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from polyid.properties import PROPERTIES, UNIT_SPELLINGS
from trainer.strict import ConfigError, load_strict, suggest

PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _known_property(name: str) -> str:
    if name not in PROPERTIES:
        raise ValueError(f"unknown property{suggest(name, PROPERTIES)}")
    return name


def _known_unit(unit: str) -> str:
    unit = UNIT_SPELLINGS.get(unit, unit)
    units = dict.fromkeys(known.unit for known in PROPERTIES.values())
    if unit not in units:
        raise ValueError(
            f"received {unit!r}, expected the product's unit of the property, one "
            f"of {', '.join(units)}; convert max_mae, too"
        )
    return unit


PropertyName = Annotated[str, AfterValidator(_known_property)]
Unit = Annotated[str, AfterValidator(_known_unit)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Floor(_Strict):
    """The least a model must reach for one property."""

    max_mae: PositiveNumber
    """Largest mean absolute error that passes, in ``unit``."""
    min_r2: Annotated[float, Field(gt=0, lt=1)]
    """Smallest R² that passes; above 0, where the mean of the labels stands."""
    unit: Unit
    """The product's unit of the property: repeated here so that a floor cannot be misread."""


class ChampionRule(_Strict):
    """When a candidate counts as worse than the released model."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the interval of the MAE difference."""
    max_regression: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the champion's MAE that may be lost without proof; more is inconclusive."""


class Gates(_Strict):
    """The gate: who answers for it, and what passes."""

    mode: Literal["enforce", "dry_run"] = "enforce"
    """``dry_run`` reports the verdict and holds nothing up."""
    owner: Annotated[str, Field(min_length=1)]
    """Whom to ask before a floor is changed."""
    rationale: Annotated[str, Field(min_length=1)]
    """Why the floors stand where they stand."""
    floors: dict[PropertyName, Floor]
    """Floor by property."""
    must_beat_mean: bool = True
    """Whether the MAE must be below that of the mean baseline."""
    champion: ChampionRule = ChampionRule()
    noise: dict[PropertyName, NonNegative] = {}
    """Standard deviation of the MAE between runs of one commit with other seeds, by property, in
    its unit."""

    @field_validator("floors")
    @classmethod
    def _units(cls, floors: dict[str, Floor]) -> dict[str, Floor]:
        faults = [
            f"{name}.unit: received {floor.unit!r}, expected {PROPERTIES[name].unit!r}, the unit "
            f"of {name} inside the product; convert max_mae, too"
            for name, floor in floors.items()
            if floor.unit != PROPERTIES[name].unit
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return floors


def load_gates(path: Path) -> Gates:
    """Read ``gates.yaml``.

    Raises
    ------
    ConfigError
        With every fault: unknown key or property (with a suggestion), wrong unit, wrong type.
    """
    return load_strict(path, Gates)


def require_floors(gates: Gates, properties: list[str]) -> None:
    """Check that every trained property has a floor; properties without training need none.

    Raises
    ------
    ConfigError
        Naming every property without a floor.
    """
    bare = [name for name in properties if name not in gates.floors]
    if bare:
        lines = "\n".join(
            f"  - floors.{name}: missing; expected {{max_mae: …, min_r2: …, unit: "
            f"{PROPERTIES[name].unit}}}"
            for name in bare
        )
        raise ConfigError(f"gates.yaml: {len(bare)} trained properties without a floor\n{lines}")
