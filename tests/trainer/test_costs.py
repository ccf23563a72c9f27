"""What a run costs: prices with sources, measured and estimated hours, budgets, the document."""

import json
import os
import subprocess
from datetime import date
from pathlib import Path

import pytest
from hub_kit import Hub
from road_kit import ROOT, TRAINER, Road

from trainer.costs import throughput as rates
from trainer.costs.asking import ask
from trainer.costs.budget import OverBudget, require_within
from trainer.costs.document import text
from trainer.costs.estimate import FINISH_S, estimate, size_of
from trainer.costs.measure import MeasureError, measure
from trainer.costs.prices import PriceError, listed, price_of, prices, targets
from trainer.costs.throughput import Machine, Measured, Work, table, throughput
from trainer.plan import Plan, make_plan

HERE = "2 cores, of a test"


@pytest.fixture
def plan(tiny_table, tmp_path: Path) -> Plan:
    road = Road.laid(tmp_path / "road", tiny_table)
    return make_plan(road.data, road.params, road.work)


def measured(plan: Plan, **more) -> Measured:
    row = Measured(Work.of(plan), plan.data_hash, HERE, 2, False, 10.0, 1.0, 36.0,
                   date(2026, 1, 1), "by hand")  # fmt: skip
    return row._replace(**more)


