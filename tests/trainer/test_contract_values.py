"""Ranges, units, duplicates, conflicts, empty properties and groups."""

import numpy as np
import pytest
from contract_cases import CLEAN, COLUMNS, LINE, Names, Place, Spec, faults_of, only, rows, write

from trainer.contract import check_data


def scaled(column: str, change) -> list[list[str]]:
    """Rewrite every number of one column."""
    at = COLUMNS.index(column)
    table = rows()
    for row in table:
        row[at] = f"{change(float(row[at])):g}" if row[at] else ""
    return table


def long_table(column: str, values: list[float]) -> list[list[str]]:
    """One alkene after another, with the given labels in one column."""
    at, other = COLUMNS.index(column), {"Tg": "E", "E": "Tg"}[column]
    table = []
    for i, value in enumerate(values):
        row = ["C=C" + "C" * (i + 1), "vinyl", "CC(" + "C" * (i + 1) + ")CC", "", ""]
        row[at] = f"{value:g}"
        row[COLUMNS.index(other)] = "50" if other == "Tg" else "1000"
        table.append(row)
    return table


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("Tg_5", "1200", None),
        ("Tg_5", "650", "in K it would be 376.9 °C"),
        ("E_4", "2900000000", "in Pa it would be 2.9 GPa"),
        ("E_4", "0", None),
        ("E_4", "-3000", None),
    ],
)
def test_outside_the_physical_range(tmp_path, key, value, hint):
    fault = only(faults_of(write(tmp_path, rows(**{key: value}))), "range")
    column, line = key.split("_")
    assert (fault.row, fault.column, fault.value) == (int(line), column, value)
    assert ("-150 to 600 °C" if column == "Tg" else "0.0001 to 20 GPa") in fault.expected
    assert fault.severity == "error"
    if hint:
        assert hint in fault.expected


def test_range_holds_after_conversion(tmp_path):
    spec = Spec(properties={"Glass_Transition": Place("Tg", "K")})
    assert faults_of(write(tmp_path, scaled("Tg", lambda c: c + 273.15)), spec) == {}
    table = scaled("Tg", lambda c: c + 273.15)
    table[0][3] = "90"
    fault = only(faults_of(write(tmp_path, table), spec), "range")
    assert (fault.row, fault.value) == (2, "90")
    assert "in °C it would be 90 °C" in fault.expected


@pytest.mark.parametrize(
    ("column", "unit", "change", "fits"),
    [
        ("E", "GPa", lambda mpa: mpa, "MPa"),
        ("E", "MPa", lambda mpa: mpa * 1e6, "Pa"),
        ("Tg", "K", lambda c: c, "°C"),
    ],
)
def test_whole_column_in_another_unit(tmp_path, column, unit, change, fits):
    name = {"E": "YoungMod", "Tg": "Glass_Transition"}[column]
    spec = Spec(properties={**Spec().properties, name: Place(column, unit)})
    fault = only(faults_of(write(tmp_path, scaled(column, change)), spec), "unit")
    assert (fault.severity, fault.row, fault.column) == ("error", None, column)
    assert f"read in {fits} they fit: set data.properties.{name}.unit: {fits}" in fault.expected


def test_permeability_that_is_not_a_logarithm(tmp_path):
    barrer = [2.0, 0.5, 30.0, 400.0, 0.02, 55.0, 8.0, 12.0, 3.0, 90.0]
    table = scaled("E", float)
    for row, value in zip(table, barrer, strict=True):
        row[4] = f"{value:g}"
    spec = Spec(properties={"log10_Permeability_O2": Place("E", "log10(Barrer)")})
    fault = only(faults_of(write(tmp_path, table), spec), "unit")
    assert "read in Barrer they fit" in fault.expected
    right = Spec(properties={"log10_Permeability_O2": Place("E", "Barrer")})
    assert faults_of(write(tmp_path, table), right) == {}
    table[0][4] = "0"
    zero = only(faults_of(write(tmp_path, table), right), "range")
    assert (zero.row, zero.value) == (2, "0")


