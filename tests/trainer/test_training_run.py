"""A run dies at any moment, by any hand, and the same command ends it as if nothing had been."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from road_kit import TINY, Road, changed, in_group, wait_for

from trainer.training import checkpoint
from trainer.training.groups import Group
from trainer.training.status import read_status

pytestmark = pytest.mark.slow

#: Seconds to wait for what a loaded machine takes long for.
LONG = 600.0
OFTEN = {"POLYID_CHECKPOINT_SECONDS": "0"}
MEMBERS = ("member-00", "member-01")


def members(road: Road) -> dict[str, np.ndarray]:
    """Everything that training left of all members, but for how long each epoch took."""
    found = {}
    for name in MEMBERS:
        for key, values in checkpoint.read_arrays(
            road.run_folder() / "members" / f"{name}.npz"
        ).items():
            found[f"{name} {key}"] = np.delete(values, 2, axis=1) if key == "history" else values
    return found


def assert_same(road: Road, other: Road) -> None:
    ours, theirs = members(road), members(other)
    assert ours.keys() == theirs.keys()
    for key, values in ours.items():
        np.testing.assert_array_equal(values, theirs[key], err_msg=key)


def epochs(road: Road) -> dict[int, int]:
    """Finished epochs by member, as the run says."""
    found = list(road.work.glob("*/status.json"))
    said = read_status(found[0].parent) if found else {}
    return {int(k): v for k, v in said.get("finished_epochs", {}).items()}


def newest(road: Road, name: str) -> int:
    """Epoch of the newest checkpoint; one that is being written has no checksum yet."""
    found, _ = checkpoint.newest(road.run_folder() / "checkpoints" / name)
    assert found is not None
    return found.epoch


def has_checkpoint(road: Road, name: str) -> bool:
    """Whether a member has a checkpoint that verifies."""
    folders = [*road.work.glob(f"*/checkpoints/{name}")]
    return bool(folders) and checkpoint.newest(folders[0])[0] is not None


def workers(group: int) -> list[int]:
    """Processes of a run that are workers."""
    return [p for p in in_group(group) if b"trainer.training.worker" in command_of(p)]


def halted(road: Road, group: int, far_enough: Callable[[], bool]) -> None:
    """Halt a run's worker once it has come so far.

    It is halted for every look, so that it cannot reach its end unseen, however loaded the machine
    is.
    """

    def look() -> bool:
        crew = workers(group)
        for worker in crew:
            os.kill(worker, signal.SIGSTOP)
        if crew and far_enough():
            return True
        assert in_group(group), f"the run has ended:\n{road.output}"
        go_on(group)
        return False

    wait_for(look, LONG, step=0.005)  # a fold takes a quarter of a second


def go_on(group: int) -> None:
    """Let a run's worker go on."""
    for worker in workers(group):
        os.kill(worker, signal.SIGCONT)


def command_of(process: int) -> bytes:
    """Return a process's command line; nothing if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def said_resumes(output: str) -> dict[int, int]:
    """Fold and epoch of every line that says where a run goes on."""
    return {int(f): int(e) for f, e in re.findall(r"Resuming fold (\d+) from epoch (\d+)", output)}


def test_stopped_killed_damaged_and_ended_as_if_nothing_had_been(
    finished: Road, fresh: Road
) -> None:
    with fresh.started("train", "--workers", "1") as process:
        halted(fresh, process.pid, lambda: epochs(fresh).get(0, 0) >= 2)
        process.send_signal(signal.SIGTERM)
        go_on(process.pid)
        assert process.wait(60) == 75
        assert in_group(process.pid) == []
    assert "Interrupted" in fresh.output
    assert "same command resumes" in fresh.output
    assert "Traceback" not in fresh.output
    assert read_status(fresh.run_folder())["state"] == "stopped"
    stopped = newest(fresh, MEMBERS[0])
    assert stopped == epochs(fresh)[0]  # no finished epoch is lost

    with fresh.started("train", "--workers", "1", env=OFTEN) as process:
        halted(
            fresh,
            process.pid,
            lambda: len(fresh.checkpoints()) >= 2 and newest(fresh, MEMBERS[0]) > stopped,
        )
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        wait_for(lambda: not in_group(process.pid))
    assert said_resumes(fresh.output) == {0: stopped}
    assert not list(fresh.run_folder().glob("members/*.npz"))

    folder = fresh.run_folder() / "checkpoints" / MEMBERS[0]
    last = folder / f"epoch-{newest(fresh, MEMBERS[0]):06d}.npz"
    os.truncate(last, last.stat().st_size // 2)
    before = newest(fresh, MEMBERS[0])
    done = fresh.call("train", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Warning: {last} does not have the checksum beside it" in done.stdout
    assert said_resumes(done.stdout) == {0: before}
    assert_same(fresh, finished)  # which was trained by two workers in one go
    status = read_status(fresh.run_folder())
    assert (status["state"], status["share"]) == ("trained", 1.0)


def test_done_is_done(finished: Road, walked: Road) -> None:
    done = walked.call("train")
    assert done.returncode == 0
    assert "Training" not in done.stdout
    assert_same(walked, finished)


def test_a_damaged_result_is_not_taken_for_one(walked: Road) -> None:
    group, run = Group((1,)), walked.run_folder()
    assert group.read(run) is not None
    path = group.result(run)
    path.write_bytes(path.read_bytes()[:-100])
    assert group.read(run) is None


def test_sigterm_before_the_first_step(fresh: Road) -> None:
    with fresh.started("train", "--workers", "1") as process:
        wait_for(lambda: workers(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
        assert in_group(process.pid) == []
    assert "Interrupted" in fresh.output
    assert fresh.checkpoints() == []


def test_workers_end_when_their_parent_is_killed(fresh: Road) -> None:
    fresh.write(fresh.params, changed(TINY, training__epochs=5000))  # not over before that
    with fresh.started("train", "--workers", "1") as process:
        halted(fresh, process.pid, lambda: epochs(fresh).get(0, 0) >= 2)
        go_on(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not in_group(process.pid), seconds=30)
    assert newest(fresh, MEMBERS[0]) >= 2


def test_a_worker_that_dies_is_named(fresh: Road) -> None:
    # too long to end by itself before the kill, however late that comes
    fresh.write(fresh.params, changed(TINY, training__epochs=5000))
    with fresh.started("train", "--workers", "2", env=OFTEN) as process:
        wait_for(lambda: all(has_checkpoint(fresh, name) for name in MEMBERS))
        os.kill(min(workers(process.pid)), signal.SIGKILL)
        assert process.wait(60) == 2
        assert in_group(process.pid) == []
    output = fresh.output
    assert re.search(r"training worker \d ended with exit code -9 \(killed, perhaps for", output)
    (log,) = re.findall(r"Its log is (\S+\.log)", output)
    assert Path(log).is_file()
    assert "on the page: it resumes." in output
    assert "Traceback" not in output
    assert all(newest(fresh, name) >= 1 for name in MEMBERS)
