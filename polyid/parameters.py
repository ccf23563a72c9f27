"""PolyID's `Parameters`: settings of a model by PolyID's names, with its defaults."""

from collections.abc import Sequence
from typing import Any


class Parameters:
    """Settings that a training run takes, as attributes, items or a dictionary.

    The defaults are PolyID's; they do not promise a good model. The settings of the publication
    are the recipe ``publication`` of the pipeline.
    """

    def __init__(
        self,
        kfolds: int = 3,
        batch_size: int = 64,
        epochs: int = 5,
        decay: float = 1e-5,
        learning_rate: float = 5e-4,
        atom_features: int = 32,
        bond_features: int = 32,
        mol_features: int = 8,
        num_messages: int = 2,
        dropout: float = 0.05,
        prediction_columns: Sequence[str] | None = None,
        **others: Any,
    ) -> None:
        self.kfolds = kfolds
        self.batch_size = batch_size
        self.epochs = epochs
        self.decay = decay
        self.learning_rate = learning_rate
        self.atom_features = atom_features
        self.bond_features = bond_features
        self.mol_features = mol_features
        self.num_messages = num_messages
        self.dropout = dropout
        self.prediction_columns = list(prediction_columns) if prediction_columns else None
        for name, value in others.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """All settings."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "Parameters":
        """Make from what `to_dict` gave."""
        return cls(**settings)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)
