"""What the page shows and offers: choices and what is wrong with them, progress, curve, outcome."""

import json
from pathlib import Path

import pandas as pd
import pytest
from road_kit import Road

from polyid.errors import PolyIDError
from trainer.conduct import Conduct
from trainer.training import epochs
from trainer.ui.choices import OWN, Choice, Offer
from trainer.ui.curve import draw
from trainer.ui.desk import Seen
from trainer.ui.expected import expect, expected_facts
from trainer.ui.orders import Order, Outcome
from trainer.ui.progress import progress
from trainer.ui.views import duration, plan_view, run_view

ORDER = Order(
    "0123456789abcdef",
    "tiny",
    "d",
    "p",
    "g",
    "Ann <b>",
    "2026-01-31T12:00:00+00:00",
    10,
    2,
    ("Tg",),
)


@pytest.fixture
def offer(tiny_table: pd.DataFrame, tmp_path: Path) -> Offer:
    road = Road.laid(tmp_path / "road", tiny_table)
    return Offer(road.params, road.data, road.gates, road.work)


def test_the_first_choice_of_a_recipe_is_what_the_recipe_says_on_data_that_have_its_columns(
    offer: Offer, property_table: Path
):
    assert offer.recipes()[:1] == [OWN]
    assert "publication" in offer.recipes()
    first = offer.first_choice(OWN)
    assert first == Choice(OWN, "data.csv", 60, 2, ("Glass_Transition", "Melt_Temp"))
    both = Offer(offer.params, property_table.parent, offer.gates, offer.work)
    assert both.first_choice("stereo").data == "stereopolymer_input_nopush.csv"
    assert both.gates_of("stereo").name == "stereo.yaml"
    assert both.gates_of(OWN) == offer.gates


def test_the_order_of_clicks_is_not_another_run(offer: Offer, tmp_path: Path):
    first = offer.first_choice(OWN)
    one = offer.choose(first, tmp_path / "one.yaml")
    other = first._replace(properties=first.properties[::-1])
    assert offer.choose(other, tmp_path / "two.yaml").plan.fingerprint == one.plan.fingerprint
    fewer = offer.choose(first._replace(properties=("Melt_Temp",)), tmp_path / "three.yaml")
    assert fewer.plan.properties == ["Melt_Temp"]
    assert fewer.plan.fingerprint != one.plan.fingerprint
    shown = plan_view(one, [("Time", "2 h")], known=False)
    assert "The data keep the contract" in shown
    assert "2 grouped folds × 60 epochs" in shown
    assert "<dt>Time</dt><dd>2 h</dd>" in shown


def test_what_a_run_takes_is_told_before_it_is_started(
    offer: Offer, tmp_path: Path, hub, hub_home, monkeypatch
):
    plan = offer.choose(offer.first_choice(OWN), tmp_path / "p.yaml").plan
    here = dict(expected_facts(plan, None, Conduct()))
    assert here["Expected cost"] == "nothing: nobody is billed for it"
    assert "of which training under 1 min" in here["Expected time"]
    assert "work folder only" in here["Checkpoints"]

    space = hub.name("space")
    api = hub.api()
    api.create_repo(space, repo_type="space", space_sdk="docker", private=True)
    api.request_space_hardware(space, "l4x1")
    there = dict(expected_facts(plan, space, Conduct("hf://acme/polyid", 600.0)))
    assert "l4x1 (L4), $0.80 an hour (the Hub's API" in there["Hardware"]
    assert there["Expected cost"].startswith("$")
    assert "from the data sheet of L4" in there["Throughput"]
    assert "also at hf://acme/polyid, every 10 min" in there["Checkpoints"]
    shown = expect(plan, space).estimate
    assert shown is not None
    assert f"${max(shown.usd, 0.01):.2f}" in there["Expected cost"]

    # a Hub that does not say what the hardware is does not keep anybody from starting
    hub.inject("403", path=f"spaces/{space}/runtime$")
    assert "none: " in dict(expected_facts(plan, space, Conduct()))["Estimate"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": "other.csv"}, "expected one of"),
        ({"recipe": "publicaton"}, "publication"),
        ({"properties": ()}, "choose at least one"),
        ({"properties": ("Density",)}, "choose at least one"),
        ({"epochs": 0}, "greater than 0"),
        ({"folds": 1}, "greater than or equal to 2"),
    ],
)
def test_a_choice_that_cannot_be_trained_says_what_to_choose(offer: Offer, tmp_path, change, text):
    choice = offer.first_choice(OWN)._replace(**change)
    with pytest.raises(PolyIDError, match=text):
        offer.choose(choice, tmp_path / "p.yaml")


