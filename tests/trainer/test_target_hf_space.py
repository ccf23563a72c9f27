"""Runs in a Training Space of the test Hub: rented once, followed, and always given back."""

import json
import os
import secrets
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hub_kit import Hub
from road_kit import ROOT, TRAINER, Road, wait_for

from polyid.hub_errors import HubError
from trainer import endnote, inputs
from trainer.endnote import EndNote
from trainer.plan import make_plan
from trainer.targets import Handle, RunSpec, TargetError, open_target
from trainer.targets.hf_space import HubSpace

PATIENCE = 240.0
#: An application that stays, answers on its port, and says something.
STAYS = [
    "sh", "-c", "echo line 1; echo line 2; exec python -m http.server $PORT --bind 127.0.0.1",
]  # fmt: skip
#: The page as the image starts it; its work folder goes with the container.
PAGE = ["sh", "-c", "exec python -m trainer.cli ui --work runs --linger 1 --port $PORT"]

pytestmark = pytest.mark.usefixtures("hub_home")


@pytest.fixture
def repo(hub: Hub) -> str:
    """Return a registry that is there, with a branch for the inputs of `spec`'s runs."""
    name = hub.name("model")
    hub.api().create_repo(name, private=True)
    return name


@pytest.fixture
def space(hub: Hub):
    """Return the name of a Space; whatever it became is deleted."""
    name = hub.name("polyid-trainer")
    yield name
    hub.clear_faults()
    hub.api().delete_repo(name, repo_type="space", missing_ok=True)


@pytest.fixture
def target(space: str, tmp_path: Path) -> HubSpace:
    found = open_target("hf-space", work=tmp_path, namespace=space)
    assert isinstance(found, HubSpace)
    return found


def spec(hub: Hub, repo: str, **more) -> RunSpec:
    mark = secrets.token_hex(8)
    hub.api().create_branch(repo, branch=inputs.branch(mark))
    command = ("trainer", "job", "--registry", f"hf://{repo}", "--inputs", mark)
    given = {"image": "a/b@sha256:c", "flavor": "t4-small", "secrets": ("HF_TOKEN",)}
    return RunSpec(mark, command, **(given | more))


def runs(hub: Hub, space: str, command: list[str]) -> None:
    """Make an empty Space, and say what runs in it once it is pushed to."""
    hub.api().create_repo(space, repo_type="space", space_sdk="docker", private=True)
    hub.space(space, command=command)


def stage(hub: Hub, space: str) -> str:
    return str(hub.api().get_space_runtime(space).stage)


def end(repo: str, handle: Handle, code: int = 0, log: str | None = None) -> None:
    endnote.write(repo, handle.fingerprint, EndNote(handle.id, code, 1.0), log)


def test_a_space_is_made_private_with_secrets_hardware_and_an_end(hub, repo, space, target):
    asked = spec(hub, repo, env={"WHO": "me"}, timeout_s=7200)
    handle = target.submit(asked)
    api = hub.api()
    assert api.repo_info(space, repo_type="space").private
    runtime = api.get_space_runtime(space)
    assert (runtime.requested_hardware, runtime.sleep_time) == ("t4-small", 7200 + 3600)
    seen = hub.space(space)
    assert seen["secrets"]["HF_TOKEN"] == hub.owner_token
    assert len(seen["secrets"]["UI_PASSWORD"]) > 20  # nobody knows it, but there is a door
    assert seen["variables"]["WHO"] == "me"
    assert seen["variables"]["UI_USERS"] == "acme"
    assert hub.owner_token not in json.dumps(seen["variables"])
    files = {n: hub.git(space, "show", f"main:{n}", repo_type="space")
             for n in ("Dockerfile", "README.md")}  # fmt: skip
    assert files["Dockerfile"].startswith("FROM a/b@sha256:c\n")
    assert "hf_oauth: true" in files["README.md"]
    wait_for(lambda: target.status(handle).stage == "running")
    end(repo, handle)
    assert target.status(handle).stage == "done"
    assert stage(hub, space) == "PAUSED"
    assert target.find(asked.fingerprint) == []
    assert [h.id for h in target.find(asked.fingerprint, ended=True)] == [handle.id]


