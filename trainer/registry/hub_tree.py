"""Whole, verified trees on the Hub: read one, and make one in a single commit.

Weights never travel for a promotion: the Hub copies large files from commit to commit by their
SHA-256, which is also what the checksums name. Small files are fetched, verified and sent again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    snapshot_download,
)
from huggingface_hub.hf_api import RepoFile

from polyid.checksums import (
    CHECKSUMS,
    UNLISTED,
    TamperedError,
    checksums_text,
    file_hash,
    read_checksums,
)
from polyid.hub import Silent
from polyid.hub_errors import explained
from trainer.registry.base import RegistryError

Operation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


@dataclass(frozen=True)
class Tree:
    """The files of a commit that is what its checksums say."""

    commit: str
    files: dict[str, str]
    """Path and SHA-256 of every file but the checksums themselves."""
    large: frozenset[str]
    """Paths of the files that the Hub keeps by their SHA-256 (Git LFS)."""
    folder: Path
    """Local copies of the other ones."""


def verified_tree(repo: str, commit: str, what: str) -> Tree:
    """Check a commit against its checksums without fetching its large files.

    Parameters
    ----------
    repo, commit : str
        Where it is.
    what : str
        Such as ``candidate/<fingerprint>``, for messages.

    Raises
    ------
    TamperedError
        If a file is missing, extra, changed or a pickle.
    """
    found = list_files(repo, commit)
    small = [name for name, file in found.items() if file.lfs is None]
    with explained(repo, f"reading {what}"):
        folder = Path(
            snapshot_download(repo, revision=commit, allow_patterns=small, tqdm_class=Silent)
        )
    expected = read_checksums(folder)
    hashes = {
        name: file.lfs.sha256 if file.lfs is not None else file_hash(folder / name)
        for name, file in found.items()
        if name not in UNLISTED
    }
    missing = tuple(sorted(expected.keys() - hashes.keys()))
    extra = tuple(sorted(hashes.keys() - expected.keys()))
    changed = tuple(n for n, digest in hashes.items() if expected.get(n, digest) != digest)
    if missing or extra or changed:
        raise TamperedError(
            Path(f"hf://{repo}@{what}"), missing=missing, extra=extra, changed=changed
        )
    large = frozenset(name for name, file in found.items() if file.lfs is not None)
    return Tree(commit, expected, large, folder)


def list_files(repo: str, commit: str) -> dict[str, RepoFile]:
    """Path and description of every file of a commit."""
    with explained(repo, "listing files"):
        entries = list(HfApi().list_repo_tree(repo, revision=commit, recursive=True))
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def upload(
    repo: str, folder: Path, names: Sequence[str], *, branch: str, parent: str, title: str
) -> str:
    """Commit the files of a folder, with their checksums, to ``branch``; return the commit.

    Large files that the repository has already, such as those of an upload that was cut off, are
    not sent again.
    """
    sums = checksums_text({name: file_hash(folder / name) for name in names})
    operations: list[Operation] = [CommitOperationAdd(n, str(folder / n)) for n in names]
    operations.append(CommitOperationAdd(CHECKSUMS, sums.encode()))
    return _commit(repo, operations, branch=branch, parent=parent, title=title)


def promote(
    repo: str,
    trees: Sequence[Tree],
    extra: Mapping[str, bytes],
    *,
    parent: str,
    title: str,
    description: str,
) -> str:
    """Make ``main`` hold the files of ``trees``, and nothing else, in one commit.

    Parameters
    ----------
    trees : sequence of Tree
        A later one's files stand before an earlier one's.
    extra : mapping of str to bytes
        Small files that are written anew.
    parent : str
        The commit that ``main`` must stand at.

    Returns
    -------
    str
        The new commit.

    Raises
    ------
    HubError
        With status 412 if ``main`` stands elsewhere.
    """
    source = {name: tree for tree in trees for name in tree.files}
    files = {name: tree.files[name] for name, tree in source.items()}
    files |= {name: hashlib.sha256(data).hexdigest() for name, data in extra.items()}
    written = dict(extra) | {CHECKSUMS: checksums_text(files).encode()}
    operations: list[Operation] = []
    for name, tree in source.items():
        if name in written:
            continue
        if name in tree.large:
            operations.append(CommitOperationCopy(name, name, src_revision=tree.commit))
        else:
            written[name] = (tree.folder / name).read_bytes()
    operations += [CommitOperationAdd(name, data) for name, data in written.items()]
    stale = list_files(repo, parent).keys() - files.keys() - UNLISTED
    operations += [CommitOperationDelete(name) for name in sorted(stale)]
    return _commit(
        repo, operations, branch="main", parent=parent, title=title, description=description
    )


def require_tree(repo: str, commit: str, what: str) -> None:
    """Check that what the Hub made of a commit is what was sent.

    Raises
    ------
    RegistryError
        If it is not; the commit is not to be tagged then.
    """
    try:
        verified_tree(repo, commit, what)
    except TamperedError as error:
        raise RegistryError(
            f"The Hub stored something else than was sent, so {what} is not published: {error}"
        ) from None


def _commit(
    repo: str,
    operations: Sequence[Operation],
    *,
    branch: str,
    parent: str,
    title: str,
    description: str = "",
) -> str:
    with explained(repo, f"the commit “{title}”"):
        done = HfApi().create_commit(
            repo,
            list(operations),
            revision=branch,
            parent_commit=parent,
            commit_message=title,
            commit_description=description,
        )
    return done.oid
