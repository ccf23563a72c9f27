"""Robust scaling of labels: (value - median) / interquartile range, per property and member."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError


@dataclass(frozen=True)
class Scaler:
    """What scikit-learn's `RobustScaler` learnt, as plain numbers."""

    properties: tuple[str, ...]
    center: NDArray[np.float64]
    """Medians in the properties' units, ``(n_properties,)``."""
    scale: NDArray[np.float64]
    """Interquartile ranges in the properties' units, ``(n_properties,)``."""

    @classmethod
    def fit(cls, values: NDArray, properties: tuple[str, ...], where: str = "") -> "Scaler":
        """Learn from labels ``(n, n_properties)``; NaN is no label.

        Raises
        ------
        PolyIDError
            If a property has no label.
        """
        empty = [
            p for p, ok in zip(properties, np.isfinite(values).any(axis=0), strict=True) if not ok
        ]
        if empty:
            raise PolyIDError(
                f"{', '.join(empty)} has no label{where}; expected at least one. Use fewer folds "
                "or leave the property out of data.properties."
            )
        from sklearn.preprocessing import RobustScaler  # half a second, only to train

        fitted = RobustScaler().fit(values)
        scale = np.where(fitted.scale_ > 0, fitted.scale_, 1.0)
        return cls(tuple(properties), np.asarray(fitted.center_), scale)

    def transform(self, values: NDArray) -> NDArray[np.float64]:
        """Scale ``(…, n_properties)``."""
        return (values - self.center) / self.scale

    def inverse(self, values: NDArray) -> NDArray[np.float64]:
        """Back to the properties' units."""
        return values * self.scale + self.center

    def save(self, path: Path) -> None:
        """Write as JSON."""
        rows = {
            p: {"center": float(c), "scale": float(s)}
            for p, c, s in zip(self.properties, self.center, self.scale, strict=True)
        }
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Scaler":
        """Read what `save` wrote."""
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            center = np.array([rows[p]["center"] for p in rows], dtype=float)
            scale = np.array([rows[p]["scale"] for p in rows], dtype=float)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise PolyIDError(f"{path} holds no scaler: {error}") from error
        return cls(tuple(rows), center, scale)
