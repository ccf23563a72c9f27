"""The scheduled reaper, run by act: a job that nobody follows is stopped, and the page says so."""

from pathlib import Path

import pandas as pd
import pytest
from act_kit import Workshop
from hub_kit import Hub
from road_kit import small_table, wait_for

from trainer.targets import RunSpec, open_target

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(property_table: Path) -> pd.DataFrame:
    return small_table(property_table)


def test_the_schedule_stops_what_was_left_and_says_what_it_cost(
    tmp_path: Path, table: pd.DataFrame, hub: Hub, hub_home: Path
):
    target = open_target("hf-jobs", work=tmp_path / "runs", namespace="acme")
    left = target.submit(RunSpec("a" * 16, ("sleep", "900"), image="a/b", flavor="l4x1"))
    repo = hub.name("model")
    hub.api().create_repo(repo, private=True)
    hub.api().create_branch(repo, branch=f"inputs/{'a' * 16}")
    shop = Workshop.made(
        tmp_path / "shop",
        table,
        variables={"REGISTRY": f"hf://{repo}", "HF_NAMESPACE": "acme"},
        secrets={"HF_TOKEN": hub.owner_token},
        env=hub.variables(tmp_path / "home") | {"DOCKER_HOST": "unix:///nowhere"},
    )
    wait_for(lambda: target.status(left).stage == "running")

    ran = shop.run("schedule", "reap.yml", {})
    assert ran.code == 0, ran.output
    assert "kept" in ran.text
    assert target.status(left).stage == "running"  # it is younger than a day

    dispatched = {"inputs": {"older_than": "0", "dry_run": "true"}}
    ran = shop.run("workflow_dispatch", "reap.yml", dispatched)
    assert ran.code == 0, ran.output
    assert "2 would be stopped" in ran.text
    assert target.status(left).stage == "running"

    shop.variables["REAP_AFTER"] = "0"
    ran = shop.run("schedule", "reap.yml", {})
    assert ran.code == 0, ran.output
    assert "2 found, 0 kept, 2 stopped. It has cost $0.0" in ran.text
    assert target.status(left).stage == "cancelled"
    assert target.leftovers() == []
    assert {ref.name for ref in hub.api().list_repo_refs(repo).branches} == {"main"}
    assert hub.owner_token not in ran.output
