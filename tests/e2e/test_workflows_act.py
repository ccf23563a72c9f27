"""The whole story, run by act: change, verdict, merge, publication."""

import re
from pathlib import Path

import pandas as pd
import pytest
from act_kit import REPOSITORY, Workshop
from github_kit import GitHub
from road_kit import TG, TM, small_table

from trainer.registry import LocalRegistry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(property_table: Path) -> pd.DataFrame:
    return small_table(property_table)


@pytest.fixture
def shop(tmp_path: Path, table: pd.DataFrame) -> Workshop:
    registry = tmp_path / "registry"
    return Workshop.made(tmp_path, table[4:], variables={"REGISTRY": str(registry)})


@pytest.fixture
def hosted(shop):
    """GitHub's API for the shop's repository."""
    with GitHub.start(REPOSITORY) as server:
        shop.on(server)
        yield server


def reviewed(hosted: GitHub, shop: Workshop, number: int) -> tuple[str, str]:
    """Return the one comment of a pull request, and the conclusion of its commit's check."""
    (comment,) = hosted.comments(number)
    checks = hosted.checks(shop.git("rev-parse", "HEAD"))
    assert [check["name"] for check in checks] == ["model gate"]
    return comment["body"], checks[0]["conclusion"]


def registry_of(shop: Workshop) -> LocalRegistry:
    return LocalRegistry(shop.variables["REGISTRY"])


def test_a_change_of_a_document_is_green_and_trains_nothing(shop):
    shop.git("checkout", "-qb", "change")
    shop.write("docs/note.md", "A note.\n")
    shop.commit("Write a note")
    ran = shop.run("pull_request", "train.yml", shop.request(1))
    assert ran.code == 0, ran.output
    assert ran.jobs == {"decide": "success", "gate": "success"}
    assert "nothing that decides a model changed" in ran.text
    assert not list(registry_of(shop).candidates())


def test_good_rows_are_trained_once_reviewed_and_published_on_merge(shop, hosted, table):
    shop.git("checkout", "-qb", "change")
    shop.table(table)
    hosted.pull(2, shop.commit("Add rows"))
    ran = shop.run("pull_request", "train.yml", shop.request(2))
    assert ran.code == 0, ran.output
    assert ran.jobs == dict.fromkeys(("decide", "train", "review", "gate"), "success")
    assert "passed its gate" in ran.text
    comment, conclusion = reviewed(hosted, shop, 2)
    assert conclusion == "success"
    assert "Model gate: pass" in comment.splitlines()[1]
    added = int((table[:4][[TG, TM]] != "").to_numpy().sum())
    assert f"**Data:** labels {added} added, 0 removed, 0 relabelled." in comment
    assert "**Recipe:** unchanged." in comment

    shop.write("docs/note.md", "A second push of the same model.\n")
    hosted.pull(2, shop.commit("Write a note"))
    ran = shop.run("pull_request", "train.yml", shop.request(2))
    assert ran.code == 0, ran.output
    comment, conclusion = reviewed(hosted, shop, 2)
    assert conclusion == "success"
    assert shop.git("rev-parse", "HEAD")[:12] in comment
    registry = registry_of(shop)
    (candidate,) = registry.candidates()
    assert registry.current() is None
    assert list((shop.folder / "artifacts" / "candidate").rglob("report.html"))

    event = shop.merge()
    ran = shop.run("push", "train.yml", event)
    assert ran.code == 0, ran.output
    assert "nothing is trained" in ran.text

    # the first attempt publishes, and then GitHub does not take the tag
    hosted.inject(502, method="POST", path="/git/refs$")
    ran = shop.run("push", "publish.yml", event)
    release = registry.current()
    assert release is not None, ran.output
    assert ran.steps("publish")["tag the commit"] == "failure"
    assert (release.tag, release.fingerprint) == ("v1.0.0", candidate.fingerprint)
    assert [c.fingerprint for c in registry.candidates()] == [candidate.fingerprint]
    assert ran.steps("publish")["publish it"] == "success"
    assert not hosted.refs

    shop.env["GITHUB_RUN_ATTEMPT"] = "2"
    ran = shop.run("push", "publish.yml", event)
    assert ran.code == 0, ran.output
    assert "publish it" not in ran.steps("publish")
    assert hosted.refs == {"refs/tags/model-v1.0.0": event["after"]}
    assert len(registry.history()) == 1


