"""Where a model is: a folder, or a registry's release or candidate, verified before use."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from polyid.checksums import CHECKSUMS, verify
from polyid.errors import PolyIDError
from polyid.registry import (
    CANDIDATES,
    CURRENT,
    RELEASES,
    UnknownModelError,
    current_tag,
    locate,
    no_release,
    read_json,
)


@dataclass(frozen=True)
class ResolvedModel:
    """A verified model folder and where it came from."""

    folder: Path
    """The folder to load."""
    registry: str | None
    """Address of the registry it stands in; None for a folder of its own."""
    revision: str | None
    """Release tag, ``candidate/<fingerprint>``, or None for a folder that is not released."""
    fingerprint: str | None
    """The run's fingerprint, None where the folder has no record."""
    commit: str | None = None
    """Commit on the Hub that was loaded; None for a local folder."""


def resolve(model: str) -> ResolvedModel:
    """Find a model and verify its checksums.

    Parameters
    ----------
    model : str
        ``FOLDER``, ``REGISTRY`` (its current release), ``REGISTRY@v1.2.0`` or
        ``REGISTRY@candidate/<fingerprint>`` (which may be shortened while it stays unique). A
        registry is a folder or ``hf://namespace/name``, which takes a commit as a revision too.

    Raises
    ------
    UnknownModelError
        If there is no such folder, registry, release or candidate; the message says what is there.
    TamperedError
        If the folder is not what its checksums say.
    """
    try:
        return _resolve_on_hub(model) if model.startswith("hf://") else _resolve(model)
    except OSError as error:
        raise PolyIDError(f"{model} cannot be read: {error.strerror}: {error.filename}.") from error


def _resolve(model: str) -> ResolvedModel:
    path, revision = _split(model)
    if _is_model(path):
        if revision is not None:
            raise UnknownModelError(
                f"{path} is one model, not a registry: it has no revision {revision!r}. "
                f"Give the folder alone: --model {path}"
            )
        verify(path)
        return ResolvedModel(path, None, _released_as(path), _fingerprint(path))
    if not _is_registry(path):
        raise UnknownModelError(_not_a_model(path))
    if revision is None:
        revision = current_tag(path)
        if revision is None:
            raise UnknownModelError(no_release(path))
    folder = locate(path, revision)
    verify(folder)
    if revision.startswith("candidate/"):
        revision = f"candidate/{folder.name}"
    return ResolvedModel(folder, str(path), revision, _fingerprint(folder))


def _resolve_on_hub(model: str) -> ResolvedModel:
    from polyid import hub  # which needs this module

    repo, revision = hub.repository(model)
    pinned = hub.pin(repo, revision)
    folder = hub.fetch(pinned)
    name = _released_as(folder) if revision == pinned.commit else None
    shown = name or pinned.revision
    return ResolvedModel(folder, f"hf://{repo}", shown, _fingerprint(folder), pinned.commit)


def _split(model: str) -> tuple[Path, str | None]:
    """Divide ``PLACE@REVISION``; a place that exists may itself contain an ``@``."""
    whole = Path(model).expanduser()
    if whole.exists() or "@" not in model:
        return whole, None
    place, _, revision = model.rpartition("@")
    return Path(place).expanduser(), revision


def _is_model(path: Path) -> bool:
    return (path / CHECKSUMS).is_file() or (path / "parameters.json").is_file()


def _is_registry(path: Path) -> bool:
    return any((path / name).exists() for name in (CANDIDATES, RELEASES, CURRENT))


def _not_a_model(path: Path) -> str:
    found = "exists but is neither" if path.exists() else "does not exist"
    return (
        f"No model at {path}: it {found}. Expected a model folder (with {CHECKSUMS}) or a "
        f"registry. To make one, run `trainer run --registry {path} --publish`."
    )


def _fingerprint(folder: Path) -> str | None:
    path = folder / "record.yaml"
    if not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PolyIDError(f"{path} is not YAML: {error}") from None
    found = content.get("fingerprint") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _released_as(folder: Path) -> str | None:
    path = folder / "release.json"
    return read_json(path).get("tag") if path.is_file() else None
