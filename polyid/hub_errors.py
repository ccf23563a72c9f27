"""What the Hugging Face Hub or the way to it answers, said in this project's words.

Messages name the repository, what was being done and the next command. They never hold a token:
the client's own texts, which may quote a request, are reduced to their status and reason.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    OIDCError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils import httpx

from polyid.errors import PolyIDError
from polyid.registry import UnknownModelError

#: What looks like a token of the Hub, or a header that carries one.
_SECRET = re.compile(r"\bhf_[A-Za-z0-9_.-]{8,}|Bearer\s+\S+")

_LOGIN = (
    "Log in with `hf auth login`, or set HF_TOKEN to a token with the right; in GitHub Actions "
    "set HF_OIDC_RESOURCE and give the job `id-token: write`."
)


class HubError(PolyIDError):
    """The Hub refused, failed or could not be reached.

    Parameters
    ----------
    text : str
        The message; anything that looks like a token is taken out.
    status : int, optional
        The HTTP status, None where there was no answer.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(without_secrets(text))
        self.status = status

    @property
    def unanswered(self) -> bool:
        """Whether the request may have been carried out all the same."""
        return self.status is None or self.status >= 500


def without_secrets(text: str) -> str:
    """Replace whatever looks like a token by ``***``."""
    return _SECRET.sub("***", text)


@contextmanager
def explained(repo: str, doing: str) -> Iterator[None]:
    """Turn what the Hub's client raises inside the block into a `HubError`.

    Parameters
    ----------
    repo : str
        The repository, ``namespace/name``.
    doing : str
        Such as ``reading`` or ``publishing v1.0.0``: what fails if it fails.

    Raises
    ------
    polyid.registry.UnknownModelError
        If the repository or the revision is not there, or this token may not see it.
    HubError
        For every other answer of the Hub, and for none.
    """
    what = f"hf://{repo}: {doing} failed"
    try:
        yield
    except GatedRepoError:
        raise HubError(f"{what}: its owner has to grant access first.", 403) from None
    except RepositoryNotFoundError:
        raise UnknownModelError(
            f"{what}: there is no such repository, or this token may not read it. {_LOGIN}"
        ) from None
    except RevisionNotFoundError as error:
        raise UnknownModelError(f"{what}: {_reason(error)}") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, RevisionResolutionError) as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise _answered(what, error.__cause__) from None
        raise HubError(
            f"{what}: the Hub cannot be reached, and it is not in the cache of this machine. "
            "Connect, and run the same command again."
        ) from None
    except EntryNotFoundError as error:
        raise UnknownModelError(f"{what}: {_reason(error)}") from None
    except OIDCError as error:
        raise HubError(
            f"{what}: the exchange of the CI's identity for a token did: {error} Give the job "
            "`id-token: write`, and name this repository, branch and workflow as a trusted "
            "publisher in the settings on the Hub.",
            401,
        ) from None
    except HfHubHTTPError as error:
        raise _answered(what, error) from None
    except httpx.HTTPError as error:
        raise HubError(
            f"{what}: no answer ({type(error).__name__}). Nothing is half done; run the same "
            "command again, and it finishes the job."
        ) from None
    except HFValidationError as error:
        raise HubError(f"{what}: {error}", 400) from None


def _answered(what: str, error: HfHubHTTPError) -> HubError:
    status = error.response.status_code
    hints = {
        401: _LOGIN,
        403: f"This token has no right to that. {_LOGIN}",
        404: f"There is nothing there, or this token may not see it. {_LOGIN}",
        412: "Somebody else changed it in the meantime. Run the same command again.",
        429: "Too many requests: wait some minutes, and run the same command again.",
    }
    hint = hints.get(status, "Run the same command again; it finishes the job.")
    return HubError(f"{what}: {_reason(error)} {hint}", status)


def _reason(error: Exception) -> str:
    """First line of an answer, with its status."""
    response = getattr(error, "response", None)
    server = getattr(error, "server_message", None)
    if response is None:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    text = server or response.reason_phrase or type(error).__name__
    return f"HTTP {response.status_code}, {text.splitlines()[0].rstrip('.')}."
