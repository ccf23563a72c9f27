"""Features of many polymers on all cores: this process and helpers that it starts.

RDKit holds Python's lock, so threads gain nothing. Helpers are processes of their own programs
(`polyid.crew_helper`), never forks, because TensorFlow's threads do not survive one, and never
`multiprocessing`, which would run the user's script again.

A queue of numbers, one per chunk of polymers, lies in a pipe that all processes read: whoever is
free takes the next one. So nobody waits for a helper that is slow to start, and nobody has to hand
out work. Helpers write what they found into a file without a name; what is missing there in the
end, because a helper died or a polymer does not parse, this process does itself. The result is
that of one process, whoever did what.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, NamedTuple

from polyid.cores import cores
from polyid.crew_helper import NUMBER, drain, take, unpack
from polyid.errors import PolyIDError
from polyid.graphs import Features, features

#: Polymers that make one more process worth its start. On two quiet cores a helper gains nothing up
#: to 40 of the property table's chains, and at 128 it saves 0.15 of 0.39 s. This is more than one
#: request has and more than `polyid predict` does at a time: these stay in their process.
PER_HELPER = 128
#: Polymers that are taken at once: few, so that all end at the same time.
_CHUNK = 8
#: Most chunks: their numbers must fit a pipe, which may be as small as one page.
_MOST = 1_000

#: A helper sees the modules that this process sees, wherever it was started from.
_START = "import sys; sys.path[:] = sys.argv[3:]; from polyid.crew_helper import main; main()"


class _Helper(NamedTuple):
    process: subprocess.Popen[bytes]
    results: IO[bytes]


def describe(
    texts: Sequence[str],
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Features]:
    """Features of each polymer, in the order given.

    Parameters
    ----------
    texts
        SMILES.
    processes
        Most processes that work, this one included; as many as there are cores without it. There
        are fewer if the polymers are few.
    progress
        Told (done, of how many). Of what helpers did it hears late.

    Raises
    ------
    polyid.errors.SmilesError
        If one does not parse: the first of those in ``texts``.
    """
    helpers = min((cores() if processes is None else processes) - 1, len(texts) // PER_HELPER)
    # what is not text cannot be handed over, and is an error that `features` explains
    if helpers < 1 or not all(isinstance(text, str) for text in texts):
        found = []
        for text in texts:
            found.append(features(text))
            if progress is not None:
                progress(len(found), len(texts))
        return found
    size = max(_CHUNK, -(-len(texts) // _MOST))
    chunks = [texts[i : i + size] for i in range(0, len(texts), size)]
    done = _together(chunks, helpers, progress)
    for number, chunk in enumerate(chunks):
        if number not in done:
            done[number] = [features(text) for text in chunk]
    if progress is not None:
        progress(len(texts), len(texts))
    return [one for number in range(len(chunks)) for one in done[number]]


def _together(
    chunks: Sequence[Sequence[str]], helpers: int, progress: Callable[[int, int], None] | None
) -> dict[int, list[Features]]:
    """Features of each chunk, by its number; some may be missing."""
    done: dict[int, list[Features]] = {}
    size, total = len(chunks[0]), sum(map(len, chunks))
    with _queue(len(chunks)) as queue, _crew(chunks, helpers, queue) as crew:
        try:
            while (number := take(queue)) is not None:
                done[number] = [features(text) for text in chunks[number]]
                if progress is not None:
                    # of those taken before, each helper may still be at one
                    sure = max(number + 1 - len(crew), len(done)) * size
                    progress(min(sure, total - 1), total)
        except PolyIDError:
            # a helper may be at an earlier one that does not parse either; the caller looks
            drain(queue)
        for helper in crew:
            helper.process.wait()
            helper.results.seek(0)
            done |= unpack(helper.results)
    return done


@contextmanager
def _queue(count: int) -> Iterator[int]:
    """Open a pipe that holds the numbers of the chunks, and empty it at the end."""
    queue, fill = os.pipe()
    try:
        with os.fdopen(fill, "wb") as numbers:
            numbers.write(b"".join(number.to_bytes(NUMBER, "little") for number in range(count)))
        yield queue
    finally:
        drain(queue)  # for a helper that is not known, as Ctrl-C came while it was started
        os.close(queue)


@contextmanager
def _crew(chunks: Sequence[Sequence[str]], count: int, queue: int) -> Iterator[list[_Helper]]:
    """Start helpers, or as many of them as can be started, and leave none behind."""
    crew: list[_Helper] = []
    with ExitStack() as stack:
        # without room for a file or a process it takes longer, and that is all
        with suppress(OSError):
            texts = stack.enter_context(tempfile.TemporaryFile())
            texts.write(json.dumps(chunks).encode("ascii"))
            texts.flush()
            for _ in range(count):
                crew.append(stack.enter_context(_helper(texts, queue)))
        yield crew


@contextmanager
def _helper(texts: IO[bytes], queue: int) -> Iterator[_Helper]:
    with tempfile.TemporaryFile() as results:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(queue), str(os.getpid()), *map(str, sys.path)],
            stdin=texts,
            stdout=results,
            stderr=subprocess.DEVNULL,
            pass_fds=(queue,),
            # starting NumPy's threads takes time, and it multiplies nothing here
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            yield _Helper(process, results)
        finally:
            process.kill()
            process.wait()
