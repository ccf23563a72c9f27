"""Thousands of strings as SMILES: an answer to each, in time, and never a 5xx."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

SEEDS = [
    *("*CC(*)c1ccccc1", "CC(O)C(=O)O", "NCCCCCCN.O=C(O)CCCCC(=O)O", "C=C(C)C(=O)OC"),
    *("*Oc1ccc(cc1)C(C)(C)c1ccc(cc1)OC(*)=O", "C/C=C/C", "F[C@@H](Cl)Br", "[13CH4].[NH4+]"),
    "CC(CC(CC(CCc1ccccc1)c1ccccc1)c1ccccc1)c1ccccc1",
]
LETTERS = "CNOPSFIBrclnosp()[]=#@+-\\/.*%0123456789:~$<>H"
ODD = [
    "\x00",
    "\x1b[2J",
    "\u202e",
    "é",
    "Ω",
    "😀",
    "\ufeff",
    "\u0301",
    "\x7f",
    "\n",
    "\t",
    "\uffff",
]


def texts(count, seed):
    """Random, mutated, huge, foreign and nonsensical strings."""
    draw = random.Random(seed)
    for number in range(count):
        way = number % 8
        if way == 0:
            yield "".join(draw.choices(LETTERS, k=draw.randint(1, 60)))
        elif way in (1, 2, 3):
            yield mutated(draw.choice(SEEDS), draw)
        elif way == 4:
            yield (
                "".join(chr(draw.randint(1, 0x2FFFF)) for _ in range(draw.randint(1, 30)))
                .encode("utf-8", "ignore")
                .decode()
            )
        elif way == 5:
            text = list(draw.choice(SEEDS))
            text.insert(draw.randrange(len(text)), draw.choice(ODD))
            yield "".join(text)
        elif way == 6:
            part = draw.choice(["C", "C(", "c1", "[", "=", ".", "*", "%99", "C1CC1", "\\", "C=C."])
            yield part * draw.choice([1, 10, 100, 1_000, 5_000])
        else:
            yield draw.choice(["", " ", "NaN", "null", "-1", "'; DROP TABLE", "../../etc", "{}"])


def mutated(text, draw):
    """Delete, double, swap or replace a few characters."""
    letters = list(text)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(letters))
        change = draw.randrange(4)
        if change == 0 and len(letters) > 1:
            del letters[place]
        elif change == 1:
            letters.insert(place, letters[place])
        elif change == 2:
            letters[place] = draw.choice(LETTERS)
        else:
            other = draw.randrange(len(letters))
            letters[place], letters[other] = letters[other], letters[place]
    return "".join(letters)


def fuzz(server, count, seed):
    def ask(text):
        body = {"smiles": text}
        return text, server.post("/predict", json=body)

    codes = {}
    with ThreadPoolExecutor(4) as clients:
        for text, answer in clients.map(ask, texts(count, seed)):
            assert answer.status_code in (200, 413, 422), (text[:200], answer.text[:500])
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
    assert codes[200] > count / 100, "some of them are polymers"
    assert codes[422] > count / 10
    assert server.count('polyid_worker_events_total{event="died"}') == 0
    assert server.count('polyid_worker_events_total{event="slow"}') == 0
    assert server.health()["workers"] == 2


def test_hundreds_of_strings(server):
    fuzz(server, 300, 1)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_ten_thousand_strings(server):
    fuzz(server, 10_000, 2)
    assert server.post("/predict", json={"smiles": "C" * 1_000_000}).status_code == 422
    assert server.post("/predict", json={"smiles": "C" * 10_000_000}).status_code == 413
