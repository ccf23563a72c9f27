"""Where a workflow keeps an image, and the digest that it has there."""

import re
from dataclasses import dataclass
from typing import NoReturn

from trainer import oci
from trainer.oci import Login, OciError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Repository:
    """A repository of images, such as ``ghcr.io/acme/polyid-train``."""

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    def digest(self, tag: str, user: str, token: str) -> str | None:
        """Return the digest of a tag; None if there is no such image.

        Raises
        ------
        OciError
            If the registry refuses, or cannot be reached.
        """
        try:
            found = oci.look(self.host, self.name, tag, Login(user, token))
        except OciError as error:
            self._fail(str(error))
        # ghcr.io hides what is not there behind a refusal, until the first push
        if found.status == 404 or (found.status in (401, 403) and found.signed):
            return None
        if found.status != 200:
            self._fail(f"answered {found.status}")
        if not _DIGEST.fullmatch(found.digest):
            self._fail(f"gave no digest of {tag} (received {found.digest!r})")
        return found.digest

    def _fail(self, why: str) -> NoReturn:
        raise OciError(
            f"The container registry {self.host} {why}, asked for {self.name}. Is the variable "
            "IMAGE_REGISTRY right, and has the job `packages: write`? See docs/setup.md."
        ) from None
