"""One release or candidate: its verdict, its scores, and all that its record says."""

from dataclasses import asdict, dataclass
from typing import Any

from trainer.registry import Registry
from trainer.revisions import look_up


@dataclass(frozen=True)
class Shown:
    """What `trainer show` says."""

    registry: str
    revision: str
    state: str
    """Such as ``current release``."""
    fingerprint: str
    address: str
    """A folder or a URL."""
    verdict: str
    """``pass``, ``fail``, ``inconclusive`` or ``not judged``."""
    release: dict[str, Any] | None
    """Tag, previous tag, kind and reasons of the change, time and commit; None for a candidate."""
    gate: dict[str, Any] | None
    """Content of the newest ``gate.json``; None if it was never judged."""
    metrics: dict[str, Any] | None
    """Content of ``metrics.json``; None if there is none."""
    record: dict[str, Any] | None
    """Content of ``record.yaml``; None if there is none."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


def show(registry: Registry, revision: str | None = None) -> Shown:
    """Read one release or candidate.

    Parameters
    ----------
    registry : Registry
        Where it is.
    revision : str, optional
        See `trainer.revisions.look_up`; the current release if None.

    Raises
    ------
    UnknownModelError
        If there is no such revision.
    """
    model = look_up(registry, revision)
    release = model.release
    said = ("tag", "previous", "change", "reasons", "time", "commit")
    return Shown(
        registry=str(registry),
        revision=model.revision,
        state=model.state,
        fingerprint=model.fingerprint,
        address=model.address,
        verdict=model.verdict,
        release=None if release is None else {key: getattr(release, key) for key in said},
        gate=model.gate,
        metrics=model.metrics,
        record=None if model.record is None else model.record.model_dump(mode="json"),
    )
