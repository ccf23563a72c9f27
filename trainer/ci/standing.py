"""Where a commit's model stands in the registry: not trained, judged, or released."""

from typing import NamedTuple

from trainer.registry import Registry


class Standing(NamedTuple):
    """One fingerprint in one registry."""

    fingerprint: str
    verdict: str
    """``pass``, ``fail``, ``inconclusive``, ``not judged``, or ``not trained``."""
    release: str | None
    """Its tag, if it was released already."""

    @property
    def publishable(self) -> bool:
        """Whether it waits to be published."""
        return self.verdict == "pass" and self.release is None

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        name = f"The model of this commit ({self.fingerprint})"
        if self.release is not None:
            return f"{name} is {self.release} already."
        if self.verdict == "not trained":
            return (
                f"{name} was never trained, so nobody has reviewed it and nothing is published. "
                "Dispatch the workflow train on this branch, then publish."
            )
        if self.verdict == "pass":
            return f"{name} passed its gate."
        return f"{name} is not published: its gate says {self.verdict}."


def standing(registry: Registry, fingerprint: str) -> Standing:
    """Look a fingerprint up."""
    if not registry.has_candidate(fingerprint):
        return Standing(fingerprint, "not trained", None)
    tags = [r.tag for r in registry.releases() if r.fingerprint == fingerprint]
    return Standing(fingerprint, registry.candidate(fingerprint).verdict, tags[0] if tags else None)
