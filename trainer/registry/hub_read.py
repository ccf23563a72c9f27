"""A registry on the Hugging Face Hub, read: candidates, releases, which is current, the history."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from polyid import hub
from polyid.registry import UnknownModelError, match_fingerprint, read_json
from trainer.registry import hub_state
from trainer.registry.base import GATE, RELEASE, Candidate, Event, RegistryError, Release
from trainer.registry.hub_state import Refs


class Main(NamedTuple):
    """Where ``main`` stands, and the release that is current."""

    head: str
    refs: Refs
    current: Release | None


class HubReader:
    """What can be read of the registry ``hf://namespace/name``; nothing here writes."""

    def __init__(self, address: str) -> None:
        self.repo, revision = hub.repository(address)
        if revision is not None:
            raise RegistryError(f"{address}: a registry has no revision; give hf://{self.repo}.")

    def __str__(self) -> str:
        return f"hf://{self.repo}"

    def candidates(self) -> list[Candidate]:
        """All candidates with their newest verdicts, by fingerprint."""
        refs = self._refs()
        return [self._candidate(refs, name) for name in self._whole(refs)]

    def has_candidate(self, fingerprint: str) -> bool:
        """Whether this run was made already (its whole fingerprint is needed)."""
        head = self._refs().branches.get(f"candidate/{fingerprint}")
        return head is not None and hub_state.is_whole(self.repo, head)

    def candidate(self, fingerprint: str) -> Candidate:
        """Find a candidate; its fingerprint may be shortened while it stays unique."""
        refs = self._refs()
        return self._candidate(refs, match_fingerprint(fingerprint, self._whole(refs), self))

    def releases(self) -> list[Release]:
        """All releases, oldest version first."""
        tags = self._refs().tags
        return [hub_state.read_release(self.repo, tag, commit) for tag, commit in tags.items()]

    def release(self, tag: str) -> Release:
        """Read one release."""
        tags = self._refs().tags
        if tag not in tags:
            known = ", ".join(tags) or "none"
            raise UnknownModelError(f"{self} has no release {tag!r}; it has {known}.")
        return hub_state.read_release(self.repo, tag, tags[tag])

    def current(self) -> Release | None:
        """Return the release in use, None before the first."""
        refs = self._refs()
        return self._main(refs).current if refs.branches else None

    def history(self) -> list[Event]:
        """Every publication and roll-back, oldest first."""
        return hub_state.read_events(self.repo, self._refs())

    def folder(self, revision: str, names: Sequence[str] | None = None) -> Path:
        """Return a verified local copy of a revision; see `Registry.folder`."""
        kind, _, rest = revision.rpartition("/")
        if kind not in ("candidate", "review"):
            return hub.fetch(hub.pin(self.repo, revision), names)
        refs = self._refs()
        name = match_fingerprint(rest, self._whole(refs), self)
        return hub.fetch(self._pinned(refs, kind, name), names)

    def _refs(self) -> Refs:
        return hub_state.read_refs(self.repo)

    def _whole(self, refs: Refs) -> list[str]:
        """Fingerprints of the candidates that were uploaded to the end."""
        heads = ((name, refs.branches[f"candidate/{name}"]) for name in refs.candidates())
        return [name for name, head in heads if hub_state.is_whole(self.repo, head)]

    def _pinned(self, refs: Refs, kind: str, name: str) -> hub.Pinned:
        """Find a candidate, or its newest verdict, which may be the candidate's own."""
        candidate = f"candidate/{name}"
        head = refs.branches.get(f"review/{name}") if kind == "review" else None
        if head is None or not hub_state.is_whole(self.repo, head):
            return hub.Pinned(self.repo, candidate, refs.branches[candidate])
        return hub.Pinned(self.repo, f"review/{name}", head)

    def _candidate(self, refs: Refs, name: str) -> Candidate:
        pinned = self._pinned(refs, "review", name)
        gate = hub.read_file(self.repo, pinned.commit, GATE)
        address = hub_state.url(self.repo, f"candidate/{name}")
        return Candidate(name, read_json(gate) if gate else None, address)

    def _main(self, refs: Refs) -> Main:
        """Read where ``main`` stands; an unfinished publication counts for nothing."""
        if "main" not in refs.branches:
            raise UnknownModelError(
                f"There is no repository {self}, or this token may not read it. "
                f"The first `trainer run --registry {self}` creates it."
            )
        head = refs.branches["main"]
        path = hub.read_file(self.repo, head, RELEASE)
        if path is None:
            return Main(head, refs, None)
        said = hub_state.release_from(path, self.repo, head)
        tag = said.tag
        if tag not in refs.tags or not hub.same_release(self.repo, refs.tags[tag], path):
            tag = said.previous or ""
        if tag not in refs.tags:
            return Main(head, refs, None)
        return Main(head, refs, hub_state.read_release(self.repo, tag, refs.tags[tag]))
