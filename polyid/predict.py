"""From what a chemist writes to predictions with intervals, validity and the model's identity."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import yaml

from polyid.domain import Domain
from polyid.errors import ElementError, PolyIDError
from polyid.graphs import features
from polyid.intervals import Intervals
from polyid.multimodel import MultiModel
from polyid.polymers import Polymer, to_polymer
from polyid.properties import PROPERTIES
from polyid.smiles import shorten
from polyid.store import ResolvedModel
from polyid.trust import Trust, judge

#: Told (what is being done, done, of how many).
Progress = Callable[[str, int, int], None]

#: Distinct chains that are predicted at once: enough to use the cores, and progress moves.
_CHUNK = 64


class Query(NamedTuple):
    """One polymer that is asked for."""

    text: str
    """Monomers, a repeat unit with two ``*``, or a whole chain, as SMILES."""
    mechanism: str | None = None
    """How monomers join; found from their groups without it."""
    pm: float | str | None = None
    """Fraction of meso dyads, 0 to 1, for a model that takes it; a number or its text."""
    name: str | None = None
    """What the user calls it."""
    kind: str = "auto"
    """``auto``, ``monomers``, ``repeat_unit`` or ``oligomer``."""


class Estimate(NamedTuple):
    """One predicted property, in the product's unit."""

    value: float
    low: float
    """Lower end of the interval, see `polyid.intervals`."""
    high: float
    unit: str


@dataclass(frozen=True)
class Result:
    """The answer to one query."""

    query: Query
    error: str | None
    """Why there is no prediction; None if there is one."""
    polymer: Polymer | None
    """How the text was understood; None if it could not be."""
    note: str
    """What was assumed; empty if nothing was."""
    properties: dict[str, Estimate] | None
    validity: Trust | None
    model: dict[str, str | None]
    """Which model answered: where it is, revision, fingerprint, commits, image and data hash."""

    @property
    def ok(self) -> bool:
        """Whether there is a prediction."""
        return self.error is None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        estimates, validity = self.properties, self.validity
        return {
            "input": self.query.text,
            "ok": self.ok,
            "error": self.error,
            "smiles_polymer": self.polymer.smiles_polymer if self.polymer else None,
            "kind": self.polymer.kind if self.polymer else None,
            "note": self.note,
            "properties": {k: v._asdict() for k, v in estimates.items()} if estimates else None,
            "validity": validity.as_dict() if validity else None,
            "model": self.model,
        }


class _Key(NamedTuple):
    """What decides a prediction."""

    smiles: str
    pm: float | None


class _Understood(NamedTuple):
    polymer: Polymer | None
    note: str
    key: _Key | None
    """None where there is a fault."""
    fault: str
    unseen: list[str]
    """Atom and bond features that the network never met."""


class _Answer(NamedTuple):
    properties: dict[str, Estimate]
    validity: Trust


