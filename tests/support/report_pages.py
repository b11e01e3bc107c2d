"""Pages as tests read them."""

from html.parser import HTMLParser
from unittest.mock import patch

from compare.report.load import load_run
from compare.report.page import write_report


class Page(HTMLParser):
    """The tags, ids, text and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.words = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())
        self.code = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [
            attributes[name] for name in ("src", "href", "xlink:href", "action") if name in attributes
        ]

    def handle_data(self, data):
        self.words.append(data)


def reported(folder):
    """The page of a run directory, written."""
    return write_report(load_run(folder))


def page_of(folder):
    """The page, without the time that it takes to draw its figures."""
    with patch("compare.pages.figures.drawing.save", return_value="<svg></svg>"):
        return Page(reported(folder).read_text())


def spoil(folder, name, text):
    """Put another text in the place of a cell's result."""
    path = folder / "cells" / name / "cell.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
