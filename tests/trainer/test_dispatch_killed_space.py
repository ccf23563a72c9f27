"""Controllers of a Training Space, killed at random moments; more: ``POLYID_KILLS=20``."""

import pytest
from hub_kit import Hub
from kill_kit import Place, check
from road_kit import Road
from test_dispatch_killed import show, staged

from trainer.dispatching import Asked
from trainer.targets import open_target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

#: An application that stays: the run goes on until it is stopped.
_STAYS = ["sh", "-c", "exec python -m http.server $PORT --bind 127.0.0.1"]


def test_in_a_space(
    tiny_table, tmp_path, hub: Hub, hub_home, capsys: pytest.CaptureFixture[str]
) -> None:
    laid = Road.laid(tmp_path / "road", tiny_table)
    road, space = Road(laid.folder, f"hf://{hub.name('model')}"), hub.name("polyid-trainer")
    hub.api().create_repo(space, repo_type="space", space_sdk="docker", private=True)
    hub.space(space, command=_STAYS)
    asked = Asked("a/b@sha256:c", "t4-small")
    place = Place(
        road,
        open_target("hf-space", work=road.work, namespace=space),
        lambda plan: staged(hub, plan),
        asked,
        ("--namespace", space, "--image", asked.image, "--flavor", asked.flavor),
        ends=False,
    )
    try:
        told = check(place)
    finally:
        hub.api().delete_repo(space, repo_type="space")
    show(told, capsys)
