"""Chains from monomers: real ones build, the rest are errors that help."""

import random

import numpy as np
import pytest
from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from polyid import oligomers
from polyid.errors import PolymerisationError, SmilesError
from polyid.mechanisms import MECHANISMS, fitting_mechanisms, infer_mechanism, mechanism_name
from polyid.oligomers import build_oligomer
from polyid.smiles import parse

BISPHENOL = "CC(C)(c1ccc(O)cc1)c1ccc(O)cc1"
# one monomer set per mechanism, and the formula of its chain of four
CHAINS = {
    "vinyl": (("C=Cc1ccccc1",), "C32H34"),
    "ester": (("OCCO", "O=C(O)c1ccc(C(=O)O)cc1"), "C20H18O9"),
    "amide": (("NCCCCCCN", "O=C(O)CCCCC(=O)O"), "C24H46N4O5"),
    "imide": (("Nc1ccc(N)cc1", "O=C1OC(=O)c2cc3c(cc21)C(=O)OC3=O"), "C32H14N4O9"),
    "urethane": (("OCCCCO", "O=C=NCCCCCCN=C=O"), "C24H44N4O8"),
    "NIPU": (("NCCCCCCN", "O=C1OCC(COCC2COC(=O)O2)O1"), "C28H52N4O14"),
}


@pytest.mark.parametrize("mechanism", CHAINS)
def test_every_mechanism_builds(mechanism):
    monomers, formula = CHAINS[mechanism]
    assert CalcMolFormula(parse(build_oligomer(monomers, mechanism, dp=4))) == formula
    assert fitting_mechanisms([parse(m) for m in monomers]) == [mechanism]


@pytest.mark.parametrize("source", ["O=C(Cl)Cl", "O=C(Oc1ccccc1)Oc1ccccc1"])
def test_polycarbonates_build(source):
    chain = parse(build_oligomer([source, BISPHENOL], "carbonate", dp=18))
    carbonate = Chem.MolFromSmarts("cOC(=O)Oc")
    assert len(chain.GetSubstructMatches(carbonate)) >= 8


def test_m2p_alone_still_fails_on_polycarbonates():
    # when this fails, m2p is mended and `oligomers.maker` can go
    from m2p import PolyMaker

    with oligomers._LOCK, oligomers._quiet_rdkit(), oligomers._seeded(0):
        frame = PolyMaker().thermoplastic(
            ("O=C(Cl)Cl", BISPHENOL), DP=4, mechanism="carbonate", verbose=False
        )
    assert frame["smiles_polymer"].iloc[0].startswith("ERROR")


def test_same_seed_same_chain_in_any_order():
    oligomers._build.cache_clear()
    first = build_oligomer(["C=C", "C=Cc1ccccc1"], "vinyl", seed=3)
    oligomers._build.cache_clear()
    assert build_oligomer(["C=Cc1ccccc1", "C=C"], "vinyl", seed=3) == first
    assert build_oligomer(["C=C", "C=Cc1ccccc1"], "vinyl", seed=4) != first


def test_global_state_is_left_alone(capfd):
    oligomers._build.cache_clear()
    rdBase.EnableLog("rdApp.error")

    def state() -> tuple:
        return random.getstate(), np.random.get_state()[1].tobytes(), rdBase.LogStatus()  # noqa: NPY002

    before = state()
    build_oligomer(["CC(O)C(=O)O"], "ester", dp=3, seed=99)
    with pytest.raises(PolymerisationError):
        build_oligomer(["CC"], "ester")
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_distribution_sets_the_share():
    share = [
        build_oligomer(["C=C", "C=CCl"], "vinyl", distribution=amounts).count("Cl")
        for amounts in ([9, 1], [1, 9])
    ]
    assert share[0] < 9 < share[1]


def test_pm_sets_the_tacticity():
    def meso(pm: float) -> float:
        chain = parse(build_oligomer(["CC(O)C(=O)O"], "ester", dp=40, pm=pm))
        Chem.AssignStereochemistry(chain, cleanIt=True, force=True)
        unit = Chem.MolFromSmarts("CC(=O)O[CX4](C)C(=O)")
        codes = [
            chain.GetAtomWithIdx(match[0]).GetProp("_CIPCode")
            == chain.GetAtomWithIdx(match[4]).GetProp("_CIPCode")
            for match in chain.GetSubstructMatches(unit)
            if chain.GetAtomWithIdx(match[0]).HasProp("_CIPCode")
            and chain.GetAtomWithIdx(match[4]).HasProp("_CIPCode")
        ]
        assert len(codes) >= 30
        return sum(codes) / len(codes)

    assert meso(1.0) == 1
    assert meso(0.0) == 0
    assert 0.3 < meso(0.5) < 0.7


