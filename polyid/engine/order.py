"""Which polymer each member sees at each step: a pure function of seed, member and step.

Nothing is remembered between steps, so a resumed run walks on exactly where it stopped, and a
member walks the same path alone as beside others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError

_BUCKETS, _STREAM = 0, 1


class Batch(NamedTuple):
    """One step's polymers."""

    bucket: int
    """The bucket from which all of them come."""
    rows: NDArray[np.int32]
    """Rows of that bucket's table, ``(members, batch)``."""


class DataOrder:
    """Endless shuffled streams, one per member and bucket, cut into steps.

    Parameters
    ----------
    pools
        ``pools[member][bucket]``: rows of the bucket's table that the member trains on.
    batch_size
        Polymers per member and step.
    seed
        Of the run.
    names
        The members' numbers in the whole ensemble, which their streams are seeded by.
    steps
        Steps per epoch and bucket; the same for every member of an ensemble. By default what
        covers the largest pool.
    """

    def __init__(
        self,
        pools: Sequence[Sequence[NDArray[np.intp]]],
        batch_size: int,
        seed: int,
        names: Sequence[int] | None = None,
        steps: Sequence[int] | None = None,
    ) -> None:
        self.pools = pools
        self.batch_size = batch_size
        self.seed = seed
        self.names = list(range(len(pools))) if names is None else list(names)
        self.steps = list(steps) if steps is not None else steps_per_bucket(pools, batch_size)
        self._epoch = -1
        self._buckets: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._nth: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._shuffles: dict[tuple[int, int, int], NDArray[np.intp]] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one epoch."""
        return sum(self.steps)

    def batch(self, step: int) -> Batch:
        """Polymers of global ``step``, counted from 0 over all epochs."""
        epoch, within = divmod(step, self.steps_per_epoch)
        self._begin(epoch)
        bucket = int(self._buckets[within])
        nth = epoch * self.steps[bucket] + int(self._nth[within])
        rows = [self._stream(m, bucket, nth) for m in range(len(self.pools))]
        return Batch(bucket, np.stack(rows).astype(np.int32))

    def _begin(self, epoch: int) -> None:
        """Lay out which bucket each step of ``epoch`` takes, the same for all members."""
        if epoch == self._epoch:
            return
        self._epoch = epoch
        labels = np.repeat(np.arange(len(self.steps)), self.steps)
        self._buckets = np.random.default_rng([self.seed, _BUCKETS, epoch]).permutation(labels)
        self._nth = np.zeros(len(labels), dtype=np.intp)
        for b in range(len(self.steps)):
            here = np.flatnonzero(self._buckets == b)
            self._nth[here] = np.arange(len(here))

    def _stream(self, member: int, bucket: int, nth: int) -> NDArray[np.intp]:
        """Take the ``nth`` batch of a member's stream of one bucket."""
        pool = self.pools[member][bucket]
        position = nth * self.batch_size + np.arange(self.batch_size)
        lap, place = np.divmod(position, len(pool))
        shuffled = [self._shuffle(member, bucket, int(i), len(pool)) for i in lap]
        return pool[[order[j] for order, j in zip(shuffled, place, strict=True)]]

    def _shuffle(self, member: int, bucket: int, lap: int, size: int) -> NDArray[np.intp]:
        key = (member, bucket, lap)
        if key not in self._shuffles:
            stale = [k for k in self._shuffles if k[:2] == key[:2] and k[2] < lap - 1]
            for k in stale:
                del self._shuffles[k]
            rng = np.random.default_rng([self.seed, _STREAM, self.names[member], bucket, lap])
            self._shuffles[key] = rng.permutation(size)
        return self._shuffles[key]


def steps_per_bucket(pools: Sequence[Sequence[NDArray[np.intp]]], batch_size: int) -> list[int]:
    """Count the steps that show the member with most polymers in a bucket all of them once."""
    for member, parts in enumerate(pools):
        for bucket, pool in enumerate(parts):
            if len(pool) == 0:
                raise PolyIDError(
                    f"member {member} has no training polymer in size bucket {bucket}; use fewer "
                    "buckets (training.buckets) or fewer folds."
                )
    largest = [max(len(parts[b]) for parts in pools) for b in range(len(pools[0]))]
    return [-(-n // batch_size) for n in largest]
