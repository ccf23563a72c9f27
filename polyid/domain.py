"""Domain of validity: how far a polymer lies from what a model was trained on."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdqueries
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from polyid.domain_file import Entry, StoredDomain, read_domain, write_domain
from polyid.errors import DomainError
from polyid.fingerprints import (
    Counts,
    DoV,
    Gallery,
    bulk_counts,
    mol_counts,
    similarity_matrix,
)
from polyid.smiles import parse

__all__ = ["DoV", "Domain", "Neighbour", "Validity", "similarity_matrix"]

#: Similarity to the nearest training polymer from which each word applies. Chosen on the property
#: table (1 290 polymers, 1 270 monomer sets), leaving one monomer set out: nearest similarity has
#: the quantiles 2 % 0.40, 10 % 0.58, 50 % 0.83; guessing Tg from the five nearest polymers errs by
#: 16–17 °C above 0.8, 22–27 °C from 0.6, 34–38 °C from 0.4, and 45–63 °C below.
WORDS = (("well inside", 0.8), ("inside", 0.6), ("edge", 0.4), ("outside", 0.0))
#: Unseen features from which a polymer is at best "edge" (same test: 45 °C), and "outside" (74 °C).
UNSEEN_EDGE, UNSEEN_OUTSIDE = 6, 10


class Neighbour(TypedDict):
    """A training polymer near a query."""

    smiles_monomer: str
    smiles_polymer: str
    similarity: float
    measured: dict[str, float]
    """Measured labels in product units; properties without a label are left out."""


class Validity(NamedTuple):
    """How far a model may be trusted for one polymer."""

    unseen_features: int
    """Morgan features of the chain, without its ends, that no training polymer has."""
    nearest: list[Neighbour]
    """The nearest training polymers, one per monomer set, nearest first."""
    similarity: float
    """Similarity to the nearest training polymer, 0 to 1 (see `similarity_matrix`)."""
    word: str
    """``well inside``, ``inside``, ``edge`` or ``outside``."""
    unknown_elements: list[str]
    """Elements that no training polymer has: such a polymer is always outside."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return self._asdict()


