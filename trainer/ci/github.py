"""GitHub's REST API for the steps of a workflow: standard library only.

So a job that may write to pull requests needs nothing installed. The token is sent to one origin
only: redirects are refused, and pages are followed where they stay there.
"""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from polyid.errors import PolyIDError

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="next"')
#: Answers after which the same may be asked again.
_PASSING = (429, 500, 502, 503, 504)
#: Longest wait that an answer may ask for, in seconds.
_PATIENCE = 60.0
#: Nothing of ours has a thousand pages; an answer that leads in a circle would have more.
_MOST_PAGES = 1000


class GitHubError(PolyIDError):
    """GitHub refused or failed; ``status`` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def unsettled(self) -> bool:
        """Whether what was asked may have been done all the same."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    content: Any
    link: str
    """The header ``Link``."""
    after: float | None
    """Seconds to wait, if the answer says."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: the token would go along."""


@dataclass(frozen=True)
class GitHub:
    """One repository, as one token sees it."""

    api: str
    repository: str
    token: str
    waits: Sequence[float] = (1.0, 4.0, 15.0)
    """Seconds before each repetition of a request that may be repeated."""

    def __post_init__(self) -> None:
        """Refuse an address to which the token would go in the open."""
        parts = urlsplit(self.api)
        if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
            raise GitHubError(
                f"GITHUB_API_URL: received {self.api!r}, expected an https address such as "
                "https://api.github.com."
            )

    @classmethod
    def from_environment(cls) -> "GitHub":
        """Read ``GITHUB_API_URL``, ``GITHUB_REPOSITORY`` and ``GITHUB_TOKEN``.

        Raises
        ------
        GitHubError
            If one is missing.
        """
        names = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
        values = [os.environ.get(name, "") for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if not value]
        if missing:
            raise GitHubError(
                f"GitHub cannot be asked: {', '.join(missing)} not set. A workflow sets the first "
                "two; give the step `GITHUB_TOKEN: ${{ github.token }}` in its env."
            )
        return cls(values[0].rstrip("/"), values[1], values[2])

    def get(self, path: str) -> Any:
        """Return what stands at ``path`` of the repository, or at a path of the API with ``/``."""
        return self._repeated("GET", self._url(path), None).content

    def pages(self, path: str, key: str | None = None) -> Iterator[Any]:
        """Return the items of all pages of a list; ``key`` names it where it stands in an object.

        Raises
        ------
        GitHubError
            Also if the next page would be at another origin.
        """
        url = self._url(path)
        for _ in range(_MOST_PAGES):
            answer = self._repeated("GET", url, None)
            yield from answer.content[key] if key else answer.content
            found = _NEXT.search(answer.link)
            if found is None:
                return
            url = found[1]
            if _origin(url) != _origin(self.api):
                raise GitHubError(
                    f"The next page would be at {_origin(url)}, expected {_origin(self.api)}: not "
                    "followed, since the token would go along. Check GITHUB_API_URL."
                )
        raise GitHubError(f"{path} has more than {_MOST_PAGES} pages, or leads in a circle.")

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Change something; repeated if it fails, since twice changes nothing more."""
        return self._repeated("PATCH", self._url(path), body).content

    def delete(self, path: str) -> None:
        """Remove something; what is gone already is no fault."""
        try:
            self._repeated("DELETE", self._url(path), None)
        except GitHubError as error:
            if error.status != 404:
                raise

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Make something, asking once: who gets no answer must look whether it was made.

        It is asked again only after a refusal that says to wait, which did nothing.
        """
        return self._repeated("POST", self._url(path), body).content

    def _url(self, path: str) -> str:
        return f"{self.api}{path if path.startswith('/') else f'/repos/{self.repository}/{path}'}"

    def _repeated(self, method: str, url: str, body: dict[str, Any] | None) -> Answer:
        for wait in [*self.waits, None]:
            try:
                answer = self._once(method, url, body)
            except GitHubError:
                if method == "POST" or wait is None:
                    raise
                time.sleep(wait)
                continue
            limited = answer.status == 429 or (answer.status == 403 and answer.after is not None)
            again = limited or (method != "POST" and answer.status in _PASSING)
            if wait is None or not again or (answer.after or 0) > _PATIENCE:
                break
            time.sleep(wait if answer.after is None else answer.after)
        if 200 <= answer.status < 300:
            return answer
        raise GitHubError(_said(method, url, answer), answer.status)

    def _once(self, method: str, url: str, body: dict[str, Any] | None) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "User-Agent": "polyid-trainer",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - checked
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=30) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _answer(refusal.code, refusal.headers, refusal.read())
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reason = getattr(error, "reason", None) or error
            raise GitHubError(
                f"{method} {urlsplit(url).path}: no answer from GitHub ({reason}). Run the job "
                "again; it finds what is there already."
            ) from None


def _answer(status: int, headers: Any, raw: bytes) -> Answer:
    try:
        content = json.loads(raw) if raw else None
    except ValueError:  # a gateway answers in HTML
        content = None
    after = headers.get("Retry-After", "")
    wait = float(after) if after.isdecimal() else None
    if wait is None and headers.get("X-RateLimit-Remaining") == "0":
        reset = headers.get("X-RateLimit-Reset", "")
        wait = max(float(reset) - time.time(), 1.0) if reset.isdecimal() else None
    return Answer(status, content, headers.get("Link", ""), wait)


def _said(method: str, url: str, answer: Answer) -> str:
    """Say what GitHub said, and what is to be done about it."""
    content = answer.content if isinstance(answer.content, dict) else {}
    errors = content.get("errors")
    details = "; ".join(str(error) for error in errors) if isinstance(errors, list) else ""
    message = str(content.get("message") or "no reason given").splitlines()[0]
    advice = {
        401: "The token is not valid: is it `github.token` of this run?",
        403: "The job may not do this: see `permissions` of the job in its workflow.",
        404: "It is not there, or the token may not see it.",
    }.get(answer.status, "Run the job again; it finds what is there already.")
    said = f"{answer.status}, {message}{f' ({details})' if details else ''}"
    return f"{method} {urlsplit(url).path}: GitHub says {said}. {advice}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
