"""Runs as processes of this machine: adopted, followed, stopped, and told how they ended."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from road_kit import wait_for

from trainer.targets import Handle, RunSpec, TargetError, open_target

FP = "0123456789abcdef"


# what a test waits for before it sends a signal is printed with its newline, in one write: an
# unbuffered print writes the newline by itself, and the signal may come between the two
def spec(code: str, **more) -> RunSpec:
    return RunSpec(FP, (sys.executable, "-c", code), **more)


@pytest.fixture
def target(tmp_path: Path):
    """Return the local target; whatever a test left running is stopped."""
    found = open_target("local", work=tmp_path)
    yield found
    for handle in found.find():
        found.cancel(handle)


def test_a_run_is_followed_to_its_end(target):
    handle = target.submit(spec("import os; print('one'); print(os.environ['X'])", env={"X": "ü"}))
    assert list(target.logs(handle)) == ["one", "ü"]
    assert (target.status(handle).stage, target.status(handle).exit_code) == ("done", 0)
    assert target.find() == []
    assert [h.fingerprint for h in target.find(FP, ended=True)] == [FP]


def test_a_second_submit_adopts_the_first(target):
    first = target.submit(spec("import time; time.sleep(600)"))
    second = target.submit(spec("raise SystemExit('never started')"))
    assert not first.adopted
    assert second.adopted
    assert target.status(second).stage == "running"
    assert len(target.find()) == 1


def test_a_cancelled_run_is_asked_to_leave(target):
    code = (
        "import signal, sys, time\n"
        "def stop(*_): print('saved', flush=True); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready\\n', end='', flush=True)\n"
        "time.sleep(600)"
    )
    handle = target.submit(spec(code))
    wait_for(lambda: "ready" in list(target.logs(handle, follow=False)))
    target.cancel(handle)
    state = target.status(handle)
    assert (state.stage, state.exit_code) == ("cancelled", 75)
    assert list(target.logs(handle))[-1] == "saved"
    target.cancel(handle)  # one that has ended stays as it is
    assert target.find() == []


@pytest.mark.parametrize(
    ("code", "limit", "message", "exit_code"),
    [
        ("raise SystemExit(3)", 60, "exit code 3", 3),
        ("import time; time.sleep(600)", 1, "timeout", 124),
    ],
)
def test_a_run_that_fails_says_how(target, code, limit, message, exit_code):
    handle = target.submit(spec(code, timeout_s=limit))
    wait_for(lambda: target.status(handle).ended)
    state = target.status(handle)
    assert state.stage == "failed"
    assert message in state.message
    assert state.exit_code == exit_code
    assert target.find() == []


def test_a_killed_run_is_seen_and_can_be_started_again(target, tmp_path):
    # the child tells its own number: it outlives a keeper that is killed
    handle = target.submit(spec("import os, time; print(os.getpid(), flush=True); time.sleep(600)"))
    (child,) = wait_for(lambda: list(target.logs(handle, follow=False)))
    run = json.loads((tmp_path / "targets" / FP / "run.json").read_text())
    os.kill(run["pid"], signal.SIGKILL)
    os.kill(int(child), signal.SIGKILL)
    wait_for(lambda: target.status(handle).ended)
    assert target.status(handle).stage == "failed"
    assert "killed" in target.status(handle).message
    again = target.submit(spec("print('again')"))
    assert not again.adopted
    assert list(target.logs(again)) == ["again"]


def test_a_number_that_another_process_has_now_is_not_ours(target, tmp_path):
    folder = tmp_path / "targets" / FP
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"pid": os.getpid(), "born": "1"}))
    assert target.find() == []
    target.cancel(Handle("local", FP, "", FP))  # and is not stopped


def test_what_cannot_start_is_refused(target, tmp_path):
    with pytest.raises(TargetError, match="NO_SUCH_SECRET"):
        target.submit(spec("", secrets=("NO_SUCH_SECRET",)))
    handle = target.submit(RunSpec(FP, ("no-such-command",)))
    wait_for(lambda: target.status(handle).ended)
    assert target.status(handle).exit_code == 127
    with pytest.raises(TargetError, match=r"expected one of local, docker"):
        open_target("moon", work=tmp_path)


def test_who_asks_at_the_very_same_moment_gets_the_same_run(tmp_path):
    # each asks in a process of its own, as two commands do
    ask = (
        "import pathlib, sys; from trainer.targets import RunSpec, open_target\n"
        "command = (sys.executable, '-c', 'import os, time; print(os.getpid()); time.sleep(600)')\n"
        f"handle = open_target('local', work=pathlib.Path({str(tmp_path)!r}))"
        f".submit(RunSpec({FP!r}, command))\n"
        "print(handle.adopted)"
    )
    askers = [
        subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    answers = [asker.communicate()[0].strip() for asker in askers]
    target = open_target("local", work=tmp_path)
    assert sorted(answers) == ["False", *["True"] * 5]
    (handle,) = target.find()
    target.cancel(handle)
    assert len(list(target.logs(handle))) <= 1  # one command ran


def test_nothing_starts_beside_a_run_whose_keeper_was_killed_until_it_has_saved(target, tmp_path):
    code = (
        "import os, pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        f"    while not pathlib.Path({str(tmp_path / 'saved')!r}).exists(): time.sleep(0.01)\n"
        "    print('saved', flush=True); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print(f'{os.getpid()}\\n', end='', flush=True)\n"
        "time.sleep(600)"
    )
    handle = target.submit(spec(code))
    (child,) = wait_for(lambda: list(target.logs(handle, follow=False)))
    keeper = json.loads((tmp_path / "targets" / FP / "run.json").read_text())["pid"]
    os.kill(keeper, signal.SIGKILL)
    assert target.status(handle).stage == "running"
    assert target.submit(spec("raise SystemExit('never started')")).adopted
    assert [left.id for left in target.leftovers()] == [FP]
    (tmp_path / "saved").touch()
    wait_for(lambda: target.status(handle).ended)
    assert list(target.logs(handle)) == [child, "saved"]  # it was told, though nobody told it
    assert target.find() == []


def test_what_does_not_listen_is_killed_in_the_end(target, monkeypatch):
    monkeypatch.setattr("trainer.targets.local._PATIENCE_S", 0.5)
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(f'{os.getpid()}\\n', end='', flush=True)\n"
        "time.sleep(600)"
    )
    handle = target.submit(spec(code))
    (child,) = wait_for(lambda: list(target.logs(handle, follow=False)))
    (left,) = target.leftovers()
    assert (left.kind, left.fingerprint, left.usd_per_hour, left.spare) == ("process", FP, 0, False)
    target.remove(left)
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert target.leftovers() == []
    target.remove(left)  # what is gone is no error
