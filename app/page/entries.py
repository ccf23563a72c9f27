"""A polymer as somebody gave it on the page, and the links in which such polymers travel."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode

from pydantic import ValidationError

from app.page.names import UnknownNameError, find
from app.problems import Problem
from app.schemas import Ask

#: Ways to give a polymer, and what they are called.
WAYS = {
    "name": "Name",
    "monomers": "Monomers",
    "unit": "Repeat unit",
    "chain": "Whole chain",
}
#: Polymers that are shown side by side.
MOST = 6

_EMPTY = {
    "name": "Choose a polymer from the list, or type its name.",
    "monomers": "Write the SMILES of at least one monomer, such as C=Cc1ccccc1.",
    "unit": "Write the SMILES of a repeat unit with two *, such as *CC(*)c1ccccc1.",
    "chain": "Write the SMILES of a whole chain, with its end groups.",
}
_KINDS = {"unit": "repeat_unit", "chain": "oligomer"}


class Entry(NamedTuple):
    """One polymer that was asked for."""

    way: str
    """One of `WAYS`."""
    text: str
    mechanism: str | None = None
    pm: float | None = None

    def ask(self) -> Ask:
        """Return the question for the service.

        Raises
        ------
        Problem
            If nothing was written, a name is unknown, or a field is out of its range.
        """
        text = self.text.strip()
        if not text:
            raise Problem("invalid", _EMPTY[self.way])
        try:
            if self.way == "name":
                return find(text).ask(self.pm)
            if self.way == "monomers":
                return Ask(monomers=self._monomers(), mechanism=self.mechanism, pm=self.pm)
            return Ask.model_validate({"smiles": text, "kind": _KINDS[self.way], "pm": self.pm})
        except UnknownNameError as error:
            raise Problem("invalid", str(error)) from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = " ".join(str(step) for step in first["loc"])
            raise Problem("invalid", f"{where}: {first['msg']}.") from None

    @property
    def title(self) -> str:
        """What the polymer is called on the page."""
        if self.way == "name":
            try:
                return find(self.text).label
            except UnknownNameError:
                return self.text.strip()
        if self.way == "monomers":
            return " + ".join(self._monomers())
        return self.text.strip()

    def _monomers(self) -> list[str]:
        return self.text.replace(",", " ").replace(".", " ").split()


def to_query(entries: Sequence[Entry], revision: str | None) -> str:
    """Write polymers, and the model that they were predicted with, as the query of an address."""
    pairs = [("polymer", _written(entry)) for entry in entries]
    if revision:
        pairs.append(("revision", revision))
    return urlencode(pairs, quote_via=quote, safe="()=*@/;")


def from_query(query: str) -> tuple[list[Entry], str | None]:
    """Read what `to_query` wrote; what cannot be read is left out."""
    found = parse_qs(query.removeprefix("?"), max_num_fields=50)
    entries = [_read(text) for text in found.get("polymer", [])[:MOST]]
    return entries, found.get("revision", [None])[0]


def _written(entry: Entry) -> str:
    fields: dict[str, Any] = {"as": entry.way, "mechanism": entry.mechanism, "pm": entry.pm}
    text = entry.text.strip().replace("\n", " ")
    parts = [quote(text, safe="()=*@/\\#[]+-. ,'")]
    parts += [f"{key}={value}" for key, value in fields.items() if value is not None]
    return ";".join(parts)


def _read(text: str) -> Entry:
    first, *rest = text.split(";")
    fields = dict(part.partition("=")[::2] for part in rest)
    way = fields.get("as", "")
    try:
        pm = float(fields["pm"]) if "pm" in fields else None
    except ValueError:
        pm = None
    if way not in WAYS:
        way = "unit" if "*" in first else "name"
    return Entry(way, unquote(first), fields.get("mechanism") or None, pm)
