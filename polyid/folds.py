"""Cross-validation folds: grouped by monomer set, stratified by mechanism, seeded and hashed."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyid.errors import PolyIDError

SPLITS = ("grouped", "random")


@dataclass(frozen=True)
class Folds:
    """Which fold holds out what."""

    split: str
    """``grouped``: whole monomer sets; ``random``: samples, PolyID's old way, which leaks."""
    count: int
    seed: int
    assignment: dict[str, int]
    """Fold of each monomer set (``grouped``) or sample (``random``)."""

    @property
    def key(self) -> str:
        """Column of the dataset frame that ``assignment`` speaks of."""
        return "group" if self.split == "grouped" else "sample"

    @property
    def hash(self) -> str:
        """SHA-256 of the split and the assignment, in hex."""
        text = json.dumps([self.split, self.count, sorted(self.assignment.items())])
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Fold of each row, ``(n,)``; -1 for what the folds do not know."""
        fold = frame[self.key].map(lambda key: self.assignment.get(key, -1))
        return fold.to_numpy(dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        data = {
            "split": self.split,
            "count": self.count,
            "seed": self.seed,
            "hash": self.hash,
            "assignment": self.assignment,
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Folds":
        """Read what `save` wrote, and check its hash."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            found = cls(data["split"], data["count"], data["seed"], dict(data["assignment"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PolyIDError(f"{path} holds no folds: {error}") from error
        if found.hash != data.get("hash"):
            raise PolyIDError(f"{path} was changed: its folds do not have the hash it states.")
        return found


def make_folds(frame: pd.DataFrame, count: int, split: str = "grouped", seed: int = 0) -> Folds:
    """Split the dataset frame.

    Parameters
    ----------
    frame
        With ``group``, ``sample`` and ``mechanism``.
    count
        Number of folds, at least 2.
    split
        ``grouped`` or ``random``.
    seed
        Of the shuffle.

    Raises
    ------
    PolyIDError
        If there are fewer groups (or samples) than folds.
    """
    # it takes half a second to import, and whoever predicts has no need of it
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if split not in SPLITS:
        raise PolyIDError(f"folds.split is {split!r}; expected one of {list(SPLITS)}.")
    key = "group" if split == "grouped" else "sample"
    keys, mechanism = frame[key].to_numpy(), frame["mechanism"].to_numpy()
    distinct = len(set(keys))
    what = "monomer sets" if split == "grouped" else "samples"
    if distinct < 2:
        raise PolyIDError(
            f"the data hold {distinct} {what}: nothing can be held out. Expected at least 2, and "
            "one per fold."
        )
    if count < 2 or distinct < count:
        raise PolyIDError(
            f"folds.count is {count}, but the data hold {distinct} {what}; expected 2 to "
            f"{distinct} folds (trainer run --set folds.count=…)."
        )
    one = frame.drop_duplicates(key)
    with warnings.catch_warnings():
        # a mechanism with fewer polymers than folds cannot stand in each: that is no fault
        warnings.filterwarnings("ignore", message="The least populated class")
        # if no mechanism fills all folds, scikit-learn refuses to stratify
        if np.unique(mechanism, return_counts=True)[1].max() < count:
            mechanism = np.zeros(len(keys))
        if split == "grouped":
            splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            parts = [keys[held] for _, held in splitter.split(keys, mechanism, groups=keys)]
        else:
            plain = StratifiedKFold(count, shuffle=True, random_state=seed)
            samples, strata = one[key].to_numpy(), one["mechanism"].to_numpy()
            if min(np.unique(strata, return_counts=True)[1].max(), distinct) < count:
                strata = np.zeros(len(samples))
            parts = [samples[held] for _, held in plain.split(samples, strata)]
    assignment = {str(name): fold for fold, part in enumerate(parts) for name in part}
    ordered = {str(name): assignment[str(name)] for name in one[key]}
    empty = set(range(count)) - set(ordered.values())
    if empty:
        raise PolyIDError(
            f"folds.count is {count}, but fold {min(empty)} would hold nothing; use fewer folds."
        )
    return Folds(split, count, seed, ordered)
