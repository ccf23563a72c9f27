"""A Space on the Hugging Face Hub, from outside: its pin, its stage, its address."""

from typing import NamedTuple
from urllib.parse import urlsplit

from huggingface_hub import HfApi, get_token

from polyid.hub_errors import HubError, explained

MODEL, REVISION = "MODEL", "MODEL_REVISION"

#: Stages from which nothing comes by waiting, and what to do about each.
STUCK = {
    "BUILD_ERROR": "its image does not build: hf spaces logs {space} --build",
    "CONFIG_ERROR": "the front matter of its README.md is not valid: mend it and push",
    "NO_APP_FILE": "it has no Dockerfile yet: push the application first",
    "PAUSED": "somebody paused it: hf spaces restart {space}",
    "STOPPED": "it was stopped: hf spaces restart {space}",
    "DELETING": "it is being deleted",
    "RUNTIME_ERROR": "its application ended: hf spaces logs {space}",
}

#: What the pin's description on the Hub begins with; the pin before it follows. Written together
#: with the pin, so that a deployment that died can still be undone by the next one.
_BEFORE = "Set by trainer deploy. Before: "


class Pin(NamedTuple):
    """Which model a Space is told to serve; None where a variable is not set."""

    model: str | None
    revision: str | None

    def __str__(self) -> str:
        if self.model is None:
            return "nothing"
        joined = self.revision and "@" not in self.model
        return f"{self.model}@{self.revision}" if joined else self.model


class Pinned(NamedTuple):
    """A Space's pin, and the one before it, if `trainer deploy` set it."""

    pin: Pin
    before: Pin | None


class Place(NamedTuple):
    """Where a Space's application answers, and what a request there must carry."""

    url: str
    headers: dict[str, str]


class Space:
    """A Space, read and changed with the token of this machine.

    Parameters
    ----------
    name
        ``namespace/name``.
    url
        Where its application answers, instead of where the Hub says.
    """

    def __init__(self, name: str, url: str | None = None) -> None:
        self.name, self._url = name, url.rstrip("/") if url else None

    def pinned(self) -> Pinned:
        """Read the pin."""
        with explained(self._what, "reading its variables"):
            found = HfApi().get_space_variables(self.name)
        model, revision = found.get(MODEL), found.get(REVISION)
        said = (revision.description if revision else None) or ""
        before = said.removeprefix(_BEFORE) if said.startswith(_BEFORE) else ""
        place, mark, tag = before.partition("@")
        return Pinned(
            Pin(model.value if model else None, revision.value if revision else None),
            Pin(place, tag if mark else None) if before not in ("", "nothing") else None,
        )

    def set(self, pin: Pin, before: Pin | None = None) -> None:
        """Set the pin; variables that are right already are not touched."""
        now = self.pinned().pin
        description = f"{_BEFORE}{before}" if before else "Set by trainer deploy."
        with explained(self._what, f"setting {REVISION}"):
            api = HfApi()
            if now.model != pin.model:
                if pin.model is None:
                    api.delete_space_variable(self.name, MODEL)
                else:
                    api.add_space_variable(self.name, MODEL, pin.model)
            if now.revision != pin.revision:
                if pin.revision is None:
                    api.delete_space_variable(self.name, REVISION)
                else:
                    api.add_space_variable(
                        self.name, REVISION, pin.revision, description=description
                    )

    def restart(self) -> None:
        """Restart it: that a change of a variable does so is not promised anywhere."""
        with explained(self._what, "restarting"):
            HfApi().restart_space(self.name)

    def stage(self) -> str:
        """Return the stage that the Hub shows; it may still be that of before a change."""
        with explained(self._what, "reading its stage"):
            return str(HfApi().get_space_runtime(self.name).raw["stage"])

    def place(self) -> Place:
        """Find where its application answers; a private Space asks for the token there.

        Raises
        ------
        HubError
            If the Hub does not say.
        """
        with explained(self._what, "finding its address"):
            api = HfApi()
            rows = api.get_space_runtime(self.name).raw.get("domains") or []
            info = api.space_info(self.name)
            endpoint = urlsplit(api.endpoint)
        domains = [str(row["domain"]) for row in rows if row.get("domain")]
        if info.host:
            domains.append(urlsplit(info.host).netloc or info.host)
        if self._url is None and not domains:
            raise HubError(
                f"{self._what}: the Hub names no address of it. Give it: --url https://…", 404
            )
        url = self._url or f"{endpoint.scheme}://{domains[0]}"
        # the token is for the Space's own address, and never goes over an open line elsewhere
        address = urlsplit(url)
        own = address.netloc in domains and address.scheme in ("https", endpoint.scheme)
        token = get_token() if info.private and own else None
        return Place(url, {"Authorization": f"Bearer {token}"} if token else {})

    def stuck(self, stage: str) -> str | None:
        """Say why waiting is of no use in a stage; None if it may be."""
        found = STUCK.get(stage)
        return f"The Space is {stage}: {found.format(space=self.name)}" if found else None

    @property
    def _what(self) -> str:
        return f"spaces/{self.name}"
