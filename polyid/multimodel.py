"""PolyID's `MultiModel` and `SingleModel`: an ensemble over folds, trained and used from Python.

The names and the order of calls are PolyID's::

    mm = MultiModel()
    mm.load_dataset(frame, prediction_columns=["Glass_Transition"])
    mm.split_data(kfolds=5)
    mm.generate_data_scaler()
    mm.generate_preprocessors()
    mm.train_models(models.global100, model_params=Parameters(epochs=50).to_dict())
    mm.make_aggregate_predictions(frame)

The work is done by the engine (`polyid.engine`); the pipeline's runs add checkpoints, processes
and a registry around the same functions.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyid import modelfiles
from polyid.dataset import Columns, DataSpec, PropertyColumn, frame_from, read_csv
from polyid.domain import Domain
from polyid.errors import PolyIDError
from polyid.folds import Folds, make_folds
from polyid.modelfiles import MemberFiles, ModelParameters
from polyid.properties import PROPERTIES
from polyid.singlemodel import SingleModel
from polyid.structures import build
from polyid.vocabulary import Vocabulary

#: Model builders of `polyid.models`, and the engine's name for the same network.
_ENGINE_NAMES = {"global100": "global100", "pm_model": "pm"}


class MultiModel:
    """An ensemble of members, each trained on all folds but one."""

    def __init__(self) -> None:
        self.models: list[SingleModel] = []
        self.prediction_columns: list[str] = []
        self.df_input: pd.DataFrame | None = None
        self.folds: Folds | None = None
        self.vocabulary: Vocabulary | None = None
        self.parameters: ModelParameters | None = None
        self.folder: Path | None = None

    def load_dataset(
        self, data: pd.DataFrame | str | Path, prediction_columns: Sequence[str] | None = None
    ) -> None:
        """Take a table with ``smiles_polymer``, ``smiles_monomer``, ``mechanism`` and properties.

        Parameters
        ----------
        data
            A frame or a CSV file. ``distribution``, ``pm`` and ``replicate_structure`` are used
            if they are there. Property values are in the product's units.
        prediction_columns
            Properties to learn; all of `polyid.properties.PROPERTIES` in the table if None.

        Raises
        ------
        PolyIDError
            If a column is missing or a property unknown.
        """
        raw = data if isinstance(data, pd.DataFrame) else read_csv(Path(data))
        chosen = list(prediction_columns or [p for p in PROPERTIES if p in raw.columns])
        unknown = [c for c in chosen if c not in PROPERTIES]
        if unknown or not chosen:
            raise PolyIDError(
                f"prediction_columns {unknown or chosen} are not known properties; expected some "
                f"of {list(PROPERTIES)}, and the table's columns are {list(raw.columns)}."
            )
        there = {c: c if c in raw else None for c in ("distribution", "pm", "replicate_structure")}
        columns = Columns(
            distribution=there["distribution"],
            pm=there["pm"],
            replicate=there["replicate_structure"],
        )
        properties = {c: PropertyColumn(c, PROPERTIES[c].unit) for c in chosen}
        self.df_input = frame_from(raw.reset_index(drop=True), DataSpec(columns, properties))
        self.prediction_columns = chosen

    def split_data(self, kfolds: int = 5, split: str = "grouped", seed: int = 0) -> None:
        """Make one member per fold; ``split="random"`` is PolyID's old way, which leaks."""
        frame = self._data()
        self.folds = make_folds(frame, kfolds, split, seed)
        fold = self.folds.of(frame)
        self.models = [
            SingleModel(self.prediction_columns, frame[fold != i], frame[fold == i], str(i))
            for i in range(kfolds)
        ]

    def generate_data_scaler(self) -> None:
        """Fit every member's scaler on its training rows."""
        if not self.models:
            raise PolyIDError("there are no folds yet: call split_data first.")
        for model in self.models:
            model.generate_data_scaler()

    def generate_preprocessors(self) -> None:
        """Learn the token vocabulary; the members share one."""
        smiles = list(self._data()["smiles_polymer"])
        self.vocabulary = build(smiles, 1).vocabulary
        for model in self.models:
            model.vocabulary = self.vocabulary

    def train_models(
        self,
        modelbuilder: Callable[..., Any],
        model_params: Mapping[str, Any],
        save_folder: str | Path | None = None,
        on_epoch: Callable[[Any], None] | None = None,
    ) -> None:
        """Train all members.

        Parameters
        ----------
        modelbuilder
            `polyid.models.global100` or `polyid.models.pm_model`: which network.
        model_params
            By PolyID's names, see `Parameters`; also ``seed``, ``schedule`` and ``dp``.
        save_folder
            Where to `save_pretrained` afterwards.
        on_epoch
            Told every finished epoch (`polyid.engine.fit.Epoch`).
        """
        from polyid.training import train

        name = _ENGINE_NAMES.get(modelbuilder.__name__)
        if name is None:
            raise PolyIDError(
                f"model builder {modelbuilder.__name__!r} is not known to the engine; expected "
                f"one of {list(_ENGINE_NAMES)} of polyid.models."
            )
        if not self.models or self.vocabulary is None or self.models[0].data_scaler is None:
            raise PolyIDError(
                "train_models needs load_dataset, split_data, generate_data_scaler and "
                "generate_preprocessors first."
            )
        self.parameters = train(self, name, model_params, on_epoch)
        if save_folder is not None:
            self.save_pretrained(save_folder)

    def predict_members(
        self,
        smiles: Sequence[str],
        pm: Sequence[float] | None = None,
        progress: Callable[[int, int], None] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Predict chains by every member, in the properties' units.

        ``threads`` members go side by side, as many as there are cores without it; so many
        processes read the chains if there are hundreds.

        Returns
        -------
        numpy.ndarray
            Shape ``(members, len(smiles), len(prediction_columns))``.
        """
        from polyid.engine.inference import predict

        parameters = self._trained()
        if not len(smiles):
            return np.empty((len(self.models), 0, len(self.prediction_columns)))
        if parameters.model == "pm" and pm is None:
            raise PolyIDError(
                "this model takes the tacticity: give pm, the fraction of meso dyads (0 to 1)."
            )
        assert self.vocabulary is not None
        depth = parameters.num_messages
        made = build(list(smiles), depth, self.vocabulary, processes=threads)
        architecture = parameters.architecture(self.vocabulary)
        members = [m.vector(architecture) for m in self.models if m.weights is not None]
        values = None if pm is None else np.asarray(pm, dtype=np.float32)
        scaled = predict(architecture, members, made.quotients, values, progress, threads)
        scalers = [m.data_scaler for m in self.models]
        return np.stack(
            [s.inverse(p.astype(float)) for s, p in zip(scalers, scaled, strict=True) if s]
        )

    def make_predictions(self, df_prediction: pd.DataFrame) -> pd.DataFrame:
        """Predict by every member: the frame once per member, with ``<property>_pred`` columns."""
        needed = ["smiles_polymer", *(["pm"] if self._trained().model == "pm" else [])]
        missing = [name for name in needed if name not in df_prediction]
        if missing:
            raise PolyIDError(
                f"the frame to predict lacks {', '.join(missing)}; its columns are "
                f"{list(df_prediction.columns)}."
            )
        pm = list(df_prediction["pm"]) if "pm" in needed else None
        values = self.predict_members(list(df_prediction["smiles_polymer"]), pm)
        parts = []
        for model, predicted in zip(self.models, values, strict=True):
            part = df_prediction.copy()
            for i, name in enumerate(self.prediction_columns):
                part[f"{name}_pred"] = predicted[:, i]
            part["model_id"] = model.model_id
            parts.append(part)
        return pd.concat(parts)

    def make_aggregate_predictions(
        self, df_prediction: pd.DataFrame, funcs: Sequence[str] = ("mean", "std")
    ) -> pd.DataFrame:
        """Mean and spread over members and replicate structures.

        Returns
        -------
        pandas.DataFrame
            One row per polymer (``smiles_monomer`` if given, else ``smiles_polymer``; with
            ``distribution`` and ``pm`` if given), columns ``<property>_pred_<func>``.
        """
        keys = ["smiles_monomer" if "smiles_monomer" in df_prediction else "smiles_polymer"]
        keys += [k for k in ("distribution", "pm") if k in df_prediction]
        columns = [f"{name}_pred" for name in self.prediction_columns]
        table = self.make_predictions(df_prediction)
        grouped = table.groupby(keys, dropna=False, sort=False)[columns].agg(list(funcs))
        grouped.columns = ["_".join(pair) for pair in grouped.columns]
        return grouped.reset_index()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write parameters, members and, if trained here, the domain of validity; no pickle."""
        parameters, folder = self._trained(), Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parameters.save(folder)
        for i, model in enumerate(self.models):
            assert model.weights
            assert model.vocabulary
            assert model.data_scaler
            files = MemberFiles(model.weights, model.vocabulary, model.data_scaler)
            modelfiles.save_member(folder, i, files)
        if self.df_input is not None:
            Domain.fit(self.df_input, 2, self.prediction_columns).save(folder / "domain.json")
        return folder

    @classmethod
    def load_models(cls, folder: str | Path) -> "MultiModel":
        """Read a model folder; see `from_pretrained` for registries and verification."""
        folder = Path(folder)
        parameters = ModelParameters.load(folder)
        mm = cls()
        mm.parameters, mm.folder = parameters, folder
        mm.prediction_columns = list(parameters.prediction_columns)
        for i in range(parameters.members):
            files = modelfiles.load_member(folder, i, parameters)
            member = SingleModel(mm.prediction_columns, model_id=str(i))
            member.weights, member.vocabulary = files.weights, files.vocabulary
            member.data_scaler = files.scaler
            member.vector(parameters.architecture(files.vocabulary))  # no member lies here twice
            mm.models.append(member)
        mm.vocabulary = mm.models[0].vocabulary
        if any(m.vocabulary != mm.vocabulary for m in mm.models):
            raise PolyIDError(f"{folder}: the members' vocabularies differ; expected one for all.")
        return mm

    @classmethod
    def from_pretrained(cls, model: str, revision: str | None = None) -> "MultiModel":
        """Load a verified model; nothing is loaded that is not what its checksums say.

        Parameters
        ----------
        model
            A folder, a registry's folder, ``hf://namespace/name``, or, where no such folder is
            here, ``namespace/name`` on the Hugging Face Hub. From the Hub it is fetched once.
        revision
            A tag, ``candidate/<fingerprint>`` or, on the Hub, a commit; the current release if
            None.
        """
        from polyid.hub import REPOSITORY, SCHEME
        from polyid.store import resolve

        if not Path(model).expanduser().exists() and REPOSITORY.fullmatch(model):
            model = f"{SCHEME}{model}"
        return cls.load_models(resolve(model if revision is None else f"{model}@{revision}").folder)

    def push_to_hub(self, repo_id: str, *, private: bool = True, branch: str = "main") -> str:
        """Upload this model, with checksums, in one commit to a repository on the Hub.

        The pipeline's releases are gated and tagged, see `trainer.registry`; this is for a model
        of one's own.

        Parameters
        ----------
        repo_id
            ``namespace/name``; created if it is missing.
        private
            Whether a repository that is created can be read by its owner only.
        branch
            Created from ``main`` if it is missing.

        Returns
        -------
        str
            The commit, 40 hexadecimal digits.
        """
        from polyid.hub_upload import upload

        with TemporaryDirectory() as name:
            return upload(self.save_pretrained(name), repo_id, private=private, branch=branch)

    def _data(self) -> pd.DataFrame:
        if self.df_input is None:
            raise PolyIDError("there are no data yet: call load_dataset first.")
        return self.df_input

    def _trained(self) -> ModelParameters:
        if self.parameters is None:
            raise PolyIDError("there is no model yet: call train_models or load_models first.")
        return self.parameters
