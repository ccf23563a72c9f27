"""Well-known polymers by name: repeat unit and, where it is built from them, monomers."""

import difflib
from typing import NamedTuple

from app.schemas import Ask


class Named(NamedTuple):
    """A polymer that has a name."""

    name: str
    unit: str
    """SMILES of the repeat unit, with two ``*``."""
    monomers: tuple[str, ...] = ()
    """SMILES of the monomers from which the models' chains are built; empty if they are not."""
    mechanism: str | None = None
    also: tuple[str, ...] = ()
    """Abbreviations and other names."""

    @property
    def label(self) -> str:
        """Name and first abbreviation."""
        return f"{self.name} ({self.also[0]})" if self.also else self.name

    def ask(self, pm: float | None = None) -> Ask:
        """Return the question for this polymer: by monomers, as the training chains were built."""
        if self.monomers:
            return Ask(
                monomers=list(self.monomers), mechanism=self.mechanism, pm=pm, name=self.name
            )
        return Ask(smiles=self.unit, kind="repeat_unit", pm=pm, name=self.name)


def _vinyl(name: str, unit: str, monomer: str, *also: str) -> Named:
    return Named(name, unit, (monomer,), "vinyl", also)


_TPA, _EG = "O=C(O)c1ccc(C(=O)O)cc1", "OCCO"

