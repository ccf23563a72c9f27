"""Features by several processes are those of one, whatever becomes of the others."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from polyid import crew, crew_helper
from polyid.errors import SmilesError
from polyid.graphs import Features
from polyid.structures import build

ROOT = Path(__file__).parents[2]
#: Distinct, with rings, double bonds and stereo, enough for two helpers.
MANY = [
    f"{'C' * n}{end}"
    for n in range(1, 61)
    for end in ("", "O", "C(=O)O", "c1ccccc1", "/C=C/Cl", "[C@H](F)Br")
]
BAD, WORSE = "C1CC", "C(C"
#: A helper that hands over two chunks and stops for ever with the third in its hands.
STUCK = """
import signal, sys
sys.path[:] = sys.argv[3:]
from polyid import crew_helper
real, calls = crew_helper.pack, []

def pack(number, found):
    calls.append(number)
    if len(calls) == 3:
        signal.pause()
    return real(number, found)

crew_helper.pack = pack
crew_helper.main()
"""
REAL_POPEN = subprocess.Popen


class Crew:
    """The helpers that were started."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.results: list[IO[bytes]] = []

    def start(self, *arguments, **options) -> subprocess.Popen[bytes]:
        self.processes.append(REAL_POPEN(*arguments, **options))
        self.results.append(options["stdout"])
        return self.processes[-1]

    def gone(self) -> bool:
        return all(process.returncode is not None for process in self.processes)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Crew:
    seen = Crew()
    monkeypatch.setattr(crew.subprocess, "Popen", seen.start)
    return seen


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process take nothing from the queue."""
    monkeypatch.setattr(crew, "take", lambda queue: None)


def assert_equal(found: Sequence[Features], expected: Sequence[Features]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(one, other, strict=True):
            assert type(left) is type(right)
            if isinstance(left, np.ndarray):
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)
            else:
                assert left == right


@pytest.fixture(scope="module")
def alone() -> list[Features]:
    return crew.describe(MANY, 1)


def test_several_processes_give_what_one_gives(started: Crew, alone: list[Features]) -> None:
    assert_equal(crew.describe(MANY, 3), alone)
    assert len(started.processes) == 2
    assert started.gone()


def test_helpers_give_what_one_process_gives(
    idle: None, alone: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "features", None)  # all of it is theirs
    assert_equal(crew.describe(MANY, 3), alone)


def test_the_same_quotients_and_vocabulary_in_the_order_given(started: Crew) -> None:
    order = [*MANY[::-1], *MANY[:10]]
    one, several = build(order, 3, processes=1), build(order, 3, processes=3)
    assert started.processes
    assert list(several.vocabulary.atom) == list(one.vocabulary.atom)
    assert list(several.vocabulary.bond) == list(one.vocabulary.bond)
    np.testing.assert_equal(several.quotients, one.quotients)


def test_few_polymers_and_one_process_start_no_helper(
    started: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(MANY[: crew.PER_HELPER - 1] * 3, 1, processes=8)
    build(MANY, 1, processes=1)
    monkeypatch.setattr(crew, "cores", lambda: 1)
    build(MANY, 1)
    assert started.processes == []
    monkeypatch.setattr(crew, "cores", lambda: 2)
    build(MANY, 1)
    assert len(started.processes) == 1


def test_there_are_no_more_helpers_than_there_is_work(started: Crew) -> None:
    crew.describe(MANY, 64)
    assert len(started.processes) == len(MANY) // crew.PER_HELPER


@pytest.mark.parametrize("who", ["everybody", "helpers", "this process"])
@pytest.mark.parametrize("places", [(0, 200), (99, 100), (359,)])
def test_the_first_that_does_not_parse_is_named(
    who: str, places: Sequence[int], started: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = list(MANY)
    for place, text in zip(places, (BAD, WORSE), strict=False):
        texts[place] = text
    with pytest.raises(SmilesError) as expected:
        crew.describe(texts, 1)
    if who == "helpers":
        monkeypatch.setattr(crew, "take", lambda queue: None)
    elif who == "this process":
        monkeypatch.setattr(crew, "_START", "raise SystemExit")
    with pytest.raises(SmilesError) as found:
        crew.describe(texts, 3)
    assert str(found.value) == str(expected.value)
    assert repr(BAD) in str(found.value)
    assert started.processes
    assert started.gone()


def test_what_is_no_text_is_an_error_that_says_so(started: Crew) -> None:
    with pytest.raises(SmilesError, match=r"got nan \(float\)"):
        crew.describe([*MANY, float("nan")], 3)  # type: ignore[list-item]


def test_a_helper_that_is_killed_loses_nothing(
    started: Crew, alone: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_START", STUCK)

    def take(queue: int) -> int | None:
        (results,) = started.results
        while os.pread(results.fileno(), 1 << 20, 0).count(b"\n") < 2:
            time.sleep(0.01)
        started.processes[0].kill()
        return crew_helper.take(queue)

    monkeypatch.setattr(crew, "take", take)
    assert_equal(crew.describe(MANY, 2), alone)
    assert [process.returncode for process in started.processes] == [-signal.SIGKILL]


def test_a_helper_that_dies_with_a_chunk_in_hand_loses_nothing(
    started: Crew, alone: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = "import os, sys; os.read(int(sys.argv[1]), 40); os.write(1, b'[0, [[[]'); os.abort()"
    monkeypatch.setattr(crew, "_START", dying)
    assert_equal(crew.describe(MANY, 3), alone)
    assert started.gone()


@pytest.mark.parametrize("what", ["process", "file"])
def test_without_room_for_helpers_it_goes_on_alone(
    what: str, alone: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_, **__):
        raise OSError("no room")

    if what == "process":
        monkeypatch.setattr(crew.subprocess, "Popen", refuse)
    else:
        monkeypatch.setattr(crew.tempfile, "TemporaryFile", refuse)
    assert_equal(crew.describe(MANY, 3), alone)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_no_process(
    error: type[BaseException], started: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(text: str) -> Features:
        raise error

    monkeypatch.setattr(crew, "features", interrupted)
    with pytest.raises(error):
        crew.describe(MANY, 3)
    assert len(started.processes) == 2
    assert started.gone()


@pytest.mark.parametrize("orphan", [True, False])
def test_a_helper_without_a_parent_takes_nothing(orphan: bool) -> None:
    parent = os.getppid() if orphan else os.getpid()
    with crew._queue(2) as queue, tempfile.TemporaryFile() as texts:
        texts.write(json.dumps([["CC"], ["CO"]]).encode())
        texts.flush()
        command = [sys.executable, "-c", crew._START, str(queue), str(parent), *sys.path]
        done = subprocess.run(command, stdin=texts, stdout=subprocess.PIPE, pass_fds=(queue,))
        assert done.returncode == 0
        found = crew_helper.unpack(done.stdout.splitlines(keepends=True))
        assert (sorted(found), crew_helper.take(queue)) == (([], 0) if orphan else ([0, 1], None))


def test_progress_rises_to_the_total(started: Crew) -> None:
    told: list[tuple[int, int]] = []
    crew.describe(MANY, 3, lambda done, total: told.append((done, total)))
    done = [one for one, _ in told]
    assert done == sorted(set(done))
    assert told[-1] == (len(MANY), len(MANY))
    assert {total for _, total in told} == {len(MANY)}


def test_many_polymers_make_larger_chunks(idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_MOST", 7)
    chunks = []
    monkeypatch.setattr(crew, "_together", lambda some, *_: chunks.extend(some) or {})
    crew.describe(MANY, 2)
    assert len(chunks) == 7
    assert [text for chunk in chunks for text in chunk] == MANY


def test_it_works_from_a_script_without_a_name_or_a_guard(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import polyid.crew as crew\n"
        "crew.features = None; crew.take = lambda queue: None\n"
        f"print(len(crew.describe({MANY!r}, 3)))\n"
    )
    command = [sys.executable, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"{len(MANY)}\n", "")


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("polyid.crew_helper", ("pandas", "m2p", "tensorflow", "threadpoolctl")),
        ("polyid.structures", ("tensorflow", "keras", "threadpoolctl")),
    ],
)
def test_little_is_imported(module: str, without: Sequence[str]) -> None:
    code = f"import sys, {module}; print([m for m in {without!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
