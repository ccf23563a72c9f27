"""What the Gaussian-process baseline knows of a chain: Morgan counts and composition.

The similarity of two chains is the count Tanimoto (min-max) of their Morgan environments, counted
per 100 heavy atoms, so that a chain and the same chain twice as long are alike. Every similarity
is computed once for the whole table; the kernels below only look rows of it up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors
from scipy import sparse
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
from sklearn.metrics import pairwise_distances

from polyid.errors import PolyIDError

Floats = NDArray[np.float64]

_ELEMENTS = ("C", "N", "O", "F", "S", "Cl", "Br", "Si", "P")


@dataclass(frozen=True)
class ChainTables:
    """Pairwise tables of ``n`` chains.

    ``similarity`` (n, n) is the count Tanimoto in 0…1; ``distance`` (n, n) the squared Euclidean
    distance of the standardised composition descriptors, divided by their number;
    ``tacticity`` (n, n) the squared difference of ``pm`` or None where no ``pm`` is known.
    """

    similarity: Floats
    distance: Floats
    tacticity: Floats | None = None


def morgan_counts(molecules: Sequence[Chem.Mol], radius: int = 3) -> sparse.csr_matrix:
    """Morgan environment counts per 100 heavy atoms, one row per molecule (unfolded)."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius)
    column_of: dict[int, int] = {}
    rows, columns, values = [], [], []
    for row, molecule in enumerate(molecules):
        scale = 100.0 / max(molecule.GetNumHeavyAtoms(), 1)
        counts = generator.GetSparseCountFingerprint(molecule).GetNonzeroElements()
        for key, count in counts.items():
            rows.append(row)
            columns.append(column_of.setdefault(key, len(column_of)))
            values.append(count * scale)
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(molecules), len(column_of)))


def count_tanimoto(counts: sparse.csr_matrix) -> Floats:
    """Min-max similarity Σ min(a, b) / Σ max(a, b) of all pairs of rows, shape (n, n).

    From min(a, b) = (a + b − |a − b|) / 2 and max(a, b) = (a + b + |a − b|) / 2. The kernel is
    positive definite: Ralaivola et al., Neural Networks 18, 1093–1110 (2005).
    """
    total = np.asarray(counts.sum(axis=1)).ravel()
    sums = total[:, None] + total[None, :]
    gaps = pairwise_distances(counts, metric="manhattan")
    return np.clip((sums - gaps) / np.maximum(sums + gaps, 1e-12), 0.0, 1.0)


def composition(molecules: Sequence[Chem.Mol]) -> Floats:
    """Return intensive descriptors (per heavy atom) of every molecule, standardised, (n, d)."""
    table = np.array([_composition_of(molecule) for molecule in molecules], dtype=np.float64)
    sd = table.std(axis=0)
    kept = sd > 1e-9
    return (table[:, kept] - table[:, kept].mean(axis=0)) / sd[kept]


def _composition_of(molecule: Chem.Mol) -> list[float]:
    atoms = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    heavy = max(molecule.GetNumHeavyAtoms(), 1)
    extensive = [
        *(atoms.count(symbol) for symbol in _ELEMENTS),
        sum(atom.GetIsAromatic() for atom in molecule.GetAtoms()),
        sum(atom.IsInRing() for atom in molecule.GetAtoms()),
        rdMolDescriptors.CalcNumRings(molecule),
        rdMolDescriptors.CalcNumRotatableBonds(molecule),
        rdMolDescriptors.CalcNumHBD(molecule),
        rdMolDescriptors.CalcNumHBA(molecule),
        rdMolDescriptors.CalcNumAmideBonds(molecule),
        rdMolDescriptors.CalcTPSA(molecule),
        *rdMolDescriptors.CalcCrippenDescriptors(molecule),  # log P and molar refractivity
        sum(atom.GetMass() for atom in molecule.GetAtoms()),
    ]
    return [value / heavy for value in extensive] + [
        float(rdMolDescriptors.CalcFractionCSP3(molecule))
    ]


