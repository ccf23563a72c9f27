"""What a registry on the Hub holds: branches, tags, releases, and the history of ``main``."""

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from polyid import hub
from polyid.checksums import CHECKSUMS
from polyid.hub_errors import explained
from polyid.registry import FINGERPRINT, TAG, read_json
from trainer.registry.base import RELEASE, Event, RegistryError, Release
from trainer.registry.promotion import parse_tag

PUBLISHED, ROLLED_BACK = "Release", "Roll back to"
_TITLE = re.compile(rf"({PUBLISHED}|{ROLLED_BACK}) (\S+)")
_TRAILER = re.compile(r"^(Candidate|Previous): (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Refs:
    """Branches and release tags with the commits they stand at."""

    branches: dict[str, str]
    tags: dict[str, str]
    """Oldest version first."""

    def candidates(self) -> list[str]:
        """Fingerprints of all branches that are to hold a candidate."""
        names = (name.removeprefix("candidate/") for name in self.branches if "/" in name)
        return sorted(name for name in names if FINGERPRINT.fullmatch(name))


def read_refs(repo: str) -> Refs:
    """Read branches and tags; there are none where there is no repository."""
    with explained(repo, "reading branches and tags"):
        try:
            refs = HfApi().list_repo_refs(repo)
        except RepositoryNotFoundError:
            return Refs({}, {})
    tags = {ref.name: ref.target_commit for ref in refs.tags if TAG.fullmatch(ref.name)}
    return Refs(
        {ref.name: ref.target_commit for ref in refs.branches},
        {name: tags[name] for name in sorted(tags, key=parse_tag)},
    )


def root_commit(repo: str) -> str:
    """Return the first commit of ``main``, which holds no model: where candidates branch off."""
    with explained(repo, "reading the history"):
        return HfApi().list_repo_commits(repo)[-1].commit_id


def is_whole(repo: str, commit: str) -> bool:
    """Whether a branch holds what it was made for, rather than being made just now."""
    return hub.read_file(repo, commit, CHECKSUMS) is not None


def read_release(repo: str, tag: str, commit: str) -> Release:
    """Read the release that a tag stands at.

    Raises
    ------
    RegistryError
        If what the tag stands at is no release.
    """
    path = hub.read_file(repo, commit, RELEASE)
    if path is None or read_json(path).get("tag") != tag:
        raise RegistryError(
            f"hf://{repo}: the tag {tag} was set by hand, not by a publication: what it stands at "
            f"is not this release. Remove it: `hf repos tag delete {repo} {tag}`"
        )
    return release_from(path, repo, commit)


def release_from(path: Path, repo: str, commit: str) -> Release:
    """Make a release of its ``release.json``."""
    content = read_json(path)
    try:
        return Release(
            tag=content["tag"],
            fingerprint=content["fingerprint"],
            address=url(repo, content["tag"]),
            previous=content["previous"],
            change=content["change"],
            reasons=tuple(content["reasons"]),
            time=content["time"],
            content=content["content"],
            commit=commit,
        )
    except KeyError as error:
        raise RegistryError(f"{path}: the field {error} is missing.") from None


def read_events(repo: str, refs: Refs) -> list[Event]:
    """Every publication whose tag stands, and every roll-back, oldest first."""
    if not refs.tags:
        return []
    with explained(repo, "reading the history"):
        commits = HfApi().list_repo_commits(repo)
    events: list[Event] = []
    for commit in reversed(commits):
        found = _TITLE.fullmatch(commit.title)
        if found is None:
            continue
        kind, tag = found.groups()
        if refs.tags.get(tag) != commit.commit_id and kind == PUBLISHED:
            continue  # cut off before its tag, or never finished
        said = dict(_TRAILER.findall(commit.message))
        previous = said.get("Previous")
        events.append(
            Event(
                sequence=len(events) + 1,
                action="publish" if kind == PUBLISHED else "rollback",
                tag=tag,
                fingerprint=said.get("Candidate", ""),
                previous=None if previous in (None, "none") else previous,
                time=commit.created_at.isoformat(timespec="seconds"),
            )
        )
    return events


def unfinished_commit(repo: str, tag: str) -> str | None:
    """Return the commit on ``main`` that was to become ``tag``."""
    with explained(repo, "reading the history"):
        commits = HfApi().list_repo_commits(repo)
    return next((c.commit_id for c in commits if c.title == f"{PUBLISHED} {tag}"), None)


def trailer(fingerprint: str, previous: str | None) -> str:
    """Say in a commit's description what `read_events` reads."""
    return f"Candidate: {fingerprint}\nPrevious: {previous or 'none'}"


def url(repo: str, revision: str) -> str:
    """Return the web page of a revision."""
    return f"{HfApi().endpoint}/{repo}/tree/{revision}"
