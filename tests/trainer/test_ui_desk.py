"""One run at a time, and its hardware given back however it ends: real processes, the test Hub."""

import json
import os
import signal
from pathlib import Path

import pytest
from road_kit import Road, wait_for

from polyid.errors import PolyIDError
from polyid.hub_errors import HubError
from trainer.conduct import Wanted
from trainer.space_hardware import give_back
from trainer.targets import TargetError
from trainer.ui.choices import OWN, Offer
from trainer.ui.desk import Desk, DeskError
from trainer.ui.keeper import ASKED, Keeper
from trainer.ui.orders import Order, now

pytestmark = pytest.mark.usefixtures("hub_home")

SLEEPS = "echo begun; exec sleep 600"
SAVES = "trap 'kill $!; echo saved; exit 75' TERM; echo begun; sleep 600 & wait"


class ShellDesk(Desk):
    """A desk whose runs are shell scripts; all else is real."""

    script = SLEEPS

    def _command(self, order: Order) -> tuple[str, ...]:
        return ("sh", "-c", self.script)


def order(mark: str = "0123456789abcdef", **more) -> Order:
    given = {"by": "Ann", "at": now(), "epochs": 2, "folds": 2, "properties": ("Density",)}
    return Order(mark, "tiny", "d.csv", "p.yaml", "g.yaml", **(given | more))


@pytest.fixture
def space(hub):
    name = hub.name("space")
    api = hub.api()
    api.create_repo(name, repo_type="space", space_sdk="docker", private=True)
    api.request_space_hardware(name, "t4-small")
    hub.space(name, stage="RUNNING")
    return name


@pytest.fixture
def desk(tmp_path: Path, space: str):
    found = ShellDesk(tmp_path / "runs", str(tmp_path / "registry"), space, 600)
    yield found
    for handle in found.target.find():
        found.target.cancel(handle)


def begun(desk: Desk) -> Order:
    started = desk.start_dispatched(order())
    wait_for(lambda: desk.log(started))
    return started


def ended(desk: Desk):
    return wait_for(lambda: desk.see().standing == "ending" and (desk.settle() or True))


def keeper(desk: Desk, after="pause", idle_s=600.0, told=None) -> Keeper:
    heard = told if told is not None else []
    return Keeper(desk, after, idle_s, lambda *what: heard.append(what), heard.append, linger_s=0.0)


def stage(hub, space: str) -> str:
    return str(hub.api().get_space_runtime(space).stage)


def test_a_second_run_is_refused_and_the_first_goes_on(desk: Desk):
    begun(desk)
    with pytest.raises(DeskError, match="started by Ann: one at a time"):
        desk.start_dispatched(order("f" * 16, by="Bob"))
    seen = desk.see()
    assert (seen.standing, seen.order.by) == ("running", "Ann")
    assert len(desk.target.find()) == 1


def test_stopped_by_a_person_it_can_be_resumed_and_says_who_stopped_it(desk: Desk):
    desk.script = SAVES
    begun(desk)
    desk.stop("Bob")
    ended(desk)
    seen = desk.see()
    assert (seen.standing, seen.outcome.message) == (
        "stopped",
        "Stopped by Bob; what was trained is kept.",
    )
    assert not desk.recover()  # that it was stopped is remembered over a restart
    again = desk.resume("Ann")
    assert (again.fingerprint, again.by) == (seen.order.fingerprint, "Ann")
    assert desk.see().standing == "running"
    with pytest.raises(DeskError, match="no run to go on with"):
        desk.resume("Ann")


def test_a_run_whose_machine_went_is_gone_on_with_but_one_that_failed_is_not(desk: Desk):
    first = begun(desk)
    pid = int((desk.target.root / first.fingerprint / "run.json").read_text().split('"pid": ')[1]
              .split(",")[0])  # fmt: skip
    os.killpg(pid, signal.SIGKILL)
    wait_for(lambda: desk.see().standing == "ending")
    assert desk.recover()
    assert desk.see().standing == "running"
    desk.leave(30)  # as a container that is asked to end
    wait_for(lambda: desk.see().standing == "ending")
    assert desk.recover()
    desk.target.cancel(desk.target.find()[0])
    desk.script = "echo 'Error: no room'; exit 2"
    desk.orders.end(desk._outcome(first))
    desk.resume("Ann")
    wait_for(lambda: desk.see().standing == "ending")
    assert not desk.recover()
    desk.settle()
    assert (desk.see().standing, desk.see().outcome.message) == ("failed", "Error: no room")


def test_whatever_the_end_the_hardware_goes_back(hub, desk: Desk, space: str):
    desk.script = "exit 3"
    desk.start_dispatched(order())
    heard: list = []
    keeping = keeper(desk, told=heard)
    hub.inject("503", path="/pause$", times=2)  # also when the Hub does not answer at once
    wait_for(lambda: keeping.step() or stage(hub, space) == "PAUSED")
    assert desk.see().standing == "failed"
    assert "paused" in desk.see().outcome.given_back
    assert [what[1].stage for what in heard if isinstance(what, tuple)] == ["failed"]
    hub.space(space, stage="RUNNING")  # somebody starts it again, to look
    for _ in range(3):
        keeper(desk).step()
    assert stage(hub, space) == "RUNNING"


