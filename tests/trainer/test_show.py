"""`trainer show`: all that is known of one release or candidate."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import revisions_kit as kit
from evaluation_kit import RHO, TG
from revisions_kit import BARE, Labelled, add_bare, fill, on_one_line

from trainer.registry import LocalRegistry
from trainer.show import Shown, show
from trainer.show_view import duration, render


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def runs(registry: LocalRegistry, tmp_path: Path) -> dict[str, Labelled]:
    return fill(registry, tmp_path)


def printed(shown: Shown, width: int = 100) -> str:
    return on_one_line(kit.printed(lambda console: render(shown, console), width))


def test_a_release_as_json(registry: LocalRegistry, runs) -> None:
    said = json.loads(json.dumps(show(registry).as_json()))
    run = runs["v1.1.0"]
    assert said["revision"] == "v1.1.0"
    assert said["state"] == "current release"
    assert said["verdict"] == "pass"
    assert said["fingerprint"] == run.fingerprint
    assert Path(said["address"]).is_dir()
    assert said["release"]["previous"] == "v1.0.0"
    assert said["release"]["change"] == "minor"
    assert said["metrics"]["properties"][TG]["model"]["mae"] == 21.4
    assert said["metrics"]["properties"][RHO]["gp"]["mae"] == 0.06
    assert said["record"]["data"]["md5"] == "12" * 16
    assert said["record"]["params"]["training"]["learning_rate"] == 0.01
    assert said["gate"]["champion"]["revision"] == "v1.0.0"


def test_a_release_on_the_console(registry: LocalRegistry, runs) -> None:
    text = printed(show(registry))
    for part in (
        "v1.1.0 current release",
        "Verdict: ✓ pass, judged against v1.0.0",
        "In 90% int.",
        "Glass transition °C 99 21.4 31.0 0.91 97.7 25.1 91.2%",
        "Density g/cm³ 100 0.050 0.080 0.77 0.140 0.060 91.2%",
        "minor since v1.0.0: other data; other parameters",
        "polymers.csv, 119 rows",
        "git commit " + "cd" * 20,
        "ghcr.io/us/train@sha256:",
        "5 grouped, seed 7",
        "folds 7, member_0 11",
        "a processor, 2 cores, 8 GB, no GPU",
        "15.0 min",
        "not billed",
        "2026-01-31T12:00:00Z to 2026-01-31T12:15:00Z",
    ):
        assert part in text, part


def test_a_failed_candidate_says_why(registry: LocalRegistry, runs) -> None:
    shown = show(registry, runs["failed"].fingerprint[:5])
    text = printed(shown)
    assert shown.release is None
    assert "Verdict: ✗ fail" in text
    assert "Density: MAE 0.05 g/cm³ above 0.04" in text
    assert "not from a git checkout" in text
    assert "none: not run in a container" in text


def test_a_candidate_without_files(registry: LocalRegistry, tmp_path: Path) -> None:
    add_bare(registry, tmp_path)
    shown = show(registry, BARE)
    assert (shown.gate, shown.metrics, shown.record) == (None, None, None)
    text = printed(shown)
    assert "not judged" in text
    assert "record.yaml is not there" in text


def test_hashes_can_be_copied_from_a_narrow_console(registry: LocalRegistry, runs) -> None:
    text = printed(show(registry), width=120)
    assert runs["v1.1.0"].record().params_hash in text


@pytest.mark.parametrize(("hours", "text"), [(0.25, "15.0 min"), (7.5, "7.5 h")])
def test_durations(hours: float, text: str) -> None:
    assert duration(hours) == text


@pytest.mark.parametrize(
    ("cost", "texts"),
    [
        (1.2, ("15.0 min; 30.0 min expected, × 0.50", "1.20 US dollars; 1.60 US dollars expected, "
               "× 0.75", "l4x1 of hf-jobs, estimated: two cores × 15")),
        (None, ("15.0 min; 30.0 min expected", "not billed")),
        (0.002, ("0.0020 US dollars; ",)),
    ],
)  # fmt: skip
def test_what_it_took_stands_beside_what_was_expected(registry, runs, cost, texts) -> None:
    shown = show(registry)
    expected = {"target": "hf-jobs", "hardware": "l4x1", "usd_per_hour": 0.8, "hours": 0.5,
                "cost_usd": 1.6, "total_usd": 1.8, "measured": False,
                "basis": "two cores × 15"}  # fmt: skip
    record = {**(shown.record or {}), "estimate": expected, "cost_usd": cost}
    text = printed(replace(shown, record=record), width=140)
    for part in texts:
        assert part in text, part
