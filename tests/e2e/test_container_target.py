"""Runs as containers, by the docker SDK against a real engine: started, adopted, stopped, told."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from container_kit import Podman
from road_kit import wait_for

from trainer.targets import (
    LABEL,
    Handle,
    Leftover,
    Mount,
    RunSpec,
    TargetError,
    docker_engine,
    open_target,
)
from trainer.targets.docker import DockerTarget

pytestmark = pytest.mark.slow

FP = "0123456789abcdef"
SECRET = "hf_" + "marker" * 5
# "ready" and its newline are one write: a signal that comes after it does not part them
PATIENT = r"""
import signal, sys, time
def stop(*_):
    print('saved', flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
print('ready\n', end='', flush=True)
time.sleep(600)
"""


@pytest.fixture
def target(engine_url: str) -> Iterator[DockerTarget]:
    """Return the target; whatever a test left is removed."""
    found = DockerTarget(engine_url)
    yield found
    for container in found.client.containers.list(all=True, filters={"label": [f"{LABEL}={FP}"]}):
        container.remove(force=True)


@pytest.fixture
def spec(base_image: str):
    """Return what makes the specification of a run of Python code."""

    def make(code: str, **more) -> RunSpec:
        given = {"image": base_image, "network": False, **more}
        return RunSpec(FP, ("python3", "-uc", code), **given)

    return make


def container(target: DockerTarget) -> docker.models.containers.Container:
    (found,) = target.client.containers.list(all=True, filters={"label": [f"{LABEL}={FP}"]})
    return found


def test_a_run_is_followed_to_its_end(target, spec, tmp_path):
    (tmp_path / "in.txt").write_text("told")
    code = (
        "import os, pathlib\n"
        "print(pathlib.Path('/srv/run/in.txt').read_text(), os.environ['X'])\n"
        "pathlib.Path('/srv/run/out/made.txt').write_text('made')\n"
        "pathlib.Path(os.getcwd(), 'scratch').write_text('')\n"
        "print('no newline', end='')"
    )
    mounts = (
        Mount(tmp_path / "in.txt", "/srv/run/in.txt"),
        Mount(tmp_path / "new" / "out", "/srv/run/out", writable=True),
    )
    handle = target.submit(spec(code, env={"X": "ü"}, mounts=mounts))
    assert list(target.logs(handle)) == ["told ü", "no newline"]
    wait_for(lambda: target.status(handle).ended)
    assert (target.status(handle).stage, target.status(handle).exit_code) == ("done", 0)
    made = tmp_path / "new" / "out" / "made.txt"
    assert made.read_text() == "made"
    assert (made.stat().st_uid, made.stat().st_gid) == (os.getuid(), os.getgid())
    assert target.find() == []
    assert [h.fingerprint for h in target.find(FP, ended=True)] == [FP]


def test_what_it_may_not_do(target, spec, tmp_path):
    code = (
        "import os, socket\n"
        "def attempt(what, call):\n"
        "    try: call(); print(what, 'done')\n"
        "    except OSError as error: print(what, 'refused')\n"
        "attempt('root file system', lambda: open('/etc/x', 'w'))\n"
        "attempt('input', lambda: open('/srv/run/in.txt', 'w'))\n"
        "attempt('network', lambda: socket.create_connection(('192.0.2.1', 80), 2))\n"
        "attempt('ownership', lambda: os.chown('/srv/run', 5, 5))\n"
        "attempt('scratch', lambda: open('/srv/run/x', 'w'))\n"
    )
    (tmp_path / "in.txt").write_text("")
    mounts = (Mount(tmp_path / "in.txt", "/srv/run/in.txt"),)
    handle = target.submit(spec(code, mounts=mounts))
    assert list(target.logs(handle)) == [
        "root file system refused", "input refused", "network refused", "ownership refused",
        "scratch done",
    ]  # fmt: skip


def test_a_second_submit_adopts_the_first(target, spec):
    first = target.submit(spec("import time; time.sleep(600)"))
    second = target.submit(spec("raise SystemExit('never started')"))
    assert not first.adopted
    assert second.adopted
    assert second.id == first.id
    assert target.status(second).stage == "running"
    assert container(target).name == f"polyid-{FP}"


def test_submits_at_the_same_moment_make_one_container(target, spec, engine_url):
    handles: list[Handle] = []
    run = spec("import time; time.sleep(600)")
    crowd = [
        threading.Thread(target=lambda: handles.append(DockerTarget(engine_url).submit(run)))
        for _ in range(4)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert len(handles) == 4
    assert {handle.id for handle in handles} == {container(target).id}
    assert sum(not handle.adopted for handle in handles) == 1


def test_a_container_that_was_made_and_never_started_is_started(target, spec):
    run = spec("print('at last')")
    options = target._options(run) | {"environment": {}}
    target.client.containers.create(run.image, **options)
    assert [target.status(h).stage for h in target.find(FP)] == ["queued"]
    handle = target.submit(run)
    assert handle.adopted
    assert list(target.logs(handle)) == ["at last"]


def test_a_cancelled_run_is_asked_to_leave_and_can_be_started_again(target, spec):
    handle = target.submit(spec(PATIENT))
    wait_for(lambda: "ready" in list(target.logs(handle, follow=False)))
    target.cancel(handle)
    state = target.status(handle)
    assert (state.stage, state.exit_code) == ("cancelled", 75)
    assert list(target.logs(handle))[-1] == "saved"
    target.cancel(handle)  # one that has ended stays as it is
    assert target.find() == []

    again = target.submit(spec("print('resumed')"))
    assert not again.adopted
    assert list(target.logs(again)) == ["resumed"]
    assert len(target.find(FP, ended=True)) == 1
    assert target.status(handle).message == "its container was removed"
    target.cancel(handle)  # and neither is that an error
    with pytest.raises(TargetError, match="removed with its log"):
        list(target.logs(handle))


def test_a_killed_run_is_seen(target, spec):
    handle = target.submit(spec(PATIENT))
    wait_for(lambda: "ready" in list(target.logs(handle, follow=False)))
    container(target).kill("SIGKILL")
    wait_for(lambda: target.status(handle).ended)
    state = target.status(handle)
    assert (state.stage, state.exit_code) == ("failed", 137)
    assert "killed" in state.message


@pytest.mark.parametrize(
    ("code", "limit", "stage", "message", "exit_code"),
    [
        ("raise SystemExit(2)", 60, "failed", "exit code 2", 2),
        (PATIENT, 1, "failed", "timeout", 124),
        ("import os; os.kill(os.getpid(), 15)", 60, "cancelled", "stopped", 143),
    ],
)
def test_how_it_ended_is_told(target, spec, code, limit, stage, message, exit_code):
    handle = target.submit(spec(code, timeout_s=limit))
    wait_for(lambda: target.status(handle).ended)
    state = target.status(handle)
    assert (state.stage, state.exit_code) == (stage, exit_code)
    assert message in state.message


def test_a_secret_goes_along_and_is_shown_nowhere_but_to_the_run(target, spec, monkeypatch, podman):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    run = spec("import os; print(len(os.environ['HF_TOKEN']))", secrets=("HF_TOKEN",),
               labels={"made-by": "a test"})  # fmt: skip
    handle = target.submit(run)
    assert list(target.logs(handle)) == [str(len(SECRET))]
    found = container(target)
    assert found.labels["made-by"] == "a test"
    told = dict(found.attrs)
    environment = told["Config"].pop("Env")
    assert f"HF_TOKEN={SECRET}" in environment
    told["Config"].pop("CreateCommand", None)
    assert SECRET not in json.dumps(told)
    assert SECRET not in json.dumps(found.image.attrs) + json.dumps(found.image.history())
    assert SECRET not in podman("ps", "-a", "--format", "json").stdout


def test_what_cannot_start_is_refused_and_leaves_nothing(target, spec, monkeypatch, base_image):
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    with pytest.raises(TargetError, match="NO_SUCH_SECRET"):
        target.submit(spec("", secrets=("NO_SUCH_SECRET",)))
    with pytest.raises(TargetError, match="--image: received nothing"):
        target.submit(spec("", image=""))
    with pytest.raises(TargetError, match=r"there is no image polyid-nothing.*make images"):
        target.submit(spec("", image="polyid-nothing"))
    with pytest.raises(TargetError, match=r"cannot be pulled .*docker login"):
        target.submit(spec("", image="127.0.0.1:9/polyid@sha256:" + "0" * 64))
    with pytest.raises(TargetError, match="/no/such/file, which the run reads"):
        target.submit(spec("", mounts=(Mount(Path("/no/such/file"), "/srv/run/x"),)))
    assert target.find(FP, ended=True) == []


def test_a_command_that_is_not_in_the_image_ends_it(target, base_image):
    handle = target.submit(RunSpec(FP, ("no-such-command",), image=base_image, network=False))
    wait_for(lambda: target.status(handle).ended)
    assert target.status(handle).exit_code == 127


def test_no_engine_and_no_permission_are_told(engine_url, monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(docker_engine, "usual_sockets", lambda: [tmp_path / "none.sock"])
    with pytest.raises(TargetError, match=r"none\.sock.*systemctl"):
        open_target("docker", work=tmp_path).find()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone.sock")
    with pytest.raises(TargetError, match=r"No container engine answers at .*gone\.sock"):
        open_target("docker", work=tmp_path).find()
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    assert isinstance(open_target("docker", work=tmp_path).find(FP), list)
    folder = Path(engine_url.removeprefix("unix://")).parent
    mode, user = folder.stat().st_mode, os.geteuid()
    folder.chmod(0o700 if user == 0 else 0o000)
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(TargetError, match=r"does not let user .*usermod -aG docker"):
            DockerTarget(engine_url).find()
    finally:
        os.seteuid(user)
        folder.chmod(mode)


@pytest.mark.parametrize(
    ("runtimes", "described", "wanted"),
    [
        ({"runc": {}, "nvidia": {}}, [], "device_requests"),
        ({"runc": {}}, ["nvidia.yaml"], "devices"),
        ({"runc": {}}, ["other.yaml"], None),
        ({}, [], None),
    ],
)
def test_gpus_are_asked_for_where_there_are_some(tmp_path, runtimes, described, wanted):
    for name in described:
        (tmp_path / name).write_text("")
    options = docker_engine.gpu_options({"Runtimes": runtimes}, (tmp_path, tmp_path / "none"))
    assert list(options) == ([wanted] if wanted else [])
    if wanted == "device_requests":
        (request,) = options[wanted]
        assert (request["Count"], request["Capabilities"]) == (-1, [["gpu"]])


def test_what_is_left_is_found_and_removed(target, spec):
    handle = target.submit(spec(PATIENT))
    wait_for(lambda: "ready" in list(target.logs(handle, follow=False)))

    def ours() -> list[Leftover]:
        return [left for left in target.leftovers() if left.fingerprint == FP]

    (left,) = ours()
    now = datetime.now(UTC)
    assert (left.kind, left.id, left.usd(now)) == ("container", handle.id, 0)
    assert 0 <= left.hours(now) < 1
    target.cancel(handle)
    assert ours() == [left]  # its log takes room
    target.remove(left)
    assert ours() == []
    target.remove(left)  # what is gone is no error


def test_podman_is_what_runs_them(podman: Podman, target, spec):
    handle = target.submit(spec("print('here')"))
    list(target.logs(handle))
    assert f"polyid-{FP}" in podman("ps", "-a", "--format", "{{.Names}}").stdout
