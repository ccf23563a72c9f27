"""`POST /predict`: what is answered, what is refused, and how equal questions are answered."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from serve_kit import COMMIT, DATA_HASH, IMAGE, serving, write_model

NYLON = ["NCCCCCCN", "O=C(O)CCCCC(=O)O"]


def test_an_answer_has_all_a_chemist_needs(server, served_registry):
    answer = server.predict("CC(O)C(=O)O", name="PLA")
    assert (answer["name"], answer["input"], answer["ok"]) == ("PLA", "CC(O)C(=O)O", True)
    assert answer["kind"] == "monomers"
    assert "Taken as a monomer" in answer["note"]
    assert list(answer["properties"]) == ["Glass_Transition", "Density"]
    for name, unit in (("Glass_Transition", "°C"), ("Density", "g/cm³")):
        found = answer["properties"][name]
        assert found["low"] < found["high"]
        assert found["unit"] == unit
    assert answer["interval_level"] == 0.9
    assert answer["validity"]["word"] == "well inside"
    nearest = answer["validity"]["nearest"][0]
    assert nearest["smiles_monomer"] == "CC(O)C(=O)O"
    assert nearest["measured"]["Glass_Transition"] == {"value": 57.0, "unit": "°C"}
    assert answer["model"] == {
        "registry": str(served_registry),
        "revision": "v1.0.0",
        "tag": "v1.0.0",
        "hub_commit": None,
        "fingerprint": f"{1:016x}",
        "commit": COMMIT,
        "data_hash": DATA_HASH,
        "image": IMAGE,
    }


def test_the_ways_to_write_a_polymer(server):
    both = {"monomers": NYLON, "mechanism": "amide"}
    from_list = server.post("/predict", json=both).json()
    from_text = server.predict(".".join(NYLON), mechanism="amide")
    assert from_list["properties"] == from_text["properties"]
    swapped = server.post("/predict", json={"monomers": NYLON[::-1]}).json()
    assert swapped["properties"] == from_list["properties"]
    assert swapped["input"] == ".".join(NYLON[::-1])
    unit = server.predict("*CC(*)c1ccccc1")
    assert unit["kind"] == "repeat_unit"
    chain = server.predict(unit["smiles_polymer"], kind="oligomer")
    assert chain["properties"] == unit["properties"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "#", "either smiles or monomers"),
        ({"smiles": "CC", "monomers": ["CC"]}, "#", "either smiles or monomers"),
        ({"smiles": ""}, "#/smiles", "at least 1 character"),
        ({"smiles": 5}, "#/smiles", "valid string"),
        ({"smiles": "*CC*", "colour": "red"}, "#/colour", "Extra inputs"),
        ({"smiles": "*CC*", "kind": "drawing"}, "#/kind", "'auto'"),
        ({"smiles": "*CC*", "pm": 1.5}, "#/pm", "less than or equal to 1"),
        ({"smiles": "*CC(", "mechanism": "vinyl"}, "#/smiles", "is not SMILES"),
        ({"smiles": "C=C", "mechanism": "magic"}, "#/mechanism", "expected one of vinyl"),
        ({"monomers": ["C=C", "C=C("]}, "#/monomers/1", "is not SMILES"),
        ({"monomers": []}, "#/monomers", "at least 1 item"),
        ({"monomers": ["C=C"], "kind": "oligomer"}, "#", "not read as oligomer"),
        ({"smiles": "*C[Si](*)(C)C"}, "#/smiles", "holds Si"),
        ({"smiles": "C\x00C"}, "#/smiles", "does not belong to SMILES"),
        ({"smiles": "CC(Ω)"}, "#/smiles", "does not belong to SMILES"),
        ({"smiles": "C" * 1_000_000}, "#/smiles", "at most 10000"),
        ({"smiles": "C" * 3_000}, "#/smiles", "heavy atoms"),
        ([], "#", "valid dictionary"),
    ],
)
def test_what_is_refused_names_the_field(server, body, pointer, words):
    answer = server.post("/predict", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["errors"][0]["pointer"] == pointer
    assert words in problem["errors"][0]["detail"]
    assert len(answer.content) < 2_000, "a huge input is not sent back"
    meaning = server.get(problem["type"]).json()
    assert meaning == {"status": 422, "title": problem["title"]}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"smiles"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"smiles": "\\ud800"}', 422),
        (b'{"smiles": "*CC*", "pm": NaN}', 422),
        (b'{"smiles": "*CC*", "pm": 1e999}', 422),
        (b'{"smiles": ' + b"9" * 5_000 + b"}", 400),
        (b'{"smiles": "' + b"C" * 3_000_000 + b'"}', 413),
        (b" " * 30_000_000, 413),
    ],
)
def test_bodies_that_cannot_be_read(server, content, code):
    answer = server.post("/predict", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == code


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/no", 404), ("PUT", "/model", 405)])
def test_other_addresses_answer_with_problems_too(server, method, path, code):
    answer = server.client.request(method, server.url + path)
    assert answer.status_code == code
    assert answer.json()["title"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_equal_question_is_answered_from_memory(server):
    first = server.predict("*CC(*)CCC")
    before = server.count('polyid_predictions_total{outcome="cached"}')
    again = server.predict(" *CC(*)CCC ", name="again")
    assert server.count('polyid_predictions_total{outcome="cached"}') == before + 1
    for answer in (first, again):
        del answer["name"], answer["input"]
    assert again == first


def test_clients_at_the_same_time_get_what_one_gets(server):
    polymers = [f"*CC(*){'C' * n}" for n in range(4, 10)] + ["*CC("]
    asked = polymers * 6

    def ask(smiles):
        return server.post("/predict", json={"smiles": smiles})

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, asked))
    for smiles, answer in zip(asked, answers, strict=True):
        assert answer.status_code == (422 if smiles == "*CC(" else 200)
        assert answer.json() == ask(smiles).json()


@pytest.mark.slow
def test_a_model_that_reads_the_tacticity(tmp_path):
    folder = write_model(tmp_path / "pm", pm=True)
    with serving(folder, tmp_path / "cache") as running:
        assert running.settled()["status"] == "ready"
        assert running.get("/model").json()["takes_pm"] is True
        lacking = running.post("/predict", json={"smiles": "CC(O)C(=O)O"})
        assert lacking.status_code == 422
        assert lacking.json()["errors"][0]["pointer"] == "#/pm"
        low, high = (running.predict("CC(O)C(=O)O", pm=pm) for pm in (0.0, 1.0))
        assert low["properties"] != high["properties"]
