"""Runs on RunPod's pods, against a server that holds what we say to the published schema."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from road_kit import wait_for

from trainer import endnote, inputs
from trainer.targets import RunSpec, TargetError, open_target, runpod_api
from trainer.targets import runpod as module
from trainer.targets.runpod_api import Client, RunPodError

L4, A4000, A100 = "NVIDIA L4", "NVIDIA RTX A4000", "NVIDIA A100 80GB PCIe"


@pytest.fixture
def repo(hub, hub_home):
    """Return a registry's repository."""
    name = hub.name("model")
    hub.api().create_repo(name, private=True)
    return name


@pytest.fixture
def target(runpod, repo, tmp_path, monkeypatch):
    """Return the target; whatever a test left rented is given back."""
    monkeypatch.setattr(module, "_IDLE_S", 0.5)
    monkeypatch.setattr(module, "_PACE_S", 0.05)
    monkeypatch.setattr(module, "_APPEARS_S", (0.05, 0.1))
    monkeypatch.setattr(runpod_api, "_BACKOFF_S", 0.01)
    found = open_target("runpod", work=tmp_path, registry=f"hf://{repo}")
    yield found
    runpod.faults.clear()
    for left in found.leftovers():
        found.remove(left)


@pytest.fixture
def spec(hub, repo):
    """Return what makes a run of a shell script, with the branch that its inputs would be on."""

    def make(script: str, **more) -> RunSpec:
        number = secrets.token_hex(8)
        hub.api().create_branch(repo, branch=inputs.branch(number))
        more = {"flavor": L4, "secrets": ("HF_TOKEN",), **more}
        return RunSpec(number, ("sh", "-c", script), image="a/b@sha256:c", **more)

    return make


def creations(runpod) -> list[dict]:
    return [c for c in runpod.calls if (c["method"], c["path"]) == ("POST", "/v2/pods")]


def test_a_run_is_followed_to_its_end_and_its_pod_gives_itself_back(hub, runpod, target, spec):
    script = 'echo "$WHO it\'s"; test -n "$HF_TOKEN"; echo "key: $RUNPOD_API_KEY"'
    asked = spec(script, env={"WHO": "me,"})
    handle = target.submit(asked)
    (pod,) = runpod.pods.values()
    lines = list(target.logs(handle))
    assert lines[:3] == ["me, it's", "key: ", "The command ended with exit code 0."]
    state = target.status(handle)
    assert (state.stage, state.exit_code) == ("done", 0)
    assert "0.44 $/h" in state.message
    wait_for(lambda: pod.status == "TERMINATED")
    assert [h.id for h in target.find(asked.fingerprint, ended=True)] == [pod.id]
    assert target.find(asked.fingerprint) == target.leftovers() == []
    assert list(target.logs(handle, follow=False)) == lines[:3]  # kept on the Hub
    shown = repr((handle, target.api, target.find(ended=True), target.api.pods()))
    assert hub.owner_token not in shown
    assert runpod.key not in shown


@pytest.mark.parametrize(
    ("script", "limit", "message", "code"),
    [("exit 3", 60, "exit code 3", 3), ("exec sleep 600", 1, "timeout", 124)],
)
def test_a_run_that_fails_or_takes_too_long_says_so(target, spec, script, limit, message, code):
    handle = target.submit(spec(script, timeout_s=limit))
    state = wait_for(lambda: (s := target.status(handle)).ended and s)
    assert (state.stage, state.exit_code, state.lost) == ("failed", code, False)
    assert message in state.message
    assert target.find(handle.fingerprint) == []


def test_where_there_is_no_capacity_the_next_gpu_is_rented(runpod, target, spec):
    runpod.stock[L4] = "NONE"  # said to be sold out: tried last
    runpod.sold_out, runpod.forbidden = {A4000}, {A100}
    handle = target.submit(spec("sleep 600", flavor=f"{L4},{A4000}, {A100}"))
    assert [c["status"] for c in creations(runpod)] == [400, 403, 201]
    assert runpod.pods[handle.id].spec["gpu"]["id"] == L4
    target.cancel(handle)
    runpod.sold_out, runpod.forbidden = set(), set()
    cheapest = target.submit(spec("sleep 600", flavor=""))
    assert runpod.pods[cheapest.id].spec["gpu"]["id"] == A4000
    target.cancel(cheapest)


