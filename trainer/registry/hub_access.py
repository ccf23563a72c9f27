"""May this token do what the end of a run needs? Asked before hours are spent, not after."""

from typing import Any, NamedTuple

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError

from polyid.hub_errors import HubError, explained

_NEEDED = (
    "Needed is write access to the model repository: a fine-grained token with “Write access to "
    "contents/settings” of {repo} (and, for one that does not exist yet, of the namespace), or in "
    "GitHub Actions a trusted publisher with HF_OIDC_RESOURCE={repo}."
)
#: What a fine-grained token may be allowed that covers a commit.
_WRITE = {"repo.write", "repo.content.write"}


class Access(NamedTuple):
    """What a token may do with a repository."""

    who: str
    """Whose token it is, as the Hub names it; its own name, never itself."""
    exists: bool
    """Whether the repository is there already."""


def require_access(repo: str) -> Access:
    """Check that a token is there and may write to ``repo``, or may create it.

    Raises
    ------
    HubError
        If it is missing, refused or not allowed; the message says which right is needed.
    """
    needed = _NEEDED.format(repo=repo)
    with explained(repo, "the check of the token"):
        token = get_token()
    if not token:
        raise HubError(f"hf://{repo}: there is no token for the Hub. {needed}", 401)
    try:
        with explained(repo, "the check of the right to write"):
            try:
                HfApi().auth_check(repo, write=True)
            except RepositoryNotFoundError:
                return Access(_may_create(repo, needed), exists=False)
            return Access(_who(repo), exists=True)
    except HubError as error:
        if error.status in (401, 403):
            raise HubError(f"{error} {needed}", error.status) from None
        raise


def _who(repo: str) -> str:
    """Name the token's owner; a trusted publisher's token has none to ask for."""
    try:
        with explained(repo, "asking whose token it is"):
            return str(HfApi().whoami().get("name", "a trusted publisher"))
    except HubError as error:
        if error.status in (401, 403):
            return "a trusted publisher"
        raise


def _may_create(repo: str, needed: str) -> str:
    """Check the right to create a repository, or to see one that is hidden from this token."""
    with explained(repo, "asking what the token may do"):
        me: dict[str, Any] = HfApi().whoami()
    namespace = repo.partition("/")[0]
    spaces = {me.get("name"), *(org.get("name") for org in me.get("orgs") or [])}
    token = (me.get("auth") or {}).get("accessToken") or {}
    role = token.get("role")
    if namespace not in spaces:
        raise HubError(
            f"hf://{repo} does not exist or is hidden, and {me.get('name')} may not create it: "
            f"the token belongs to {', '.join(sorted(str(s) for s in spaces if s))}. {needed}",
            403,
        )
    allowed = role == "write" or (role == "fineGrained" and _fine_grained(token, namespace))
    if not allowed:
        raise HubError(
            f"hf://{repo} does not exist, and this token (role {role}) may not create it. {needed}",
            403,
        )
    return str(me.get("name"))


def _fine_grained(token: dict[str, Any], namespace: str) -> bool:
    """Whether a fine-grained token may write in a namespace."""
    scopes = (token.get("fineGrained") or {}).get("scoped") or []
    return any(
        (scope.get("entity") or {}).get("name") == namespace
        and not _WRITE.isdisjoint(scope.get("permissions") or [])
        for scope in scopes
    )
