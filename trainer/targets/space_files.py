"""What a Training Space is made of: a Dockerfile on the training image, a card, a sign-in."""

import os
import secrets

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

#: Variables that name the run a Space is asked for, beside its mark.
REGISTRY, ATTEMPT = "POLYID_REGISTRY", "POLYID_ATTEMPT"
COMMAND, SECONDS = "POLYID_COMMAND", "POLYID_SECONDS"
#: A secret and a variable: who may enter the page.
PASSWORD, USERS = "UI_PASSWORD", "UI_USERS"

_README = """\
---
title: PolyID training
emoji: 🧪
colorFrom: blue
colorTo: gray
sdk: docker
app_port: 7860
pinned: false
hf_oauth: true
startup_duration_timeout: 1h
tags:
  - polyid-trainer
---

Trains PolyID models and pauses itself. Written by `trainer dispatch --target hf-space`; how to use
it by hand is in `docs/training-space.md` of the code.
"""
_DOCKERFILE = """\
FROM {image}
CMD ["ui", "--host", "0.0.0.0", "--port", "7860"]
"""


def files(image: str) -> dict[str, str]:
    """Return the files of a Space that trains in an image."""
    return {"README.md": _README, "Dockerfile": _DOCKERFILE.format(image=image)}


def push(space: str, image: str) -> bool:
    """Put the files there in one commit, and say whether any was another before."""
    changed = {name: text for name, text in files(image).items() if _there(space, name) != text}
    if changed:
        HfApi().create_commit(
            space,
            [CommitOperationAdd(name, text.encode()) for name, text in changed.items()],
            commit_message=f"Train in {image}",
            repo_type="space",
        )
    return bool(changed)


def add_sign_in(space: str) -> None:
    """Set the page's password: the one of this environment, else one that nobody knows.

    A password that is set already is kept, unless this environment has one.
    """
    given = os.environ.get(PASSWORD)
    if given or PASSWORD not in HfApi().get_space_secrets(space):
        HfApi().add_space_secret(space, PASSWORD, given or secrets.token_urlsafe(32))


def _there(space: str, name: str) -> str | None:
    try:
        path = hf_hub_download(space, name, repo_type="space")
    except EntryNotFoundError:
        return None
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a path as text
        return file.read()