@pytest.fixture
def one_row(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Let the committed table be one round measurement of the tiny run."""
    row = measured(plan)
    compiled = row._replace(compiled=True)
    monkeypatch.setattr(rates, "table", lambda: (row, compiled))
    return row


def test_hours_are_updates_by_measured_time(plan, one_row):
    # 48 rows in 2 folds: 24 to train on, 3 batches of 8, 60 epochs
    size = size_of(plan)
    assert (size.members, size.updates) == (2, 180)
    (price,) = (p._replace(machine=Machine(HERE, cores=2)) for p in listed("local"))
    (it,) = estimate(plan, size, [price])
    assert it.known.measured
    assert it.training_h * 3600 == pytest.approx(180 * 0.010)  # two members on two cores
    assert it.around_h * 3600 == pytest.approx(36 + FINISH_S)
    assert it.usd == 0
    assert it.runs(500) is None
    # one core takes one member after the other
    (alone,) = estimate(plan, size, [price._replace(machine=Machine("", cores=1))])
    assert alone.training_h == pytest.approx(2 * it.training_h)
    assert not alone.known.measured


def test_what_was_not_measured_there_is_an_estimate_with_factor_and_source(plan, one_row):
    t4 = Machine("T4", tflops=8.1, gbps=320)
    found = throughput(plan, t4)
    assert not found.measured
    assert t4.factor == pytest.approx(0.25 * 8.1 / 0.26)
    assert found.ms_per_round == 2.0  # a step on a GPU is never shorter than its launches
    quick = measured(plan, ms_per_update=0.1)  # by what a CPU runs: it says nothing of a GPU
    assert throughput(plan, t4, quick) == found
    wide = measured(plan, ms_per_update=1000.0, compiled=True)
    assert throughput(plan, t4, wide).ms_per_round / 2 == pytest.approx(1000 / 2 / t4.factor)
    assert "× 7.79, from the data sheet of T4" in found.basis
    assert "measured 2026-01-01 on 2 cores, of a test" in found.basis
    assert Machine("H200", tflops=67, gbps=4800).factor == 30
    # the same machine and another recipe: more arithmetic by as much, less by its square root
    for features, grown in ((16, 4.0), (4, 0.5)):
        m = plan.params.model.model_copy(update={"features": features})
        other = make_plan(plan.data, plan.params.model_copy(update={"model": m}), plan.work)
        found = throughput(other, Machine(HERE, cores=2))
        assert not found.measured
        assert found.ms_per_round == pytest.approx(10 * grown)
        assert f"time × {grown:g} for its arithmetic" in found.basis


def test_a_measurement_on_a_gpu_counts_for_that_gpu(plan, one_row, monkeypatch):
    row = measured(plan, machine="H200", gpu=True, ms_per_update=0.5, compiled=True)
    monkeypatch.setattr(rates, "table", lambda: (one_row, one_row._replace(compiled=True), row))
    found = throughput(plan, Machine("H200", tflops=67, gbps=4800))
    assert (found.measured, found.beside, found.ms_per_round) == (True, 2, 1.0)
    assert not throughput(plan, Machine("L4", tflops=30.3, gbps=300)).measured


def test_every_price_has_a_source_and_a_date_and_every_target_of_the_plan_is_there():
    assert {"local", "docker", "self-hosted", "hf-jobs", "hf-space", "runpod", "lambda",
            "sagemaker", "azure-ml"} == set(targets())  # fmt: skip
    for price in (p for name in targets() for p in listed(name)):
        assert price.source
        assert price.date.year >= 2025
        # a price that was read at second hand, or not since the plan, says so
        assert bool(price.weak) == (price.target in ("runpod", "lambda", "sagemaker", "azure-ml"))
        assert price.machine.cores or price.machine.tflops
        assert price.usd_per_hour >= 0
    with pytest.raises(PriceError, match="received 'moon'"):
        listed("moon")
    with pytest.raises(PriceError, match=r"a10g-small.*received 'a10g'"):
        price_of(listed("hf-jobs"), "hf-jobs", "a10g")


def test_prices_of_the_hub_are_asked_for_and_the_table_stands_in(hub: Hub, hub_home: Path):
    asked = {p.hardware: p for p in prices("hf-jobs")}
    assert asked["l4x1"].source == "the Hub's API"
    assert asked["l4x1"].usd_per_hour == pytest.approx(0.8)
    assert asked["cpu-upgrade"].machine.cores == 8
    assert "h200" in asked
    assert "h200" not in {p.hardware for p in prices("hf-space")}
    # the committed table says what the API says
    for price in listed("hf-jobs"):
        assert asked[price.hardware].usd_per_hour == pytest.approx(price.usd_per_hour)
    hub.inject("503", path="/hardware$", times=50)
    fallen = {p.hardware: p for p in prices("hf-jobs")}
    assert "did not answer" in fallen["l4x1"].source
    assert fallen["l4x1"].date == date(2026, 8, 22)


def test_a_budget_is_a_yes_or_a_no_with_the_next_step(plan, one_row):
    (it,) = ask(plan, "hf-jobs", "l4x1", listed=True).estimates
    assert it.usd > it.storage_usd
    assert "Within budget" in require_within(it, it.usd)
    with pytest.raises(OverBudget, match=r"nothing was started.*--budget"):
        require_within(it, it.usd - 1e-6)
    assert it.runs(10 * it.usd + 1e-6) == 10
    answer = it.as_json(10.0)
    assert answer["measured"] is False
    assert answer["price_date"] == "2026-08-22"


def command(road: Road, *words: str, code: int = 0, **env: str) -> str:
    places = ("--data", str(road.data), "--params", str(road.params), "--work", str(road.work))
    done = subprocess.run(
        [*TRAINER, "costs", *places, *words], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | env,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + (done.stderr if code == 2 else "")


def test_the_command(tiny_table, tmp_path: Path):
    road = Road.laid(tmp_path / "road", tiny_table)
    there = ("--target", "hf-jobs", "--hardware", "l4x1", "--listed")
    answer = json.loads(command(road, "--listed", "--json", "--budget", "5"))
    assert {row["target"] for row in answer["estimates"]} == set(targets())
    assert all("runs" in row and row["basis"] for row in answer["estimates"])
    assert "Within budget" in command(road, *there, "--budget", "5")
    assert "Over budget, nothing was started" in command(road, *there, "--budget", "0", code=1)
    dearer = ("--set", "training.epochs=1000000000", "--budget", "5")
    assert "Over budget" in command(road, *there, *dearer, code=1)
    assert "expected one of" in command(road, "--target", "moon", code=2)


def test_the_document_is_what_the_command_writes(property_table: Path, tmp_path: Path):
    document = ROOT / "docs" / "costs.md"
    said = "run: .venv/bin/trainer costs --document docs/costs.md"
    assert document.read_text() == text(property_table, tmp_path, ROOT), said


def test_every_environment_of_the_plan_has_its_row():
    page = (ROOT / "docs" / "environments.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    for name in ("Hugging Face Spaces", "Hugging Face Jobs", "RunPod", "AutoTrain", "Colab",
                 "Lambda", "SageMaker", "Azure ML", "Self-hosted runner", "Local"):  # fmt: skip
        assert rows.count(name) == 1, name
    assert "AutoTrain cannot run a custom trainer" in page


def test_the_committed_measurements_are_of_the_recipes_that_ship(property_table, tmp_path):
    rows = table()
    for recipe in ("publication", str(ROOT / "params.yaml")):
        work = Work.of(plan := make_plan(property_table, recipe, tmp_path))
        assert [row for row in rows if (row.work, row.data) == (work, plan.data_hash)], recipe
    assert all(row.ms_per_update > 0 and row.note and row.date for row in rows)


@pytest.mark.slow
def test_steps_are_really_taken_and_timed(tiny_table, tmp_path: Path):
    road = Road.laid(tmp_path / "road", tiny_table)
    answer = json.loads(command(road, "--target", "local", "--measure", "--json"))
    here = answer["measured_here"]
    assert here["work"] == {"model": "global100", "features": 8, "mol_features": 4,
                            "num_messages": 2, "batch_size": 8, "buckets": 1}  # fmt: skip
    assert 0 < here["ms_per_update"] < 5000
    assert here["start_s"] > 0.5
    (local,) = answer["estimates"]
    assert local["measured"] is True
    assert local["training_hours"] > 0
    # steps that cannot be taken are told with what was said
    plan = make_plan(road.data, road.params, road.work)
    road.data.unlink()
    with pytest.raises(MeasureError, match=r"exit code 1.*data\.csv"):
        measure(plan)
