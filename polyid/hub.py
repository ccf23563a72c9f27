"""Models on the Hugging Face Hub: which release is current, and a pinned, verified copy of one.

A repository on the Hub holds a registry (the pipeline writes it)::

    main                       the current release; its release.json names the tag
    tags v1.2.0                releases, never moved
    candidate/<fingerprint>    branch with what one run made; never changed
    review/<fingerprint>       branch with later verdicts on it

A release is published when its tag stands. So if ``main`` names a tag that is not there, its
publication was cut off, and the release before it is still the current one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfApi,
    hf_hub_download,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import tqdm

from polyid.checksums import CHECKSUMS, TamperedError, file_hash, read_checksums, verify
from polyid.hub_errors import HubError, explained
from polyid.registry import FINGERPRINT, TAG, UnknownModelError, read_json

SCHEME = "hf://"
RELEASE = "release.json"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Silent(tqdm):
    """A progress bar for small files: none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"disable": True})


@dataclass(frozen=True)
class Pinned:
    """A revision of a repository, and the commit that it is."""

    repo: str
    revision: str
    """As it is to be shown: a tag, ``candidate/<fingerprint>`` or a commit."""
    commit: str


def repository(address: str) -> tuple[str, str | None]:
    """Divide ``hf://namespace/name[@revision]`` into repository and revision.

    Raises
    ------
    HubError
        If it does not name a repository.
    """
    repo, _, revision = address.removeprefix(SCHEME).partition("@")
    if not REPOSITORY.fullmatch(repo):
        raise HubError(f"Expected hf://namespace/name[@revision], received {address!r}.", 400)
    return repo, revision or None


def pin(repo: str, revision: str | None = None) -> Pinned:
    """Find the commit of a revision; offline, the one that was found last.

    Parameters
    ----------
    repo : str
        ``namespace/name``.
    revision : str, optional
        A tag, ``candidate/<fingerprint>``, a branch or a commit of 40 hexadecimal digits. By
        default the current release; ``main`` where a repository has no releases.

    Raises
    ------
    polyid.registry.UnknownModelError
        If there is no such repository or revision; the message says which releases there are.
    HubError
        If the Hub fails, or is out of reach and the answer is not in the cache.
    """
    if revision is None:
        return _current(repo)
    if _COMMIT.fullmatch(revision):
        return Pinned(repo, revision, revision)
    try:
        return Pinned(repo, revision, _commit(repo, revision))
    except RevisionNotFoundError:
        raise UnknownModelError(_unknown(repo, revision)) from None


def fetch(pinned: Pinned, names: Sequence[str] | None = None) -> Path:
    """Return a verified local copy; what is in the cache is not fetched again.

    Parameters
    ----------
    pinned : Pinned
        What to fetch.
    names : sequence of str, optional
        Only these files, and only those of them that there are; all if None.

    Raises
    ------
    polyid.checksums.TamperedError
        If a file is not what the checksums say, or is a pickle. Nothing is loaded.
    HubError
        If the Hub fails, or is out of reach and the files are not in the cache.
    """
    folder = _snapshot(pinned, names)
    try:
        _verify(folder, names)
    except TamperedError as error:
        if error.refused:
            raise
        # a damaged cache is not the repository's fault: fetch once more, then judge
        try:
            folder = _snapshot(pinned, names, again=True)
        except ValueError:  # also what the client raises offline
            raise error from None
        _verify(folder, names)
    return folder


def read_file(repo: str, commit: str, name: str) -> Path | None:
    """Return one file of a commit, not verified; None if there is none."""
    cached = try_to_load_from_cache(repo, name, revision=commit)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None:  # it was asked for before, and is not there
        return None
    with explained(repo, f"reading {name}"):
        try:
            return Path(hf_hub_download(repo, name, revision=commit))
        except EntryNotFoundError as error:
            if isinstance(error, FileNotFoundError):  # not in the cache, and no way to the Hub
                raise
            return None


def same_release(repo: str, commit: str, release: Path) -> bool:
    """Whether a tag's commit holds the release that ``release.json`` of ``main`` describes."""
    tagged = read_file(repo, commit, RELEASE)
    return tagged is not None and read_json(tagged) == read_json(release)


def _current(repo: str) -> Pinned:
    try:
        head = _commit(repo, "main")
    except RevisionNotFoundError:
        raise UnknownModelError(_unknown(repo, "main")) from None
    release = read_file(repo, head, RELEASE)
    if release is None:
        if read_file(repo, head, CHECKSUMS) is None:
            raise UnknownModelError(_unknown(repo, None))
        return Pinned(repo, head, head)  # one model, without a registry around it
    content = read_json(release)
    tag = str(content.get("tag"))
    if not _is_published(repo, tag, release):
        tag = str(content.get("previous"))
    if not TAG.fullmatch(tag):
        raise UnknownModelError(_unknown(repo, None))
    return Pinned(repo, tag, _commit(repo, tag))


def _is_published(repo: str, tag: str, release: Path) -> bool:
    """Whether the tag stands that ``main`` names, and at that release."""
    try:
        return same_release(repo, _commit(repo, tag), release)
    except RevisionNotFoundError:
        return False


def _commit(repo: str, revision: str) -> str:
    """Resolve a revision; `RevisionNotFoundError` is left for the caller to say."""
    with explained(repo, f"finding {revision}"):
        try:
            return str(HfApi().resolve_revision(repo, revision=revision).resolved)
        except RevisionNotFoundError as error:
            missing = error
    raise missing


def _snapshot(pinned: Pinned, names: Sequence[str] | None, again: bool = False) -> Path:
    wanted = None if names is None else [CHECKSUMS, *names]
    with explained(pinned.repo, f"fetching {pinned.revision}"):
        return Path(
            snapshot_download(
                pinned.repo,
                revision=pinned.commit,
                allow_patterns=wanted,
                force_download=again,
                tqdm_class=None if names is None else Silent,
            )
        )


def _verify(folder: Path, names: Sequence[str] | None) -> None:
    if names is None:
        # the client keeps a snapshot as links to files beside it
        verify(folder, links_within=folder.parents[1])
        return
    expected = read_checksums(folder)
    there = [name for name in names if (folder / name).is_file()]
    changed = tuple(name for name in there if file_hash(folder / name) != expected.get(name))
    missing = tuple(name for name in names if name in expected and name not in there)
    if changed or missing:
        raise TamperedError(folder, changed=changed, missing=missing)


def _unknown(repo: str, revision: str | None) -> str:
    """Say what there is instead of what was asked for."""
    with explained(repo, "listing its releases"):
        refs = HfApi().list_repo_refs(repo)
    tags = [ref.name for ref in refs.tags if TAG.fullmatch(ref.name)]
    heads = (ref.name.partition("/") for ref in refs.branches)
    candidates = [rest for kind, _, rest in heads if kind == "candidate"]
    asked = f"no revision {revision!r}" if revision else "no release"
    known = f"Releases: {', '.join(tags)}." if tags else "It has no releases."
    made = [name for name in candidates if FINGERPRINT.fullmatch(name)]
    if made:
        known += f" Candidates: {', '.join(made)}; use one as hf://{repo}@candidate/{made[0]}."
    elif not tags:
        known += f" Make one: `trainer run --registry hf://{repo} --publish`."
    return f"hf://{repo} has {asked}. {known}"
