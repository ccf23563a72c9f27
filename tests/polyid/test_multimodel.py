"""PolyID's calls, end to end, as a chemist makes them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polyid
from polyid import MultiModel, Parameters
from polyid.checksums import scan
from polyid.errors import PolyIDError
from polyid.models import global100, pm_model

TG, RHO = "Glass_Transition", "Density"
SETTINGS = Parameters(epochs=2, batch_size=4, atom_features=4, mol_features=2, dp=2).to_dict()


def chains() -> pd.DataFrame:
    """Dimers; one has no density."""
    rows = [
        ("CC(C)CC(C)C", "C=CC", "vinyl", -10.0, 0.9),
        ("CC(c1ccccc1)CCc1ccccc1", "C=Cc1ccccc1", "vinyl", 100.0, 1.05),
        ("CC(Cl)CCCl", "C=CCl", "vinyl", 82.0, 1.4),
        ("CC(C#N)CCC#N", "C=CC#N", "vinyl", 97.0, 1.18),
        ("CC(O)C(=O)OC(C)C(=O)O", "CC(O)C(=O)O", "ester", 57.0, 1.25),
        ("OCC(=O)OCC(=O)O", "OCC(=O)O", "ester", 38.0, np.nan),
        ("OCCCCCC(=O)OCCCCCC(=O)O", "OCCCCCC(=O)O", "ester", -60.0, 1.14),
        ("NCCCCCC(=O)NCCCCCC(=O)O", "NCCCCCC(=O)O", "amide", 50.0, 1.13),
    ]
    names = ["smiles_polymer", "smiles_monomer", "mechanism", TG, RHO]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> MultiModel:
    mm = MultiModel()
    mm.load_dataset(chains())
    mm.split_data(kfolds=2, seed=1)
    mm.generate_data_scaler()
    mm.generate_preprocessors()
    mm.train_models(global100, SETTINGS, tmp_path_factory.mktemp("saved"))
    return mm


def test_the_names_a_chemist_imports() -> None:
    for name in polyid.__all__:
        assert getattr(polyid, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        polyid.nothing  # noqa: B018


def test_members_are_trained_on_all_folds_but_theirs(trained: MultiModel) -> None:
    assert trained.prediction_columns == [TG, RHO]
    held = [set(model.df_validate["smiles_monomer"]) for model in trained.models]  # type: ignore[index]
    assert held[0] | held[1] == set(chains()["smiles_monomer"])
    assert not held[0] & held[1]
    for model in trained.models:
        assert model.df_train is not None
        assert model.df_loss_log is not None
        assert model.df_loss_log["epoch"].tolist() == [1, 2]
        assert model.data_scaler is not None
        assert model.data_scaler.center[0] == pytest.approx(model.df_train[TG].median())


def test_predictions_by_every_member(trained: MultiModel) -> None:
    table = trained.make_predictions(chains())
    assert len(table) == 2 * len(chains())
    assert table["model_id"].tolist() == ["0"] * 8 + ["1"] * 8
    assert np.isfinite(table[[f"{TG}_pred", f"{RHO}_pred"]]).all(axis=None)
    values = trained.predict_members(list(chains()["smiles_polymer"]))
    assert values.shape == (2, 8, 2)
    np.testing.assert_allclose(table[f"{RHO}_pred"], values[:, :, 1].ravel())


def test_mean_and_spread_over_members_and_replicates(trained: MultiModel) -> None:
    twice = pd.concat([chains(), chains().assign(smiles_polymer="CC(C)CCC(C)C")])
    found = trained.make_aggregate_predictions(twice).set_index("smiles_monomer")
    assert len(found) == 8
    values = trained.predict_members(["CC(Cl)CCCl", "CC(C)CCC(C)C"])
    row = found.loc["C=CCl"]
    assert row[f"{TG}_pred_mean"] == pytest.approx(values[:, :, 0].mean())
    assert row[f"{TG}_pred_std"] == pytest.approx(values[:, :, 0].std(ddof=1))
    only = trained.make_aggregate_predictions(chains()[["smiles_polymer"]], funcs=["median"])
    assert list(only) == ["smiles_polymer", f"{TG}_pred_median", f"{RHO}_pred_median"]


def test_saved_and_loaded_predict_the_same(trained: MultiModel, tmp_path: Path) -> None:
    folder = trained.save_pretrained(tmp_path / "model")
    smiles = list(chains()["smiles_polymer"])
    expected = trained.predict_members(smiles)
    np.testing.assert_array_equal(MultiModel.load_models(folder).predict_members(smiles), expected)
    names, refused = scan(folder)
    assert not refused
    assert {Path(name).suffix for name in names} == {".h5", ".json"}


def test_from_pretrained_takes_folders_and_registries(model_folder: Path, registry: Path) -> None:
    smiles = ["CC(C)CC(C)C"]
    expected = MultiModel.load_models(model_folder).predict_members(smiles)
    for model, revision in ((model_folder, None), (registry, None), (registry, "v1.0.0")):
        found = MultiModel.from_pretrained(str(model), revision)
        np.testing.assert_array_equal(found.predict_members(smiles), expected)
    with pytest.raises(PolyIDError, match=r"v9\.0\.0"):
        MultiModel.from_pretrained(str(registry), "v9.0.0")


def test_tacticity(pm_folder: Path) -> None:
    mm = MultiModel.load_models(pm_folder)
    chain = "CC(O)C(=O)OC(C)C(=O)O"
    low, high = (mm.predict_members([chain], [pm]) for pm in (0.1, 0.9))
    assert not np.allclose(low, high)
    frame = pd.DataFrame({"smiles_polymer": [chain, chain], "pm": [0.1, 0.9]})
    found = mm.make_aggregate_predictions(frame)
    assert found["pm"].tolist() == [0.1, 0.9]
    np.testing.assert_allclose(found[f"{TG}_pred_mean"], [low.mean(), high.mean()], rtol=1e-4)
    with pytest.raises(PolyIDError, match="give pm, the fraction of meso dyads"):
        mm.predict_members([chain])
    with pytest.raises(PolyIDError, match="the frame to predict lacks pm"):
        mm.make_predictions(frame[["smiles_polymer"]])


def test_no_polymers_at_all(trained: MultiModel) -> None:
    assert trained.predict_members([]).shape == (2, 0, 2)


class TestOrderOfCalls:
    def test_no_data(self) -> None:
        for call in (MultiModel().split_data, MultiModel().generate_preprocessors):
            with pytest.raises(PolyIDError, match="call load_dataset first"):
                call()

    def test_no_folds(self) -> None:
        mm = MultiModel()
        mm.load_dataset(chains())
        with pytest.raises(PolyIDError, match="call split_data first"):
            mm.generate_data_scaler()

    @pytest.mark.parametrize("builder", [global100, pm_model])
    def test_no_scaler(self, builder: object) -> None:
        mm = MultiModel()
        mm.load_dataset(chains())
        mm.split_data(2)
        mm.generate_preprocessors()
        with pytest.raises(PolyIDError, match="needs load_dataset, split_data, generate_data_sc"):
            mm.train_models(builder, SETTINGS)  # type: ignore[arg-type]

    def test_no_model(self) -> None:
        for call in (
            lambda mm: mm.predict_members(["CC"]),
            lambda mm: mm.make_aggregate_predictions(chains()),
            lambda mm: mm.save_pretrained("nowhere"),
        ):
            with pytest.raises(PolyIDError, match="call train_models or load_models first"):
                call(MultiModel())
        assert not Path("nowhere").exists()


class TestBadInput:
    def ready(self) -> MultiModel:
        mm = MultiModel()
        mm.load_dataset(chains())
        mm.split_data(2)
        mm.generate_data_scaler()
        mm.generate_preprocessors()
        return mm

    def test_an_unknown_builder(self) -> None:
        def resnet() -> None: ...

        with pytest.raises(PolyIDError, match=r"'resnet' is not known .*global100"):
            self.ready().train_models(resnet, SETTINGS)

    def test_settings_are_missing(self) -> None:
        with pytest.raises(PolyIDError, match="model_params lacks atom_features, mol_features"):
            self.ready().train_models(global100, {"epochs": 3, "num_messages": 2})

    def test_an_unknown_property(self) -> None:
        with pytest.raises(PolyIDError, match=r"\['Tg'\] are not known .*'Glass_Transition'"):
            MultiModel().load_dataset(chains(), ["Tg"])

    def test_a_property_that_is_not_in_the_table(self) -> None:
        with pytest.raises(PolyIDError, match=r"no column 'YoungMod'; its columns are 'smiles_po"):
            MultiModel().load_dataset(chains(), ["YoungMod"])

    def test_no_property_at_all(self) -> None:
        with pytest.raises(PolyIDError, match="expected some of"):
            MultiModel().load_dataset(chains().drop(columns=[TG, RHO]))

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        chains().assign(distribution="").to_csv(path, index=False)
        mm = MultiModel()
        mm.load_dataset(path)
        assert mm.df_input is not None
        assert mm.df_input[RHO].isna().sum() == 1
        assert set(mm.df_input["distribution"]) == {""}
        with pytest.raises(PolyIDError, match="cannot be read as CSV"):
            MultiModel().load_dataset(tmp_path / "none.csv")

    def test_a_property_without_a_label_in_a_training_part(self) -> None:
        table = chains()
        table.loc[1:, RHO] = np.nan
        mm = MultiModel()
        mm.load_dataset(table)
        mm.split_data(2)
        with pytest.raises(PolyIDError, match=r"Density has no label in the training part of fold"):
            mm.generate_data_scaler()