def test_shuffled_labels_fail_and_nothing_is_published(shop, hosted, table):
    shop.git("checkout", "-qb", "change")
    mixed = table.sample(frac=1.0, random_state=3)
    shop.table(table.assign(**{name: mixed[name].to_numpy() for name in (TG, TM)}))
    hosted.pull(3, shop.commit("Shuffle the labels"))
    ran = shop.run("pull_request", "train.yml", shop.request(3))
    assert ran.code == 1
    assert ran.jobs == {
        "decide": "success", "train": "failure", "review": "success", "gate": "failure",
    }  # fmt: skip
    assert "its gate says fail" in ran.text
    comment, conclusion = reviewed(hosted, shop, 3)
    assert conclusion == "failure"
    assert re.search(r"- \*\*Glass transition:\*\* .* the floor of ", comment), comment
    assert "relabelled" in comment
    event = shop.merge()  # somebody overruled the check
    ran = shop.run("push", "publish.yml", event)
    assert ran.code == 0, ran.output
    assert "publish it" not in ran.steps("publish")
    assert registry_of(shop).current() is None


def test_faulty_rows_are_told_in_the_pull_request_and_nothing_is_trained(shop, hosted, table):
    shop.git("checkout", "-qb", "change")
    shop.table(table.assign(**{TG: ["warm", *table[TG][1:]]}))
    hosted.pull(5, shop.commit("Add a faulty row"))
    hosted.ran(1, "train", "failure", hold_data_and_recipe_to_the_contract="failure")
    ran = shop.run("pull_request", "train.yml", shop.request(5))
    assert ran.jobs == {
        "decide": "success", "train": "failure", "review": "success", "gate": "failure",
    }  # fmt: skip
    comment, conclusion = reviewed(hosted, shop, 5)
    assert conclusion == "failure"
    assert "Model gate: no verdict, the run failed" in comment
    assert "step **hold data and recipe to the contract**: failure" in comment
    assert f"| 2 | `{TG}` | `warm` |" in comment
    assert not list(registry_of(shop).candidates())


def test_a_dry_run_says_what_there_is_and_trains_nothing(shop):
    # GitHub's event holds every input as text
    inputs = {"dry_run": "true", "recipe": "params.yaml", "changes": "training.epochs=3"}
    ran = shop.run("workflow_dispatch", "train.yml", {"inputs": inputs})
    assert ran.code == 0, ran.output
    assert "was never trained" in ran.text
    assert "train and judge" not in ran.steps("train")
    assert not list(registry_of(shop).candidates())


def test_a_forks_change_is_checked_and_sees_no_secret(shop, table):
    shop.secrets["HF_TOKEN"] = marker = "hf_" + "marker" * 5
    seen = shop.folder / "seen"  # a file, since act masks secrets in what is printed
    leak = f"import os\nprint(dict(os.environ), file=open({str(seen)!r}, 'a'))\n"
    shop.git("checkout", "-qb", "change")
    shop.table(table)
    shop.write("trainer/__init__.py", leak)
    shop.commit("Add rows, and look for secrets")
    ran = shop.run("pull_request", "train.yml", shop.request(4, head="eve/code"))
    assert ran.code == 1
    assert ran.jobs == {"decide": "success", "check": "success", "gate": "failure"}
    assert "A maintainer who has read it" in ran.text
    assert "PATH" in seen.read_text()
    assert marker not in seen.read_text() + ran.output
    assert not list(registry_of(shop).candidates())

    # the same code on a branch of ours, dispatched by a maintainer, would have seen it
    shop.run("workflow_dispatch", "train.yml", {"inputs": {"dry_run": "true"}})
    assert marker in seen.read_text()
