"""Two baselines on the model's own folds: a look-up of means, and a Gaussian process.

The first says what remembering is worth, the second what half a minute of ordinary statistics is
worth. Both see exactly the training rows that the fold's model saw.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, WhiteKernel

from polyid.errors import PolyIDError
from trainer.chain_kernel import ChainTables, Floats, TableKernel, TableRBF, chain_tables

#: Raise it when a change here or in ``chain_kernel`` changes the numbers: cached ones are then
#: made again.
VERSION = 1

#: Hyper-parameters are first fitted to this many training rows (cost grows with their cube) …
_FIRST_ROWS = 400
#: … and then to all of them, for this many steps.
_FIRST_STEPS, _LAST_STEPS = 30, 5
#: Below this many labels a Gaussian process has nothing to fit: the training mean is returned.
_FEWEST = 5

Progress = Callable[[str, float], None]


def fit_baselines(
    frame: pd.DataFrame,
    folds: Mapping[str, int] | ArrayLike,
    properties: Sequence[str],
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict every labelled sample by the two baselines of the fold that did not see it.

    Parameters
    ----------
    frame
        The dataset frame: ``row, sample, group, smiles_polymer``, the properties as float
        columns in product units (NaN = missing) and, if known, ``pm``. Rows of one sample are
        replicates: the first gives the chain, the mean of the labels the label.
    folds
        Fold by group, or by sample (a mapping), or one fold per row of ``frame`` (an array).
    properties
        Columns to predict.
    cache
        Folder in which the result is kept under the hash of everything that decides it.
    progress
        Called with a line of text and the fraction done, 0…1.

    Returns
    -------
    DataFrame
        ``row, sample, group, fold, property, y_true, y_mean, y_gp``, long, one row per labelled
        (sample, property); values in product units. NaN where a fold has no training label.

    Raises
    ------
    PolyIDError
        If a row has no fold, or a chain cannot be parsed.
    """
    say = progress or (lambda text, done: None)
    samples = _by_sample(frame, _fold_of_rows(frame, folds), properties)
    path = cache / f"baselines-{_key(samples)}.parquet" if cache else None
    if path and path.exists():
        say("Baselines: read from the cache", 1.0)
        return pd.read_parquet(path)
    result = _fit(samples, properties, say)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        result.to_parquet(half, index=False)
        half.replace(path)
    return result


def _fold_of_rows(frame: pd.DataFrame, folds: Mapping[str, int] | ArrayLike) -> NDArray[np.intp]:
    """Return the fold of every row of ``frame``."""
    if not isinstance(folds, Mapping):
        array = np.asarray(folds, dtype=np.intp)
        if array.shape != (len(frame),):
            raise PolyIDError(
                f"folds have shape {array.shape}, expected one fold for each of the "
                f"{len(frame)} rows."
            )
        return array
    for column in ("group", "sample"):
        if set(frame[column]) <= set(folds):
            return np.asarray(frame[column].map(dict(folds)), dtype=np.intp)
    lost = sorted(set(frame["group"]) - set(folds))
    raise PolyIDError(
        f"{len(lost)} monomer sets have no fold, such as {lost[0]!r}: the folds belong to other "
        "data. Make them again with `trainer run`."
    )


def _by_sample(
    frame: pd.DataFrame, folds: NDArray[np.intp], properties: Sequence[str]
) -> pd.DataFrame:
    """Return one row per sample: first chain and mean labels."""
    table = frame.assign(fold=folds)
    if "pm" not in table:
        table["pm"] = np.nan
    first = ["row", "group", "fold", "smiles_polymer"]
    rules: dict[str, Any] = dict.fromkeys(first, "first") | {"pm": "mean"}
    rules |= dict.fromkeys(properties, "mean")
    return table.groupby("sample", sort=False).agg(rules).reset_index()


def _key(samples: pd.DataFrame) -> str:
    """Return a hash of everything that decides the result."""
    text = samples.to_json(orient="split", double_precision=15)
    return hashlib.sha256(json.dumps([VERSION, text]).encode()).hexdigest()[:24]


