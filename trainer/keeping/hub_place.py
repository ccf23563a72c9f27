"""Checkpoints on a branch of a model repository of the Hub.

A generation is one commit, so it is there whole or not at all. (fsspec's ``hf://`` file system
makes a commit per file.) What a later generation replaced is taken out of the repository's storage
too: git would keep it for ever, and it counts.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx

from polyid.hub_errors import explained

_FOLDER = "checkpoint/"


class HubPlace:
    """A branch of a repository; both are made where they are missing.

    Parameters
    ----------
    repo : str
        ``namespace/name``.
    branch : str
        Such as ``checkpoints/<fingerprint>``.
    """

    def __init__(self, repo: str, branch: str) -> None:
        self.repo, self.branch = repo, branch
        self.head: str | None = None
        self.there: dict[str, int] = {}

    def listing(self) -> dict[str, int]:
        """Return names and sizes at the branch's head; see `Place.listing`."""
        with explained(self.repo, "listing the checkpoints"):
            self.head = self._head()
            if self.head is None:
                return {}
            tree = HfApi().list_repo_tree(self.repo, recursive=True, revision=self.head)
            self.there = {
                item.path.removeprefix(_FOLDER): item.size
                for item in tree
                if isinstance(item, RepoFile) and item.path.startswith(_FOLDER)
            }
            return self.there

    def _head(self) -> str | None:
        try:
            refs = HfApi().list_repo_refs(self.repo)
        except RepositoryNotFoundError:
            return None
        return next((b.target_commit for b in refs.branches if b.name == self.branch), None)

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file of the listed generation here; see `Place.fetch`."""
        # a folder of its own: the client's cache would keep a second copy
        with tempfile.TemporaryDirectory(dir=to.parent) as folder:
            with explained(self.repo, "reading a checkpoint"):
                found = HfApi().hf_hub_download(
                    self.repo, _FOLDER + name, revision=self.head, local_dir=folder
                )
            Path(found).replace(to)

    def write(
        self, files: Mapping[str, Path], last: tuple[str, bytes], remove: Sequence[str]
    ) -> None:
        """Make one commit of it; see `Place.write`."""
        adds = [CommitOperationAdd(_FOLDER + name, path) for name, path in files.items()]
        adds.append(CommitOperationAdd(_FOLDER + last[0], last[1]))
        # one that another machine removed meanwhile would make the whole commit fail
        drops = [CommitOperationDelete(_FOLDER + n) for n in remove if n in self.there]
        with explained(self.repo, "storing checkpoints"):
            api = HfApi()
            if self.head is None:
                api.create_repo(self.repo, private=True, exist_ok=True)
                api.create_branch(self.repo, branch=self.branch, exist_ok=True)
            api.create_commit(
                self.repo,
                [*adds, *drops],
                commit_message=f"Checkpoints of {self.branch.rpartition('/')[2]}",
                revision=self.branch,
            )
        self._free(remove)

    def clear(self) -> None:
        """Remove the branch and its storage; see `Place.clear`."""
        names = list(self.listing())
        if self.head is None:
            return
        with explained(self.repo, "removing checkpoints"):
            HfApi().delete_branch(self.repo, branch=self.branch)
        self._free(names)

    def _free(self, names: Sequence[str]) -> None:
        """Give storage back, if this token may: no run depends on it."""
        wanted = {Path(name).stem for name in names}
        if not wanted:
            return
        api = HfApi()
        try:
            stored = [f for f in api.list_lfs_files(self.repo) if f.file_oid in wanted]
            if stored:
                api.permanently_delete_lfs_files(self.repo, stored, rewrite_history=False)
        except (HfHubHTTPError, httpx.HTTPError):
            return
