"""A running application, asked through its public API: what it serves, and if its numbers hold."""

from types import TracebackType
from typing import Any, NamedTuple

from huggingface_hub.utils import httpx

from polyid.reference import Reference
from trainer.space import Place

#: Seconds for one answer; a worker that is just warm may take a while.
_PATIENCE = 60.0

#: What is predicted where a release has no reference predictions.
_ANY = "*CC*"


class Seen(NamedTuple):
    """What an application says of itself; ``answered`` is False if it says nothing."""

    answered: bool = False
    ready: bool = False
    status: str = "does not answer"
    requested: str | None = None
    tag: str | None = None
    commit: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if not self.answered:
            return "the app does not answer"
        return f"the app is {self.status} and serves {self.tag or self.commit or 'nothing'}"


class Application:
    """A client of one address; redirects are not followed, a token goes nowhere else."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = httpx.Client(headers=place.headers, timeout=_PATIENCE)

    def __enter__(self) -> "Application":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def look(self) -> Seen:
        """Ask ``/health`` and ``/model``; both must name the same model for it to be ready."""
        health = self._get("/health")
        if health is None or "requested" not in health:
            return Seen()
        named = health.get("model") or {}
        served = self._get("/model") or {}
        same = all(named.get(key) == served.get(key) for key in ("tag", "hub_commit"))
        return Seen(
            True,
            bool(health.get("ready")) and bool(named) and same,
            str(health.get("status")),
            _text(health.get("requested")),
            _text(served.get("tag")),
            _text(served.get("hub_commit")),
            _text(health.get("reason")),
        )

    def faults(self, reference: Reference | None, tag: str, commit: str | None) -> list[str]:
        """Predict the reference polymers; say what is not as it was when the release was made."""
        if reference is None:
            answer = self._predict({"smiles": _ANY})
            return [answer] if isinstance(answer, str) else _identity(answer, tag, commit)
        faults: list[str] = []
        for place, known in enumerate(reference.polymers, start=1):
            question = {"smiles": known.smiles_polymer, "kind": "oligomer"}
            answer = self._predict(question | ({} if known.pm is None else {"pm": known.pm}))
            if isinstance(answer, str):
                return [*faults, f"Reference polymer {place}: {answer}"]
            faults += _identity(answer, tag, commit)
            for name, expected in known.predictions.items():
                found = ((answer.get("properties") or {}).get(name) or {}).get("value")
                allowed = reference.tolerance.get(name, 0.0)
                if not isinstance(found, int | float) or not abs(found - expected) <= allowed:
                    faults.append(
                        f"Reference polymer {place}: {name} is {found}, expected {expected:.6g} "
                        f"within {allowed:.2g} {reference.units.get(name, '')}".rstrip()
                        + "."
                    )
        return faults

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            answer = self._client.get(self._place.url + path, timeout=10.0)
            content = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _predict(self, question: dict[str, Any]) -> dict[str, Any] | str:
        try:
            answer = self._client.post(f"{self._place.url}/predict", json=question)
        except httpx.HTTPError as error:
            return f"POST /predict was not answered ({type(error).__name__})."
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.status_code != 200 or not isinstance(content, dict):
            detail = content.get("detail") if isinstance(content, dict) else None
            return f"POST /predict answered {answer.status_code}, expected 200. {detail or ''}"
        return content


def _identity(answer: dict[str, Any], tag: str, commit: str | None) -> list[str]:
    model = answer.get("model") or {}
    found = (model.get("tag"), model.get("hub_commit"))
    if found == (tag, commit):
        return []
    return [f"A prediction was made by {found[0]} at {found[1]}, expected {tag} at {commit}."]


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None
