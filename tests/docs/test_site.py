"""docs/ is a site: every page is built, every link and anchor leads somewhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from project import ROOT


def build(folder: Path) -> subprocess.CompletedProcess:
    """`mkdocs build --strict` of the site whose mkdocs.yml lies in a folder."""
    command = ["-m", "mkdocs", "build", "--strict", "--site-dir", folder / ".site"]
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_site_is_built_and_no_link_is_broken(tmp_path):
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    built = build(tmp_path)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    made = {page.parent / (page.stem if page.stem != "index" else "") for page in pages}
    assert all((tmp_path / ".site" / page / "index.html").is_file() for page in made)
    # Nothing is loaded from elsewhere.
    home = (tmp_path / ".site/index.html").read_text()
    assert 'src="http' not in home and "fonts.googleapis" not in home
    page = tmp_path / "docs/noise.md"
    for link, named in (
        ("gone.md", "gone.md"),
        ("verdicts.md#gone", "#gone"),
        ("/noise", "/noise"),
    ):
        page.write_text(f"# Noise\n\n[a link]({link})\n")
        broken = build(tmp_path)
        assert broken.returncode == 1 and named in broken.stderr


def test_the_first_page_leads_to_all_that_are_no_how_to():
    home = (ROOT / "docs/index.md").read_text()
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {
        page
        for page in pages - {"index.md"}
        if not page.startswith("how-to/") and f"]({page})" not in home
    } == set()


def test_what_is_built_is_of_a_site_that_git_does_not_keep():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["site_dir"] in (ROOT / ".gitignore").read_text().split()
