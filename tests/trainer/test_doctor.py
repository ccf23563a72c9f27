"""The doctor: every one of its questions answered well once, and badly once."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_kit import Hub
from road_kit import GATES, Road, changed

from trainer.doctor import Finding, examine
from trainer.registry import open_registry


@pytest.fixture
def road(tiny_table, tmp_path: Path) -> Road:
    return Road.laid(tmp_path / "road", tiny_table)


def answers(road: Road, registry: str | None = None) -> dict[str, Finding]:
    place = open_registry(registry or str(road.registry))
    found = examine(road.data, str(road.params), road.gates, (), place, road.work)
    return {finding.check: finding for finding in found}


def test_all_is_well(road: Road) -> None:
    found = answers(road)
    assert list(found) == ["recipe and gate", "data", "work folder", "registry"]
    assert all(finding.ok for finding in found.values()), found


def spoil_recipe(road: Road) -> None:
    road.params.write_text(road.params.read_text().replace("epochs:", "epoch:"))


def spoil_gate(road: Road) -> None:
    road.write(road.gates, changed(GATES, floors={}))


def spoil_data(road: Road) -> None:
    road.data.write_text(road.data.read_text() + "not a polymer\n")


def spoil_work(road: Road) -> None:
    road.work.write_text("a file is in the way")


def spoil_registry(road: Road) -> None:
    road.registry.write_text("a file is in the way")


@pytest.mark.parametrize(
    ("spoil", "check", "text"),
    [
        (spoil_recipe, "recipe and gate", "epoch"),
        (spoil_gate, "recipe and gate", "floor"),
        (spoil_data, "data", "trainer check"),
        (spoil_work, "work folder", "--work"),
        (spoil_registry, "registry", "registry"),
    ],
)
def test_each_question_can_be_answered_badly(
    road: Road, spoil: Callable[[Road], None], check: str, text: str
) -> None:
    spoil(road)
    found = answers(road)
    assert not found[check].ok
    assert text in found[check].detail


def test_a_small_disk(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    found = answers(road)["work folder"]
    assert not found.ok
    assert "1.0 MB free, 4.0 GB wanted" in found.detail


@pytest.mark.usefixtures("hub_home")
class TestHub:
    def test_a_new_repository_may_be_created_and_is_not(self, hub: Hub, road: Road) -> None:
        repo = hub.name()
        found = answers(road, f"hf://{repo}")["registry"]
        assert found.ok, found.detail
        assert "does not exist yet and may be created by acme" in found.detail
        assert not hub.api().repo_exists(repo)

    @pytest.mark.parametrize(
        ("token", "text"),
        [
            ({"role": "read"}, "Needed is write access"),
            ({"role": "fineGrained", "repos": ["acme/another"]}, "Needed is write access"),
            ({"role": "write", "namespace": "somebody"}, "Needed is write access"),
        ],
    )
    def test_a_token_without_the_right(
        self, hub: Hub, road: Road, monkeypatch: pytest.MonkeyPatch, token: dict, text: str
    ) -> None:
        for repo in (hub.name("new"), hub.name("old")):
            if "old" in repo:
                hub.api().create_repo(repo, private=False)
            value = hub.token("weak", **token)
            monkeypatch.setenv("HF_TOKEN", value)
            found = answers(road, f"hf://{repo}")["registry"]
            assert not found.ok
            assert text in found.detail
            assert value not in found.detail
            monkeypatch.setenv("HF_TOKEN", hub.owner_token)

    def test_a_token_for_the_namespace_may_create(
        self, hub: Hub, road: Road, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = hub.token("wide", role="fineGrained", repos=["acme"])
        monkeypatch.setenv("HF_TOKEN", token)
        assert answers(road, f"hf://{hub.name()}")["registry"].ok

    def test_the_hub_out_of_reach(self, hub: Hub, road: Road) -> None:
        with hub.offline():
            found = answers(road, f"hf://{hub.name()}")["registry"]
        assert not found.ok
        assert "no answer" in found.detail
