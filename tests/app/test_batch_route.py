"""`POST /predict/batch`: three ways in, two ways out, one bad row, limits, streaming."""

import csv
import io
import json

import pytest

CSV = "id,smiles,mechanism\n1,C=CC,\n2,CC(O)C(=O)O,ester\n3,oops,\n"


def lines(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def table(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def post_csv(server, text, **headers):
    content = text if isinstance(text, bytes) else text.encode()
    return server.post(
        "/predict/batch", content=content, headers={"content-type": "text/csv", **headers}
    )


def test_a_json_list_is_answered_line_by_line(server):
    rows = ["C=CC", {"monomers": ["CC(O)C(=O)O"], "name": "PLA"}, 7, {"smiles": 7}, "*CC("]
    found = lines(server.post("/predict/batch", json=rows))
    assert [row["row"] for row in found] == [1, 2, 3, 4, 5]
    assert [row["ok"] for row in found] == [True, True, False, False, False]
    alone = server.predict("C=CC")
    assert {**alone, "row": 1} == found[0]
    assert found[1]["name"] == "PLA"
    assert found[3]["problem"]["errors"][0]["pointer"] == "#/smiles"
    assert "is not SMILES" in found[4]["error"]
    assert all(row["model"] == alone["model"] for row in found)


def test_csv_in_the_body_comes_back_with_predictions(server):
    found = table(post_csv(server, CSV))
    assert [row["id"] for row in found] == ["1", "2", "3"]
    value = server.predict("CC(O)C(=O)O", mechanism="ester")["properties"]["Glass_Transition"]
    assert float(found[1]["Glass_Transition"]) == pytest.approx(value["value"], rel=1e-5)
    assert found[1]["Glass_Transition_unit"] == "°C"
    assert (found[0]["error"], found[2]["Density"]) == ("", "")
    assert "no possible molecule" in found[2]["error"]


def test_csv_as_an_upload(server):
    files = {"file": ("polymers.csv", CSV.encode("utf-8-sig"), "text/csv")}
    assert table(server.post("/predict/batch", files=files)) == table(post_csv(server, CSV))
    wrong = server.post("/predict/batch", files={"table": ("a.csv", b"smiles\nCC\n")})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "#/file")


def test_accept_chooses_the_answer(server):
    found = lines(post_csv(server, CSV, accept="application/x-ndjson"))
    assert [row["ok"] for row in found] == [True, True, False]
    rows = ["C=CC", {"smiles": "*CC*"}]
    as_table = table(server.post("/predict/batch", json=rows, headers={"accept": "text/csv"}))
    assert [row["input"] for row in as_table] == ["C=CC", '{"smiles": "*CC*"}']
    assert all(row["Density"] for row in as_table)


def test_cells_of_tacticity_and_mechanism_are_the_rows_own(server):
    found = lines(
        post_csv(
            server,
            "smiles,mechanism,pm\nC=CC,magic,\nC=CC,,2\nC=CC,,\n,,\n",
            accept="application/x-ndjson",
        )
    )
    pointers = [row["problem"]["errors"][0]["pointer"] for row in found if not row["ok"]]
    assert pointers == ["#/mechanism", "#/pm"]
    assert len(found) == 3, "an empty line is no row"


@pytest.mark.parametrize(
    ("content", "kind", "code", "words"),
    [
        (b"[]", "application/json", 422, "empty"),
        (b"{}", "application/json", 422, "JSON list"),
        (b"[", "application/json", 400, "not JSON"),
        (b"[" * 100_000, "application/json", 400, "not JSON"),
        (json.dumps(["*CC*"] * 41).encode(), "application/json", 413, "41 rows; at most 40"),
        (b"smiles\n" + b"CC\n" * 41, "text/csv", 413, "41 rows; at most 40"),
        (b"", "text/csv", 422, "empty"),
        (b"colour\nred\n", "text/csv", 422, "no column of structures"),
        (b"smiles,a\nCC\n", "text/csv", 422, "line 2 has 1"),
        (b"smiles\n\xff\n", "text/csv", 400, "UTF-8"),
        (b'smiles\n"CC\n', "text/csv", 422, "expected CSV"),
        (b"<a/>", "application/xml", 415, "expected application/json"),
        (b"nothing", "multipart/form-data", 400, "boundary"),
        (b"x" * 2_000_001, "text/csv", 413, "2000000 bytes"),
    ],
)
def test_batches_that_are_refused(server, content, kind, code, words):
    answer = server.post("/predict/batch", content=content, headers={"content-type": kind})
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_lines_come_while_the_rest_is_being_predicted(server):
    rows = [f"*CC(*){'C' * n}O" for n in range(2, 30)]
    outcome = 'polyid_predictions_total{outcome="predicted"}'
    before = server.count(outcome)
    with server.client.stream("POST", server.url + "/predict/batch", json=rows) as answer:
        first = next(answer.iter_lines())
        done = server.count(outcome) - before
    assert json.loads(first)["row"] == 1
    assert done < len(rows), "the first line came before the last row was predicted"
    # the client has left: nothing goes on for it, and its place is free again
    server.until(lambda: server.count("polyid_waiting"), lambda waiting: waiting == 0)
    assert server.count(outcome) - before < len(rows)
    for _ in range(6):
        assert len(lines(server.post("/predict/batch", json=["*CC*"]))) == 1