def test_where_nothing_can_be_rented_all_that_was_tried_is_named(runpod, target, spec):
    runpod.sold_out = {L4, A4000}
    with pytest.raises(TargetError, match=f"tried {L4}, {A4000}.*no longer any instances"):
        target.submit(spec("true", flavor=f"{L4},{A4000}"))
    with pytest.raises(TargetError, match="NVIDIA T4, which RunPod does not offer"):
        target.submit(spec("true", flavor=f"NVIDIA T4,{L4}"))
    runpod.stock = dict.fromkeys(runpod.stock, "NONE")
    with pytest.raises(TargetError, match="in stock"):
        target.submit(spec("true", flavor=""))
    assert runpod.pods == {}


def test_a_second_submit_adopts_the_first_and_a_stopped_pod_is_not_adopted(runpod, target, spec):
    asked = spec("sleep 600")
    first, second = target.submit(asked), target.submit(asked)
    assert (second.id, second.adopted) == (first.id, True)
    runpod.pods[first.id].end("EXITED")
    state = target.status(first)
    assert (state.stage, state.lost) == ("cancelled", False)
    third = target.submit(asked)
    assert (third.adopted, len(runpod.there())) == (False, 1)
    runpod.pods[third.id].end("EXITED")
    assert [left.spare for left in target.leftovers()] == [True]
    assert target.submit(asked).id not in (first.id, third.id)
    assert len(runpod.there()) == 1


@pytest.mark.parametrize("fault", ["drop_after", "drop", "503"])
def test_a_pod_whose_answer_was_lost_is_not_rented_twice(runpod, target, spec, fault):
    asked = spec("sleep 600")
    runpod.inject(fault, method="POST", path="/pods$")
    handle = target.submit(asked)
    assert len(runpod.pods) == 1  # also no second one that was given back
    assert [h.id for h in target.find(asked.fingerprint)] == [handle.id]


def test_of_two_that_start_at_the_very_same_moment_the_elder_stays(runpod, target, spec):
    asked = spec("sleep 600")
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: target.submit(asked), range(4)))
    kept = target.find(asked.fingerprint)
    assert len(kept) == len(runpod.there()) == 1
    assert {handle.id for handle in handles} == {kept[0].id}
    assert sum(not handle.adopted for handle in handles) == 1


def test_cancelling_is_noted_so_that_nobody_rents_another(runpod, target, spec):
    handle = target.submit(spec("sleep 600"))
    wait_for(lambda: target.status(handle).stage == "running")
    target.cancel(handle)
    state = target.status(handle)
    assert (state.stage, state.lost) == ("cancelled", False)
    target.cancel(handle)  # one that has ended stays as it is
    runpod.held = True
    waiting = target.submit(spec("true"))
    assert target.status(waiting).stage == "queued"
    target.cancel(waiting)
    assert target.status(waiting).stage == "cancelled"


def test_a_pod_is_given_back_also_where_that_cannot_be_noted(hub, runpod, target, spec):
    handle = target.submit(spec("sleep 600"))
    hub.api().delete_branch(target.registry.removeprefix("hf://"),
                            branch=inputs.branch(handle.fingerprint))  # fmt: skip
    with pytest.raises(TargetError, match="given back, but"):
        target.cancel(handle)
    assert runpod.there() == []


@pytest.mark.parametrize("how", ["TERMINATED", "ERROR"])
def test_a_host_that_fails_is_told_from_a_run_that_does(runpod, target, spec, how):
    handle = target.submit(spec("echo begun; sleep 600"))
    wait_for(lambda: "begun" in list(target.logs(handle, follow=False)))
    runpod.pods[handle.id].end(how)
    state = target.status(handle)
    assert (state.stage, state.lost) == ("failed", True)
    assert runpod.there() == []


def test_a_pod_whose_own_key_is_refused_is_given_back_by_who_looks(runpod, target, spec):
    runpod.deaf = True
    handle = target.submit(spec("echo done"))
    pod = runpod.pods[handle.id]
    wait_for(lambda: any("wrong or expired" in row["line"] for row in pod.lines))
    assert pod.status == "RUNNING"
    runpod.silent = True
    assert "done" in list(target.logs(handle))
    assert target.status(handle).stage == "done"
    assert runpod.there() == []


def test_a_container_that_is_started_again_runs_nothing_again(runpod, repo, target, spec):
    runpod.held = True
    asked = spec("echo RUN AGAIN")
    handle = target.submit(asked)
    endnote.write(repo, asked.fingerprint, endnote.EndNote(handle.id, 5, 1.0))
    runpod.held = False
    wait_for(lambda: runpod.there() == [])
    said = [row["line"] for row in runpod.pods[handle.id].lines]
    assert "ended here already, with exit code 5" in said[0]
    assert "RUN AGAIN" not in said


