"""Controllers of containers, killed at random moments; more of them: ``POLYID_KILLS=20``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from container_kit import Podman
from kill_kit import KILLS, Place, check
from road_kit import Road

from trainer.dispatching import Asked
from trainer.targets import Leftover
from trainer.targets.docker import DockerTarget

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

_NAME = "localhost/polyid-test-waits"
#: Stands where the entry point stands: saves when it is asked to leave, and never ends by itself.
_WAITS = """\
#!/usr/bin/env python3
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("begun", *sys.argv[1:], flush=True)
time.sleep(3600)
"""


class OurContainers(DockerTarget):
    """The engine may hold what somebody else trains: only these runs are looked at."""

    marks: frozenset[str] = frozenset()

    def leftovers(self) -> list[Leftover]:
        return [left for left in super().leftovers() if left.fingerprint in self.marks]


@pytest.fixture
def waiting(podman: Podman, base_image: str, tmp_path: Path) -> Iterator[str]:
    """Return the name of an image whose entry point waits."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "trainer").write_text(_WAITS)
    (folder / "trainer").chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {base_image}\nCOPY trainer /usr/local/bin/trainer\n")
    podman("build", "-q", "-t", _NAME, str(folder))
    yield _NAME
    podman("rmi", "-f", _NAME, code=None)


def test_in_containers(
    fresh: Road, engine_url: str, waiting: str, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    target = OurContainers(engine_url)
    place = Place(
        fresh,
        target,
        lambda plan: (plan.folder / "recipe.yaml").exists(),
        Asked(waiting),
        ("--image", waiting),
        ends=False,
    )
    target.marks = frozenset(place.plan(seed).fingerprint for seed in range(1, KILLS + 1))
    try:
        told = check(place)
    finally:
        for left in target.leftovers():
            target.remove(left)
    with capsys.disabled():
        print("\n".join(["", *told]))