def chain_tables(
    smiles: Sequence[str],
    pm: Sequence[float] | None = None,
    progress: Callable[[float], None] | None = None,
) -> ChainTables:
    """Compute the pairwise tables of the chains ``smiles``.

    Parameters
    ----------
    smiles
        Chains as SMILES, length n.
    pm
        Fraction of meso dyads per chain, or None; ignored unless every chain has one.
    progress
        Called with the fraction done, 0…1.

    Raises
    ------
    PolyIDError
        If a SMILES cannot be parsed.
    """
    molecules = []
    for position, text in enumerate(smiles):
        molecule = Chem.MolFromSmiles(text)
        if molecule is None or molecule.GetNumAtoms() == 0:
            raise PolyIDError(
                f"chain {position + 1} cannot be parsed: received {text[:80]!r}, expected the "
                "SMILES of a polymer chain; run `trainer check` for a list of bad rows."
            )
        molecules.append(molecule)
        if progress and position % 100 == 0:
            progress(position / max(len(smiles), 1))
    descriptors = composition(molecules)
    gaps = pairwise_distances(descriptors, metric="sqeuclidean") if descriptors.size else 0.0
    distance = np.zeros((len(molecules),) * 2) + gaps / max(descriptors.shape[1], 1)
    tacticity = None
    if pm is not None:
        values = np.asarray(pm, dtype=np.float64)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            tacticity = (values[:, None] - values[None, :]) ** 2
    return ChainTables(count_tanimoto(morgan_counts(molecules)), distance, tacticity)


def _positions(X: Floats) -> NDArray[np.intp]:
    return np.asarray(X)[:, 0].astype(np.intp)


class TableKernel(Kernel):
    """A similarity table as kernel; inputs are row numbers of the table, shape (n, 1).

    It has no hyper-parameter: multiply it by a ``ConstantKernel``.
    """

    def __init__(self, table: Floats):
        self.table = table

    def __call__(
        self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False
    ) -> Floats | tuple[Floats, Floats]:
        """Return k(X, Y), and with ``eval_gradient`` its (empty) gradient."""
        rows = _positions(X)
        values = self.table[np.ix_(rows, rows if Y is None else _positions(Y))]
        if eval_gradient:
            return values, np.empty((*values.shape, 0))
        return values

    def diag(self, X: Floats) -> Floats:
        """Return the diagonal of k(X, X)."""
        return self.table[_positions(X), _positions(X)]

    def is_stationary(self) -> bool:
        """Say that the kernel does not depend on differences only."""
        return False


class TableRBF(Kernel):
    """exp(−d² / 2ℓ²) of a table of squared distances; inputs are its row numbers, (n, 1)."""

    def __init__(
        self,
        table: Floats,
        length_scale: float = 1.0,
        length_scale_bounds: tuple[float, float] = (0.05, 20.0),
    ):
        self.table = table
        self.length_scale = length_scale
        self.length_scale_bounds = length_scale_bounds

    @property
    def hyperparameter_length_scale(self) -> Hyperparameter:
        """Return the length scale as scikit-learn describes a hyper-parameter."""
        return Hyperparameter("length_scale", "numeric", self.length_scale_bounds)

    def __call__(
        self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False
    ) -> Floats | tuple[Floats, Floats]:
        """Return k(X, Y), and with ``eval_gradient`` its gradient by log ℓ, (n, n, 1)."""
        rows = _positions(X)
        scaled = self.table[np.ix_(rows, rows if Y is None else _positions(Y))]
        scaled = scaled / self.length_scale**2
        values = np.exp(-0.5 * scaled)
        if eval_gradient:
            return values, (values * scaled)[:, :, np.newaxis]
        return values

    def diag(self, X: Floats) -> Floats:
        """Return the diagonal of k(X, X): ones."""
        return np.ones(len(X))

    def is_stationary(self) -> bool:
        """Say that the kernel depends on differences only."""
        return True
