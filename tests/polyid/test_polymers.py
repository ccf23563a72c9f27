"""From text to chain: repeat units, monomers, oligomers, and everything else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from polyid.errors import PolyIDError, PolymerisationError, RepeatUnitError, SmilesError
from polyid.polymers import Polymer, parse, to_polymer
from polyid.repeat_units import monomers_per_unit

POLYMERS = {
    "PLA": ("*OC(C)C(*)=O", "CC(O)C(=O)O", "ester"),
    "nylon 6,6": ("*NCCCCCCNC(=O)CCCCC(*)=O", "NCCCCCCN.O=C(O)CCCCC(=O)O", "amide"),
    "PMMA": ("*CC(*)(C)C(=O)OC", "C=C(C)C(=O)OC", "vinyl"),
}


@pytest.mark.parametrize("name", POLYMERS)
def test_repeat_unit_and_monomers_give_the_same_chain(name):
    unit, monomers, mechanism = POLYMERS[name]
    from_unit, from_monomers = to_polymer(unit), to_polymer(monomers)
    assert (from_unit.kind, from_unit.monomers) == ("repeat_unit", None)
    assert (from_monomers.kind, from_monomers.mechanism) == ("monomers", mechanism)
    chains = [parse(p.smiles_polymer) for p in (from_unit, from_monomers)]
    assert CalcMolFormula(chains[0]) == CalcMolFormula(chains[1])
    if mechanism != "vinyl":  # m2p draws head or tail at random for vinyl
        assert from_unit.smiles_polymer == from_monomers.smiles_polymer


def test_known_chains():
    assert to_polymer("*CC(*)C", dp=3).smiles_polymer == "CCCC(C)CC(C)C"
    assert to_polymer("*OC(C)C(*)=O", dp=2).smiles_polymer == "CC(O)C(=O)OC(C)C(=O)O"
    assert to_polymer("*CCO*", dp=2).smiles_polymer == "CCOCCO"
    assert to_polymer("*=CC=*", dp=2).smiles_polymer == "CC=CC"


@pytest.mark.parametrize("written", ["[*]CC[*]", "[1*]CC[2*]", "[*:1]CC[*:2]", "C(*)C*", "*CC*"])
def test_spellings_of_stars(written):
    assert to_polymer(written, dp=4).smiles_polymer == "C" * 8


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        ("*OC(C)C(*)=O", 1),
        ("*NCCCCCC(*)=O", 1),
        ("*NCCCCCCNC(=O)CCCCC(*)=O", 2),
        ("*OCCOC(=O)c1ccc(C(*)=O)cc1", 2),
        ("*c1ccc(C(C)(C)c2ccc(OC(=O)O*)cc2)cc1", 2),  # diol and phosgene
        ("*OCCCCOC(=O)NCCCCCCNC(*)=O", 2),
        ("*c1ccc(Oc2ccc(N3C(=O)c4cc5c(cc4C3=O)C(=O)N(*)C5=O)cc2)cc1", 2),
        ("*C(=O)c1ccc2c(c1)C(=O)N(c1ccc(N*)cc1)C2=O", 2),  # polyamide-imide
        ("*CC(*)c1ccccc1", 1),
        ("*CC(*)(C)C(=O)OC", 1),  # the ester stands beside the backbone
        ("*CCO*", 1),
    ],
)
def test_monomers_per_unit(unit, count):
    assert monomers_per_unit(parse(unit)) == count


def test_dp_counts_monomers():
    # nylon 6,6: 18 monomers are 9 repeat units of 16 heavy atoms and one end oxygen
    chain = to_polymer("*NCCCCCCNC(=O)CCCCC(*)=O", dp=18).smiles_polymer
    assert parse(chain).GetNumHeavyAtoms() == 9 * 16 + 1


def test_stereo_marks_are_kept():
    chain = parse(to_polymer("*O[C@@H](C)C(*)=O", dp=6).smiles_polymer)
    Chem.AssignStereochemistry(chain, cleanIt=True, force=True)
    codes = {a.GetProp("_CIPCode") for a in chain.GetAtoms() if a.HasProp("_CIPCode")}
    assert len(codes) == 1
    trans, cis = (to_polymer(u, dp=4).smiles_polymer for u in ("*C/C=C/C*", "*C/C=C\\C*"))
    assert trans != cis
    assert "[H]" not in to_polymer("*/C=C/*", dp=4).smiles_polymer


def test_repeat_units_are_fast_and_deterministic():
    unit = "*c1ccc(Oc2ccc(N3C(=O)c4cc5c(cc4C3=O)C(=O)N(*)C5=O)cc2)cc1"
    first = to_polymer(unit)
    assert to_polymer(unit) == first
    assert Chem.CanonSmiles(first.smiles_polymer) == first.smiles_polymer


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("*CC", "1 *"),
        ("*", "1 *"),
        ("*CC(*)C*", "3 *"),
        ("*C(*)C(*)*", "Ladder"),
        ("**", "bonded to one another"),
        ("C*C*C", "end"),
        ("*CC*.C", "'.'"),
        ("*1CC1*", "end"),
        ("*=C*", "same kind of bond"),
        ("*#CC#*", "single or double"),
    ],
)
def test_bad_repeat_units(unit, said):
    with pytest.raises(RepeatUnitError) as caught:
        to_polymer(unit)
    assert said in str(caught.value)
    assert repr(unit) in str(caught.value)


@pytest.mark.parametrize("dp", [0, 1, -3])
def test_chain_needs_two_monomers(dp):
    with pytest.raises(RepeatUnitError, match="at least two"):
        to_polymer("*CC*", dp=dp)


def test_too_long_a_chain_is_refused_before_it_is_built():
    with pytest.raises(RepeatUnitError, match="smaller dp"):
        to_polymer("*CC*", dp=10**9)


def test_small_molecule_with_one_mechanism_is_a_monomer_and_says_so():
    for text in ("CC(O)C(=O)O", "C=Cc1ccccc1", "C=C(C)C(=O)OC"):
        polymer = to_polymer(text)
        assert polymer.kind == "monomers"
        assert "Taken as a monomer" in polymer.note
    assert to_polymer("CC(O)C(=O)O", kind="oligomer").smiles_polymer == "CC(O)C(=O)O"


def test_long_molecule_is_the_chain():
    text = "CC(O)C(=O)" + "OC(C)C(=O)" * 8 + "O"
    polymer = to_polymer(text)
    assert polymer == Polymer(text, "oligomer", Chem.CanonSmiles(text))
    assert to_polymer(text, mechanism="ester").kind == "oligomer"


def test_short_molecule_without_a_mechanism_carries_a_warning():
    polymer = to_polymer("CCO")
    assert polymer.kind == "oligomer"
    assert "short for a polymer" in polymer.note


@pytest.mark.parametrize(
    ("ring", "unit"),
    [
        ("CC1OC(=O)C(C)OC1=O", "*OC(C)C(=O)OC(C)C(*)=O"),
        ("O=C1CCCCCN1", "*NCCCCCC(*)=O"),
        ("O=C1OCCO1", "*OCCOC(*)=O"),
        ("C1CO1", "*CCO*"),
    ],
)
def test_ring_opening_monomers_name_the_open_form_and_it_works(ring, unit):
    with pytest.raises(PolymerisationError, match="ring opening") as caught:
        to_polymer(ring)
    assert unit in str(caught.value)
    assert to_polymer(unit).kind == "repeat_unit"


def test_ambiguous_monomers_list_the_ways():
    with pytest.raises(PolymerisationError, match="vinyl, ester"):
        to_polymer("C=C(C(=O)O)C(C)O")
    assert to_polymer("C=C(C(=O)O)C(C)O", mechanism="ester").mechanism == "ester"


def test_unknown_mechanism_is_suggested():
    with pytest.raises(PolymerisationError, match="Did you mean 'ester'"):
        to_polymer("CC(O)C(=O)O", mechanism="esther")


@pytest.mark.parametrize(
    ("text", "kind", "error"),
    [
        ("CC", "polymer", PolyIDError),
        ("CC", "repeat_unit", RepeatUnitError),
        ("*CC*", "oligomer", RepeatUnitError),
        ("*CC*", "monomers", RepeatUnitError),
        ("CC.CC", "oligomer", PolyIDError),
        ("CC", "monomers", PolymerisationError),
        ("[Na+].[Cl-]", "auto", PolymerisationError),
        ("not a polymer", "auto", SmilesError),
    ],
)
def test_kinds_that_do_not_fit(text, kind, error):
    with pytest.raises(error):
        to_polymer(text, kind=kind)


def test_pm_leaves_a_given_chain_alone():
    assert "pm is not written" in to_polymer("*O[C@@H](C)C(*)=O", pm=0.5).note


_TOKENS = [*"CNOSFcnosp()[]=#.*123%@/\\+-H", "Cl", "C(=O)O", "c1ccccc1", "C=C", "[*]", "..", ":1"]
_SMILES = st.lists(st.sampled_from(_TOKENS), max_size=14).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), _SMILES))
@example("\ud800")
@example("*" * 3_000)
@example("[Cl-].[Na+]")
@example("C%10CC%10")
@example("*c1ccc(*)cc1")
def test_any_text_is_a_polymer_or_a_clear_error(text):
    try:
        polymer, said = to_polymer(text), "fine"
    except PolyIDError as error:
        polymer, said = None, str(error)
    assert 0 < len(said) < 1_500
    if polymer:
        assert "*" not in polymer.smiles_polymer
        assert Chem.MolFromSmiles(polymer.smiles_polymer) is not None