def test_a_second_dispatch_adopts_another_is_refused_and_later_it_may(hub, repo, space, target):
    asked, other = spec(hub, repo), spec(hub, repo)
    first, second = target.submit(asked), target.submit(asked)
    assert (second.id, second.adopted, first.adopted) == (first.id, True, False)
    with pytest.raises(TargetError, match="one at a time"):
        target.submit(other)
    end(repo, first, code=1)
    assert target.status(first).stage == "failed"
    third = target.submit(other)
    assert third.id != first.id
    wait_for(lambda: target.status(third).stage == "running")
    assert "taken the Space over" in target.status(first).message
    target.cancel(first)  # is not its Space any more
    assert target.status(third).stage == "running"
    target.cancel(third)
    assert (stage(hub, space), target.status(third).stage) == ("PAUSED", "cancelled")
    again = target.submit(other)  # a run that left no word is started anew
    assert again.id != third.id
    target.cancel(again)


def test_somebody_elses_space_is_left_as_it_is(hub, repo, space, target):
    hub.api().create_repo(space, repo_type="space", space_sdk="docker")
    hub.space(space, stage="RUNNING")
    hub.calls(clear=True)
    with pytest.raises(TargetError, match="another application"):
        target.submit(spec(hub, repo))
    changed = [c for c in hub.calls() if c["method"] != "GET" and f"spaces/{space}" in c["path"]]
    assert changed == []
    assert target.find() == []


@pytest.mark.parametrize("path", ["/secrets$", "/variables$", "/hardware$", "/commit/main$"])
def test_a_start_that_breaks_off_leaves_nothing_rented(hub, repo, space, target, path):
    hub.inject("403", method="POST", path=f"spaces/{space}{path}")
    with pytest.raises(HubError, match="no right"):
        target.submit(spec(hub, repo))
    assert stage(hub, space) in ("NO_APP_FILE", "PAUSED")
    assert target.leftovers() == []


def test_a_start_whose_answer_was_lost_is_finished_by_the_next(hub, repo, space, target):
    asked = spec(hub, repo)
    hub.inject("drop_after", method="POST", path=f"spaces/{space}/hardware$")
    with pytest.raises(HubError, match="no answer"):
        target.submit(asked)
    assert target.leftovers() == []
    handle = target.submit(asked)
    wait_for(lambda: target.status(handle).stage == "running")
    target.cancel(handle)


def test_without_credit_it_says_what_to_buy(hub, repo, space, target):
    hub.settings(free_account=True)
    with pytest.raises(TargetError, match="paid account or credit"):
        target.submit(spec(hub, repo))


@pytest.mark.parametrize("end_stage", ["BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR"])
def test_a_space_that_cannot_run_is_told_and_paused(hub, repo, space, target, end_stage):
    handle = target.submit(spec(hub, repo))
    hub.space(space, stage=end_stage)
    state = target.status(handle)
    assert state.stage == "failed"
    assert end_stage in state.message
    assert stage(hub, space) == "PAUSED"


def test_a_log_is_followed_through_a_restart_and_ends_with_what_was_kept(hub, repo, space, target):
    runs(hub, space, STAYS)
    handle = target.submit(spec(hub, repo))
    lines = target.logs(handle)
    heard = [next(lines)]
    while "line 2" not in heard:
        heard.append(next(lines))
    hub.inject("503", path="/logs/run$")
    end(repo, handle, log="line 1\nline 2\nthe end")
    heard += list(lines)
    assert heard[-1] == "the end"
    assert [x for x in heard if x.startswith("line")] == ["line 1", "line 2"]
    assert target.status(handle).stage == "done"
    assert stage(hub, space) == "PAUSED"


