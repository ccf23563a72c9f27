"""Who looks on while a run trains sees all of it, and can neither change nor stop it."""

import io
import json
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from road_kit import Road, in_group, wait_for
from test_training_run import LONG, assert_same, epochs, go_on, halted

from polyid.errors import PolyIDError
from trainer.conduct import Wanted, as_options, conduct_of
from trainer.config import load_params
from trainer.plan import Plan, make_plan
from trainer.training.status import read_status
from trainer.watching import tracked
from trainer.watching.eventfile import EventFile
from trainer.watching.jsonlog import JsonLines
from trainer.watching.stall import StallAlarm
from trainer.watching.summary import summary
from trainer.watching.tracked import Tracked


@pytest.fixture
def plan(tiny_table, tmp_path: Path) -> Plan:
    road = Road.laid(tmp_path / "road", tiny_table)
    return make_plan(road.data, road.params, road.work)


def epoch(number: int, member: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "event": "epoch", "members": [member], "epoch": number, "epochs": 60,
        "loss": [1 / number], "val_loss": [None if number % 2 else 0.5], "seconds": 0.1, **more,
    }  # fmt: skip


def told(plan: Plan, name: str, **more: Any) -> tuple[Tracked, list[dict[str, Any]]]:
    """Tell a tracker of a short run; return it and what it said."""
    it = Tracked(plan, name, **{"patience_s": LONG, **more})
    said = list(it.arrive())
    for member in (0, 1):
        for number in (1, 2, 3):
            it.hear(epoch(number, member))
    said += [*it.look(), *it.leave(True)]
    it.end()
    return it, said


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Read event files as TensorBoard does."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def test_event_files_are_read_by_tensorboard(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    steps = [1, 2, 127, 128, 100_000]
    for step in steps:
        file.add({"loss/fold_0": 1 / step, "grün": float(step)}, step)
    file.close()
    found = scalars(tmp_path)
    assert set(found) == {"loss/fold_0", "grün"}
    assert list(found["grün"]) == steps
    np.testing.assert_allclose(list(found["loss/fold_0"].values()), [1 / s for s in steps], 1e-6)


def test_tensorboard_hears_of_every_fold(plan: Plan) -> None:
    it, said = told(plan, "tensorboard")
    assert [s["event"] for s in said] == ["note"]
    found = scalars(it.folder)
    assert list(found["loss/fold_1"]) == [1, 2, 3]
    assert found["val_loss/fold_0"] == {2: 0.5}


