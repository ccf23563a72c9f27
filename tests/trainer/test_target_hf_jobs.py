"""Runs as Hugging Face Jobs, by the real client against the test Hub."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from road_kit import wait_for

from polyid.hub_errors import HubError
from trainer.targets import LABEL, RunSpec, TargetError, open_target

COUNT = "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done"


def spec(script: str, **more) -> RunSpec:
    return RunSpec(
        secrets.token_hex(8), ("sh", "-c", script), image="a/b@sha256:c", flavor="cpu-basic", **more
    )


@pytest.fixture
def target(hub, hub_home, tmp_path):
    """Return the target; whatever a test left running is cancelled."""
    found = open_target("hf-jobs", work=tmp_path, namespace="acme")
    yield found
    hub.clear_faults()
    for handle in found.find():
        found.cancel(handle)


def test_a_job_is_followed_to_its_end_and_its_secret_stays_secret(hub, target):
    asked = spec('echo "$WHO"; test -n "$HF_TOKEN"', env={"WHO": "me"}, secrets=("HF_TOKEN",))
    handle = target.submit(asked)
    assert list(target.logs(handle)) == ["me"]
    assert target.status(handle).stage == "done"
    job = hub.api().inspect_job(job_id=handle.id, namespace="acme")
    assert job.labels[LABEL] == asked.fingerprint
    assert hub.owner_token not in repr(job)
    assert target.find(asked.fingerprint) == []
    assert [h.id for h in target.find(asked.fingerprint, ended=True)] == [handle.id]


def test_a_job_that_fails_or_takes_too_long_says_so(target):
    for script, limit, message in (("exit 3", 60, "exit code: 3"), ("sleep 600", 1, "timeout")):
        handle = target.submit(spec(script, timeout_s=limit))
        state = wait_for(lambda h=handle: (s := target.status(h)).ended and s)
        assert state.stage == "failed"
        assert message in state.message
        assert target.find(handle.fingerprint) == []


def test_a_second_submit_adopts_the_first(hub, target):
    asked = spec("sleep 600")
    first, second = target.submit(asked), target.submit(asked)
    assert (second.id, second.adopted) == (first.id, True)
    target.cancel(first)
    assert target.status(first).stage == "cancelled"
    assert target.find(asked.fingerprint) == []
    assert target.submit(spec("true")).id != first.id


def test_a_job_whose_answer_was_lost_is_not_rented_twice(hub, target):
    asked = spec("sleep 600")
    hub.inject("drop_after", method="POST", path="/api/jobs/acme$")
    handle = target.submit(asked)
    assert handle.adopted
    assert [h.id for h in target.find(asked.fingerprint)] == [handle.id]


def test_a_job_that_waits_for_a_machine_can_be_cancelled(hub, target):
    hub.settings(no_machine=True)
    handle = target.submit(spec("true"))
    assert target.status(handle).stage == "queued"
    target.cancel(handle)
    assert target.status(handle).stage == "cancelled"
    assert target.find(handle.fingerprint) == []


def test_a_log_is_read_through_lost_connections_each_line_once(hub, target):
    handle = target.submit(spec(COUNT))
    hub.inject("503", path="/logs$", times=2)
    lines = list(target.logs(handle))
    assert lines == [f"line {i}" for i in range(1, 6)]
    assert [c["fault"] for c in hub.calls() if c["path"].endswith("/logs")][:2] == ["503"] * 2


def test_what_may_not_start_is_refused_with_the_next_step(hub, target, monkeypatch):
    hub.settings(no_credit=True)
    with pytest.raises(TargetError, match="Buy credit"):
        target.submit(spec("true"))
    hub.settings(no_credit=False)
    with monkeypatch.context() as patch:
        patch.setenv("HF_TOKEN", hub.token("reader", "read"))
        with pytest.raises(HubError, match="right"):
            target.submit(spec("true"))
    with pytest.raises(TargetError, match="NO_SUCH_SECRET"):
        target.submit(spec("true", secrets=("NO_SUCH_SECRET",)))
    assert target.find() == []


def test_of_two_that_start_at_the_very_same_moment_the_elder_stays(hub, target):
    hub.settings(no_machine=True)
    asked = spec("sleep 600")
    # the other's request is carried out while ours, which found nothing, is under way
    hub.inject("slow", method="POST", path="/api/jobs/acme$", times=4, seconds=1.5, before=True)
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: target.submit(asked), range(4)))
    assert len({h.id for h in handles}) == 1
    assert [h.id for h in target.find(asked.fingerprint)] == [handles[0].id]
    started = target.find(asked.fingerprint, ended=True)
    assert len(started) > 1, "they did not start at the same moment: the test shows nothing"
    assert sum(not h.adopted for h in handles) == 1


def test_what_still_costs_money_is_found_with_its_price(hub, target):
    asked = spec("sleep 600")
    target.submit(asked)
    hub.api().run_job(image="a/b", command=["true"], namespace="acme")  # somebody else's
    twin = hub.api().run_job(
        image="a/b", command=["sleep", "600"], flavor="l4x1", namespace="acme",
        labels={LABEL: asked.fingerprint},
    )  # fmt: skip
    wait_for(lambda: hub.api().inspect_job(job_id=twin.id, namespace="acme").started_at)
    first, second = target.leftovers()
    assert (first.fingerprint, first.hardware, first.spare) == (
        asked.fingerprint,
        "cpu-basic",
        False,
    )
    assert (second.id, second.usd_per_hour, second.spare) == (twin.id, pytest.approx(0.8), True)
    assert second.usd(second.since + timedelta(hours=2.5)) == pytest.approx(2.0)
    for left in (first, second, second):
        target.remove(left)
    assert target.leftovers() == []
