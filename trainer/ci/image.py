"""The training image of a commit: ``python3 -m trainer.ci.image`` in a workflow.

It is named by what is in it, so that it is built once and then only found. The answer is its
digest: what a rented machine pulls are the bytes that were built and attested here. Standard
library only, since it runs before anything is installed.

From the environment: ``IMAGE_REGISTRY`` (``ghcr.io``), ``GITHUB_REPOSITORY``, ``GITHUB_ACTOR``,
``GITHUB_TOKEN``; and what ``scripts/images.sh`` reads, such as ``ENGINE``.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from trainer.ci import outputs
from trainer.ci.oci import OciError, Repository

ROOT = Path(__file__).parents[2]

#: What the image is made of: ``.dockerignore`` lets nothing else into the build.
MADE_OF = (
    ".dockerignore", "Dockerfile.train", "scripts/images.sh", "pyproject.toml", "README.md",
    "LICENSE", "NOTICE", "requirements", "polyid", "trainer", "app",
)  # fmt: skip


def key(root: Path) -> str:
    """Name the content of the image that the commit of a checkout makes, 16 hexadecimal digits."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "-z", "HEAD", "--", *MADE_OF],
        cwd=root, check=True, capture_output=True,
    ).stdout  # fmt: skip
    return hashlib.sha256(listed).hexdigest()[:16]


def build(root: Path, name: str, tag: str, user: str, token: str) -> None:
    """Build the image with ``scripts/images.sh`` and push it as ``name:tag``.

    Raises
    ------
    subprocess.CalledProcessError
        If the engine fails; it has said why.
    """
    # its outputs are set here, for an image that was found too
    env = {k: v for k, v in os.environ.items() if k not in ("GITHUB_TOKEN", "GITHUB_OUTPUT")}
    asked = {"IMAGES": "train", "NAME": name.removesuffix("-train"), "TAG": tag, "PUSH": "1"}
    # with Docker, because what attests the image looks for its log-in
    asked |= {"REGISTRY_USER": user, "REGISTRY_TOKEN": token}
    asked |= {"ENGINE": env.get("ENGINE") or "docker"}
    subprocess.run(["scripts/images.sh"], cwd=root, env=env | asked, check=True)


def main() -> int:
    """Find the image or build it; give ``image``, ``name``, ``digest``, and if it was ``built``."""
    env = os.environ
    host, token = env.get("IMAGE_REGISTRY") or "ghcr.io", env.get("GITHUB_TOKEN", "")
    place = Repository(host, f"{env['GITHUB_REPOSITORY'].lower()}-train")
    tag, user = key(ROOT), env.get("GITHUB_ACTOR") or "github-actions"
    try:
        digest = place.digest(tag, user, token)
        if found := digest is not None:
            print(f"{place}:{tag} is there already: nothing is built.")
        else:
            build(ROOT, str(place), tag, user, token)
            digest = place.digest(tag, user, token)
    except OciError as error:
        outputs.notice("image", str(error), "error")
        return 2
    except subprocess.CalledProcessError as error:
        said = f"{error.cmd[0]} failed ({error.returncode}): its message stands in the log above"
        outputs.notice("image", said, "error")
        return 2
    if digest is None:
        outputs.notice("image", f"{place}:{tag} was pushed and is not there.", "error")
        return 2
    image = f"{place}@{digest}"
    outputs.notice("image", f"{'Found' if found else 'Built'} {image}")
    outputs.set_outputs(
        image=image, name=str(place), digest=digest, built="false" if found else "true"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
