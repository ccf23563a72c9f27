"""Upload one model folder to the Hugging Face Hub, whole, in one commit."""

from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
)

from polyid.checksums import CHECKSUMS, UNLISTED, write_checksums
from polyid.hub_errors import explained


def upload(folder: Path, repo: str, *, private: bool, branch: str) -> str:
    """Make a branch hold the files of ``folder``, with their checksums, and nothing else.

    Parameters
    ----------
    folder : Path
        A model folder; its ``checksums.json`` is written anew.
    repo : str
        ``namespace/name``; created if it is missing, ``private`` or not.
    branch : str
        Created from ``main`` if it is missing.

    Returns
    -------
    str
        The commit.

    Raises
    ------
    polyid.hub_errors.HubError
        If the Hub refuses, fails, or the branch was changed in the meantime.
    """
    names = [*write_checksums(folder), CHECKSUMS]
    api = HfApi()
    with explained(repo, "the upload"):
        api.create_repo(repo, private=private, exist_ok=True)
        if branch != "main":
            api.create_branch(repo, branch=branch, exist_ok=True)
        head = api.repo_info(repo, revision=branch).sha
        there = set(api.list_repo_files(repo, revision=head))
        done = api.create_commit(
            repo,
            [
                *(CommitOperationAdd(name, str(folder / name)) for name in names),
                *(CommitOperationDelete(name) for name in sorted(there - {*names} - UNLISTED)),
            ],
            commit_message="Upload a PolyID model",
            revision=branch,
            parent_commit=head,
        )
    return done.oid
