"""RunPod for tests as a fixture, seen by all tests through ``tests/conftest.py``."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_kit import Hub
from runpod_server import RunPodState, serve


@pytest.fixture
def runpod(
    hub: Hub, hub_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunPodState]:
    """An account of its own; this process and what it starts find server and key.

    At the end nothing of it runs, and what it answered was right by the schema.
    """
    state = RunPodState(tmp_path / "pods")
    server = serve(state)
    url = f"http://127.0.0.1:{server.server_address[1]}/v2"
    state.environment = {
        "RUNPOD_API_URL": url,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    for name in ("RUNPOD_SECRET_HF_TOKEN", "RUNPOD_REGISTRY_ID", "RUNPOD_POD_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNPOD_API_URL", url)
    monkeypatch.setenv("RUNPOD_API_KEY", state.key)
    yield state
    left = [pod.id for pod in state.there()]
    state.close()
    server.shutdown()
    server.server_close()
    deadline = time.monotonic() + 30
    while state.processes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not state.processes(), "a pod's process outlived its pod"
    assert not left, f"pods were left: {left}"
    assert not state.wrong, state.wrong