def test_data_that_break_the_contract_are_shown_with_their_lines(offer: Offer, tmp_path: Path):
    rows = offer.data.read_text().splitlines()
    offer.data.write_text("\n".join([rows[0], "x" + rows[1], *rows[2:]]) + "\n")
    chosen = offer.choose(offer.first_choice(OWN), tmp_path / "p.yaml")
    assert not chosen.report.ok
    shown = plan_view(chosen, [], known=True)
    assert "cannot be trained on" in shown
    assert "line 2" in shown
    assert "in the registry already" in shown


def epoch(fold: int, number: int, loss: float) -> dict:
    return {"event": "epoch", "members": [fold], "epoch": number, "loss": [loss],
            "val_loss": [None]}  # fmt: skip


def test_epochs_that_were_done_twice_count_once_and_a_cut_line_is_passed_over(tmp_path: Path):
    folder = tmp_path / ORDER.fingerprint
    folder.mkdir()
    for number, loss in ((1, 0.9), (2, 0.8), (3, 0.7), (2, 0.6)):
        epochs.note(folder, epoch(0, number, loss))
    epochs.note(folder, {"event": "compile", "members": [0]})
    with (folder / "epochs.jsonl").open("a") as file:
        file.write("[0, 4, 0.")
    lines = epochs.read_epochs(folder)
    assert [(x.epoch, x.loss) for x in lines] == [(1, 0.9), (3, 0.7), (2, 0.6)]
    status = {"state": "training", "epochs": 10, "finished_epochs": {"0": 2}, "share": 0.1}
    (folder / "status.json").write_text(json.dumps(status | {"seconds": 5.0}))
    far = progress(tmp_path, ORDER)
    assert far.curves == {0: [(1, 0.9), (2, 0.6)]}  # what it had reached before counts no more
    assert [(f.fold, f.epoch, f.loss) for f in far.folds] == [(0, 2, 0.6), (1, 0, None)]
    assert far.eta_s is None


def test_the_time_left_follows_the_pace_of_this_sitting(tmp_path: Path):
    folder = tmp_path / ORDER.fingerprint
    folder.mkdir()
    times = [0.0, 3.0, 10_000.0, 10_002.0, 10_004.0, 10_006.0]
    rows = [json.dumps([0, i + 1, 0.5, None, at]) for i, at in enumerate(times)]
    (folder / "epochs.jsonl").write_text("\n".join(rows) + "\n")
    status = {"epochs": 10, "finished_epochs": {"0": 6}, "share": 0.3}
    (folder / "status.json").write_text(json.dumps(status))
    assert progress(tmp_path, ORDER).eta_s == pytest.approx(14 * 2.0)


def test_a_run_before_its_first_epoch_has_no_curve_and_a_long_one_not_too_many_points():
    assert "after the first epochs" in draw({}, 10)
    assert "after the first epochs" in draw({0: [(1, 0.5)]}, 10)
    long = draw({0: [(i, 1 / i) for i in range(1, 5001)]}, 5000)
    assert len(long) < 20_000
    assert 'aria-label="Training loss over 5000 epochs' in long


def test_nothing_that_somebody_typed_becomes_markup(tmp_path: Path):
    far = progress(tmp_path, ORDER)
    bad = Outcome("failed", "<script>", "pass", ("<i>",), "javascript:alert(1)", given_back="<u>")
    shown = run_view(Seen("failed", ORDER, bad), far, ["<pre>"], "<em>")
    for text in ("<script>", "<i>", "<u>", "<em>", "Ann <b>", 'href="javascript'):
        assert text not in shown
    assert "No run has been started" in run_view(Seen("idle", None, None), None, [], "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (65, "1 min 5 s"), (7300, "2 h 1 min"), (59.9, "1 min 0 s")]
)
def test_a_duration_is_read_at_a_glance(seconds, text):
    assert duration(seconds) == text
