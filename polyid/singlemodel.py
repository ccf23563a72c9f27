"""PolyID's `SingleModel`: one member of an ensemble."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyid.engine.weights import Architecture, Weights, flatten, unflatten
from polyid.scaling import Scaler
from polyid.vocabulary import Vocabulary


class SingleModel:
    """One member of an ensemble."""

    def __init__(
        self,
        prediction_columns: Sequence[str],
        df_train: pd.DataFrame | None = None,
        df_validate: pd.DataFrame | None = None,
        model_id: str = "0",
    ) -> None:
        self.prediction_columns = list(prediction_columns)
        self.df_train, self.df_validate = df_train, df_validate
        self.model_id = model_id
        self.data_scaler: Scaler | None = None
        self.vocabulary: Vocabulary | None = None
        self.weights: Weights | None = None
        self.df_loss_log: pd.DataFrame | None = None
        self._flat: tuple[Weights, NDArray[np.float32]] | None = None

    def vector(self, architecture: Architecture) -> NDArray[np.float32]:
        """Weights as the engine reads them, ``(count,)``; `weights` are then views of it."""
        assert self.weights is not None
        if self._flat is None or self._flat[0] is not self.weights:
            flat = flatten(architecture, self.weights)
            self.weights = unflatten(architecture, flat)
            self._flat = self.weights, flat
        return self._flat[1]

    def generate_data_scaler(self) -> None:
        """Learn medians and interquartile ranges from the training rows."""
        assert self.df_train is not None
        values = self.df_train[self.prediction_columns].to_numpy(dtype=float)
        where = f" in the training part of fold {self.model_id}"
        self.data_scaler = Scaler.fit(values, tuple(self.prediction_columns), where)
