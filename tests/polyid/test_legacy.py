"""Ensembles of the published package come over with the same predictions."""

import json
import shutil
import warnings
import zipfile
from pathlib import Path

import keras
import legacy_kit as kit
import nfp.preprocessing.features as nfp_features
import numpy as np
import pytest
from typer.testing import CliRunner

from polyid.cli import app
from polyid.errors import PolyIDError
from polyid.legacy import import_legacy, parse_column
from polyid.legacy_member import Column
from polyid.multimodel import MultiModel
from polyid.structures import build
from polyid.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> kit.Published:
    return kit.published_folder(tmp_path_factory.mktemp("published") / "saved")


@pytest.fixture
def folder(published: kit.Published, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(published.folder, tmp_path / "saved"))


def take(folder: Path, out: Path, **more) -> MultiModel:
    return import_legacy(folder, out, allow_pickle=True, **more)


def rewrite(path: Path, labels=kit.LABELS, kind="PolymerPreprocessor", **changes) -> None:
    """Write a member's data anew, with changes."""
    vocabulary = build(kit.LEARNT[0], 1).vocabulary
    with kit.published_names() as names:
        kit.write(path, kit.member_data(vocabulary, names[kind], labels, **changes))


def test_the_vocabularies_of_the_kit_differ(published: kit.Published) -> None:
    first, second = published.vocabularies
    assert set(first.atom) - set(second.atom)
    assert set(second.atom) - set(first.atom)
    known = set(first.atom) | set(second.atom)
    assert set(build(kit.ASKED, 1).vocabulary.atom) - known  # one that nobody knew


