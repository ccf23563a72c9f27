"""`trainer lineage`: from what a prediction says to all that made its model, or what is missing."""

import json
from pathlib import Path

import pytest
import revisions_kit as kit
from registry_kit import sha
from revisions_kit import BARE, Labelled, add_bare, fill

from trainer.lineage import Lineage, Link, lineage
from trainer.lineage_view import render
from trainer.registry import LocalRegistry


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def runs(registry: LocalRegistry, tmp_path: Path) -> dict[str, Labelled]:
    return fill(registry, tmp_path)


def links(found: Lineage) -> dict[str, Link]:
    return {link.what: link for link in found.links}


def printed(found: Lineage) -> str:
    return kit.printed(lambda console: render(found, console), width=80)


def test_all_of_it_is_known(registry: LocalRegistry, runs) -> None:
    found = lineage(registry, "v1.1.0")
    by = links(found)
    assert found.unknown == []
    assert by["model"].value == runs["v1.1.0"].fingerprint
    assert by["data"].value == sha("more data")
    assert "polymers.csv" in by["data"].about
    assert "12" * 16 in by["data"].about
    assert by["data"].fetch == f"git checkout {'cd' * 20} && dvc pull"
    assert by["code"].value == "cd" * 20
    assert by["code"].fetch == f"git checkout {'cd' * 20}"
    assert by["image"].fetch == f"docker pull ghcr.io/us/train@sha256:{'0' * 64}"
    assert by["parameters"].value == sha("other params")
    assert by["folds"].value == sha("folds")
    assert by["gate"].value == "pass"
    assert "against v1.0.0" in by["gate"].about
    assert found.recorded is not None
    assert found.recorded["data"]["md5"] == "12" * 16
    assert "Nothing is unknown" in printed(found)


def test_commands_are_printed_whole(registry: LocalRegistry, runs) -> None:
    lines = [line.strip() for line in printed(lineage(registry)).splitlines()]
    assert f"$ git checkout {'cd' * 20} && dvc pull" in lines
    assert f"$ trainer show v1.1.0 --registry {registry} --json" in lines
    assert f'$ polyid predict --model {registry}@v1.1.0 "CC(O)C(=O)O"' in lines


def test_releases_back_to_the_first_and_the_history(registry: LocalRegistry, runs) -> None:
    found = lineage(registry)
    assert [release.tag for release in found.releases] == ["v1.1.0", "v1.0.0"]
    assert [(e.action, e.tag) for e in found.events] == [("publish", "v1.1.0")]
    registry.rollback("v1.0.0")
    found = lineage(registry, "v1.1.0")
    assert found.state == "release"
    assert [(e.action, e.tag) for e in found.events] == [
        ("publish", "v1.1.0"),
        ("rollback", "v1.0.0"),
    ]
    text = printed(found)
    assert "rolled back to v1.0.0 (before: v1.1.0)" in text
    first = lineage(registry, runs["v1.0.0"].fingerprint)
    assert [release.tag for release in first.releases] == ["v1.0.0"]
    assert [e.action for e in first.events] == ["publish", "publish", "rollback"]


def test_outside_git_and_container_it_says_what_is_unknown(registry: LocalRegistry, runs) -> None:
    found = lineage(registry, f"candidate/{runs['failed'].fingerprint}")
    by = links(found)
    assert (by["code"].value, by["code"].fetch) == (None, None)
    assert (by["image"].value, by["image"].fetch) == (None, None)
    assert by["data"].value == sha("data")
    assert by["data"].fetch is None
    text = " ".join(printed(found).split())
    assert "Which git commit: the run was not in a git checkout" in text
    assert "Which container image: none, the run was not in a container" in text
    assert f"`sha256sum` gives {sha('data')}" in text
    assert found.releases == []
    assert found.events == []


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ({"dirty": True}, "it was not committed"),
        ({"dirty": None}, "git did not say"),
        ({"image": "sha256:" + "1" * 64}, "put the name for IMAGE"),
    ],
)
def test_what_is_half_known(registry: LocalRegistry, tmp_path: Path, code, word: str) -> None:
    run = Labelled(tmp_path / "run", recorded={"code": code}).write()
    registry.add_candidate(run.folder, run.fingerprint)
    found = lineage(registry, run.fingerprint)
    assert any(word in sentence for sentence in found.unknown)
    assert links(found)["code"].fetch == f"git checkout {'ab' * 20}"


def test_a_dirty_checkout_may_point_to_other_data(registry: LocalRegistry, tmp_path: Path) -> None:
    run = Labelled(tmp_path / "run", recorded={"code": {"dirty": True}}).write()
    registry.add_candidate(run.folder, run.fingerprint)
    assert "Compare `sha256sum`" in links(lineage(registry, run.fingerprint))["data"].unknown


def test_a_candidate_without_a_record(registry: LocalRegistry, tmp_path: Path) -> None:
    add_bare(registry, tmp_path)
    found = lineage(registry, BARE)
    assert found.recorded is None
    assert len(found.unknown) == 6
    assert "no gate has judged it" in printed(found)


def test_json_has_links_by_what_they_are(registry: LocalRegistry, runs) -> None:
    said = json.loads(json.dumps(lineage(registry, "v1.1.0").as_json()))
    assert said["asked"] == "v1.1.0"
    assert said["links"]["code"]["value"] == "cd" * 20
    assert said["releases"][1]["tag"] == "v1.0.0"
    assert said["events"][0]["action"] == "publish"
    assert said["unknown"] == []