class Domain:
    """The training polymers of a model, with their features and measured labels.

    Build it with `Domain.fit`, or read it with `Domain.load`.

    Attributes
    ----------
    radius : int
        Morgan radius.
    properties : tuple of str
        Names of the measured properties.
    """

    def __init__(self, stored: StoredDomain) -> None:
        self._stored = stored
        self.radius = stored.radius
        self.properties = tuple(stored.properties)
        self._vocabulary = set(stored.vocabulary)
        self._elements = set(stored.elements)
        self._gallery = Gallery(
            [
                dict(zip((stored.vocabulary[i] for i in entry.features), entry.counts, strict=True))
                for entry in stored.polymers
            ]
        )

    def __len__(self) -> int:
        return len(self._stored.polymers)

    @classmethod
    def fit(cls, frame: pd.DataFrame, radius: int = 2, properties: Sequence[str] = ()) -> "Domain":
        """Build the domain from training polymers.

        Parameters
        ----------
        frame
            Columns ``smiles_polymer``, ``smiles_monomer`` and ``properties`` (product units, NaN
            where missing), and ``sample`` if replicates share one. Replicates keep their first
            chain.
        radius
            Morgan radius.
        properties
            Columns of measured labels.

        Raises
        ------
        DomainError
            If the frame is empty or lacks a column.
        SmilesError
            If a chain cannot be read.
        """
        missing = {"smiles_polymer", "smiles_monomer", *properties} - set(frame.columns)
        if missing:
            raise DomainError(
                f"Cannot build a domain of validity: no column {', '.join(sorted(missing))}; "
                f"there are {', '.join(map(str, frame.columns))}."
            )
        if frame.empty:
            raise DomainError("Cannot build a domain of validity from no polymers.")
        key = "sample" if "sample" in frame.columns else "smiles_polymer"
        places: dict[int, int] = {}
        elements: set[str] = set()
        entries = []
        for _, rows in frame.groupby(key, sort=False):
            first = rows.iloc[0]
            counts, found = _read(first["smiles_polymer"], radius)
            elements |= found
            labels = (
                rows[list(properties)].mean().dropna() if properties else pd.Series(dtype=float)
            )
            entries.append(
                Entry(
                    smiles_polymer=first["smiles_polymer"],
                    smiles_monomer=first["smiles_monomer"],
                    # six digits: more than was ever measured, and a smaller file
                    measured={str(name): float(f"{value:.6g}") for name, value in labels.items()},
                    features=[places.setdefault(feature, len(places)) for feature in counts],
                    counts=list(counts.values()),
                )
            )
        return cls(
            StoredDomain(
                format=1,
                radius=radius,
                properties=list(properties),
                elements=sorted(elements),
                vocabulary=list(places),
                polymers=entries,
            )
        )

    def save(self, path: Path | str) -> None:
        """Write the domain as JSON; a reader never sees half a file."""
        write_domain(self._stored, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "Domain":
        """Read a domain that `save` wrote.

        Raises
        ------
        DomainError
            If the file is missing, is no JSON, or does not hold a whole domain.
        """
        return cls(read_domain(Path(path)))

    def assess(self, smiles_list: Sequence[str], k: int = 3) -> list[Validity]:
        """Judge polymers, each against all training polymers.

        Parameters
        ----------
        smiles_list
            SMILES of whole chains (see `polyid.polymers.to_polymer`), length n.
        k
            How many nearest training polymers to name, at least one.

        Returns
        -------
        list of Validity
            Length n, in the order given.

        Raises
        ------
        SmilesError
            If a chain cannot be read.
        """
        queries = [_read(smiles, self.radius) for smiles in smiles_list]
        likeness = self._gallery.similarity([counts for counts, _ in queries])
        answers = []
        for (counts, elements), row in zip(queries, likeness, strict=True):
            unseen = sum(feature not in self._vocabulary for feature in bulk_counts(counts))
            unknown = sorted(elements - self._elements)
            best = float(row.max())
            answers.append(
                Validity(
                    unseen_features=unseen,
                    nearest=self._nearest(row, max(1, k)),
                    similarity=round(best, 4),
                    word=_word(best, unseen, unknown),
                    unknown_elements=unknown,
                )
            )
        return answers

    def _nearest(self, row: np.ndarray, k: int) -> list[Neighbour]:
        found: dict[str, Neighbour] = {}
        # a stable order: of equally near polymers the first in the file is named
        for index in np.argsort(-row, kind="stable"):
            entry = self._stored.polymers[index]
            if entry.smiles_monomer in found:
                continue
            found[entry.smiles_monomer] = Neighbour(
                smiles_monomer=entry.smiles_monomer,
                smiles_polymer=entry.smiles_polymer,
                similarity=round(float(row[index]), 4),
                measured=dict(entry.measured),
            )
            if len(found) == k:
                break
        return list(found.values())


_ELEMENT = re.compile(r"[A-Z][a-z]?|\*")
_HYDROGEN = rdqueries.AtomNumEqualsQueryAtom(1)


def _read(smiles: str, radius: int) -> tuple[Counts, set[str]]:
    mol: Chem.Mol = parse(smiles)
    # a formula is written faster than atoms are asked, but counts hydrogens that are no atoms here
    elements = set(_ELEMENT.findall(CalcMolFormula(mol)))
    if not mol.GetAtomsMatchingQuery(_HYDROGEN):
        elements.discard("H")
    return mol_counts(mol, radius), elements


def _word(similarity: float, unseen: int, unknown_elements: Sequence[str]) -> str:
    if unknown_elements or unseen >= UNSEEN_OUTSIDE:
        return "outside"
    words = WORDS[2:] if unseen >= UNSEEN_EDGE else WORDS
    return next(word for word, least in words if similarity >= least)