def test_what_cannot_be_told_keeps_no_hardware(hub, desk: Desk, space: str):
    def deaf(*_):
        raise PolyIDError("nobody listens")

    desk.script = "exit 3"
    desk.start_dispatched(order())
    heard: list[str] = []
    keeping = Keeper(desk, "downgrade", 600, deaf, heard.append, linger_s=0.0)
    wait_for(
        lambda: (
            keeping.step() or hub.api().get_space_runtime(space).requested_hardware == "cpu-basic"
        )
    )
    assert "nobody listens" in heard


def test_a_refusal_to_pause_is_shown_and_the_outcome_does_not_claim_it(hub, desk: Desk, space: str):
    desk.script = "exit 3"
    desk.start_dispatched(order())
    keeping = keeper(desk)
    keeping.pace_s = 0.05
    hub.inject("403", path="/pause$", times=2)
    keeping.start()
    wait_for(lambda: "hf spaces pause" in keeping.trouble)
    wait_for(lambda: stage(hub, space) == "PAUSED")  # it goes on asking
    keeping.end()
    assert desk.see().outcome.given_back != ASKED


def test_idle_paid_hardware_goes_back_and_free_or_stay_is_left_alone(hub, desk: Desk, space: str):
    keeper(desk, "stay", idle_s=-1).step()
    keeper(desk, idle_s=600).step()
    assert stage(hub, space) == "RUNNING"
    hub.api().request_space_hardware(space, "cpu-basic")
    hub.space(space, stage="RUNNING")
    keeper(desk, idle_s=-1).step()
    assert stage(hub, space) == "RUNNING"
    hub.api().request_space_hardware(space, "t4-small")
    hub.space(space, stage="RUNNING")
    idle = keeper(desk, idle_s=-1)
    wait_for(lambda: idle.step() or stage(hub, space) == "PAUSED")


def test_a_busy_page_is_not_idle(hub, desk: Desk, space: str):
    begun(desk)
    busy = keeper(desk, idle_s=-1)
    for _ in range(3):
        busy.step()
    assert stage(hub, space) == "RUNNING"


def test_without_the_right_nothing_starts(hub, desk: Desk, space: str, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token("reader", "read"))
    with pytest.raises(HubError, match="could not give its hardware back"):
        desk.start_dispatched(order())
    desk.registry = f"hf://{hub.name('model')}"
    with pytest.raises(HubError, match=r"Needed is write access"):
        desk.start_dispatched(order())
    assert desk.see().standing == "idle"
    with pytest.raises(HubError, match="may cost on: hf spaces pause"):
        give_back(space, "pause", sleep=lambda _: None)


def test_a_run_of_the_page_takes_its_estimate_and_a_place_for_its_checkpoints_along(
    hub, tiny_table, tmp_path: Path, space: str
):
    road = Road.laid(tmp_path / "road", tiny_table)
    offer = Offer(road.params, road.data, road.gates, road.work)
    chosen = offer.choose(offer.first_choice(OWN), tmp_path / "staged.yaml")
    address = f"hf://{hub.name('model')}"
    there = ShellDesk(road.work, address, space, 600)
    there.script = "echo $POLYID_ESTIMATE; exec sleep 600"
    order = there.start(chosen, "Ann")
    (said,) = wait_for(lambda: there.log(order))
    there.target.cancel(there.target.find()[0])
    known = json.loads(said)
    assert (known["target"], known["hardware"], known["usd_per_hour"]) == (
        "hf-space", "t4-small", pytest.approx(0.4),
    )  # fmt: skip
    assert Desk._command(there, order)[-6:-2] == (
        "--checkpoints", address, "--checkpoint-minutes", "10",
    )  # fmt: skip
    # what is asked for by hand, or by the recipe, goes before; elsewhere nothing is kept unasked
    for desk, place in (
        (Desk(road.work, address, space, 600, Wanted("none")), None),
        (Desk(road.work, address, space, 600, Wanted("s3://acme/x", 1.0)), "s3://acme/x"),
        (Desk(road.work, address, None, 600), None),
        (Desk(road.work, str(road.registry), space, 600), None),
    ):
        assert desk.conduct(chosen.plan).checkpoints == place
    with pytest.raises(PolyIDError, match="moon"):
        Desk(road.work, address, space, 600, Wanted("moon://x")).start(chosen, "Ann")


def test_a_log_shows_no_token(desk: Desk):
    desk.script = "echo hf_abcdefghijklmnop; exec sleep 600"
    assert desk.log(begun(desk)) == ["***"]
    assert not isinstance(DeskError(""), TargetError)
