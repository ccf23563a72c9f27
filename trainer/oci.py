"""What a container registry says of an image, asked as the OCI distribution protocol says.

Standard library only: a workflow asks before anything is installed.
"""

import base64
import json
import re
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
_ASKS = re.compile(r'(\w+)="([^"]*)"')
_SECONDS = 30


class OciError(Exception):
    """A registry gave no answer that can be used; the message says why, without its name."""


class Login(NamedTuple):
    """Who asks."""

    user: str
    token: str

    @property
    def basic(self) -> str:
        """The header that says so."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.token}".encode()).decode()


class Answer(NamedTuple):
    """What came of a question for an image."""

    status: int
    """HTTP status; 200 if it is there for who asks."""
    digest: str
    """Digest of what is there; empty if the registry does not tell."""
    signed: bool
    """Whether the registry knew who asks, or gave a token to anybody."""


def look(host: str, name: str, version: str, login: Login | None = None) -> Answer:
    """Ask for the manifest of an image.

    Parameters
    ----------
    host, name, version
        ``ghcr.io``, ``acme/polyid-train``, and a tag or digest.
    login
        Who asks; None for anybody, who gets a token where everybody does.

    Raises
    ------
    OciError
        If the registry cannot be reached, or takes the login for nobody's.
    """
    # engines take plain HTTP on this machine only, and so does this
    plain = host.partition(":")[0] in ("127.0.0.1", "localhost")
    url = f"http{'' if plain else 's'}://{host}/v2/{name}/manifests/{version}"
    asked = Request(url, headers={"Accept": _ACCEPT}, method="HEAD")  # noqa: S310 - one of the two above
    while True:
        signed = asked.has_header("Authorization")
        try:
            with urlopen(asked, timeout=_SECONDS) as said:  # noqa: S310 - see above
                return Answer(200, said.headers.get("Docker-Content-Digest", ""), signed)
        except HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            given = None
            if error.code == 401 and challenge and not signed:
                given = _authorization(challenge, name, login)
            if given is None:
                return Answer(error.code, "", signed)
            # a registry that sends us elsewhere does not send our login there
            asked.add_unredirected_header("Authorization", given)
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else type(error).__name__
            raise OciError(f"cannot be reached ({reason})") from None


def _authorization(challenge: str, name: str, login: Login | None) -> str | None:
    """Return the header that a challenge asks for; None if anybody gets none."""
    kind, _, rest = challenge.partition(" ")
    asks = dict(_ASKS.findall(rest))
    if kind.lower() != "bearer" or "realm" not in asks:
        return login.basic if login else None
    if not asks["realm"].startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise OciError(f"sends its users to {asks['realm']}")
    asks.setdefault("scope", f"repository:{name}:pull")
    query = urlencode({key: asks[key] for key in ("service", "scope") if key in asks})
    asked = Request(f"{asks['realm']}?{query}")  # noqa: S310 - see above
    if login:
        asked.add_unredirected_header("Authorization", login.basic)
    try:
        with urlopen(asked, timeout=_SECONDS) as said:  # noqa: S310 - see above
            found = json.load(said)
            # registries name it in one way or both
            return f"Bearer {found['token' if 'token' in found else 'access_token']}"
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        if login is None and isinstance(error, HTTPError):
            return None
        raise OciError(f"gave no token ({type(error).__name__})") from None
