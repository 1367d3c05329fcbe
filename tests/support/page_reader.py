"""A page of HTML as a screen reader and a test meet it: `read_page`."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Table:
    """A table: its caption, the fields of its rows, and what its headers are scopes of."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    scopes: list[str | None] = field(default_factory=list)


class Page(HTMLParser):
    """Everything of a page that has a name: elements with their attributes, headings, tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.tables: list[Table] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list) -> None:
        named = dict(attributes)
        self.elements.append((tag, named))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append((int(tag[1]), ""))
        elif tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
            if tag == "th":
                self.tables[-1].scopes.append(named.get("scope"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes what it did not open"
        if tag in ("td", "th"):
            self.tables[-1].rows[-1][-1] = " ".join(self.tables[-1].rows[-1][-1].split())

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1].startswith("h") and self.open[-1][1:].isdigit():
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if "caption" in self.open:
            self.tables[-1].caption += data
        elif {"td", "th"} & set(self.open):
            self.tables[-1].rows[-1][-1] += data

    def table(self, caption: str, place: int = 0) -> list[list[str]]:
        """The rows of a table by the beginning of its caption."""
        return [table for table in self.tables if table.caption.startswith(caption)][place].rows

    def attributes(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [named[name] for _, named in self.elements if name in named]


def read_page(text: str) -> Page:
    """The page of this HTML; AssertionError where its elements do not nest."""
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    return page
