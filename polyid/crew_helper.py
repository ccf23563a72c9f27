"""One helper of `polyid.crew`: features of chunks of polymers, taken from a queue that is a pipe.

It finds the polymers on stdin, a file, and writes lines of JSON to stdout, a file too: one line per
chunk, arrays in base64. It imports as little as it can, because its start is waited for.
"""

import gc
import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError
from polyid.graphs import Features, features

#: Bytes of a chunk's number in the queue.
NUMBER = 4


def main() -> None:
    """Work until the queue is empty or the process that started this one is gone."""
    queue, parent = int(sys.argv[1]), int(sys.argv[2])
    # all helpers share the place up to which this file is read, so it must not be moved
    chunks = json.loads(os.pread(0, os.fstat(0).st_size, 0))
    with os.fdopen(os.dup(1), "wb", buffering=0) as results:
        os.dup2(2, 1)  # what a library prints is no result
        gc.disable()  # RDKit's atoms and bonds set it off all the time, and it finds nothing
        while os.getppid() == parent and (number := take(queue)) is not None:
            try:
                line = pack(number, [features(text) for text in chunks[number]])
            except PolyIDError:
                drain(queue)  # nothing comes of it: the others need not go on
                break
            results.write(line)
    os._exit(0)  # taking everything down would be waited for


def take(queue: int) -> int | None:
    """Take the next chunk's number; None if there is none."""
    word = os.read(queue, NUMBER)
    return int.from_bytes(word, "little") if word else None


def drain(queue: int) -> None:
    """Leave nothing for anybody."""
    while os.read(queue, 1 << 16):
        pass


def pack(number: int, found: Iterable[Features]) -> bytes:
    """Write the features of one chunk as a line."""
    some = [
        [
            *(one.atom_kinds, _text(one.atom_kind)),
            *(one.bond_kinds, _text(one.bond_kind), _text(one.ends)),
        ]
        for one in found
    ]
    return json.dumps([number, some]).encode("ascii") + b"\n"


def unpack(lines: Iterable[bytes]) -> dict[int, list[Features]]:
    """Read features of chunks by number; a line that was cut short is left out."""
    whole = (json.loads(line) for line in lines if line.endswith(b"\n"))
    return {number: [_features(*one) for one in some] for number, some in whole}


def _text(values: NDArray[Any]) -> str:
    return b64encode(values.astype(np.int32).tobytes()).decode("ascii")


def _array(text: str) -> NDArray[np.int32]:
    return np.frombuffer(b64decode(text), np.int32)


def _features(
    atom_kinds: list[str], atom_kind: str, bond_kinds: list[str], bond_kind: str, ends: str
) -> Features:
    return Features(
        atom_kinds,
        _array(atom_kind).astype(np.intp),
        bond_kinds,
        _array(bond_kind).astype(np.intp),
        _array(ends).reshape(-1, 2),
    )