@pytest.mark.parametrize(
    "monomers", [["C[C@@H](O)C(=O)O"], ["C[C@@H](O)C(=O)O", "C[C@H](O)C(=O)O"]]
)
def test_pm_takes_one_or_both_mirror_images(monomers):
    assert build_oligomer(monomers, "ester", pm=0.7) == build_oligomer(
        ["CC(O)C(=O)O"], "ester", pm=0.7
    )


def test_pm_works_for_vinyl():
    assert "@" in build_oligomer(["C=CCl"], "vinyl", pm=0.9)


@pytest.mark.parametrize(
    ("monomers", "mechanism", "options", "said"),
    [
        (["CC1OC(=O)C(C)OC1=O"], "ester", {}, "ring opening"),
        (["O=C1CCCCCN1"], "amide", {}, r"\*NCCCCCC\(\*\)=O"),
        (["O=C1OCCO1"], "carbonate", {}, "ring opening"),
        (["OCCO"], "ester", {}, "poly.ethylene glycol. is"),
        (["C[Si](C)(O)O"], "ester", {}, "PDMS"),
        (["O=C(O)c1ccc(C(=O)O)cc1"], "ester", {}, "a diacid with a diol"),
        (["NCCN", "O=C(Cl)CC(=O)Cl"], "amide", {}, "instead of the acid halide"),
        (["O=C1CCC(=O)O1", "OCCO"], "ester", {}, "instead of its anhydride"),
        (["NCCN", "O=C(O)CC(=O)O"], "ester", {}, "would fit amide"),
        (["C=C"], "vynil", {}, "Did you mean 'vinyl'"),
        (["C=C"], "polymerise", {}, "expected one of vinyl"),
        ([], "vinyl", {}, "No monomers"),
        (["C=C"], "vinyl", {"dp": 1}, "2 to 100"),
        (["C=C"], "vinyl", {"dp": 5000}, "2 to 100"),
        (["C=C" + "C" * 200], "vinyl", {}, "smaller dp"),
        (["*CC*"], "vinyl", {}, "not one monomer"),
        (["C=C.C=CC"], "vinyl", {}, "not one monomer"),
        (["C=C"], "vinyl", {"distribution": [1, 2]}, "1 positive amounts"),
        (["C=C"], "vinyl", {"distribution": [-1]}, "positive"),
        (["C=CC"], "vinyl", {"pm": 1.5}, "between 0 and 1"),
        (["C=CC"], "vinyl", {"pm": float("nan")}, "between 0 and 1"),
        (["NCCCC(=O)O"], "amide", {"pm": 0.5}, "leave pm out"),
        (["OCCC(=O)O"], "ester", {"pm": 0.5}, "two mirror images"),
    ],
)
def test_errors_help(monomers, mechanism, options, said):
    with pytest.raises(PolymerisationError, match=said):
        build_oligomer(monomers, mechanism, **options)


def test_bad_monomer_is_named():
    with pytest.raises(SmilesError, match="CXC"):
        build_oligomer(["CXC"], "vinyl")


def test_left_over_end_marks_are_refused(monkeypatch):
    # m2p marks growing ends with astatine and lawrencium
    oligomers._build.cache_clear()
    monkeypatch.setattr(oligomers, "_plain", lambda *_: "[At]CCCC")
    with pytest.raises(PolymerisationError, match="left over: At"):
        build_oligomer(["C=C"], "vinyl", dp=2, seed=5)
    oligomers._build.cache_clear()


def test_mechanism_names():
    assert mechanism_name("Acrylate") == "vinyl"
    assert mechanism_name("ester_stereo") == "ester"
    assert mechanism_name("nipu") == "NIPU"
    assert [mechanism_name(name) for name in MECHANISMS] == list(MECHANISMS)


def test_nothing_fits_names_what_is_missing():
    with pytest.raises(PolymerisationError, match="No mechanism joins"):
        infer_mechanism([parse("CC")])
