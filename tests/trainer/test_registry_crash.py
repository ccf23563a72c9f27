"""The registry when processes are killed, and when many write at once."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_kit import Run, in_child, released_registry, require_sound

from polyid.checksums import TamperedError, verify
from polyid.store import resolve
from trainer.registry import LocalRegistry, NotPublishable, RegistryError

#: What Python announces before it changes a file; the kill comes at one of these.
CHANGES = frozenset(
    {"open", "os.mkdir", "os.link", "os.rename", "os.chmod", "os.remove", "os.rmdir", "os.truncate"}
)


def killed_at(step: int, folder: Path, work: Callable[[], object]) -> Callable[[], object]:
    """Make ``work`` kill its own process at its ``step``-th change below ``folder``."""
    count = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal count
        if event in CHANGES and any(str(folder) in str(a) for a in arguments):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched() -> None:
        sys.addaudithook(watch)
        work()

    return watched


@pytest.fixture
def released(tmp_path: Path) -> LocalRegistry:
    return released_registry(tmp_path)


@pytest.fixture
def second(tmp_path: Path) -> Run:
    return Run(tmp_path / "run-b", data="b", champion="v1.0.0").write()


class TestKilled:
    def test_at_every_step_of_storing_a_candidate(
        self, released: LocalRegistry, second: Run, tmp_path: Path
    ) -> None:
        def work(path: Path) -> Callable[[], object]:
            return lambda: LocalRegistry(path).add_candidate(second.folder, second.fingerprint)

        def between(path: Path) -> None:
            found = LocalRegistry(path)
            if found.has_candidate(second.fingerprint):
                verify(found.folder(f"candidate/{second.fingerprint}"))

        kills = self.kill_everywhere(released, tmp_path, work, between)
        assert kills > 30

    def test_at_every_step_of_a_publication(
        self, released: LocalRegistry, second: Run, tmp_path: Path
    ) -> None:
        released.add_candidate(second.folder, second.fingerprint)

        def work(path: Path) -> Callable[[], object]:
            return lambda: LocalRegistry(path).publish(second.fingerprint)

        seen = set()

        def between(path: Path) -> None:
            for tag in [r.tag for r in LocalRegistry(path).releases()]:
                resolve(f"{path}@{tag}")
            seen.add((len(LocalRegistry(path).releases()), resolve(str(path)).revision))

        kills = self.kill_everywhere(released, tmp_path, work, between)
        assert kills > 30
        # before, after the release appeared, and after it became current
        assert seen == {(1, "v1.0.0"), (2, "v1.0.0"), (2, "v1.1.0")}

    def test_at_every_step_of_a_rollback(
        self, released: LocalRegistry, second: Run, tmp_path: Path
    ) -> None:
        released.add_candidate(second.folder, second.fingerprint)
        released.publish(second.fingerprint)

        def work(path: Path) -> Callable[[], object]:
            return lambda: LocalRegistry(path).rollback("v1.0.0")

        seen = set()
        self.kill_everywhere(
            released, tmp_path, work, lambda path: seen.add(resolve(str(path)).revision)
        )
        assert seen == {"v1.0.0", "v1.1.0"}

    def kill_everywhere(
        self,
        registry: LocalRegistry,
        tmp_path: Path,
        work: Callable[[Path], Callable[[], object]],
        between: Callable[[Path], object],
    ) -> int:
        """Kill ``work`` at every change it makes, look, and run it again to its end."""
        for step in range(1, 1000):
            path = tmp_path / "copies" / str(step)
            shutil.copytree(registry.path, path)
            code = in_child(killed_at(step, path, work(path)))
            if code == 0:
                return step - 1
            assert code == -signal.SIGKILL
            between(path)  # a reader finds the old state or the new one, whole
            assert in_child(work(path)) == 0  # and the same command finishes the job
            require_sound(LocalRegistry(path))
            shutil.rmtree(path)
        raise AssertionError("this never ends")

    def test_at_random_moments_of_a_large_one(self, tmp_path: Path) -> None:
        run = Run(tmp_path / "run", weights=os.urandom(1 << 20) * 40).write()
        path = tmp_path / "registry"
        program = (
            "import sys; from pathlib import Path; from trainer.registry import LocalRegistry\n"
            "r = LocalRegistry(sys.argv[1]); print('start', flush=True)\n"
            "r.add_candidate(Path(sys.argv[2]), sys.argv[3]); r.publish(sys.argv[3])"
        )
        command = [sys.executable, "-c", program, str(path), str(run.folder), run.fingerprint]
        endings = []
        for wait in (0.005, 0.02, 0.05, 0.1, 0.2, 30):
            with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as process:
                assert process.stdout
                process.stdout.readline()
                end = time.monotonic() + wait
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.002)
                process.kill()
            endings.append(process.returncode)
            if (path / "current.json").exists():
                assert resolve(str(path)).fingerprint == run.fingerprint
        assert endings[0] == -signal.SIGKILL
        assert endings[-1] == 0
        require_sound(LocalRegistry(path))
        assert len(LocalRegistry(path).releases()) == 1

    def test_a_torn_line_of_history_is_written_again(
        self, released: LocalRegistry, second: Run
    ) -> None:
        released.add_candidate(second.folder, second.fingerprint)
        released.publish(second.fingerprint)
        history = released.path / "history.jsonl"
        whole = history.read_bytes()
        for cut in (len(whole) - 1, len(whole) - 40, len(whole) // 2, 3):
            history.write_bytes(whole[:cut])
            assert len(released.history()) == whole[:cut].count(b"\n")
            if whole[:cut].count(b"\n"):
                released.rollback("v1.1.0")  # already current: this only tidies
                assert history.read_bytes() == whole

    def test_a_release_that_was_swapped_does_not_become_current(
        self, released: LocalRegistry, second: Run
    ) -> None:
        released.add_candidate(second.folder, second.fingerprint)
        before = (released.path / "current.json").read_bytes()
        released.publish(second.fingerprint)
        (released.path / "current.json").write_bytes(before)  # as if killed here
        (released.path / "releases" / "v1.1.0" / "metrics.json").unlink()
        with pytest.raises(TamperedError, match="metrics"):
            released.rollback("v1.0.0")


def race(path: Path, folder: Path, names: list[str], answers: multiprocessing.SimpleQueue) -> None:
    """Publish the runs ``names``, judging each again whenever another one came first."""
    registry = LocalRegistry(path)
    for name in names:
        run = Run(folder / name, data=name).write()
        registry.add_candidate(run.folder, run.fingerprint)
    for name in names:
        for _attempt in range(200):
            current = registry.current()
            run = Run(folder / name, data=name, champion=current.tag if current else None).write()
            try:
                registry.regate(run.fingerprint, run.folder)
                release = registry.publish(run.fingerprint)
            except NotPublishable:
                continue
            answers.put((name, release.tag, release.status))
            break


def test_eight_processes_publish_at_once(tmp_path: Path) -> None:
    count, path = 8, tmp_path / "registry"
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    names = [f"run{number}" for number in range(16)]
    shares = [names[i::count] + names[(i + 1) % count :: count] for i in range(count)]  # two each
    processes = [
        context.Process(target=race, args=(path, tmp_path / f"work{i}", share, answers))
        for i, share in enumerate(shares)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    told = [answers.get() for share in shares for _ in share]
    registry = LocalRegistry(path)
    require_sound(registry)
    released = {r.fingerprint: r.tag for r in registry.releases()}
    assert sorted(released.values(), key=lambda t: int(t.split(".")[1])) == [
        f"v1.{minor}.0" for minor in range(len(names))
    ]
    assert len(told) == 2 * len(names)
    assert {(name, tag) for name, tag, _ in told} == {
        (name, released[Run(tmp_path, data=name).fingerprint]) for name in names
    }
    assert [status for _, _, status in told].count("published") == len(names)


def test_a_lock_that_is_held_is_named(released: LocalRegistry, second: Run) -> None:
    import filelock

    patient = LocalRegistry(released.path, lock_seconds=0.1)
    with (
        filelock.FileLock(released.path / ".lock"),
        pytest.raises(RegistryError, match="Another process has been writing"),
    ):
        patient.add_candidate(second.folder, second.fingerprint)
    patient.add_candidate(second.folder, second.fingerprint)


def test_history_is_one_line_per_event(released: LocalRegistry) -> None:
    lines = (released.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["tag"] for line in lines] == ["v1.0.0"]
