"""Whatever the Hub answers, whoever races, whenever it dies: the old release or the new one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_kit import Hub
from hub_registry_kit import released, require_sound_hub, tags
from huggingface_hub.utils import _http
from registry_kit import Run

from polyid.errors import PolyIDError
from polyid.hub import fetch, pin
from trainer.registry.hub import HubRegistry

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hub_home")]

FAULTS = ("500", "503", "401", "403", "409", "412", "429", "drop", "drop_after", "truncate")
SEED = 20261122

#: Stores a run and releases it, told by its arguments; says what became of it.
PUBLISH = """
import sys
from pathlib import Path
from trainer.registry.hub import HubRegistry
registry = HubRegistry(sys.argv[1])
registry.add_candidate(Path(sys.argv[2]), sys.argv[3])
print(registry.publish(sys.argv[3]).tag)
"""

#: Makes 25 runs and tries to release each, judged anew after every defeat.
RACE = """
import json, sys
from pathlib import Path
from registry_kit import Run
from trainer.registry import NotPublishable
from trainer.registry.hub import HubRegistry
registry, place, me = HubRegistry(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
said = []
for number in range(25):
    run = Run(place / f"{me}-{number}", data=f"{me}-{number}")
    registry.add_candidate(run.write().folder, run.fingerprint)
    for attempt in range(4):
        current = registry.current()
        run.champion = current.tag if current else None
        try:
            registry.regate(run.fingerprint, run.write().folder)
            said.append((run.fingerprint, registry.publish(run.fingerprint).tag))
            break
        except NotPublishable as error:
            assert "Judge it" in str(error), error
            said.append((run.fingerprint, None))
print(json.dumps(said))
"""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client try again at once, as often as it does anyway."""
    monkeypatch.setattr(_http.time, "sleep", lambda _: None)


class Place:
    """A registry with v1.0.0 and a candidate that passed, put back after every trial."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub, self.repo = hub, hub.name()
        registry = released(self.repo, folder / "run-a")
        self.run = Run(folder / "run-b", data="b", champion="v1.0.0").write()
        registry.add_candidate(self.run.folder, self.run.fingerprint)
        self.old = tags(hub, self.repo)["v1.0.0"]

    def publish(self) -> str:
        return HubRegistry(f"hf://{self.repo}").publish(self.run.fingerprint).tag

    def put_back(self) -> None:
        self.hub.git(self.repo, "update-ref", "refs/heads/main", self.old)
        if "v1.1.0" in tags(self.hub, self.repo):
            self.hub.git(self.repo, "update-ref", "-d", "refs/tags/v1.1.0")

    def require_one_or_the_other(self) -> None:
        pinned = pin(self.repo)
        assert pinned.revision in ("v1.0.0", "v1.1.0")
        fetch(pinned)
        require_sound_hub(self.hub, self.repo)


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("patient")
def test_every_fault_at_every_request_of_a_publication(hub: Hub, tmp_path: Path) -> None:
    place = Place(hub, tmp_path)
    hub.calls(clear=True)
    place.publish()
    count = len(hub.calls())
    assert count >= 10
    told = finished = 0
    for number in range(1, count + 1):
        for fault in FAULTS:
            place.put_back()
            hub.inject(fault, nth=number)
            try:
                place.publish()
                finished += 1
            except PolyIDError:
                told += 1
            hub.clear_faults()
            place.require_one_or_the_other()
            assert place.publish() == "v1.1.0", (fault, number)
            assert pin(place.repo).revision == "v1.1.0"
    print(
        f"{count} requests × {len(FAULTS)} faults: {finished} finished by themselves, {told} told"
    )
    assert told > count, "the faults were really injected"


@pytest.mark.timeout(1200)
def test_a_hundred_publications_from_four_processes(hub: Hub, tmp_path: Path) -> None:
    repo = hub.name()
    HubRegistry(f"hf://{repo}").require_writable()
    kit = os.pathsep.join(str(p) for p in (Path(__file__).parent, Path(__file__).parents[2]))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, f"hf://{repo}", str(tmp_path / "runs"), me],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=hub.env(tmp_path / f"home-{me}") | {"PYTHONPATH": kit},
        )
        for me in "abcd"
    ]  # fmt: skip
    said: list[tuple[str, str | None]] = []
    for racer in racers:
        out, err = racer.communicate()
        assert racer.returncode == 0, err
        said += [(f, t) for f, t in json.loads(out.splitlines()[-1])]
    won = [tag for _, tag in said if tag is not None]
    assert len({fingerprint for fingerprint, _ in said}) == 100
    assert sorted(won) == sorted(tags(hub, repo)), "who was told it won has a tag, nobody else"
    assert len(set(won)) == len(won)
    assert len(won) < len(said), "they really met"
    print(f"100 candidates, {len(said)} publications: {len(won)} won, {len(said) - len(won)} told")
    require_sound_hub(hub, repo)


@pytest.mark.timeout(1200)
def test_killed_at_twenty_moments_of_an_upload(hub: Hub, tmp_path: Path) -> None:
    repo = hub.name()
    released(repo, tmp_path / "run-0")
    root = str(Path(__file__).parents[2])
    moments = random.Random(SEED)
    died = 0
    for number in range(1, 21):
        current = HubRegistry(f"hf://{repo}").current()
        assert current is not None
        run = Run(
            tmp_path / f"run-{number}", data=str(number), champion=current.tag,
            weights=os.urandom(300_000),
        ).write()  # fmt: skip
        hub.calls(clear=True)
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH, f"hf://{repo}", str(run.folder), run.fingerprint],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=hub.env(tmp_path / "home") | {"PYTHONPATH": root},
        )  # fmt: skip
        at, more = moments.randrange(2, 40), moments.random() * 0.02
        wait_for_calls(hub, process, at)
        time.sleep(more)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        died += process.returncode == -signal.SIGKILL
        fetch(pin(repo))
        require_sound_hub(hub, repo)
        registry = HubRegistry(f"hf://{repo}")
        registry.add_candidate(run.folder, run.fingerprint)
        registry.publish(run.fingerprint)
        assert pin(repo).revision == f"v1.{number}.0"
        require_sound_hub(hub, repo)
    assert died >= 10, "most of them died on the way"
    print(f"{died} of 20 killed before their end")


def wait_for_calls(hub: Hub, process: "subprocess.Popen[bytes]", count: int) -> None:
    """Wait until ``process`` made so many requests, or ended."""
    end = time.monotonic() + 120
    while process.poll() is None and len(hub.calls()) < count:
        assert time.monotonic() < end
        time.sleep(0.002)
