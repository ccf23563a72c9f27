"""Morgan counts of polymers, and how alike two polymers are whatever the length of their chains."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from polyid.smiles import parse

Counts = Mapping[int, int]

#: A feature with at most this many copies in a chain belongs to its ends (or to a rare defect):
#: inner features of the published DP 18 and DP 10 chains have 8 copies and more.
_END_COPIES = 2


@lru_cache(maxsize=8)
def _generator(radius: int) -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=radius)


def mol_counts(mol: Chem.Mol, radius: int = 2) -> dict[int, int]:
    """Count the Morgan features of a molecule: unhashed identifier → number of copies."""
    return dict(_generator(radius).GetSparseCountFingerprint(mol).GetNonzeroElements())


@lru_cache(maxsize=16_384)
def morgan_counts(smiles: str, radius: int = 2) -> Counts:
    """Count the Morgan features of a SMILES string. Cached: do not change the answer.

    Raises
    ------
    SmilesError
        If ``smiles`` cannot be read.
    """
    return mol_counts(parse(smiles), radius)


def bulk_counts(counts: Counts) -> Counts:
    """Return the counts without the features of chain ends.

    A short or irregular molecule, where that would drop more than half of all counts, keeps all.
    """
    inner = {feature: n for feature, n in counts.items() if n > _END_COPIES}
    return inner if 2 * sum(inner.values()) >= sum(counts.values()) else counts


def similarity_matrix(
    a: Sequence[str | Counts], b: Sequence[str | Counts], radius: int = 2
) -> NDArray[np.float32]:
    """Similarity of polymers, from 0 (no feature in common) to 1 (the same chain).

    Count Tanimoto (Ruzicka, min-max) similarity, Σ min(pᵢ, qᵢ) / Σ max(pᵢ, qᵢ), where p and q are
    the Morgan counts of the two chains without their ends, divided by their sum. So neither the
    length of a chain nor its end groups matter much: over the property table, chains of DP 18
    and DP 10 of one polymer are at least 0.97 alike for step-growth polymers and 0.94 for vinyl,
    and a chain built from a repeat unit is 0.975 or more (median 0.99) like the published
    step-growth chain. Vinyl chains from m2p differ from head-to-tail ones (median 0.78), because
    m2p draws head or tail at random.

    Parameters
    ----------
    a, b
        SMILES, or counts as `morgan_counts` gives them; lengths n and m.
    radius
        Morgan radius for SMILES.

    Returns
    -------
    numpy.ndarray
        Shape (n, m), float32.
    """
    return Gallery(b, radius).similarity(a)


class Gallery:
    """Polymers that others are compared with, prepared once; see `similarity_matrix`.

    Parameters
    ----------
    polymers
        SMILES, or counts as `morgan_counts` gives them; length m.
    radius
        Morgan radius for SMILES.
    """

    def __init__(self, polymers: Sequence[str | Counts], radius: int = 2) -> None:
        self.radius, self._size = radius, len(polymers)
        found: dict[int, list[tuple[int, float]]] = {}
        for column, item in enumerate(polymers):
            for feature, share in _shares(item, radius).items():
                found.setdefault(feature, []).append((column, share))
        # a query touches the polymers that have one of its features, and no others
        self._having = {
            feature: (np.array([c for c, _ in pairs]), np.array([share for _, share in pairs]))
            for feature, pairs in found.items()
        }

    def similarity(self, queries: Sequence[str | Counts]) -> NDArray[np.float32]:
        """Similarity of ``queries``, length n, to the polymers: shape (n, m), float32."""
        answer = np.zeros((len(queries), self._size), np.float32)
        for row, item in zip(answer, queries, strict=True):
            own = _shares(item, self.radius)
            shared = [(*self._having[f], own[f]) for f in own if f in self._having]
            if shared:
                columns = np.concatenate([columns for columns, _, _ in shared])
                least = np.concatenate([np.minimum(share, mine) for _, share, mine in shared])
                row[:] = np.bincount(columns, least, self._size)
        answer = np.minimum(answer, np.float32(1))
        # both sides sum to one, so Σ max = 2 − Σ min
        return answer / (2 - answer)


def _shares(item: str | Counts, radius: int) -> dict[int, float]:
    counts = bulk_counts(morgan_counts(item, radius) if isinstance(item, str) else item)
    total = sum(counts.values())
    return {feature: n / total for feature, n in counts.items()}


class DoV:
    """PolyID's domain of validity: Morgan features of a polymer that training never showed.

    Attributes
    ----------
    fingerprint_col : str
        Column of SMILES in the frames that are given.
    radius : int
        Morgan radius.
    """

    def __init__(self) -> None:
        self.fingerprint_col = "smiles_polymer"
        self.radius = 2

    def get_fp(self, smiles: str) -> pd.Series:
        """Morgan counts of one polymer: index feature identifiers, values counts."""
        return pd.Series(dict(morgan_counts(smiles, self.radius)), name=smiles, dtype=np.int64)

    def get_fps(self, df: pd.DataFrame) -> pd.DataFrame:
        """Morgan counts of each row: one column per feature (int64), zero where it is absent."""
        counts = [morgan_counts(smiles, self.radius) for smiles in df[self.fingerprint_col]]
        features = sorted({feature for found in counts for feature in found})
        place = {feature: column for column, feature in enumerate(features)}
        table = np.zeros((len(counts), len(features)), np.int64)
        for row, found in enumerate(counts):
            table[row, [place[f] for f in found]] = list(found.values())
        return pd.DataFrame(table, index=df.index, columns=features)

    def get_fps_overlap(self, dfpredict: pd.DataFrame, dftrain_fps: pd.DataFrame) -> pd.DataFrame:
        """Add ``fps_notin_train``: how many features of each row no training polymer has.

        Parameters
        ----------
        dfpredict
            Polymers to judge, SMILES in `fingerprint_col`.
        dftrain_fps
            What `get_fps` gave for the training polymers.
        """
        present = np.asarray((dftrain_fps > 0).any(axis=0), dtype=bool)
        # columns are text after a round trip through a CSV file
        known = {int(feature) for feature in dftrain_fps.columns[present]}
        unseen = [
            sum(feature not in known for feature in morgan_counts(smiles, self.radius))
            for smiles in dfpredict[self.fingerprint_col]
        ]
        return dfpredict.assign(fps_notin_train=np.array(unseen, np.int64))
