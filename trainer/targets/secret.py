"""Values that a run needs and nothing may show, from the environment of who asks for the run."""

import os

from huggingface_hub import get_token

from trainer.targets.base import TargetError


def secret(name: str) -> str:
    """Return a secret; the token may be the one that `hf auth login` keeps.

    Raises
    ------
    TargetError
        If this environment has none.
    """
    value = os.environ.get(name) or (get_token() if name == "HF_TOKEN" else None)
    if not value:
        raise TargetError(
            f"The run needs the secret {name}, and this environment has none: `export {name}=...` "
            "(or `hf auth login`), then run the same command again."
        )
    return value
