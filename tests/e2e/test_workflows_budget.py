"""A dispatch above its budget is refused before anything is rented; run by act."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from act_kit import Workshop
from hub_kit import Hub
from image_registry_kit import DIGEST, ImageRegistry, image_registry
from road_kit import small_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(property_table: Path) -> pd.DataFrame:
    return small_table(property_table)


@pytest.fixture
def images() -> Iterator[ImageRegistry]:
    with image_registry() as registry:
        yield registry


def test_a_dispatch_above_its_budget_is_refused_before_anything_is_rented(
    tmp_path: Path, table: pd.DataFrame, hub: Hub, hub_home: Path, images: ImageRegistry
):
    repo = hub.name("model")
    shop = Workshop.made(
        tmp_path / "shop",
        table,
        variables={"REGISTRY": f"hf://{repo}", "TRAIN_IMAGE": f"{images.host}/acme/train@{DIGEST}",
                   "TRAIN_FLAVOR": "l4x1", "TRAIN_BUDGET": "1000"},
        secrets={"HF_TOKEN": hub.owner_token},
        env=hub.variables(tmp_path / "home"),
    )  # fmt: skip
    asked = {"target": "hf-jobs", "changes": "training.epochs=1000000000", "budget": "5"}
    ran = shop.run("workflow_dispatch", "train.yml", {"inputs": asked})
    assert ran.code == 1, ran.output
    assert (ran.jobs["train"], ran.jobs["gate"]) == ("failure", "failure")
    assert "Over budget, nothing was started." in ran.text
    assert "the budget is $5.00" in ran.text
    done = ran.steps("train")
    assert done["hold the estimated cost against the budget"] == "failure"
    assert "train on a rented machine" not in done
    # nothing was asked of the Hub but prices: no job, no repository, no inputs
    asked_of_hub = hub.calls()
    assert any(c["path"] == "/api/jobs/hardware" for c in asked_of_hub)
    assert {c["method"] for c in asked_of_hub} <= {"GET", "HEAD"}

    # within the budget of the repository's variable the same step lets it through
    asked = {"target": "hf-jobs", "changes": "training.epochs=3", "dry_run": "true"}
    ran = shop.run("workflow_dispatch", "train.yml", {"inputs": asked})
    assert ran.code == 0, ran.output
    assert "the budget is $1000.00" in ran.text
    assert ran.steps("train")["hold the estimated cost against the budget"] == "success"
    assert ran.steps("train")["ask whether a run can start there"] == "success"
    assert {c["method"] for c in hub.calls()} <= {"GET", "HEAD"}