def test_a_log_is_read_through_lost_connections_each_line_once(runpod, target, spec):
    handle = target.submit(spec("for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done"))
    runpod.inject("503", path="/logs$", times=2)
    runpod.inject("drop", path="/logs$", times=1)
    lines = [line for line in target.logs(handle) if line.startswith("line")]
    assert lines == [f"line {i}" for i in range(1, 6)]


@pytest.mark.parametrize(
    ("status", "text"),
    [(401, "Make one in RunPod's settings"), (402, "Add credit"), (409, "console"),
     (422, "interface may have changed"), (404, "resource|test wants")],
)  # fmt: skip
def test_a_refusal_names_the_next_step_and_is_not_repeated(runpod, target, spec, status, text):
    runpod.inject(str(status), method="POST", path="/pods$", times=9)
    with pytest.raises(RunPodError, match=text) as refused:
        target.submit(spec("true"))
    assert refused.value.status == status
    assert len(creations(runpod)) == 1
    assert runpod.key not in str(refused.value)


def test_without_credit_nothing_is_rented(runpod, target, spec):
    runpod.broke = True
    with pytest.raises(RunPodError, match=r"insufficient balance.*Nothing was started"):
        target.submit(spec("true", flavor=f"{L4},{A4000}"))
    assert len(creations(runpod)) == 1


def test_a_wish_to_wait_is_followed_to_the_end_of_patience(runpod, target, spec, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    runpod.inject("429", method="POST", path="/pods$", times=2, headers={"Retry-After": "7"})
    assert not target.submit(spec("true")).adopted
    assert waited.count(7.0) == 2
    runpod.inject("429", path="/catalog", times=99, headers={"Retry-After": "900"})
    with pytest.raises(RunPodError, match="again in 900 s"):
        target.submit(spec("true"))
    assert max(waited) <= 120


def test_a_service_that_is_away_for_a_moment_is_asked_again(runpod, target, spec):
    runpod.inject("503", method="GET", times=2)
    handle = target.submit(spec("sleep 600"))
    runpod.inject("500", method="DELETE", times=1)
    runpod.inject("drop", method="DELETE", times=1)
    target.cancel(handle)
    assert runpod.there() == []
    runpod.inject("503", method="GET", times=99)
    with pytest.raises(RunPodError, match=r"HTTP 503.*Run the same command again"):
        target.find()


def test_what_still_costs_money_is_found_with_its_price(runpod, target, spec):
    asked = spec("sleep 600")
    target.submit(asked)
    late = target.submit(spec("sleep 600", timeout_s=0, flavor=A4000))
    Client().create({"name": "somebody-elses", "image": "a/b", "args": "--help",
                     "gpu": {"id": L4}})  # fmt: skip
    first, second = target.leftovers()
    assert (first.fingerprint, first.hardware, first.usd_per_hour) == (asked.fingerprint, L4, 0.44)
    assert (first.spare, second.spare, second.id) == (False, True, late.id)
    for left in (first, second, second):
        target.remove(left)
    assert target.leftovers() == []
    (other,) = runpod.there()
    Client().terminate(other.id)


def test_a_token_can_stay_in_runpods_own_store(runpod, target, spec, monkeypatch):
    monkeypatch.setenv("RUNPOD_SECRET_HF_TOKEN", "hf")
    runpod.secrets["hf"] = "kept-there"
    target.submit(spec("sleep 600"))
    (pod,) = runpod.there()
    sent, found = pod.spec["env"], pod.environment
    assert [env["HF_TOKEN"] for env in (sent, found)] == ["{{ RUNPOD_SECRET_hf }}", "kept-there"]


def test_what_is_missing_is_asked_for_before_anything_is_rented(
    runpod, target, spec, tmp_path, monkeypatch
):
    with pytest.raises(TargetError, match="NO_SUCH_SECRET"):
        target.submit(spec("true", secrets=("NO_SUCH_SECRET",)))
    with pytest.raises(TargetError, match="needs a registry"):
        open_target("runpod", work=tmp_path, registry="registry").submit(spec("true"))
    monkeypatch.setenv("RUNPOD_API_URL", "http://example.org/v2")
    with pytest.raises(TargetError, match="unencrypted"):
        open_target("runpod", work=tmp_path)
    monkeypatch.delenv("RUNPOD_API_KEY")
    with pytest.raises(TargetError, match="RUNPOD_API_KEY: received nothing"):
        open_target("runpod", work=tmp_path)
    assert runpod.pods == {}


def test_an_answer_of_another_form_has_a_text(runpod, target, monkeypatch):
    monkeypatch.setattr(runpod, "there", lambda: [type("Odd", (), {"info": lambda _: {}})()])
    with pytest.raises(RunPodError, match="does not understand"):
        target.find()
    runpod.wrong.clear()
    monkeypatch.undo()
