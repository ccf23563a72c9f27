"""What a rented machine needs of this environment to reach a store of checkpoints."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PLAIN = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
)


class Access(NamedTuple):
    """Variables that go along with a run."""

    secrets: tuple[str, ...] = ()
    """Names; the values go as secrets."""
    env: Mapping[str, str] = MappingProxyType({})


def store_access(url: str | None) -> Access:
    """Return what goes along: for ``s3://`` the credentials and the endpoint that are set here."""
    if url is None or not url.startswith(("s3://", "s3a://")):
        return Access()
    return Access(
        tuple(name for name in _SECRETS if os.environ.get(name)),
        {name: os.environ[name] for name in _PLAIN if os.environ.get(name)},
    )
