"""A controller killed at random moments: the reaper leaves nothing running, the next one goes on.

More moments than a few: ``POLYID_KILLS=20``. RunPod's are in test_dispatch_runpod.py.
"""

import pytest
from hub_kit import Hub
from kill_kit import Place, check
from road_kit import Road

from trainer.dispatching import Asked
from trainer.plan import Plan
from trainer.targets import open_target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def show(told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\n".join(["", *told]))


def test_on_this_machine(fresh: Road, capsys: pytest.CaptureFixture[str]) -> None:
    target = open_target("local", work=fresh.work)
    show(check(Place(fresh, target, lambda plan: (plan.folder / "recipe.yaml").exists())), capsys)


def staged(hub: Hub, plan: Plan) -> bool:
    """Whether a controller has begun to put a run's inputs on the Hub."""
    marks = (f"inputs%2F{plan.fingerprint}", f"inputs/{plan.fingerprint}")
    # those that were looked at are let go: the list of a long series is large
    return any(mark in call["path"] for call in hub.calls(clear=True) for mark in marks)


def test_on_the_hub(
    tiny_table, tmp_path, hub: Hub, hub_home, capsys: pytest.CaptureFixture[str]
) -> None:
    laid = Road.laid(tmp_path / "road", tiny_table)
    road = Road(laid.folder, f"hf://{hub.name('model')}")
    asked = Asked("a/b@sha256:c", "cpu-basic")
    place = Place(
        road,
        open_target("hf-jobs", work=road.work, namespace="acme"),
        lambda plan: staged(hub, plan),
        asked,
        ("--namespace", "acme", "--image", asked.image, "--flavor", asked.flavor),
    )
    show(check(place), capsys)
