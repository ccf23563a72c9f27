"""The git tag of a release, ``model-v1.2.0``, made through GitHub's API.

Through the API and not by ``git push``: the checkout of the job that publishes keeps no
credentials, so no other step can write to the repository.
"""

import os

import httpx2

from polyid.errors import PolyIDError


def tag_commit(tag: str, commit: str) -> str:
    """Tag ``commit`` in the workflow's repository, unless it is tagged so; return the tag's name.

    Raises
    ------
    PolyIDError
        If the tag stands at another commit, or GitHub refuses.
    """
    name = f"model-{tag}"
    where = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/git"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    with httpx2.Client(headers=headers, timeout=30) as client:
        body = {"ref": f"refs/tags/{name}", "sha": commit}
        answer = client.post(f"{where}/refs", json=body)
        if answer.status_code == 201:
            return name
        there = client.get(f"{where}/ref/tags/{name}")
    found = there.json()["object"]["sha"] if there.status_code == 200 else None
    if found == commit:
        return name
    if found is not None:
        raise PolyIDError(
            f"The git tag {name} stands at {found}, expected {commit}. A release is tagged once: "
            f"look at both commits; if the tag is wrong, delete it with `git push origin "
            f":refs/tags/{name}` and run this job again."
        )
    raise PolyIDError(
        f"GitHub did not make the tag {name} (status {answer.status_code}). The job needs the "
        "permission contents: write; run it again once it has it."
    )
