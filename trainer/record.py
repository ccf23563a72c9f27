"""The model record, ``record.yaml``: everything that decided a run's result, and what it took.

Strict: a missing, mistyped or unknown key is an error, so a record that can be read is complete.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from polyid.errors import PolyIDError

RECORD = "record.yaml"

Verdict = Literal["pass", "fail", "inconclusive"]


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Time = Annotated[datetime, AfterValidator(_utc)]


class RecordError(PolyIDError):
    """A model record cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class DataRecord(_Strict):
    """The data a run was trained on."""

    name: str
    """The file's name, without the folder it stood in."""
    hash: Sha256
    """SHA-256 of the file's bytes."""
    rows: int = Field(ge=0)
    labels: dict[str, int]
    """Rows with a value, per property."""
    licence: str
    md5: Md5 | None = None
    """MD5 of the file's bytes: the name by which DVC stores it. None in older records."""


class CodeRecord(_Strict):
    """The code that ran."""

    hash: Sha256
    """Hash of the code that decides a result; see `trainer.fingerprint.code_hash`."""
    commit: str | None
    """Git commit; None outside a git checkout."""
    dirty: bool | None
    """Whether files differed from that commit; None outside a git checkout."""
    image: str | None
    """Digest of the container image; None outside a container."""


class FoldsRecord(_Strict):
    """The folds that every score stands on."""

    hash: Sha256
    split: Literal["grouped", "random"]
    count: int = Field(ge=2)
    seed: int


class HardwareRecord(_Strict):
    """Where a run took place."""

    cpu: str
    cores: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    gpus: list[str]
    """Names of the graphics processors, empty where there is none."""


class EstimateRecord(_Strict):
    """What a run was expected to take, before it was started."""

    target: str
    hardware: str
    """Kind of machine on the target, such as ``l4x1``."""
    usd_per_hour: float = Field(ge=0)
    """0 where nobody is billed."""
    hours: float = Field(ge=0)
    """Hours of work, as `Record.hours` counts them."""
    cost_usd: float = Field(ge=0)
    """Price of these hours."""
    total_usd: float = Field(ge=0)
    """With start, evaluation and storage, which the run does not measure of itself."""
    measured: bool
    """Whether it rests on a measurement of this recipe on this hardware."""
    basis: str
    """Where throughput was measured, and by what it was multiplied."""


class Record(_Strict):
    """One run: its inputs, its circumstances and its verdict."""

    format: Literal[1] = 1
    fingerprint: Fingerprint
    data: DataRecord
    code: CodeRecord
    params: dict[str, Any]
    """The recipe as it was used, with every default written out."""
    params_hash: Sha256
    folds: FoldsRecord
    seeds: dict[str, int]
    """What was seeded, and with what, such as ``member_0: 7``."""
    packages: dict[str, str | None]
    """Version of every package that can change a result; None where it is not installed."""
    hardware: HardwareRecord
    hours: float = Field(ge=0)
    """Wall-clock hours of work, over all sittings of a run that was resumed."""
    cost_usd: float | None = Field(ge=0)
    """Price of these hours in US dollars; None where nobody is billed."""
    started: Time
    finished: Time
    gate: Verdict | None = None
    """Verdict of the gate; None before it was asked."""
    estimate: EstimateRecord | None = None
    """None in older records, and where nothing was known of the hardware."""


def write_record(record: Record, folder: Path) -> Path:
    """Write ``record.yaml`` into ``folder``, in one step."""
    path = folder / RECORD
    partial = folder / f".{RECORD}.partial"
    content = record.model_dump(mode="json")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def read_record(path: Path) -> Record:
    """Read ``record.yaml``.

    Parameters
    ----------
    path : Path
        The file, or the folder that holds it.

    Raises
    ------
    RecordError
        If it is missing, not YAML, or has a missing, mistyped or unknown key; all at once.
    """
    path = path / RECORD if path.is_dir() else path
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"There is no model record at {path}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not YAML: {error}") from None
    try:
        # JSON has no type for times, so strict reading of JSON takes them as text, as they are here
        return Record.model_validate_json(json.dumps(content, default=_as_text))
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(str(part) for part in fault['loc']) or 'the whole file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise RecordError(f"{path} is not a model record of format 1:\n{faults}") from None


def _as_text(value: object) -> str:
    """Give a time that YAML has already read back as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise RecordError(f"A model record cannot hold {value!r}, a {type(value).__name__}.")
