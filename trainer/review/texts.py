"""Texts of others in GitHub's Markdown: they show as they are, and do nothing.

SMILES, names of branches, messages and cells of data may hold anything: HTML, markup, mentions,
references to issues, links, marks that turn the direction of writing.
"""

import re
import unicodedata

#: Breaks what GitHub looks for in a text after it is rendered, and is not seen.
_BREAK = "\u200b"
_MARKUP = re.compile(r"([\\`*_\[\]#!|~$]|^[-+=])")
_LOOKED_FOR = re.compile(r"(@)(?=\w)|(#|GH-)(?=\d)|(:)(?=//)|(www)(?=\.)", re.IGNORECASE)
_LONGEST = 400


def prose(value: object, longest: int = _LONGEST) -> str:
    """Return a text for a line or a table's cell, with no effect of its own."""
    text = _one_line(value, longest)
    text = _LOOKED_FOR.sub(lambda found: f"{found[0]}{_BREAK}", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", text)


def code(value: object, longest: int = _LONGEST) -> str:
    """Return a text in code letters, for a line or a table's cell."""
    # a bar ends a table's cell even in code, unless it is escaped
    text = _one_line(value, longest).replace("|", "\\|")
    if not text.strip():
        return "–"
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def attribute(value: object, longest: int = _LONGEST) -> str:
    """Return a text for an attribute of HTML, between double quotes."""
    text = _one_line(value, longest)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text


def _one_line(value: object, longest: int) -> str:
    """Put on one line, without unseen signs; the middle of a long text is left out."""
    text = " ".join(str(value).split())
    text = "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


def fitted(text: str, bytes_: int, more: str) -> str:
    """Cut a Markdown text at a line so that it has at most ``bytes_`` bytes; ``more`` says so.

    GitHub counts letters; bytes are never fewer, so it holds by either count.
    """
    if len(text.encode()) <= bytes_:
        return text
    end = f"\n\n{more}\n"
    room = bytes_ - len(end.encode()) - len("\n</details>" * 4)
    kept: list[str] = []
    for line in text.splitlines():
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    opened = sum(line.count("<details") - line.count("</details>") for line in kept)
    return "\n".join(kept) + "\n</details>" * opened + end
