"""What a reader is told about how far a prediction may be trusted."""

import ast
import re
from typing import Any, NamedTuple

from polyid.domain import Validity
from polyid.properties import PROPERTIES

_MEANING = {
    "well inside": "Close to the training data",
    "inside": "Like the training data",
    "edge": "At the edge of the training data; use with care",
    "outside": "Unlike the training data; take the numbers as a guess",
}
#: How many unseen atom and bond kinds are named.
_NAMED = 3


class Near(NamedTuple):
    """A training polymer near a query."""

    smiles_monomer: str
    smiles_polymer: str
    similarity: float
    measured: dict[str, dict[str, Any]]
    """Property → ``value`` and ``unit``, as measured."""


class Trust(NamedTuple):
    """How far a prediction may be trusted, with the reasons."""

    word: str
    """``well inside``, ``inside``, ``edge`` or ``outside`` the training data."""
    similarity: float
    """To the nearest training polymer, 0 to 1."""
    unseen_features: int
    """Morgan features of the chain that no training polymer has."""
    nearest: list[Near]
    """The nearest training polymers, nearest first."""
    message: str
    """The same in a sentence or two."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return self._asdict() | {"nearest": [near._asdict() for near in self.nearest]}


def judge(validity: Validity, unseen: list[str]) -> Trust:
    """Put the domain of validity and the network's own view into one judgement.

    Parameters
    ----------
    validity
        From the domain of validity.
    unseen
        Atom and bond features that the network never met (`Vocabulary.unknown`). Their embedding
        was never trained, so the prediction is at best on the edge.
    """
    word = "edge" if unseen and validity.word in ("well inside", "inside") else validity.word
    message = (
        f"{_MEANING[word]}: the nearest training polymer has a similarity of "
        f"{validity.similarity:.2f}."
    )
    if validity.unseen_features:
        features = _times(validity.unseen_features, "structural feature")
        message += f" It has {features} that no training polymer has."
    if unseen:
        named = ", ".join(describe(text) for text in unseen[:_NAMED])
        more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
        message += f" New to the network: {named}{more}."
    nearest = [
        Near(
            near["smiles_monomer"],
            near["smiles_polymer"],
            near["similarity"],
            {
                name: {"value": value, "unit": PROPERTIES[name].unit if name in PROPERTIES else ""}
                for name, value in near["measured"].items()
            },
        )
        for near in validity.nearest
    ]
    return Trust(word, validity.similarity, validity.unseen_features, nearest, message)


def describe(feature: str) -> str:
    """Put nfp's text of an atom or bond feature into words."""
    plain = re.sub(r"rdkit\.Chem\.rdchem\.\w+\.(\w+)", r"'\1'", feature)
    parts = ast.literal_eval(plain)
    if isinstance(parts[-1], list):
        kind, conjugated, stereo, ring, ends = parts
        words = [f"{'–'.join(ends)} {kind.lower()} bond"]
        words += ["conjugated"] if conjugated and kind != "AROMATIC" else []
        words += [f"in a ring of {'12 or more' if ring == 'max' else ring}"] if ring else []
        words += [f"marked {stereo.removeprefix('STEREO')}"] if stereo != "STEREONONE" else []
        return " ".join(words)
    symbol, degree, *_, aromatic = parts
    return f"{'aromatic ' if aromatic else ''}{symbol} with {_times(degree, 'neighbour')}"


def _times(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
