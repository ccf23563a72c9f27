"""The git tag of a release, ``model-v1.2.0``, made through GitHub's API.

Through the API and not by ``git push``: the checkout of the job that publishes keeps no
credentials, so no other step can write to the repository.
"""

from polyid.errors import PolyIDError
from trainer.ci.github import GitHub, GitHubError


def tag_commit(tag: str, commit: str) -> str:
    """Tag ``commit`` in the workflow's repository, unless it is tagged so; return the tag's name.

    Raises
    ------
    PolyIDError
        If the tag stands at another commit, or GitHub refuses.
    """
    name, github = f"model-{tag}", GitHub.from_environment()
    try:
        github.post("git/refs", {"ref": f"refs/tags/{name}", "sha": commit})
    except GitHubError as error:
        # refused because it is there, or made without an answer: what stands there says
        found = _standing(github, name)
        if found == commit:
            return name
        if found is not None:
            raise PolyIDError(
                f"The git tag {name} stands at {found}, expected {commit}. A release is tagged "
                "once: look at both commits; if the tag is wrong, delete it with `git push origin "
                f":refs/tags/{name}` and run this job again."
            ) from None
        raise PolyIDError(
            f"GitHub did not make the tag {name} (status {error.status}). The job needs the "
            "permission contents: write; run it again once it has it."
        ) from None
    return name


def _standing(github: GitHub, name: str) -> str | None:
    """Return the commit at which a tag stands; None if there is no such tag."""
    try:
        return str(github.get(f"git/ref/tags/{name}")["object"]["sha"])
    except GitHubError as error:
        if error.status == 404:
            return None
        raise
