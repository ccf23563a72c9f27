"""Tokens of atom and bond features: nfp's `Tokenizer`, as plain data that is saved as JSON.

0 pads, 1 stands for a feature that training never saw, the rest count up from 2.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError
from polyid.graphs import Features
from polyid.quotient import Graph

UNKNOWN = 1


@dataclass
class Vocabulary:
    """Feature strings and their tokens."""

    atom: dict[str, int] = field(default_factory=dict)
    bond: dict[str, int] = field(default_factory=dict)

    @classmethod
    def learn(cls, many: Iterable[Features]) -> "Vocabulary":
        """Give features numbers in the order in which they come."""
        found = cls()
        for one in many:
            for text in one.atom_kinds:
                found.atom.setdefault(text, len(found.atom) + UNKNOWN + 1)
            for text in one.bond_kinds:
                found.bond.setdefault(text, len(found.bond) + UNKNOWN + 1)
        return found

    @property
    def atom_classes(self) -> int:
        """Rows of an embedding table, padding and unknown included (as nfp counts)."""
        return len(self.atom) + UNKNOWN + 1

    @property
    def bond_classes(self) -> int:
        """Rows of an embedding table, padding and unknown included (as nfp counts)."""
        return len(self.bond) + UNKNOWN + 1

    def encode(self, features: Features) -> Graph:
        """Tokens and directed edges of one polymer."""
        atom = _tokens(self.atom, features.atom_kinds)[features.atom_kind]
        bond = _tokens(self.bond, features.bond_kinds)[features.bond_kind]
        begin, end = features.ends[:, 0], features.ends[:, 1]
        return Graph(
            atom,
            np.concatenate([bond, bond]),
            np.concatenate([begin, end]),
            np.concatenate([end, begin]),
        )

    def unknown(self, features: Features) -> list[str]:
        """Features of one polymer that training never saw."""
        return sorted(
            {t for t in features.atom_kinds if t not in self.atom}
            | {t for t in features.bond_kinds if t not in self.bond}
        )

    def unknown_elements(self, features: Features) -> list[str]:
        """Elements of one polymer that training never saw."""
        known = {_element(t) for t in self.atom}
        return sorted({_element(t) for t in features.atom_kinds} - known)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        text = json.dumps({"atom": self.atom, "bond": self.bond}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(dict(data["atom"]), dict(data["bond"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PolyIDError(f"{path} is no token vocabulary: {error}") from error


def _tokens(known: dict[str, int], kinds: list[str]) -> NDArray[np.int32]:
    return np.array([known.get(text, UNKNOWN) for text in kinds], dtype=np.int32)


def _element(text: str) -> str:
    """Chemical symbol at the head of an atom feature such as ``('C', 4, 0, 0, False)``."""
    return text[2 : text.index("'", 2)]
