import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from sklearn.gaussian_process import GaussianProcessRegressor

from polyid.errors import PolyIDError
from polyid.metrics import r2
from trainer.baselines import fit_baselines
from trainer.chain_kernel import TableKernel, TableRBF, chain_tables, count_tanimoto, morgan_counts

SIDES = ["C", "CC", "CCC", "C(C)C", "c1ccccc1", "OC", "OCC", "C(=O)OC", "F", "Cl", "C#N", "CF"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Return 96 small chains whose label follows their composition."""
    rng = np.random.default_rng(3)
    rows = []
    for first in SIDES:
        for second in SIDES[:8]:
            chain = f"CC({first})CC({second})" * 3
            atoms = Chem.MolFromSmiles(chain).GetNumHeavyAtoms()
            label = 4.0 * atoms + 40.0 * chain.count("c") + 2.0 * rng.normal()
            rows.append((chain, ".".join(sorted((first, second))), label))
    table = pd.DataFrame(rows, columns=["smiles_polymer", "group", "Glass_Transition"])
    table["row"] = np.arange(len(table))
    table["sample"] = [f"s{i}" for i in table["row"]]
    table["Density"] = np.where(table["row"] % 2, 1.0 + 0.01 * table["row"], np.nan)
    return table


@pytest.fixture(scope="module")
def folds(frame) -> dict[str, int]:
    return {group: place % 4 for place, group in enumerate(frame["group"].unique())}


@pytest.fixture(scope="module")
def found(frame, folds) -> pd.DataFrame:
    return fit_baselines(frame, folds, ["Glass_Transition", "Density"])


def test_every_labelled_sample_is_predicted_once(frame, found):
    assert found.groupby("property", sort=False).size().to_dict() == {
        "Glass_Transition": 96,
        "Density": 48,
    }
    assert not found[["y_true", "y_mean", "y_gp"]].isna().any(axis=None)
    assert not found.duplicated(["sample", "property"]).any()


def test_the_gaussian_process_learns_and_the_mean_does_not(found):
    rows = found.query("property == 'Glass_Transition'")
    assert r2(rows["y_true"], rows["y_gp"]) > 0.9
    assert r2(rows["y_true"], rows["y_mean"]) < 0.1


def test_nothing_is_learnt_from_shuffled_labels(frame, folds):
    labels = np.random.default_rng(0).permutation(frame["Glass_Transition"])
    rows = fit_baselines(frame.assign(Glass_Transition=labels), folds, ["Glass_Transition"])
    assert r2(rows["y_true"], rows["y_gp"]) < 0.25


def test_labels_of_a_fold_do_not_reach_its_own_predictions(frame, folds, found):
    inside = frame["group"].map(folds) == 2
    labels = frame["Glass_Transition"].where(~inside, 1e4)
    again = fit_baselines(frame.assign(Glass_Transition=labels), folds, ["Glass_Transition"])
    before = found.query("property == 'Glass_Transition' and fold == 2")
    after = again.query("fold == 2")
    np.testing.assert_allclose(after["y_gp"], before["y_gp"])
    np.testing.assert_allclose(after["y_mean"], before["y_mean"])


def test_the_mean_is_that_of_the_monomer_set_where_it_is_known(frame):
    rows = frame["row"].to_numpy() % 3  # a random split: groups stand on both sides
    got = fit_baselines(frame, rows, ["Glass_Transition"])
    for entry in got.itertuples():
        train = frame.loc[rows != entry.fold]
        own = train.loc[train["group"] == entry.group, "Glass_Transition"]
        expected = own.mean() if len(own) else train["Glass_Transition"].mean()
        assert entry.y_mean == pytest.approx(expected)


def test_folds_may_be_given_by_sample(frame, folds, found):
    by_sample = {row.sample: folds[row.group] for row in frame.itertuples()}
    got = fit_baselines(frame, by_sample, ["Density"])
    expected = found.query("property == 'Density'").reset_index(drop=True)
    pd.testing.assert_frame_equal(got, expected)


def test_replicates_count_once_with_their_mean_label(frame, folds):
    double = frame.head(40)
    twin = double.assign(row=double["row"] + 40, Density=double["Density"] + 0.2)
    both = pd.concat([double, twin], ignore_index=True)
    got = fit_baselines(both, folds, ["Density"])
    assert len(got) == 20
    assert got["row"].max() < 40
    np.testing.assert_allclose(got["y_true"], double["Density"].dropna() + 0.1)


def test_tacticity_tells_equal_chains_apart(frame):
    chains = frame.head(12)
    rows = pd.concat([chains.assign(pm=pm) for pm in np.linspace(0.1, 0.9, 6)], ignore_index=True)
    rows["row"] = np.arange(len(rows))
    rows["sample"] = [f"s{i}" for i in rows["row"]]
    rows["Melt_Temp"] = 100 * rows["pm"] + rows["Glass_Transition"]
    folds = np.random.default_rng(0).permutation(len(rows)) % 4
    got = fit_baselines(rows, folds, ["Melt_Temp"])
    blind = fit_baselines(rows.drop(columns="pm"), folds, ["Melt_Temp"])
    assert r2(got["y_true"], got["y_gp"]) > 0.95
    assert r2(blind["y_true"], blind["y_gp"]) < r2(got["y_true"], got["y_gp"])


def test_the_cache_is_read_and_knows_its_content(frame, folds, tmp_path):
    lines: list[str] = []

    def fit(table):
        return fit_baselines(
            table,
            folds,
            ["Density"],
            cache=tmp_path,
            progress=lambda text, done: lines.append(text),
        )

    first = fit(frame)
    assert not any("read from the cache" in line for line in lines)
    lines.clear()
    pd.testing.assert_frame_equal(fit(frame), first)
    assert lines == ["Baselines: read from the cache"]
    lines.clear()
    fit(frame.assign(Density=frame["Density"] + 0.1))
    assert not any("read from the cache" in line for line in lines)
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet"}


def test_a_fold_without_training_labels_gives_nan_not_a_guess(frame, folds):
    inside = frame["group"].map(folds) == 1
    got = fit_baselines(frame.assign(Density=frame["Density"].where(inside)), folds, ["Density"])
    assert len(got) > 0
    assert got[["y_mean", "y_gp"]].isna().all(axis=None)


def test_few_labels_fall_back_to_the_mean(frame, folds):
    few = frame["Density"].where(frame["row"].isin([1, 33, 61]))
    got = fit_baselines(frame.assign(Density=few), folds, ["Density"])
    np.testing.assert_allclose(got["y_gp"], got["y_mean"])


def test_folds_of_other_data(frame, folds):
    lost = dict(list(folds.items())[1:])
    with pytest.raises(PolyIDError, match="1 monomer sets have no fold"):
        fit_baselines(frame, lost, ["Density"])
    with pytest.raises(PolyIDError, match="one fold for each of the 96 rows"):
        fit_baselines(frame, np.zeros(5), ["Density"])


def test_a_chain_that_cannot_be_parsed(frame, folds):
    broken = frame.assign(smiles_polymer=["C1CC", *frame["smiles_polymer"][1:]])
    with pytest.raises(PolyIDError, match="chain 1 cannot be parsed"):
        fit_baselines(broken, folds, ["Density"])


def test_count_tanimoto_by_definition():
    molecules = [Chem.MolFromSmiles(text) for text in ("CCO", "CCCO", "c1ccccc1")]
    counts = morgan_counts(molecules)
    table = count_tanimoto(counts)
    dense = counts.toarray()
    for i in range(3):
        for j in range(3):
            low, high = np.minimum(dense[i], dense[j]).sum(), np.maximum(dense[i], dense[j]).sum()
            assert table[i, j] == pytest.approx(low / high)
    assert table[0, 2] == 0.0


def test_a_chain_twice_as_long_is_alike():
    table = chain_tables(["C(C)(F)" * 60, "C(C)(F)" * 120, "C(C)(Cl)" * 60]).similarity
    assert table[0, 1] > 0.9 > table[0, 2]


def test_the_gradient_of_the_kernel(frame):
    tables = chain_tables(frame["smiles_polymer"].head(20).tolist())
    kernel = TableKernel(tables.similarity) * TableRBF(tables.distance, 0.7)
    rows = np.arange(20)[:, None]
    target = np.sin(np.arange(20.0))
    process = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None).fit(rows, target)
    theta, step = kernel.theta, 1e-5
    _, gradient = process.log_marginal_likelihood(theta, eval_gradient=True)
    high, low = (process.log_marginal_likelihood(theta + d) for d in (step, -step))
    assert gradient[0] == pytest.approx((high - low) / (2 * step), rel=1e-4)
