"""Ensembles saved by the published ``polyid`` package (0.1.2.x), as model folders of this one.

::

    parameters.pk               names of the columns, settings
    model_0/model_0.keras       best epoch of member 0 (older: model_0.h5)
    model_0/model_0_data.pk     its tokens and scaler

The ``.pk`` files are pickles and are read as data (`polyid.unpickling`); the published package is
never imported. Its members have a vocabulary each, ours share one: the union. A member's embedding
gets the row of its UNK token for every token it did not know, which is what the published package
computes for such a token.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyid.checksums import write_checksums
from polyid.errors import PolyIDError
from polyid.legacy_member import Column, read_member
from polyid.modelfiles import ModelParameters
from polyid.multimodel import MultiModel, SingleModel
from polyid.properties import PROPERTIES
from polyid.unpickling import read_pickle
from polyid.vocabulary import UNKNOWN, Vocabulary


def parse_column(text: str) -> tuple[str, Column]:
    """Read ``COLUMN=PROPERTY`` or ``COLUMN=PROPERTY:UNIT``.

    Raises
    ------
    PolyIDError
        If it has another form, or the property is unknown.
    """
    column, equals, rest = text.partition("=")
    name, _, unit = rest.partition(":")
    if not column or not equals or name not in PROPERTIES:
        raise PolyIDError(
            f"Property {text!r}: expected COLUMN=PROPERTY or COLUMN=PROPERTY:UNIT, such as "
            f"Tg=Glass_Transition:K, with a property of {', '.join(PROPERTIES)}."
        )
    return column, Column(name, unit or PROPERTIES[name].unit)


def import_legacy(
    folder: Path,
    out: Path,
    *,
    allow_pickle: bool,
    columns: Mapping[str, Column] | None = None,
    dp: int = 18,
) -> MultiModel:
    """Turn a published ensemble into a model folder with checksums.

    Parameters
    ----------
    folder
        What the published ``MultiModel.train_models(save_folder=…)`` wrote.
    out
        Folder to make.
    allow_pickle
        Must be True: whoever calls knows that the files are pickles.
    columns
        Property and unit of each of the model's columns; a column that has the name of a property
        is taken for it, in the product's unit.
    dp
        Monomer units of the chains it was trained on; the published files do not say.

    Raises
    ------
    PolyIDError
        If a file is missing, damaged, refused, or holds what the engine does not compute.
    """
    if not allow_pickle:
        raise PolyIDError(
            f"{folder} holds pickles, a format that can run code. They are read here through a "
            "list of allowed names and never run; still, only import files whose source you "
            "trust. Then run the same command with --allow-pickle."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PolyIDError(f"{out} exists already and is not empty; give --out a new folder.")
    folders = _folders(folder)
    known = _columns(folder / "parameters.pk", columns or {})
    members = [read_member(path, number, known) for number, path in folders]
    first = members[0].architecture
    for (number, path), member in zip(folders, members, strict=True):
        for field in first._fields:
            found, expected = getattr(member.architecture, field), getattr(first, field)
            if field not in ("atom_classes", "bond_classes") and found != expected:
                raise PolyIDError(
                    f"{path}: {field} of member {number} is {found}, of the first {expected}; "
                    "expected members of one shape."
                )
    union = _union([m.vocabulary for m in members])
    mm = MultiModel()
    mm.prediction_columns = [c.name for c in known.values()]
    mm.vocabulary = union
    mm.parameters = ModelParameters(
        model=first.name,
        prediction_columns=tuple(mm.prediction_columns),
        members=len(members),
        features=first.features,
        mol_features=first.mol_features,
        num_messages=first.num_messages,
        dropout=first.dropout,
        dp=dp,
    )
    for i, member in enumerate(members):
        one = SingleModel(mm.prediction_columns, model_id=str(i))
        one.vocabulary, one.data_scaler = union, member.scaler
        one.weights = member.weights | {
            "atom_embedding": _rows(
                member.weights["atom_embedding"], member.vocabulary.atom, union.atom
            ),
            "bond_embedding": _rows(
                member.weights["bond_embedding"], member.vocabulary.bond, union.bond
            ),
        }
        mm.models.append(one)
    mm.save_pretrained(out)
    write_checksums(out)
    return mm


def _folders(folder: Path) -> list[tuple[int, Path]]:
    """Members' numbers and folders, in the order of their numbers."""
    if not folder.is_dir():
        raise PolyIDError(f"{folder} is no folder; expected one with parameters.pk and model_0/.")
    found = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := re.fullmatch(r"model_(\d+)", path.name)) and path.is_dir()
    ]
    if not found:
        raise PolyIDError(
            f"{folder} has no member; expected folders model_0, model_1, …, found "
            f"{sorted(p.name for p in folder.iterdir())[:5]}."
        )
    return sorted(found)


def _columns(path: Path, given: Mapping[str, Column]) -> dict[str, Column]:
    """Columns of the model in their order, and what they are."""
    content = read_pickle(path)
    names = content.get("prediction_columns") if isinstance(content, dict) else None
    if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
        raise PolyIDError(f"{path} has no prediction_columns; expected a list of names.")
    if extra := sorted(set(given) - set(names)):
        raise PolyIDError(f"The model has no column {', '.join(extra)}; its columns are {names}.")
    found = {}
    for name in names:
        if name not in given and name not in PROPERTIES:
            raise PolyIDError(
                f"Column {name!r} of {path} is no property known here. Say which it is, such as "
                f"--property '{name}=Glass_Transition'; known are {', '.join(PROPERTIES)}."
            )
        found[name] = given.get(name) or Column(name, PROPERTIES[name].unit)
    if len({c.name for c in found.values()}) < len(found):
        raise PolyIDError(f"Two columns of {names} are the same property: {list(found.values())}.")
    return found


def _union(many: Sequence[Vocabulary]) -> Vocabulary:
    """All members' features, in the order in which they come."""
    atom = dict.fromkeys(text for v in many for text in v.atom)
    bond = dict.fromkeys(text for v in many for text in v.bond)
    return Vocabulary(
        {text: i for i, text in enumerate(atom, UNKNOWN + 1)},
        {text: i for i, text in enumerate(bond, UNKNOWN + 1)},
    )


def _rows(
    table: NDArray[np.float32], known: Mapping[str, int], union: Mapping[str, int]
) -> NDArray[np.float32]:
    """Rows of an embedding in the order of the union; what is not known gets the UNK row."""
    return table[[0, UNKNOWN, *(known.get(text, UNKNOWN) for text in union)]]
