"""PolyID's preprocessors: rows of a table to the tensors of nfp's networks.

They are what the reference networks (`polyid.models`) read. The engine reads the same tokens
through `polyid.vocabulary.Vocabulary`, and one file serves both.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import tensorflow as tf
from nfp.preprocessing import features as nfp_features
from nfp.preprocessing.mol_preprocessor import SmilesPreprocessor
from nfp.preprocessing.tokenizer import Tokenizer
from rdkit import Chem, rdBase

from polyid.errors import PolyIDError, SmilesError
from polyid.vocabulary import UNKNOWN, Vocabulary

#: Features that a file may name, all nfp's.
ATOM_FEATURES = ("atom_features_v1", "atom_features_v2")
BOND_FEATURES = ("bond_features_v1", "bond_features_v2", "bond_features_v3")


class PolymerPreprocessor(SmilesPreprocessor):
    """Rows with ``smiles_polymer`` to ``atom``, ``bond`` and ``connectivity``.

    Called as in nfp: ``preprocessor(row, train=True)`` learns tokens, ``train=False`` uses them.

    Parameters
    ----------
    atom_features, bond_features
        Functions of an RDKit atom or bond; by default nfp's ``atom_features_v1`` and
        ``bond_features_v2``, which PolyID's ``MultiModel`` uses.
    explicit_hs
        Whether hydrogens are atoms.
    output_dtype
        Of the tokens.
    """

    atom_features: Callable
    bond_features: Callable
    explicit_hs: bool
    output_dtype: str

    def __init__(
        self,
        atom_features: Callable | None = None,
        bond_features: Callable | None = None,
        explicit_hs: bool = True,
        output_dtype: str = "int32",
    ) -> None:
        super().__init__(
            atom_features=atom_features or nfp_features.atom_features_v1,
            bond_features=bond_features or nfp_features.bond_features_v2,
            explicit_hs=explicit_hs,
            output_dtype=output_dtype,
        )

    def __call__(self, structure: Any, *args: Any, **kwargs: Any) -> dict[str, np.ndarray]:
        """Tensors of one row; see nfp for the further arguments."""
        with rdBase.BlockLogs():  # nfp asks RDKit for valences in a way that logs a line per atom
            return super().__call__(structure, *args, **kwargs)

    def create_nx_graph(self, row: Any, *args: Any, **kwargs: Any) -> nx.DiGraph:
        """Graph of ``row.smiles_polymer``.

        Raises
        ------
        SmilesError
            If it does not parse.
        """
        smiles = _cell(row, "smiles_polymer")
        if not isinstance(smiles, str) or Chem.MolFromSmiles(smiles) is None:
            raise SmilesError(f"smiles_polymer {smiles!r} is not a SMILES string.")
        return super().create_nx_graph(smiles, *args, **kwargs)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, for the engine.

        Raises
        ------
        PolyIDError
            If the features are not those that the engine makes.
        """
        if not (
            self.explicit_hs
            and self.atom_features is nfp_features.atom_features_v1
            and self.bond_features is nfp_features.bond_features_v2
        ):
            raise PolyIDError(
                "The engine reads atom_features_v1 and bond_features_v2 with explicit hydrogens; "
                f"this preprocessor has {_name(self.atom_features)}, "
                f"{_name(self.bond_features)}, explicit_hs={self.explicit_hs}."
            )
        return Vocabulary(_tokens(self.atom_tokenizer), _tokens(self.bond_tokenizer))

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> "PolymerPreprocessor":
        """Make a preprocessor that gives every feature the token it has in ``vocabulary``."""
        made = cls()
        _set_tokens(made.atom_tokenizer, _table(vocabulary.atom))
        _set_tokens(made.bond_tokenizer, _table(vocabulary.bond))
        return made

    def to_json(self, filename: str | Path) -> None:
        """Write tokens and the names of the features; `Vocabulary.load` reads the file too.

        Raises
        ------
        PolyIDError
            If a feature function is not one of nfp's: code is not saved.
        """
        for function, names in (
            (self.atom_features, ATOM_FEATURES),
            (self.bond_features, BOND_FEATURES),
        ):
            if not any(function is getattr(nfp_features, name) for name in names):
                raise PolyIDError(
                    f"{_name(function)} cannot be saved: only nfp's features have names, "
                    f"{', '.join(names)}."
                )
        data = {
            "class": type(self).__name__,
            "atom_features": _name(self.atom_features),
            "bond_features": _name(self.bond_features),
            "explicit_hs": self.explicit_hs,
            "output_dtype": self.output_dtype,
            "atom": _tokens(self.atom_tokenizer),
            "bond": _tokens(self.bond_tokenizer),
        }
        Path(filename).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    def from_json(self, filename: str | Path) -> None:
        """Take on what `to_json`, `Vocabulary.save` or nfp's own ``to_json`` wrote.

        Names of features are taken where the file has them (nfp's own files have none).

        Raises
        ------
        PolyIDError
            If the file cannot be read, is damaged, or belongs to another class.
        """
        path = Path(filename)
        mine = type(self).__name__
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            made_by = data.get("class", mine)
            if "atom_tokenizer" in data:
                atom, bond = data["atom_tokenizer"]["_data"], data["bond_tokenizer"]["_data"]
            else:
                atom, bond = dict(data["atom"]), dict(data["bond"])
            atom_features, bond_features = data.get("atom_features"), data.get("bond_features")
            explicit_hs = bool(data.get("explicit_hs", self.explicit_hs))
            output_dtype = str(data.get("output_dtype", self.output_dtype))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PolyIDError(f"{path} is no preprocessor: {error!r}.") from error
        if made_by != mine:
            raise PolyIDError(f"{path} holds a {made_by}; this is a {mine}.")
        # nfp's own files hold an empty object where a function stood
        functions = (
            _feature(atom_features or self.atom_features, ATOM_FEATURES),
            _feature(bond_features or self.bond_features, BOND_FEATURES),
        )
        tables = _table(atom), _table(bond)
        self.atom_features, self.bond_features = functions
        self.explicit_hs, self.output_dtype = explicit_hs, output_dtype
        _set_tokens(self.atom_tokenizer, tables[0])
        _set_tokens(self.bond_tokenizer, tables[1])


