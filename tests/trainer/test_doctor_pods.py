"""The doctor before a pod of RunPod: every question answered well once, and badly once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from image_registry_kit import DIGEST, ImageRegistry, image_registry
from road_kit import Road
from runpod_server import RunPodState

from polyid.errors import PolyIDError
from trainer.doctor import Case, Finding, places, pods
from trainer.registry import open_registry


@pytest.fixture
def images() -> Iterator[ImageRegistry]:
    with image_registry() as registry:
        yield registry


@pytest.fixture
def case(runpod: RunPodState, hub, tiny_table, tmp_path: Path, images: ImageRegistry) -> Case:
    road = Road.laid(tmp_path / "road", tiny_table)
    place = open_registry(f"hf://{hub.name()}")
    return Case(
        *(road.data, str(road.params), road.gates, place, road.work),
        image=f"{images.host}/acme/train@{DIGEST}",
    )


def asked(case: Case) -> dict[str, Finding]:
    return {finding.check: finding for finding in places.examine_target("runpod", case)}


def refusal(question) -> str:
    with pytest.raises(PolyIDError) as error:
        question()
    return str(error.value)


def test_all_is_well_and_nothing_is_rented(case: Case, runpod: RunPodState) -> None:
    found = asked(case)
    assert list(found)[-5:] == ["Hub", "RunPod", "image", "hardware", "price"]
    assert all(finding.ok for finding in found.values()), found
    assert "an hour, at most $" in found["price"].detail
    assert {call["method"] for call in runpod.calls} == {"GET"}


def test_no_key_and_a_wrong_one(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_wrong")
    said = refusal(pods.key)
    assert "401" in said
    assert "rpa_wrong" not in said
    monkeypatch.delenv("RUNPOD_API_KEY")
    found = asked(case)
    assert [name for name, f in found.items() if not f.ok] == ["RunPod", "hardware", "price"]
    assert "RUNPOD_API_KEY: received nothing" in found["RunPod"].detail


def test_what_is_not_offered_and_what_is_sold_out(case: Case, runpod: RunPodState) -> None:
    unknown = replace(case, flavor="NVIDIA L99")
    for question in (pods.hardware, pods.price):
        assert "does not offer" in refusal(lambda q=question: q(unknown))
    (name, *_) = runpod.stock
    runpod.stock[name] = "NONE"
    said = refusal(lambda: pods.hardware(replace(case, flavor=name)))
    assert f"None of {name} is in stock" in said


def test_an_image_that_cannot_be_pulled_but_with_a_login(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = replace(case, image=case.image.replace("/train@", "/none@"))
    assert "make the package public" in refusal(lambda: pods.pod_image(hidden))
    monkeypatch.setenv("RUNPOD_REGISTRY_ID", "login")
    assert "RUNPOD_REGISTRY_ID" in pods.pod_image(hidden)
    assert "received nothing" in refusal(lambda: pods.pod_image(replace(case, image="")))
