"""Requests and answers of the API, as OpenAPI shows them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LOOSE = ConfigDict(extra="forbid")

#: A hard bound, far above what is read (`app.limits.Limits.characters` says so politely).
_TEXT = Annotated[str, Field(min_length=1)]


class Ask(BaseModel):
    """One polymer: ``smiles``, or ``monomers``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"smiles": "*CC(*)c1ccccc1"},
                {"monomers": ["OC(=O)CCCCC(=O)O", "NCCCCCCN"], "mechanism": "amide"},
            ],
            "oneOf": [{"required": ["smiles"]}, {"required": ["monomers"]}],
        },
    )
    smiles: _TEXT | None = Field(
        default=None,
        description="A repeat unit with two `*`, monomers joined by `.`, or a whole chain.",
    )
    monomers: Annotated[list[_TEXT], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="SMILES of the monomers."
    )
    mechanism: str | None = Field(
        default=None,
        max_length=64,
        description="How monomers join: vinyl, ester, amide, carbonate, imide, NIPU or urethane. "
        "Found from their groups without it.",
    )
    pm: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Fraction of meso dyads, for a model that reads the tacticity (`GET /model`).",
    )
    kind: Literal["auto", "monomers", "repeat_unit", "oligomer"] = Field(
        default="auto", description="How to read `smiles`; `auto` finds out."
    )
    name: str | None = Field(
        default=None, max_length=200, description="Comes back with the answer."
    )

    @model_validator(mode="after")
    def _one_of(self) -> "Ask":
        if (self.smiles is None) == (self.monomers is None):
            raise ValueError("give either smiles or monomers")
        if self.monomers is not None and self.kind not in ("auto", "monomers"):
            raise ValueError(
                f"monomers are not read as {self.kind}; give smiles, or leave kind out"
            )
        return self


class EstimateOut(BaseModel):
    """One predicted property."""

    value: float
    low: float = Field(description="Lower end of the interval.")
    high: float
    unit: str


class Measured(BaseModel):
    """A measured value of a training polymer."""

    value: float
    unit: str


class NearOut(BaseModel):
    """A training polymer near the one asked for."""

    smiles_monomer: str
    smiles_polymer: str
    similarity: float
    measured: dict[str, Measured]


class TrustOut(BaseModel):
    """How far a prediction may be trusted."""

    word: Literal["well inside", "inside", "edge", "outside"]
    similarity: float
    unseen_features: int
    nearest: list[NearOut]
    message: str


class ModelOut(BaseModel):
    """Which model answered."""

    registry: str | None = Field(description="Where it came from.")
    revision: str | None = Field(description="Tag, candidate or commit that was asked for.")
    tag: str | None = Field(description="Release.")
    hub_commit: str | None = Field(description="Commit on the Hub; null for a local registry.")
    fingerprint: str | None = Field(description="Of the training run: hash of all its inputs.")
    commit: str | None = Field(description="Git commit of the code that trained it.")
    data_hash: str | None = Field(description="SHA-256 of the data it was trained on.")
    image: str | None = Field(description="Container image that trained it.")


class Prediction(BaseModel):
    """The answer for one polymer."""

    name: str | None
    input: str
    ok: bool
    error: str | None = Field(description="Why there is no prediction (in batches).")
    smiles_polymer: str | None = Field(description="The chain as the model read it.")
    kind: str | None
    note: str = Field(description="What was assumed.")
    properties: dict[str, EstimateOut] | None
    interval_level: float | None = Field(description="Share of cases an interval should hold.")
    validity: TrustOut | None
    model: ModelOut


class ModelAnswer(ModelOut):
    """The model that is served, whole."""

    properties: dict[str, str] = Field(description="Property → unit.")
    takes_pm: bool
    interval_level: float
    record: dict[str, Any] = Field(description="The release's `record.yaml`.")
    release: dict[str, Any] = Field(description="The release's `release.json`.")


class Health(BaseModel):
    """How the service is."""

    status: Literal["starting", "ready", "degraded", "not ready"] = Field(
        description="`degraded`: another release is served than was asked for."
    )
    live: bool
    ready: bool
    requested: str = Field(description="The model that was asked for at start.")
    model: ModelOut | None = Field(description="The model that is served.")
    reason: str | None = Field(description="Why the requested model is not served.")
    warnings: list[str]
    self_test: int = Field(description="Reference polymers predicted as they should be.")
    workers: int = Field(description="Processes that predict.")


class FaultOut(BaseModel):
    """What is wrong with one field."""

    detail: str
    pointer: str = Field(description="JSON pointer to the field, as a URI fragment.")


class ProblemOut(BaseModel):
    """A problem, RFC 9457."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultOut] = []


class OldAsk(BaseModel):
    """What clients of the first app send to `/run/predict`."""

    model_config = _LOOSE
    smiles: _TEXT | None = None
    data: Annotated[list[Any], Field(min_length=1)] | None = Field(
        default=None, description="Gradio's way: the SMILES is the first element."
    )


class OldBatch(BaseModel):
    """What clients of the first app send to `/batch_predict`."""

    model_config = _LOOSE
    smiles_list: list[str] = Field(min_length=1, max_length=100)


class OldAnswer(BaseModel):
    """What clients of the first app get, with what it made up left out."""

    polymer_id: str | None
    smiles: str
    properties: dict[str, float]
    timestamp: str
    processing_time_seconds: float | None = None
    error: str | None = None
    error_code: str | None = None
    prediction: Prediction | None = Field(default=None, description="The whole answer.")


class OldSummary(BaseModel):
    """Counts of a batch."""

    total: int
    successful: int
    failed: int
    processing_time_seconds: float


class OldBatchAnswer(BaseModel):
    """Answer of `/batch_predict`."""

    results: list[OldAnswer]
    summary: OldSummary
    timestamp: str