class PmPreprocessor(PolymerPreprocessor):
    """Rows with ``smiles_polymer`` and ``pm``, the fraction of meso dyads."""

    def create_nx_graph(self, row: Any, *args: Any, **kwargs: Any) -> nx.DiGraph:
        """Graph of ``row.smiles_polymer`` that carries ``row.pm``."""
        found = super().create_nx_graph(row, *args, **kwargs)
        found.graph["pm"] = _cell(row, "pm")
        return found

    def get_graph_features(self, graph_data: dict[str, Any]) -> dict[str, np.ndarray]:
        """``pm`` as an array of one number, ``(1,)``."""
        return {"pm": np.array([graph_data["pm"]], dtype=np.float32)}

    @property
    def output_signature(self) -> dict[str, tf.TensorSpec]:
        """Tokens and connectivity as in nfp, and ``pm``."""
        return {**super().output_signature, "pm": tf.TensorSpec(shape=(1,), dtype=tf.float32)}

    @property
    def padding_values(self) -> dict[str, tf.Tensor]:
        """Zeros, in each field's own type."""
        return {key: tf.zeros((), dtype=spec.dtype) for key, spec in self.output_signature.items()}


def _cell(row: Any, name: str) -> Any:
    try:
        return getattr(row, name)
    except AttributeError:
        raise PolyIDError(
            f"A row of type {type(row).__name__} has no {name!r}; rename the column to {name!r}."
        ) from None


def _name(function: Callable) -> str:
    return getattr(function, "__name__", repr(function))


def _feature(name: str | Callable, names: tuple[str, ...]) -> Callable:
    if not isinstance(name, str):
        return name
    if name not in names:
        raise PolyIDError(f"Feature {name!r} is not known; expected one of {', '.join(names)}.")
    return getattr(nfp_features, name)


def _tokens(tokenizer: Tokenizer) -> dict[str, int]:
    return {text: token for text, token in tokenizer._data.items() if text != "unk"}


def _table(tokens: dict[str, int]) -> dict[str, int]:
    """Tokens as nfp's tokenizer holds them, once they are known to be whole."""
    tokens = {text: token for text, token in tokens.items() if text != "unk"}
    expected = list(range(UNKNOWN + 1, UNKNOWN + 1 + len(tokens)))
    if sorted(tokens.values()) != expected:
        raise PolyIDError(
            f"Tokens must count up from {UNKNOWN + 1} without a gap; got "
            f"{sorted(tokens.values())[:5]}…"
        )
    return {"unk": UNKNOWN, **tokens}


def _set_tokens(tokenizer: Tokenizer, table: dict[str, int]) -> None:
    tokenizer._data = table
    tokenizer.num_classes = len(table)
    tokenizer.train = False
    tokenizer.unknown = []