@pytest.mark.slow
def test_trackio_keeps_a_run_here(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKIO_DIR", raising=False)
    it, said = told(plan, "trackio")
    assert [s["event"] for s in said] == ["note"], said
    (file,) = [p for p in it.folder.rglob("*.db") if "polyid" in p.name]
    with sqlite3.connect(file) as database:
        rows = database.execute("select step, metrics from metrics order by step").fetchall()
    numbers = {step: json.loads(text) for step, text in rows}
    assert list(numbers) == [1, 2, 3, 4, 5, 6]
    assert numbers[6]["loss/fold_1"] == pytest.approx(1 / 3)


@pytest.mark.slow
def test_weights_and_biases_keeps_a_run_offline(plan: Plan, monkeypatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    it, said = told(plan, "wandb")
    assert [s["event"] for s in said] == ["note"], said
    (file,) = it.folder.rglob("*.wandb")
    assert plan.fingerprint in file.name
    content = file.read_bytes()
    assert b"loss/fold_1" in content
    assert b"val_loss/fold_0" in content


def test_a_package_that_is_missing_is_said_and_nothing_else(plan: Plan, monkeypatch) -> None:
    monkeypatch.setitem(tracked.PACKAGES, "wandb", "no_such_package")
    _, said = told(plan, "wandb")
    assert [s["event"] for s in said] == ["warning"]
    assert "is not installed" in said[0]["text"]


def test_a_tracker_that_throws_is_said_with_its_last_word(plan: Plan) -> None:
    script = "import sys; sys.stdin.readline(); raise ValueError('the service said no')"
    _, said = told(plan, "trackio", command=[sys.executable, "-c", script])
    assert [s["event"] for s in said] == ["note", "warning"]
    assert "ended with exit code 1: ValueError: the service said no" in said[1]["text"]


def test_a_tracker_that_hangs_neither_blocks_nor_outlives_the_run(plan: Plan) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"
    it = Tracked(plan, "trackio", patience_s=1.0, command=[sys.executable, "-c", script])
    for number in range(1, 3000):
        it.hear(epoch(number, text="x" * 1000))  # more than its queue and the pipe hold
    texts = [s.get("text", "") for s in it.look()]
    assert "misses some of it" in texts[-1]
    assert "did not finish within 1 s" in next(iter(it.leave(True)))["text"]
    assert it.process is not None
    assert it.process.returncode == -signal.SIGKILL


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_alarm_is_raised_once_and_taken_back() -> None:
    clock = Clock()
    alarm = StallAlarm(10, least_s=30, first_s=300, clock=clock)
    alarm.hear({"event": "start", "members": 6})
    alarm.hear({"event": "compile", "members": [0]})
    clock.now = 299
    assert list(alarm.look()) == []
    for _ in range(5):
        clock.now += 5
        alarm.hear({"event": "step", "members": [0], "steps": 1})
        alarm.hear({"event": "epoch", "members": [1], "epoch": 1})
    clock.now += 49
    alarm.hear({"event": "epoch", "members": [1], "epoch": 2})
    assert list(alarm.look()) == []
    clock.now += 2  # ten times 5 s since fold 0 moved
    warning, note = alarm.look()
    assert "No step of fold 0 has ended for 51 s; 5 s at most are usual" in warning["text"]
    assert (note["about"], note["says"]) == ("stalled", [0])
    assert list(alarm.look()) == []
    alarm.hear({"event": "step", "members": [0], "steps": 2})
    (note,) = alarm.look()
    assert note["says"] == []
    alarm.hear({"event": "done", "members": [0]})
    clock.now += 200
    alarm.hear({"event": "epoch", "members": [1], "epoch": 3})
    assert list(alarm.look()) == []  # fold 0 is done


def test_a_first_step_that_never_ends_raises_it_too() -> None:
    clock = Clock()
    alarm = StallAlarm(10, least_s=30, first_s=300, clock=clock)
    alarm.hear({"event": "compile", "members": [0]})
    clock.now = 301
    assert "of compiling" in next(iter(alarm.look()))["text"]


def test_every_line_of_a_json_log_is_an_object() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    print("a line\nand half", file=lines, end="")
    lines.write_event({"event": "epoch", "epoch": 1})
    print(" of one", file=lines)
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [s["event"] for s in said] == ["text", "epoch", "text"]
    assert said[2]["text"] == "and half of one"
    assert all(s["time"] for s in said)


def test_watching_changes_no_fingerprint_and_goes_along(tiny_table, tmp_path: Path) -> None:
    road = Road.laid(tmp_path / "road", tiny_table)
    plain = make_plan(road.data, road.params, road.work)
    watched = make_plan(road.data, road.params, road.work, ["conduct.track=[wandb]"])
    assert plain.fingerprint == watched.fingerprint
    conduct = conduct_of(watched.params, Wanted(log_format="json"))
    assert as_options(conduct) == ["--track", "wandb", "--log-format", "json"]
    assert conduct_of(watched.params, Wanted(track=["tensorboard"])).track == ("tensorboard",)
    with pytest.raises(PolyIDError, match="expected some of tensorboard"):
        conduct_of(load_params(road.params), Wanted(track=["board"]))


def test_a_summary_says_what_matters() -> None:
    status = {
        "state": "training", "share": 0.25, "seconds": 600.0, "updated": "now", "stalled": [3],
        "checkpoints": {"place": "s3://b/x", "kept": "12:00"}, "warnings": ["full"],
        "tracking_wandb": {"folder": "f", "log": "l"},
    }  # fmt: skip
    assert summary(status) == [
        "training: 25% of the run, about 30 min left; updated now",
        "No step ends: fold 3",
        "Checkpoints at s3://b/x, 12:00",
        "Tracked by wandb: f",
        "Warning: full",
    ]
    assert summary({}) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_is_watched_and_stays_the_same(finished: Road, fresh: Road) -> None:
    watch = ("--track", "tensorboard", "--log-format", "json", "--workers", "1")
    with fresh.started("train", *watch, env={"POLYID_STALL_SECONDS": "1"}) as process:
        halted(fresh, process.pid, lambda: epochs(fresh).get(0, 0) >= 2)
        wait_for(lambda: read_status(fresh.run_folder()).get("stalled") == [0], LONG)
        go_on(process.pid)
        assert process.wait(LONG) == 0
        assert in_group(process.pid) == []
    said = [json.loads(line) for line in fresh.output.splitlines()]
    assert sum(s["event"] == "epoch" for s in said) == 120
    assert any("No step of fold 0 has ended" in s.get("text", "") for s in said)
    status = read_status(fresh.run_folder())
    assert (status["state"], status["stalled"]) == ("trained", [])
    found = scalars(Path(status["tracking_tensorboard"]["folder"]))
    assert list(found["loss/fold_1"]) == list(range(1, 61))
    assert_same(fresh, finished)