@pytest.mark.parametrize("name", ["global100", "pm"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_predictions_are_those_of_nfp(name: str, suffix: str, tmp_path: Path) -> None:
    made = kit.published_folder(tmp_path / "saved", name, suffix)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        take(made.folder, tmp_path / "model", dp=10)
    model = MultiModel.from_pretrained(str(tmp_path / "model"))
    assert model.parameters.model == name
    assert model.parameters.dp == 10
    found = model.predict_members(kit.ASKED, kit.PM if name == "pm" else None)
    spread = np.nanstd(kit.LABELS, axis=0)
    np.testing.assert_allclose(found / spread, made.expected / spread, atol=1e-5)
    assert np.abs(found[0] / spread - found[1] / spread).max() > 0.05  # the members do differ
    assert not list((tmp_path / "model").rglob("*.pk"))


def test_a_member_without_a_scaler_predicts_plain_values(folder: Path, tmp_path: Path) -> None:
    rewrite(folder / "model_0" / "model_0_data.pk", None)
    take(folder, tmp_path / "model")
    model = MultiModel.from_pretrained(str(tmp_path / "model"))
    assert list(model.models[0].data_scaler.center) == [0.0, 0.0]
    assert list(model.models[0].data_scaler.scale) == [1.0, 1.0]


def test_training_tables_and_the_earlier_name_are_read(folder: Path, tmp_path: Path) -> None:
    """``save_training=True`` puts frames into the files; ``polyml`` was the package's name."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, np.nan], "b": ["x", None], "c": [1, 2]}, index=[3, 9])
    vocabulary = build(kit.LEARNT[0], 1).vocabulary
    with kit.published_names("polyml") as names:
        data = kit.member_data(vocabulary, names["PolymerPreprocessor"])
        parameters = names["Parameters"]()
        parameters.epochs = 3
        data |= {"df_train": frame, "df_loss_log": frame.reset_index(), "parameters": parameters}
        kit.write(folder / "model_0" / "model_0_data.pk", data)
    take(folder, tmp_path / "model")
    MultiModel.from_pretrained(str(tmp_path / "model"))


def test_pickles_need_permission(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PolyIDError, match="--allow-pickle"):
        import_legacy(folder, tmp_path / "model", allow_pickle=False)
    assert not (tmp_path / "model").exists()


def test_an_existing_folder_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(PolyIDError, match="not empty"):
        take(folder, tmp_path / "model")
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "parameters.pk",
        "model_0/model_0_data.pk",
        "model_1/model_1.keras",
        "model_1/model_1_data.pk",
    ],
)
@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "other"])
def test_each_damaged_file_is_named(name: str, harm: str, folder: Path, tmp_path: Path) -> None:
    path = folder / name
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        half = content[: len(content) // 2]
        path.write_bytes({"empty": b"", "cut": half, "other": b"no such file\n"}[harm])
    with pytest.raises(PolyIDError, match=Path(name).name):
        take(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_no_folder_and_no_member_are_told(tmp_path: Path) -> None:
    with pytest.raises(PolyIDError, match="nowhere is no folder"):
        take(tmp_path / "nowhere", tmp_path / "model")
    (tmp_path / "saved" / "model_final").mkdir(parents=True)
    kit.write(tmp_path / "saved" / "parameters.pk", {"prediction_columns": kit.COLUMNS})
    with pytest.raises(PolyIDError, match=r"no member.*found \['model_final'"):
        take(tmp_path / "saved", tmp_path / "model")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "no prediction_columns"),
        ({"prediction_columns": "Density"}, "no prediction_columns"),
        ({"prediction_columns": ["Tg", "Density"]}, "--property 'Tg=Glass_Transition'"),
        ({"prediction_columns": ["Density", "Glass_Transition"]}, "parameters.pk says"),
    ],
)
def test_other_columns_are_told(content, message: str, folder: Path, tmp_path: Path) -> None:
    kit.write(folder / "parameters.pk", content)
    with pytest.raises(PolyIDError, match=message):
        take(folder, tmp_path / "model")


def test_columns_are_renamed_and_converted(folder: Path, tmp_path: Path) -> None:
    modulus = Column("YoungMod", "MPa")
    model = take(folder, tmp_path / "model", columns={"Glass_Transition": modulus})
    assert model.prediction_columns == ["YoungMod", "Density"]
    plain = take(folder, tmp_path / "plain")
    a, b = model.predict_members(kit.ASKED), plain.predict_members(kit.ASKED)
    np.testing.assert_allclose(a[..., 0], b[..., 0] * 1e-3)
    np.testing.assert_array_equal(a[..., 1], b[..., 1])


def test_a_modulus_in_megapascal_is_noticed(folder: Path, tmp_path: Path) -> None:
    labels = kit.LABELS * [20.0, 1.0]
    for i in (0, 1):
        rewrite(folder / f"model_{i}" / f"model_{i}_data.pk", labels)
    shutil.rmtree(folder / "model_1")
    given = {"Glass_Transition": Column("YoungMod", "GPa")}
    with pytest.raises(PolyIDError, match=r"median of YoungMod is 900 GPa.*YoungMod:MPa"):
        take(folder, tmp_path / "model", columns=given)
    given = {"Glass_Transition": Column("YoungMod", "MPa")}
    model = take(folder, tmp_path / "model", columns=given)
    assert model.models[0].data_scaler.center[0] == pytest.approx(0.9)


def test_a_unit_that_is_not_proportional_is_refused(folder: Path, tmp_path: Path) -> None:
    given = {"Density": Column("log10_Permeability_O2", "Barrer")}
    with pytest.raises(PolyIDError, match="not proportional"):
        take(folder, tmp_path / "model", columns=given)
    with pytest.raises(PolyIDError, match="cannot be read from unit 'furlong'"):
        take(folder, tmp_path / "model", columns={"Density": Column("Density", "furlong")})
    with pytest.raises(PolyIDError, match="no column Tg"):
        take(folder, tmp_path / "model", columns={"Tg": Column("Melt_Temp", "K")})
    with pytest.raises(PolyIDError, match="same property"):
        take(folder, tmp_path / "model", columns={"Density": Column("Glass_Transition", "K")})


def test_columns_are_written_as_text() -> None:
    assert parse_column("Tg=Glass_Transition:K") == ("Tg", Column("Glass_Transition", "K"))
    assert parse_column("Tm=Melt_Temp") == ("Tm", Column("Melt_Temp", "°C"))
    for text in ("Tg", "Tg=", "=Density", "Tg=Tg"):
        with pytest.raises(PolyIDError, match="COLUMN=PROPERTY"):
            parse_column(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bond_features": nfp_features.bond_features_v1}, "bond_features_v1; the engine"),
        ({"atom_features": nfp_features.atom_features_v2}, "atom_features_v2; the engine"),
        ({"explicit_hs": False}, "no explicit hydrogens"),
        ({"atom_tokenizer": {}}, "atom_tokenizer is damaged"),
        ({"bond_tokenizer": kit.tokenizer({"x": 3})}, "do not count up from 2"),
        ({"bond_tokenizer": kit.tokenizer({"x": 2})}, "atom tokens, bond tokens"),
        ({"kind": "PmPreprocessor"}, "needs a PolymerPreprocessor"),
        ({"kind": "PmBinPreprocessor"}, "names polyid.preprocessors.preprocessors.PmBin"),
        ({"labels": kit.LABELS[:, :1]}, r"\(1,\) medians for 2 columns"),
        ({"labels": kit.LABELS * [np.nan, 1]}, "without a label"),
    ],
)
def test_what_the_engine_does_not_compute_is_refused(
    changes: dict, message: str, folder: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of empty columns
        rewrite(folder / "model_0" / "model_0_data.pk", **changes)
    with pytest.raises(PolyIDError, match=message):
        take(folder, tmp_path / "model")


def test_members_of_other_shapes_are_refused(
    published: kit.Published, folder: Path, tmp_path: Path
) -> None:
    model = kit.network(published.vocabularies[1], "global100", 1, num_messages=1)
    model.save(folder / "model_1" / "model_1.keras")
    with pytest.raises(PolyIDError, match="num_messages of member 1 is 1, of the first 2"):
        take(folder, tmp_path / "model")


def test_weights_that_are_no_numbers_are_refused(
    published: kit.Published, folder: Path, tmp_path: Path
) -> None:
    model = kit.network(published.vocabularies[1], "global100", 1)
    model.get_layer("bond_embedding").embeddings.assign(
        np.full(model.get_layer("bond_embedding").embeddings.shape, np.nan)
    )
    model.save(folder / "model_1" / "model_1.keras")
    with pytest.raises(PolyIDError, match="no numbers, bond_embedding first"):
        take(folder, tmp_path / "model")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_of_other_classes_is_refused(suffix: str, folder: Path, tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2.0, name="code")(inputs))
    (folder / "model_0" / "model_0.keras").unlink()
    model.save(folder / "model_0" / f"model_0{suffix}")
    with pytest.raises(PolyIDError, match=rf"model_0{suffix} names keras\S*Lambda"):
        take(folder, tmp_path / "model")


def test_a_module_of_another_package_is_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "model_0" / "model_0.keras"
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][0]["module"] = "subprocess"
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    with pytest.raises(PolyIDError, match=r"names subprocess\.InputLayer"):
        take(folder, tmp_path / "model")


def test_the_command(folder: Path, tmp_path: Path) -> None:
    def call(*arguments: object):
        return CliRunner().invoke(app, ["import-legacy", *map(str, arguments)])

    out = tmp_path / "model"
    refused = call(folder, "--out", out)
    assert refused.exit_code == 2
    assert "--allow-pickle" in refused.stderr
    done = call(
        folder, "--out", out, "--allow-pickle", "--property", "Glass_Transition=YoungMod:MPa"
    )
    assert done.exit_code == 0, done.output
    assert "2 members, YoungMod, Density" in done.stdout
    assert MultiModel.from_pretrained(str(out)).prediction_columns == ["YoungMod", "Density"]


def test_the_vocabulary_is_the_union(folder: Path, tmp_path: Path) -> None:
    model = take(folder, tmp_path / "model")
    known = [build(learnt, 1).vocabulary for learnt in kit.LEARNT]
    expected = {*known[0].atom, *known[1].atom}
    assert isinstance(model.vocabulary, Vocabulary)
    assert set(model.vocabulary.atom) == expected
    assert sorted(model.vocabulary.atom.values()) == list(range(2, 2 + len(expected)))
