"""The dataset frame: samples, groups, units, and clear errors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polyid.dataset import Columns, DataSpec, PropertyColumn, frame_from, load_table
from polyid.errors import PolyIDError

STEREO = DataSpec(
    Columns(pm="pm", replicate="replicate_structure"),
    {
        "Glass_Transition": PropertyColumn("Tg", "°C"),
        "Melt_Temp": PropertyColumn("Tm", "°C"),
    },
)
TG = {"Glass_Transition": PropertyColumn("Tg", "°C")}


def raw(**columns: list) -> pd.DataFrame:
    """Three polymers; ``columns`` replace or add."""
    base = {
        "smiles_polymer": ["CCCC", "CCC(C)C", "CCC(Cl)C"],
        "smiles_monomer": ["C=C", "C=CC", "C=CCl"],
        "mechanism": ["vinyl"] * 3,
        "distribution": [""] * 3,
        "Tg": ["-100", "", "82"],
    }
    return pd.DataFrame(base | columns)


def test_the_stereo_set_has_115_samples_of_at_most_18_polymers(stereo_table: Path) -> None:
    frame = load_table(stereo_table, STEREO)
    assert len(frame) == 229
    assert frame["sample"].nunique() == 115
    assert frame["group"].nunique() <= 18
    sizes = frame.groupby("sample").size()
    assert sizes.value_counts().to_dict() == {2: 114, 1: 1}
    # chains of one sample differ only in how they were drawn
    for name in ("pm", "Glass_Transition", "Melt_Temp", "group"):
        distinct = frame.groupby("sample")[name].nunique(dropna=False)
        assert distinct.max() == 1, name
    labelled = frame.dropna(subset="Glass_Transition")
    assert (len(labelled), labelled["sample"].nunique()) == (155, 78)


def test_the_property_table_in_the_products_units(property_table: Path) -> None:
    spec = DataSpec(
        properties={
            "YoungMod": PropertyColumn("YoungMod", "MPa"),
            "Glass_Transition": PropertyColumn("Glass_Transition", "°C"),
        }
    )
    frame = load_table(property_table, spec)
    source = pd.read_csv(property_table)
    assert len(frame) == frame["sample"].nunique() == 1290
    np.testing.assert_allclose(frame["YoungMod"], source["YoungMod"] / 1000, equal_nan=True)
    np.testing.assert_array_equal(frame["Glass_Transition"], source["Glass_Transition"])
    assert frame["YoungMod"].max() == pytest.approx(3.83369)
    assert frame["row"].tolist() == list(range(1290))
    assert frame["line"].tolist() == list(range(2, 1292))
    assert "pm" not in frame


def test_kelvin_becomes_celsius() -> None:
    spec = DataSpec(properties={"Glass_Transition": PropertyColumn("Tg", "K")})
    frame = frame_from(raw(Tg=["273.15", "", "373.15"]), spec)
    np.testing.assert_allclose(frame["Glass_Transition"], [0.0, np.nan, 100.0], atol=1e-9)


def test_stereo_marks_do_not_make_another_group() -> None:
    monomers = ["C[C@H](O)C(=O)O", "CC(O)C(=O)O", "OCCO.OC(=O)CCC(=O)O"]
    frame = frame_from(raw(smiles_monomer=monomers), DataSpec(properties=TG))
    assert frame["group"][0] == frame["group"][1] != frame["group"][2]
    turned = [*monomers[:2], "OC(=O)CCC(=O)O.OCCO"]
    assert frame_from(raw(smiles_monomer=turned), DataSpec(properties=TG))["group"].equals(
        frame["group"]
    )


def test_the_nth_chains_of_like_samples_belong_together() -> None:
    columns = Columns(replicate="replicate")
    table = raw(smiles_monomer=["C=C"] * 3, replicate=["0", "1", "0"], Tg=["7"] * 3)
    sample = frame_from(table, DataSpec(columns, TG))["sample"]
    assert sample[0] == sample[1] != sample[2]


def test_like_samples_are_told_apart_by_their_labels() -> None:
    """In the stereo set RS- and SS-poly(3-hydroxybutyrate) have one pm and two melting points."""
    table = raw(smiles_monomer=["C=C"] * 3, replicate=["0", "0", "1"], Tg=["1", "2", "2"])
    columns = Columns(replicate="replicate")
    sample = frame_from(table, DataSpec(columns, TG))["sample"]
    assert sample[0] != sample[1] == sample[2]


def test_a_missing_column_names_those_there() -> None:
    spec = DataSpec(Columns(pm="pm"), {"Glass_Transition": PropertyColumn("Glass_Trans", "°C")})
    with pytest.raises(PolyIDError) as caught:
        frame_from(raw(), spec, "data.csv")
    text = str(caught.value)
    assert "data.csv has no column 'pm', 'Glass_Trans'" in text
    for name in raw().columns:
        assert repr(name) in text


@pytest.mark.parametrize("value", ["warm", "inf", "-Infinity", "1,5"])
def test_a_cell_that_is_no_finite_number(value: str) -> None:
    with pytest.raises(PolyIDError) as caught:
        frame_from(raw(Tg=["1", "", value]), DataSpec(properties=TG), "data.csv")
    assert f"data.csv, line 4, column 'Tg': found {value!r}" in str(caught.value)
    assert "trainer check" in str(caught.value)


@pytest.mark.parametrize("value", ["", " ", "NaN", "NA", "null", "None"])
def test_a_cell_without_a_label(value: str) -> None:
    frame = frame_from(raw(Tg=["1", value, "3"]), DataSpec(properties=TG))
    assert frame["Glass_Transition"].isna().tolist() == [False, True, False]


def test_a_table_of_numbers() -> None:
    frame = frame_from(raw(Tg=[1.5, np.nan, 3]), DataSpec(properties=TG))
    np.testing.assert_array_equal(frame["Glass_Transition"], [1.5, np.nan, 3.0])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\xd8", b'a,b\n"1,2\n'])
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(PolyIDError, match=r"data\.csv cannot be read as CSV|has no column"):
        load_table(path, DataSpec(properties=TG))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PolyIDError, match=r"nothing\.csv cannot be read"):
        load_table(tmp_path / "nothing.csv", DataSpec(properties=TG))