@pytest.mark.parametrize(
    ("column", "change", "unit"), [("E", lambda mpa: mpa / 1000, "GPa"), ("Tg", None, "K")]
)
def test_whole_column_that_is_possible_but_unusual(tmp_path, column, change, unit):
    change = change or (lambda c: c + 273.15)
    fault = only(faults_of(write(tmp_path, scaled(column, change))), "unit")
    assert (fault.severity, fault.row) == ("warning", None)
    assert f"is the column in {unit}?" in fault.expected


def test_unit_that_cannot_be_converted(tmp_path):
    spec = Spec(properties={"Glass_Transition": Place("Tg", "°F")})
    fault = only(faults_of(write(tmp_path), spec), "unit")
    assert "one of °C, K" in fault.expected


def with_units(cells: list[str]) -> list[list[str]]:
    return [[*row, cell] for row, cell in zip(CLEAN, cells, strict=True)]


def test_unit_column_that_disagrees_everywhere(tmp_path):
    path = write(tmp_path, with_units(["K"] * 10), header=[*COLUMNS, "Tg_units"])
    fault = only(faults_of(path), "unit_column")
    assert (fault.column, fault.value) == ("Tg_units", "K in all 10 rows with a label")
    assert "data.properties.Glass_Transition.unit" in fault.expected


def test_unit_column_that_disagrees_in_one_row(tmp_path):
    path = write(tmp_path, with_units(["C"] * 6 + ["K", "degC", "", "°C"]),
                 header=[*COLUMNS, "Tg_units"])  # fmt: skip
    fault = only(faults_of(path), "unit_column")
    assert (fault.row, fault.column, fault.value, fault.severity) == (8, "Tg_units", "K", "error")


def test_one_kelvin_among_celsius(tmp_path):
    values = [*np.linspace(-30, 90, 30), 310.0]
    fault = only(faults_of(write(tmp_path, long_table("Tg", values))), "unit_mixture")
    assert (fault.severity, fault.row, fault.value) == ("warning", 32, "310")
    assert "in K it would be 36.85 °C" in fault.expected


def test_many_kelvin_among_celsius(tmp_path):
    celsius = list(np.linspace(-30, 90, 20))
    values = celsius + [c + 273 for c in celsius[2:16]]
    faults = faults_of(write(tmp_path, long_table("Tg", values)))["unit_mixture"]
    assert [f.row for f in faults] == list(range(22, 36))


def test_gigapascal_among_megapascal(tmp_path):
    values = [*np.linspace(900, 3600, 30), 2.1, 3.0]
    faults = faults_of(write(tmp_path, long_table("E", values)))["unit_mixture"]
    assert [(f.row, f.value) for f in faults] == [(32, "2.1"), (33, "3")]
    assert "in GPa it would be 2.1 GPa" in faults[0].expected


def test_soft_polymers_are_no_unit_mixture(tmp_path):
    values = [*np.linspace(900, 3600, 30), 12.0, 32.0]
    assert faults_of(write(tmp_path, long_table("E", values))) == {}


def test_exact_duplicate_row(tmp_path):
    fault = only(faults_of(write(tmp_path, [*rows(), list(CLEAN[3])])), "duplicate_row")
    assert (fault.row, fault.severity) == (12, "error")
    assert fault.value == CLEAN[3][2]
    assert "line 5" in fault.expected


@pytest.mark.parametrize(("label", "severity"), [("88", "warning"), ("355.15", "error")])
def test_same_polymer_with_conflicting_labels(tmp_path, label, severity):
    copy = ["C=CCl", "vinyl", "ClC(C)CCCl", label, "2900"]  # same monomer, chain written otherwise
    fault = faults_of(write(tmp_path, [*rows(), copy]))["conflicting_labels"][0]
    assert (fault.row, fault.column, fault.value) == (12, "Tg", label)
    assert fault.severity == severity
    line = LINE["C=CCl"]
    assert f"82 °C, as line {line} says of the same polymer" in fault.expected
    assert ("is one of them in K?" in fault.expected) == (label == "355.15")


def test_same_chain_with_conflicting_labels(tmp_path):
    copy = ["ClC=C", "acrylate", "CC(Cl)CCCl", "70", ""]
    fault = only(faults_of(write(tmp_path, [*rows(), copy])), "conflicting_labels")
    assert (fault.row, fault.value) == (12, "70")


