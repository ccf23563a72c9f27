"""Texts of others show as they are and do nothing; long texts are cut where they may be."""

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from trainer.review.texts import attribute, code, fitted, prose

NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "@someone please look",
    "see #123 and GH-7 and acme/polymers#9",
    "[click](https://example.org)",
    "![x](https://example.org/x.png)",
    "https://example.org/steal and www.example.org",
    "**bold** _it_ `code` ~~no~~ $x^2$",
    "a | b || c",
    "[C@@H](C)(N)C(=O)O |&1:1|",
    "``` three ```` four",
    "`starts",
    "ends`",
    "\\",
    "# heading",
    "- item",
    "&lt;b&gt; &amp;",
    "line\nbreak\r\nagain",
    "\u202eright to left\u202c",
    "zero\u200bwidth",
    "<!-- polyid-model-review -->",
    "</details>",
]


class Seen(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(cell: str) -> Seen:
    """A table with the text in its only cell, as a browser gets it."""
    table = f"| head | last |\n| :-- | :-- |\n| {cell} | end |\n"
    markdown = MarkdownIt("gfm-like", {"html": True})
    markdown.linkify.set({"fuzzy_link": False})  # GitHub links no bare names
    return Seen(markdown.render(table))


def plain(text: str) -> str:
    """One line, without what is not seen."""
    return " ".join(re.sub("[\u200b\u202c\u202e\ufffd]", "", text).split())


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("way", [prose, code])
def test_a_text_shows_as_it_is_and_adds_nothing(text, way):
    seen = rendered(way(text))
    allowed = {"table", "thead", "tbody", "tr", "th", "td", *(["code"] if way is code else [])}
    assert set(seen.tags) <= allowed
    assert seen.tags.count("td") == 2
    assert "end" in seen.text.split("\n")
    shown = plain(seen.text)
    assert plain(text).strip("`") in shown.replace("head last ", "")


@pytest.mark.parametrize(
    "text", ["@someone", "x @acme/team", "#123", "GH-7", "a/b#9", "http://a.org", "www.a.org"]
)
def test_nobody_is_called_and_nothing_is_linked_after_rendering(text):
    # GitHub looks for these in the text that was rendered, so entities would not hide them
    shown = rendered(prose(text)).text
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.", shown)


def test_what_is_not_seen_becomes_a_sign():
    assert prose("a\u202eb") == "a\ufffdb"
    assert code("a\u0000b\u200b") == "`a\ufffdb\ufffd`"


def test_the_middle_of_a_long_text_is_left_out():
    assert code("C" * 100, 20) == f"`{'C' * 10} … {'C' * 10}`"
    assert len(prose("x" * 9999)) < 500


def test_nothing_is_a_dash():
    assert code("  ") == "–"


def test_an_attribute_cannot_be_left():
    page = f'<img alt="{attribute(chr(34) + "> <script> &quot;")}">'
    assert Seen(page).tags == ["img"]


def test_what_fits_is_not_touched():
    assert fitted("short", 100, "more") == "short"


@pytest.mark.parametrize("room", [200, 1000, 5000])
def test_a_cut_keeps_lines_whole_and_closes_what_was_opened(room):
    line = "| zwölf µm | ≤ 3 |"
    text = "top\n<details><summary>a</summary>\n\n" + f"{line}\n" * 500 + "</details>\n"
    cut = fitted(text, room, "It was cut.")
    assert len(cut.encode()) <= room
    assert cut.endswith("It was cut.\n")
    assert cut.count("<details>") == cut.count("</details>")
    body = [part for part in cut.splitlines() if part.startswith("|")]
    assert set(body) <= {line}
