"""Inputs of runs that were staged on the Hub, and stand there after their runs have ended."""

from datetime import UTC, datetime

from huggingface_hub import HfApi

from polyid.hub_errors import explained
from polyid.registry import UnknownModelError
from trainer.inputs import branch
from trainer.targets import Leftover


class StagedInputs:
    """The branches ``inputs/…`` of a registry on the Hub.

    Parameters
    ----------
    repo
        Model repository, ``namespace/name``.
    """

    name = "inputs"

    def __init__(self, repo: str) -> None:
        self.repo = repo

    def leftovers(self) -> list[Leftover]:
        """Find all branches of inputs, whatever their run does."""
        api, found = HfApi(), []
        with explained(self.repo, "listing the inputs of runs"):
            for ref in api.list_repo_refs(self.repo).branches:
                if ref.name != branch(mark := ref.name.rpartition("/")[2]):
                    continue
                last = next(iter(api.list_repo_commits(self.repo, revision=ref.name)), None)
                since = last.created_at if last else datetime.now(UTC)
                url = f"{api.endpoint}/{self.repo}/tree/{ref.name}"
                found.append(Leftover(self.name, "inputs", ref.name, mark, since, url))
        return found

    def remove(self, leftover: Leftover) -> None:
        """Delete a branch; one that is gone already is no error."""
        try:
            with explained(self.repo, f"deleting the branch {leftover.id}"):
                HfApi().delete_branch(self.repo, branch=leftover.id)
        except UnknownModelError:
            return
