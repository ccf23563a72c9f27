from dataclasses import replace
from pathlib import Path

import pytest
from contract_cases import (
    CLEAN,
    COLUMNS,
    LINE,
    STEREO_SPEC,
    TABLE_SPEC,
    Names,
    Place,
    Spec,
    faults_of,
    only,
    rows,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.contract import check_data


def test_clean_file_is_clean(tmp_path):
    report = check_data(write(tmp_path), Spec(), folds=5)
    assert report.ok
    assert report.faults == ()
    assert report.summary() == {
        "rows": 10,
        "groups": 10,
        "errors": 0,
        "warnings": 0,
        "labels": {"Glass_Transition": 10, "YoungMod": 8},
        "rules": {},
    }


def test_property_table_has_no_errors(property_table: Path):
    report = check_data(property_table, TABLE_SPEC, folds=5)
    assert report.ok
    assert (report.rows, report.groups) == (1290, 1270)
    assert report.labels["YoungMod"] == 361
    # the two rows whose permeabilities stand in an impossible order
    assert [(f.row, f.column) for f in report.warnings] == [
        (1003, "log10_Permeability_CO2"),
        (1114, "log10_Permeability_O2"),
    ]


def test_stereo_table_has_no_errors(stereo_table: Path):
    report = check_data(stereo_table, STEREO_SPEC, folds=5)
    assert report.ok
    assert (report.rows, report.groups) == (229, 18)
    # RS-PHB and RR-, SS-PHB carry the same monomers and pm
    assert [(f.rule, f.row, f.value) for f in report.warnings] == [
        ("conflicting_labels", 65, "167.0"),
        ("conflicting_labels", 212, "167.0"),
    ]


def test_seven_properties_configured_for_a_file_with_two(stereo_table: Path):
    spec = replace(STEREO_SPEC, properties=TABLE_SPEC.properties)
    grouped = faults_of(stereo_table, spec)
    assert list(grouped) == ["missing_column"]
    missing = {f.column: f for f in grouped["missing_column"]}
    assert set(missing) == set(TABLE_SPEC.properties)
    for fault in missing.values():
        assert fault.row == 1
        for name in ("smiles_monomer", "Tg", "Tm", "replicate_structure", "mechanism"):
            assert name in fault.value
    assert "did you mean 'Tg'" in missing["Glass_Transition"].expected
    assert "did you mean 'Tm'" in missing["Melt_Temp"].expected
    assert "remove the property" in missing["Density"].expected


def test_missing_file_names_dvc_pull(tmp_path):
    fault = only(faults_of(tmp_path / "no.csv"), "file_missing")
    assert "dvc pull" in fault.expected


def test_folder_instead_of_file(tmp_path):
    assert only(faults_of(tmp_path), "file_unreadable").value


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    assert only(faults_of(path), "file_empty").severity == "error"


def test_header_without_rows(tmp_path):
    fault = only(faults_of(write(tmp_path, [])), "no_rows")
    assert (fault.row, fault.value) == (1, "only a header")


def test_header_without_rows_still_names_missing_columns(tmp_path):
    grouped = faults_of(write(tmp_path, [], header=COLUMNS[:-1]))
    assert set(grouped) == {"no_rows", "missing_column"}


def test_not_utf8(tmp_path):
    path = write(tmp_path, rows(E_3="3100 ± 5"), encoding="latin-1")
    grouped = faults_of(path)
    fault = grouped["encoding"][0]
    assert (fault.row, fault.column, fault.value) == (3, "E", r"3100 \xb1 5")
    assert "not_a_number" in grouped, "the rest is checked all the same"


def test_utf16(tmp_path):
    assert "UTF-8" in only(faults_of(write(tmp_path, encoding="utf-16")), "encoding").expected


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab")])
def test_wrong_delimiter(tmp_path, delimiter, name):
    fault = only(faults_of(write(tmp_path, delimiter=delimiter)), "delimiter")
    assert fault.row == 1
    assert name in fault.value
    assert "comma" in fault.expected


def test_row_of_wrong_length(tmp_path):
    table = rows()
    table[2].append("5")
    fault = only(faults_of(write(tmp_path, table)), "row_length")
    assert (fault.row, fault.value) == (4, "6 fields")
    assert "5 fields" in fault.expected


def test_quotation_mark_that_is_never_closed(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text() + '"C=C,vinyl,CCCC,1,2\n' + "x" * 140_000 + "\n")
    fault = only(faults_of(path), "row_length")
    assert fault.row == 12
    assert "never closed" in fault.expected


def test_line_numbers_count_line_breaks_inside_cells_and_blank_lines(tmp_path):
    path = write(tmp_path, rows(Tg_3="x"), header=["smiles_monomer", *COLUMNS[1:]])
    lines = path.read_text().split("\n")
    lines[1] = lines[1].replace("-10", '"-10\n"')
    path.write_text("\n".join([lines[0], "", *lines[1:]]))
    assert only(faults_of(path), "not_a_number").row == 5


def test_missing_column_suggests_the_nearest(tmp_path):
    path = write(tmp_path, header=["smiles_monomer", "mechanisme", "smiles_polymer", "Tg", "E"])
    fault = only(faults_of(path), "missing_column")
    assert (fault.row, fault.column) == (1, "mechanism")
    assert "mechanisme" in fault.value
    assert "set data.columns.mechanism: mechanisme" in fault.expected


def test_missing_pm_column(tmp_path):
    fault = only(faults_of(write(tmp_path), Spec(columns=Names(pm="pm"))), "missing_column")
    assert "data.columns.pm" in fault.expected


def test_duplicate_column_name(tmp_path):
    table = [[*row, "1"] for row in CLEAN]
    fault = only(faults_of(write(tmp_path, table, header=[*COLUMNS, "Tg"])), "duplicate_column")
    assert (fault.row, fault.column) == (1, "Tg")
    assert "2 times" in fault.value


def test_unknown_property(tmp_path):
    spec = Spec(properties={"Glass_Transitions": Place("Tg", "°C")})
    fault = faults_of(write(tmp_path), spec)["unknown_property"][0]
    assert "did you mean 'Glass_Transition'" in fault.expected


@pytest.mark.parametrize(
    ("cell", "expected"), [("n.d.", "a number"), ("~100", "a number"), ("97,5", "such as 97.5")]
)
def test_text_in_a_number_column(tmp_path, cell, expected):
    fault = only(faults_of(write(tmp_path, rows(Tg_5=cell))), "not_a_number")
    assert (fault.row, fault.column, fault.value) == (5, "Tg", cell)
    assert expected in fault.expected


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_infinite_value(tmp_path, cell):
    fault = only(faults_of(write(tmp_path, rows(E_4=cell))), "infinite")
    assert (fault.row, fault.column, fault.value) == (4, "E", cell)


@pytest.mark.parametrize("cell", ["", "NA", "nan", "n/a"])
def test_missing_labels_are_no_fault(tmp_path, cell):
    assert faults_of(write(tmp_path, rows(E_4=cell))) == {}


@pytest.mark.parametrize("column", ["smiles_polymer", "smiles_monomer"])
@pytest.mark.parametrize(
    ("smiles", "reason"),
    [("C1CC", "ring"), ("CC(C)(C)(C)C", "bonds"), ("c1cccc1", "aromatic"), ("not smiles", "")],
)
def test_smiles_that_do_not_parse(tmp_path, column, smiles, reason):
    path = write(tmp_path, rows(**{f"{column}_6": smiles}))
    fault = only(faults_of(path), "smiles")
    assert (fault.row, fault.column, fault.value) == (6, column, smiles)
    assert reason in fault.expected.lower()


def test_message_of_a_failed_polymerisation_is_recognised(tmp_path):
    path = write(tmp_path, rows(smiles_polymer_6="ERROR_01:NoReaction"))
    assert "polymerisation that failed" in only(faults_of(path), "smiles").expected


def test_missing_smiles(tmp_path):
    fault = only(faults_of(write(tmp_path, rows(smiles_polymer_6=""))), "missing_value")
    assert (fault.row, fault.column) == (6, "smiles_polymer")


@pytest.mark.parametrize(("cell", "near"), [("nipu", "NIPU"), ("esther", "ester"), ("xyz", None)])
def test_unknown_mechanism(tmp_path, cell, near):
    fault = only(faults_of(write(tmp_path, rows(mechanism_7=cell))), "mechanism")
    assert (fault.row, fault.column, fault.value) == (7, "mechanism", cell)
    assert "vinyl, acrylate" in fault.expected
    assert ("did you mean" in fault.expected) == (near is not None)
    assert near is None or f"did you mean {near!r}" in fault.expected


@pytest.mark.parametrize(
    ("cell", "rule"),
    [("1.01", "pm_range"), ("-0.1", "pm_range"), ("71", "pm_range"), ("", "missing_value"),
     ("iso", "not_a_number")],
)  # fmt: skip
def test_pm(tmp_path, cell, rule):
    table = [[*row, "0.5"] for row in CLEAN]
    table[3][-1] = cell
    path = write(tmp_path, table, header=[*COLUMNS, "pm"])
    fault = only(faults_of(path, Spec(columns=Names(pm="pm"))), rule)
    assert (fault.row, fault.column, fault.value) == (5, "pm", cell)
    assert ("percentage" in fault.expected) == (cell in {"71", "1.01"})


def test_every_fault_at_once(tmp_path):
    table = rows(Tg_2="cold", E_3="inf", smiles_polymer_4="C1CC", mechanism_5="magic", Tg_6="5000")
    table.append(list(table[-1]))
    grouped = faults_of(write(tmp_path, table, header=[*COLUMNS[:-1], "E"]))
    assert {rule: [(f.row, f.column) for f in faults] for rule, faults in grouped.items()} == {
        "not_a_number": [(2, "Tg")],
        "infinite": [(3, "E")],
        "smiles": [(4, "smiles_polymer")],
        "mechanism": [(5, "mechanism")],
        "range": [(6, "Tg")],
        "duplicate_row": [(12, None)],
    }
    assert LINE["C=CC(=O)OC"] == 6


def test_report_as_plain_data(tmp_path):
    path = write(tmp_path, rows(Tg_5="x"))
    plain = check_data(path, Spec()).to_dict()
    assert plain["ok"] is False
    assert plain["columns"] == COLUMNS
    assert plain["summary"]["errors"] == 1
    assert plain["faults"] == [
        {
            "file": str(path),
            "row": 5,
            "column": "Tg",
            "value": "x",
            "expected": "a number, or nothing where there is no label",
            "rule": "not_a_number",
            "severity": "error",
        }
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    position=st.integers(0, 10_000),
    length=st.integers(0, 40),
    junk=st.binary(max_size=12) | st.text(st.characters(codec="utf-8"), max_size=8).map(str.encode),
)
def test_no_file_makes_the_check_itself_fail(tmp_path, position, length, junk):
    path = write(tmp_path)
    content = path.read_bytes()
    position %= len(content)
    path.write_bytes(content[:position] + junk + content[position + length :])
    report = check_data(path, Spec(), folds=5)
    assert isinstance(report.to_dict()["ok"], bool)