class Predictor:
    """A verified model, its domain of validity and its intervals, loaded once.

    Attributes
    ----------
    multimodel : MultiModel
        The ensemble.
    domain : Domain
        Training polymers with their measured values.
    intervals : Intervals
        Calibrated intervals.
    source : dict
        Which model this is; part of every answer.
    """

    def __init__(self, model: ResolvedModel) -> None:
        """Load a model that `polyid.store.resolve` has verified.

        Raises
        ------
        PolyIDError
            If a file is missing or damaged, or a property has no interval.
        """
        folder = model.folder
        self.multimodel = MultiModel.load_models(folder)
        parameters, vocabulary = self.multimodel.parameters, self.multimodel.vocabulary
        if parameters is None or vocabulary is None:
            raise PolyIDError(f"{folder} holds no trained model; expected parameters and members.")
        self._model, self._dp, self._vocabulary = parameters.model, parameters.dp, vocabulary
        self.domain = Domain.load(folder / "domain.json")
        self.intervals = Intervals.load(folder / "intervals.json")
        self.source = _source(model)
        self.properties = tuple(self.multimodel.prediction_columns)
        lost = [name for name in self.properties if name not in self.intervals.properties]
        if lost:
            raise PolyIDError(
                f"{folder / 'intervals.json'} has no interval for {', '.join(lost)}; expected one "
                "for every property of the model. Fetch the model again, or train it anew."
            )

    @property
    def takes_pm(self) -> bool:
        """Whether the model reads the tacticity."""
        return self._model == "pm"

    def predict(
        self,
        queries: Sequence[Query],
        progress: Progress | None = None,
        threads: int | None = None,
    ) -> list[Result]:
        """Predict polymers; what cannot be predicted gets an error, and the rest is predicted.

        Parameters
        ----------
        queries
            What is asked for, length n. Queries with the same chain are predicted once.
        progress
            Told how far the work is.
        threads
            Members of the ensemble that go side by side; as many as there are cores without it.

        Returns
        -------
        list of Result
            Length n, in the order given.
        """
        understood = []
        for done, query in enumerate(queries, start=1):
            understood.append(self._understand(query))
            if progress:
                progress("Building chains", done, len(queries))
        unseen = {one.key: one.unseen for one in understood if one.key is not None}
        answers = self._answers(unseen, progress, threads)
        results = []
        for query, (polymer, note, key, fault, _) in zip(queries, understood, strict=True):
            answer = answers[key] if key is not None else fault
            if isinstance(answer, str):
                results.append(Result(query, answer, polymer, note, None, None, self.source))
            else:
                results.append(Result(query, None, polymer, note, *answer, self.source))
        return results

    def understand(self, query: Query) -> tuple[Polymer, float | None]:
        """Give the chain of a query, and pm for a model that reads it.

        Raises
        ------
        PolyIDError
            If this model cannot read it.
        """
        found = self._understand(query)
        if found.key is None or found.polymer is None:
            raise PolyIDError(found.fault)
        return found.polymer, found.key.pm

    def _understand(self, query: Query) -> _Understood:
        polymer, note = None, ""
        try:
            pm = fraction(query.pm)
            polymer = to_polymer(
                query.text,
                mechanism=query.mechanism or None,
                dp=self._dp,
                kind=query.kind,
                pm=pm if self.takes_pm else None,
            )
            note = polymer.note
            unseen = self._check(polymer, query.text, pm)
        except PolyIDError as error:
            return _Understood(polymer, note, None, str(error), [])
        if pm is not None and not self.takes_pm:
            note = f"{note} This model does not read pm; it was left out.".strip()
            pm = None
        return _Understood(polymer, note, _Key(polymer.smiles_polymer, pm), "", unseen)

    def _check(self, polymer: Polymer, text: str, pm: float | None) -> list[str]:
        """Refuse what this model cannot read, and return the features that are new to it."""
        if self.takes_pm and pm is None:
            raise PolyIDError(
                f"{shorten(text)}: this model reads the tacticity; give pm, the fraction of meso "
                "dyads from 0 (syndiotactic) to 1 (isotactic), as in --pm 0.5."
            )
        found = features(polymer.smiles_polymer)
        unknown = self._vocabulary.unknown_elements(found)
        if unknown:
            raise ElementError(
                f"{shorten(text)} holds {', '.join(unknown)}, which no polymer of the training "
                "data has; this model knows nothing about it and does not guess."
            )
        return self._vocabulary.unknown(found)

    def _answers(
        self,
        unseen: Mapping[_Key, list[str]],
        progress: Progress | None,
        threads: int | None,
    ) -> dict[_Key, _Answer | str]:
        """Predict distinct chains, in chunks; ``unseen`` holds their features that are new."""
        keys = list(unseen)
        answers: dict[_Key, _Answer | str] = {}
        for start in range(0, len(keys), _CHUNK):
            some = keys[start : start + _CHUNK]
            smiles = [key.smiles for key in some]
            pm = [key.pm for key in some if key.pm is not None] if self.takes_pm else None
            means = self.multimodel.predict_members(smiles, pm, threads=threads).mean(axis=0)
            found = self.domain.assess(smiles)
            similarity = np.array([validity.similarity for validity in found])
            tables = self._estimates(means, similarity)
            for key, validity, estimates in zip(some, found, tables, strict=True):
                if isinstance(estimates, str):
                    answers[key] = estimates
                else:
                    answers[key] = _Answer(estimates, judge(validity, unseen[key]))
            if progress:
                progress("Predicting", min(start + _CHUNK, len(keys)), len(keys))
        return answers

    def _estimates(
        self, means: np.ndarray, similarity: np.ndarray
    ) -> list[dict[str, Estimate] | str]:
        """Values with intervals of some chains, or why there are none.

        Parameters
        ----------
        means
            Means over the members, shape (n, properties).
        similarity
            To the nearest training polymer, shape (n,).
        """
        tables: list[dict[str, Estimate] | str] = [{} for _ in similarity]
        for column, name in enumerate(self.properties):
            known = PROPERTIES[name]
            values = means[:, column]
            low, high = self.intervals.bounds(name, values, similarity)
            # what cannot be negative is not, in the value as in the interval
            values = np.maximum(values, 0.0) if known.low > 0 else values
            for row, table in enumerate(tables):
                if isinstance(table, str):
                    continue
                if not math.isfinite(values[row]):
                    tables[row] = (
                        f"The model gave {values[row]} for {name}, expected a number: it is "
                        "damaged or diverged in training. Use another release."
                    )
                    continue
                table[name] = Estimate(
                    float(values[row]), float(low[row]), float(high[row]), known.unit
                )
        return tables


def fraction(pm: float | str | None) -> float | None:
    """Read the fraction of meso dyads; None and an empty text are none.

    Raises
    ------
    PolyIDError
        If it is no number from 0 to 1.
    """
    if pm is None or (isinstance(pm, str) and not pm.strip()):
        return None
    try:
        value = float(pm)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise PolyIDError(
            f"pm is {pm!r}; expected a number from 0 (syndiotactic) to 1 (isotactic)."
        )
    return value


def _source(model: ResolvedModel) -> dict[str, str | None]:
    """Say which model this is, from the folder's record."""
    path = model.folder / "record.yaml"
    record: Any = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None

    def entry(section: str, key: str) -> str | None:
        found = record.get(section) if isinstance(record, dict) else None
        value = found.get(key) if isinstance(found, dict) else None
        return value if isinstance(value, str) else None

    place = {"registry": str(model.registry)} if model.registry else {"folder": str(model.folder)}
    return {
        **place,
        "revision": model.revision,
        "fingerprint": model.fingerprint,
        "hub_commit": model.commit,
        "commit": entry("code", "commit"),
        "image": entry("code", "image"),
        "data_hash": entry("data", "hash"),
    }
