"""The Hub for tests as fixtures, seen by all tests through ``tests/conftest.py``.

``hub``
    The server, with no calls recorded and no faults set. It is one process for the whole run:
    give each test repositories of its own (:meth:`Hub.name` makes fresh names). For this process
    it turns Xet off (the server takes large files by LFS only) and proxies too.
``hub_home``
    Points the client inside the test's own process at ``hub``: module-level functions of
    ``huggingface_hub`` (``hf_hub_download``, ``snapshot_download``, ``ModelCard.load``) and
    ``HfApi()`` without arguments use it, with a fresh cache folder and the owner's token. It is
    the folder ``HF_HOME``. What it changes and why:

    - ``constants.ENDPOINT`` and ``HUGGINGFACE_CO_URL_TEMPLATE`` were read from the environment
      when the client was imported and are read from that module at each call: patched there; the
      module-level functions (``create_repo``...) use one shared ``api`` object: patched too.
    - ``constants.HF_HUB_CACHE``, ``HF_HOME``, ``HF_TOKEN_PATH``, ``HF_STORED_TOKENS_PATH``
      likewise: a test never sees another's cache, nor the tokens of the person who runs it.
    - ``HF_TOKEN`` and the same names in the environment, for subprocesses that inherit it; OIDC and
      CI variables are removed, so that a run inside a CI does not try to exchange its token.
    - What the client keeps in memory for a whole process (trees, whoami, OIDC token) is emptied.

    Without ``hub_home`` only what is given ``hub.api()`` or ``endpoint=`` reaches the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_kit import FOREIGN, Hub

DEFAULTS = {
    "multipart_over": None,
    "page": 50,
    "oidc_seconds": 3600,
    "space_seconds": 0.1,
    "space_lag_seconds": 0.05,
    "free_account": False,
    "no_credit": False,
    "no_machine": False,
}


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The one server of a test run."""
    with Hub.start(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def hub(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The server with no calls recorded and no faults set."""
    from huggingface_hub import close_session, constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    proxies = [n for n in FOREIGN if n.lower().endswith("_proxy") and n in os.environ]
    if proxies:  # the client's session has read them: it must be made again
        for name in proxies:
            monkeypatch.delenv(name)
        close_session()
    hub_server.clear_faults()
    hub_server.calls(clear=True)
    yield hub_server
    hub_server.clear_faults()
    hub_server.settings(**DEFAULTS)


@pytest.fixture
def hub_home(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the client of this process at ``hub``, with a fresh HF_HOME (this path)."""
    from huggingface_hub import _tree_cache, constants, hf_api
    from huggingface_hub.utils import _auth

    home = tmp_path / "hf-home"
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    for name, value in (hub.variables(home) | {"HF_TOKEN": hub.owner_token}).items():
        monkeypatch.setenv(name, value)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HOME", str(home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(home / "stored_tokens"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hf_api.api, "endpoint", hub.endpoint)
    monkeypatch.setattr(hf_api.api, "_whoami_cache", {})
    monkeypatch.setattr(_tree_cache, "_IN_MEMORY_TREE_CACHE", {})
    monkeypatch.setattr(_auth, "_OIDC_TOKEN_CACHE", None)
    return home