def _fit(samples: pd.DataFrame, properties: Sequence[str], say: Progress) -> pd.DataFrame:
    say("Baselines: comparing chains", 0.0)
    tables = chain_tables(
        samples["smiles_polymer"].tolist(),
        samples["pm"].tolist(),
        lambda done: say("Baselines: comparing chains", 0.5 * done),
    )
    folds, groups = samples["fold"].to_numpy(), samples["group"].to_numpy()
    found = []
    # The work of a fold grows about with the square of its labels.
    labelled = {name: np.flatnonzero(samples[name].notna()) for name in properties}
    total, done = sum(len(rows) ** 2 for rows in labelled.values()) or 1, 0
    for name, rows in labelled.items():
        say(f"Baselines: {name}", 0.5 + 0.5 * done / total)
        done += len(rows) ** 2
        labels = samples[name].to_numpy(dtype=np.float64)
        part = samples.loc[rows, ["row", "sample", "group", "fold"]].assign(
            property=name, y_true=labels[rows], y_mean=np.nan, y_gp=np.nan
        )
        for fold in np.unique(folds[rows]):
            train, test = rows[folds[rows] != fold], rows[folds[rows] == fold]
            if not len(train):
                continue
            at = part["fold"] == fold
            part.loc[at, "y_mean"] = _group_means(labels, groups, train, test)
            part.loc[at, "y_gp"] = _gaussian_process(tables, labels, train, test)
        found.append(part)
    say("Baselines: done", 1.0)
    return pd.concat(found, ignore_index=True)


def _group_means(
    labels: Floats, groups: NDArray[Any], train: NDArray[np.intp], test: NDArray[np.intp]
) -> Floats:
    """Return the mean training label of the row's monomer set, or of all if the set is new."""
    means = pd.Series(labels[train]).groupby(groups[train]).mean()
    known = pd.Series(groups[test]).map(means)
    return np.asarray(known.fillna(labels[train].mean()), dtype=np.float64)


def _gaussian_process(
    tables: ChainTables, labels: Floats, train: NDArray[np.intp], test: NDArray[np.intp]
) -> Floats:
    """Return predictions for the rows ``test``, in the unit of ``labels``.

    The hyper-parameters maximise the marginal likelihood of the training rows (Rasmussen &
    Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.1).
    """
    mean, sd = labels[train].mean(), labels[train].std()
    if len(train) < _FEWEST or sd == 0:
        return np.full(len(test), mean)
    target = (labels[train] - mean) / sd
    kernel = _kernel(tables)
    with warnings.catch_warnings():
        # A hyper-parameter at its bound or an early stop is fine for a baseline.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if len(train) > _FIRST_ROWS:
            part = np.random.default_rng(0).permutation(len(train))[:_FIRST_ROWS]
            first = GaussianProcessRegressor(kernel, optimizer=_optimizer(_FIRST_STEPS))
            kernel = first.fit(train[part, None], target[part]).kernel_
        steps = _LAST_STEPS if len(train) > _FIRST_ROWS else _FIRST_STEPS
        process = GaussianProcessRegressor(kernel, optimizer=_optimizer(steps))
        process.fit(train[:, None], target)
    return mean + sd * process.predict(test[:, None])


def _kernel(tables: ChainTables) -> Kernel:
    structure: Kernel = TableKernel(tables.similarity)
    if tables.tacticity is not None:
        structure = structure * TableRBF(tables.tacticity, 0.5)
    bounds = (1e-3, 1e3)
    return (
        ConstantKernel(1.0, bounds) * structure
        + ConstantKernel(0.3, bounds) * TableRBF(tables.distance, 1.0)
        + WhiteKernel(0.1, (1e-3, 2.0))
    )


def _optimizer(steps: int) -> Callable[..., tuple[Floats, float]]:
    """Return a scikit-learn optimizer: L-BFGS-B with analytic gradients, at most ``steps``."""

    def run(
        objective: Callable[..., Any], initial_theta: Floats, bounds: Floats
    ) -> tuple[Floats, float]:
        found = minimize(
            objective,
            initial_theta,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": steps},
        )
        return found.x, float(found.fun)

    return run
