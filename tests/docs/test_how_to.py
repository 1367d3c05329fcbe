"""Every page of docs/how-to/ is followed by a test of its own, test_<page>.py beside this file."""

from how_to import PAGES
from project import ROOT


def test_every_page_has_a_test_that_follows_it():
    pages = {page.stem.replace("-", "_") for page in PAGES.glob("*.md")}
    tests = {test.stem.removeprefix("test_") for test in (ROOT / "tests/docs").glob("test_*.py")}
    assert pages <= tests