NAMES: tuple[Named, ...] = (
    _vinyl("Polyethylene", "*CC*", "C=C", "PE"),
    _vinyl("Polypropylene", "*CC(*)C", "C=CC", "PP"),
    _vinyl("Poly(1-butene)", "*CC(*)CC", "C=CCC", "PB-1"),
    _vinyl("Polyisobutylene", "*CC(*)(C)C", "C=C(C)C", "PIB"),
    _vinyl("Polystyrene", "*CC(*)c1ccccc1", "C=Cc1ccccc1", "PS"),
    _vinyl("Poly(alpha-methylstyrene)", "*CC(*)(C)c1ccccc1", "C=C(C)c1ccccc1", "PAMS"),
    _vinyl("Poly(vinyl chloride)", "*CC(*)Cl", "C=CCl", "PVC"),
    _vinyl("Poly(vinylidene chloride)", "*CC(*)(Cl)Cl", "C=C(Cl)Cl", "PVDC"),
    _vinyl("Poly(vinyl fluoride)", "*CC(*)F", "C=CF", "PVF"),
    _vinyl("Poly(vinylidene fluoride)", "*CC(*)(F)F", "C=C(F)F", "PVDF"),
    _vinyl("Polytetrafluoroethylene", "*C(F)(F)C(*)(F)F", "FC(F)=C(F)F", "PTFE"),
    _vinyl("Poly(vinyl alcohol)", "*CC(*)O", "C=CO", "PVOH"),
    _vinyl("Poly(vinyl acetate)", "*CC(*)OC(C)=O", "C=COC(C)=O", "PVAc"),
    _vinyl("Polyacrylonitrile", "*CC(*)C#N", "C=CC#N", "PAN"),
    _vinyl("Poly(acrylic acid)", "*CC(*)C(=O)O", "C=CC(=O)O", "PAA"),
    _vinyl("Polyacrylamide", "*CC(*)C(N)=O", "C=CC(N)=O", "PAM"),
    _vinyl("Poly(methyl acrylate)", "*CC(*)C(=O)OC", "C=CC(=O)OC", "PMA"),
    _vinyl(
        "Poly(methyl methacrylate)", "*CC(*)(C)C(=O)OC", "C=C(C)C(=O)OC", "PMMA", "acrylic glass"
    ),
    _vinyl("Poly(ethyl methacrylate)", "*CC(*)(C)C(=O)OCC", "C=C(C)C(=O)OCC", "PEMA"),
    _vinyl("Poly(butyl methacrylate)", "*CC(*)(C)C(=O)OCCCC", "C=C(C)C(=O)OCCCC", "PBMA"),
    _vinyl("Poly(N-vinylpyrrolidone)", "*CC(*)N1CCCC1=O", "C=CN1CCCC1=O", "PVP", "povidone"),
    Named("Poly(lactic acid)", "*OC(C)C(*)=O", ("CC(O)C(=O)O",), "ester", ("PLA", "polylactide")),
    Named("Poly(glycolic acid)", "*OCC(*)=O", ("OCC(=O)O",), "ester", ("PGA", "polyglycolide")),
    Named("Poly(3-hydroxybutyrate)", "*OC(C)CC(*)=O", ("CC(O)CC(=O)O",), "ester", ("PHB",)),
    Named("Polycaprolactone", "*OCCCCCC(*)=O", ("OCCCCCC(=O)O",), "ester", ("PCL",)),
    Named(
        "Poly(butylene succinate)",
        "*OCCCCOC(=O)CCC(*)=O",
        ("O=C(O)CCC(=O)O", "OCCCCO"),
        "ester",
        ("PBS",),
    ),
    Named(
        "Poly(butylene adipate)",
        "*OCCCCOC(=O)CCCCC(*)=O",
        ("O=C(O)CCCCC(=O)O", "OCCCCO"),
        "ester",
        ("PBA",),
    ),
    Named(
        "Poly(ethylene terephthalate)",
        "*OCCOC(=O)c1ccc(C(*)=O)cc1",
        (_TPA, _EG),
        "ester",
        ("PET", "polyester"),
    ),
    Named(
        "Poly(trimethylene terephthalate)",
        "*OCCCOC(=O)c1ccc(C(*)=O)cc1",
        (_TPA, "OCCCO"),
        "ester",
        ("PTT",),
    ),
    Named(
        "Poly(butylene terephthalate)",
        "*OCCCCOC(=O)c1ccc(C(*)=O)cc1",
        (_TPA, "OCCCCO"),
        "ester",
        ("PBT",),
    ),
    Named(
        "Poly(ethylene naphthalate)",
        "*OCCOC(=O)c1ccc2cc(C(*)=O)ccc2c1",
        ("O=C(O)c1ccc2cc(C(=O)O)ccc2c1", _EG),
        "ester",
        ("PEN",),
    ),
    Named(
        "Poly(ethylene furanoate)",
        "*OCCOC(=O)c1ccc(C(*)=O)o1",
        ("O=C(O)c1ccc(C(=O)O)o1", _EG),
        "ester",
        ("PEF",),
    ),
    Named("Nylon 6", "*NCCCCCC(*)=O", ("NCCCCCC(=O)O",), "amide", ("PA6", "polycaprolactam")),
    Named(
        "Nylon 6,6",
        "*NCCCCCCNC(=O)CCCCC(*)=O",
        ("O=C(O)CCCCC(=O)O", "NCCCCCCN"),
        "amide",
        ("PA66", "nylon 66"),
    ),
    Named(
        "Nylon 6,10",
        "*NCCCCCCNC(=O)CCCCCCCCC(*)=O",
        ("O=C(O)CCCCCCCCC(=O)O", "NCCCCCCN"),
        "amide",
        ("PA610", "nylon 610"),
    ),
    Named("Nylon 11", "*NCCCCCCCCCCC(*)=O", ("NCCCCCCCCCCC(=O)O",), "amide", ("PA11",)),
    Named("Nylon 12", "*NCCCCCCCCCCCC(*)=O", ("NCCCCCCCCCCCC(=O)O",), "amide", ("PA12",)),
    Named(
        "Poly(p-phenylene terephthalamide)",
        "*Nc1ccc(NC(=O)c2ccc(C(*)=O)cc2)cc1",
        (_TPA, "Nc1ccc(N)cc1"),
        "amide",
        ("PPTA", "aramid"),
    ),
    Named(
        "Bisphenol A polycarbonate",
        "*Oc1ccc(C(C)(C)c2ccc(OC(*)=O)cc2)cc1",
        ("O=C(Cl)Cl", "CC(C)(c1ccc(O)cc1)c1ccc(O)cc1"),
        "carbonate",
        ("PC", "polycarbonate"),
    ),
    Named(
        "Poly(4,4'-oxydiphenylene pyromellitimide)",
        "*c1ccc(Oc2ccc(N3C(=O)c4cc5c(cc4C3=O)C(=O)N(*)C5=O)cc2)cc1",
        ("O=C1OC(=O)c2cc3C(=O)OC(=O)c3cc12", "Nc1ccc(Oc2ccc(N)cc2)cc1"),
        "imide",
        ("PMDA-ODA", "polyimide"),
    ),
    Named("Poly(ethylene oxide)", "*CCO*", also=("PEO", "PEG", "poly(ethylene glycol)")),
    Named("Poly(propylene oxide)", "*CC(C)O*", also=("PPO", "poly(propylene glycol)")),
    Named("Polyoxymethylene", "*CO*", also=("POM", "polyacetal")),
    Named("Polydimethylsiloxane", "*[Si](C)(C)O*", also=("PDMS", "silicone")),
    Named(
        "Poly(ether ether ketone)",
        "*Oc1ccc(Oc2ccc(C(=O)c3ccc(*)cc3)cc2)cc1",
        also=("PEEK",),
    ),
    Named("Poly(phenylene sulfide)", "*Sc1ccc(*)cc1", also=("PPS",)),
    Named("Poly(2,6-dimethyl-1,4-phenylene oxide)", "*Oc1c(C)cc(*)cc1C", also=("PPE",)),
    Named("1,4-Polybutadiene", "*CC=CC*", also=("BR",)),
    Named("1,4-Polyisoprene", "*CC(C)=CC*", also=("IR", "natural rubber")),
)


class UnknownNameError(Exception):
    """No polymer of the list has this name; the text says what to do."""


def find(text: str) -> Named:
    """Return the polymer that ``text`` names, in any of its names.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    wanted = _plain(text)
    known: dict[str, Named] = {}
    for named in NAMES:
        for name in (named.label, named.name, *named.also):
            known.setdefault(_plain(name), named)
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.7)
    hint = f" Did you mean {known[close[0]].label}?" if close else ""
    raise UnknownNameError(
        f"“{text.strip()[:80]}” is not among the {len(NAMES)} names known here.{hint} "
        "Give its repeat unit or its monomers instead."
    )


def _plain(text: str) -> str:
    """Leave out what people write in different ways."""
    return "".join(letter for letter in text.lower() if letter.isalnum()).replace("α", "alpha")