def test_what_a_dead_follower_left_is_found_priced_and_paused(hub, repo, space, target):
    asked = spec(hub, repo)
    handle = target.submit(asked)
    wait_for(lambda: stage(hub, space) == "RUNNING")
    found = next(x for x in target.leftovers() if x.id == space)
    assert (found.kind, found.fingerprint, found.hardware) == (
        "space", asked.fingerprint, "t4-small",
    )  # fmt: skip
    assert found.usd_per_hour == pytest.approx(0.4)
    assert abs((datetime.now(UTC) - found.since).total_seconds()) < 600
    assert not found.spare
    end(repo, handle)  # it has ended, and nobody was there
    assert next(x for x in target.leftovers() if x.id == space).spare
    target.remove(found)
    assert stage(hub, space) == "PAUSED"
    assert space not in [x.id for x in target.leftovers()]
    target.remove(found)  # gone already


@pytest.fixture
def unstarted(tiny_table: pd.DataFrame, tmp_path: Path, hub: Hub) -> Road:
    road = Road.laid(tmp_path / "road", tiny_table)
    return Road(road.folder, f"hf://{hub.name('model')}")


def command(road: Road, space: str, *more: str) -> list[str]:
    places = [w for n in ("data", "params", "gates", "registry", "work")
              for w in (f"--{n}", road.place(n))]  # fmt: skip
    rented = ["--namespace", space, "--image", "a/b@sha256:c", "--flavor", "t4-small"]
    return [*TRAINER, "dispatch", "--target", "hf-space", *places, *rented, *more]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_follower_that_is_told_to_leave_pauses_the_space(hub, space, unstarted, number):
    runs(hub, space, STAYS)
    process = subprocess.Popen(
        command(unstarted, space), cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "line 2" in line:
                break
        process.send_signal(number)
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 75, said
    assert stage(hub, space) == "PAUSED"


@pytest.mark.slow
def test_from_dispatch_to_candidate_and_paused_space(hub, space, unstarted, finished) -> None:
    runs(hub, space, PAGE)
    done = subprocess.run(
        command(unstarted, space, "--json"), cwd=ROOT, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said + hub_log(hub, space)
    answer = json.loads(done.stdout)
    assert (answer["stage"], answer["candidate"]) == ("done", True)
    assert "is stored, verdict pass" in done.stderr  # the run's own log, through the Space's
    assert hub.owner_token not in said + hub_log(hub, space)
    assert stage(hub, space) == "PAUSED"
    mark = make_plan(unstarted.data, unstarted.params, unstarted.work).fingerprint
    repo = unstarted.place("registry").removeprefix("hf://")
    assert f"refs/heads/candidate/{mark}" in hub.refs(repo)
    # started again to look at, it does not do the run a second time
    hub.api().restart_space(space)
    wait_for(lambda: stage(hub, space) == "RUNNING", PATIENCE, 0.3)
    assert "as a dispatch asked" not in newest_log(hub, space)


def hub_log(hub: Hub, space: str) -> str:
    folder = Path(hub.space(space)["folder"])
    return "\n".join(p.read_text() for p in sorted(folder.glob("*/log.txt")))


def newest_log(hub: Hub, space: str) -> str:
    logs = Path(hub.space(space)["folder"]).glob("*/log.txt")
    return max(logs, key=lambda p: int(p.parent.name)).read_text()


@pytest.mark.slow
def test_a_run_that_cannot_start_there_is_told_and_the_hardware_goes_back(hub, repo, space, target):
    runs(hub, space, PAGE)  # the branch of its inputs is empty
    handle = target.submit(spec(hub, repo))
    state = wait_for(lambda: (s := target.status(handle)).ended and s, PATIENCE, 0.3)
    assert (state.stage, state.exit_code) == ("failed", 2)
    wait_for(lambda: stage(hub, space) == "PAUSED", PATIENCE, 0.3)
    assert "Error" in hub_log(hub, space)
    assert sys.executable not in state.message