def test_same_polymer_in_two_rows_without_conflict(tmp_path):
    copy = ["C=CC#N", "vinyl", "CC(C#N)CCC#N", "", "3500"]
    fault = only(faults_of(write(tmp_path, [*rows(), copy])), "duplicate_polymer")
    assert (fault.row, fault.severity) == (12, "warning")
    assert "line 5" in fault.expected


def test_replicates_are_no_duplicates(tmp_path):
    table = [[*row, k] for row in CLEAN for k in "01"]
    path = write(tmp_path, table, header=[*COLUMNS, "rep"])
    assert faults_of(path, Spec(columns=Names(replicate="rep"))) == {}
    assert len(faults_of(path)["duplicate_polymer"]) == 10


def test_other_pm_is_another_sample(tmp_path):
    table = [[*row, pm] for row in CLEAN for pm in ("0.1", "0.9")]
    for row in table[::2]:
        row[3] = f"{float(row[3]) + 5:g}"
    path = write(tmp_path, table, header=[*COLUMNS, "pm"])
    assert faults_of(path, Spec(columns=Names(pm="pm"))) == {}


def test_property_without_labels(tmp_path):
    table = rows()
    for row in table:
        row[4] = ""
    fault = only(faults_of(write(tmp_path, table)), "no_label")
    assert (fault.column, fault.severity) == ("E", "error")


def test_row_without_labels(tmp_path):
    fault = only(faults_of(write(tmp_path, rows(Tg_4="", E_4=""))), "row_without_label")
    assert (fault.row, fault.severity) == (4, "warning")
    assert "Tg, E" in fault.expected


def test_melting_below_the_glass_transition(tmp_path):
    table = [[*row, ""] for row in CLEAN]
    table[0][-1], table[1][-1] = "160", "40"
    spec = Spec(properties={"Glass_Transition": Place("Tg", "C"), "Melt_Temp": Place("Tm", "C")})
    path = write(tmp_path, table, header=[*COLUMNS, "Tm"])
    fault = only(faults_of(path, spec), "implausible")
    assert (fault.row, fault.column, fault.value, fault.severity) == (3, "Tm", "40", "warning")
    assert "at least the Tg of 100 °C" in fault.expected


def test_one_group_only(tmp_path):
    table = [["C=CC", "vinyl", "CC(C)C" + "C" * i, str(i), "900"] for i in range(5)]
    fault = faults_of(write(tmp_path, table))["groups"][0]
    assert (fault.value, fault.severity) == ("one group: C=CC", "error")


def test_more_folds_than_groups(tmp_path):
    fault = only(faults_of(write(tmp_path), folds=11), "groups")
    assert fault.value == "10 monomer sets for 11 folds"
    assert "set folds.count to 10 or less" in fault.expected
    assert faults_of(write(tmp_path), folds=8) == {}


def test_property_with_fewer_groups_than_folds(tmp_path):
    fault = only(faults_of(write(tmp_path), folds=9), "groups")  # E has eight labels
    assert (fault.column, fault.value) == ("E", "labels in 8 monomer sets for 9 folds")


def test_tacticity_and_order_of_monomers_make_no_new_group(tmp_path):
    table = rows()[:6]
    table += [["C[C@H](O)C(=O)O", "ester", "CC(O)C(=O)O" + "C" * i, "5", "100"] for i in (1, 2)]
    table += [["C[C@@H](O)C(=O)O", "ester", "CC(O)C(=O)O" + "C" * i, "5", "100"] for i in (3, 4)]
    report = check_data(write(tmp_path, table), Spec(), folds=8)
    assert report.groups == 7
    assert report.errors[0].value == "7 monomer sets for 8 folds"


def test_random_split_counts_samples(tmp_path):
    table = [["C=CC", "vinyl", "CC(C)C" + "C" * i, "5", "900"] for i in range(5)]
    grouped = faults_of(write(tmp_path, table), folds=5, split="random")
    assert "groups" not in grouped
    grouped = faults_of(write(tmp_path, table), folds=6, split="random")
    assert grouped["groups"][0].value == "5 samples for 6 folds"
