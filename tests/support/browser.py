"""A page as Debian's Chromium lays it out: `measure`. It sees no network and runs no server.

The page lies in a frame of a page of ours, whose script measures it: what is wider than the window
and does not scroll, what was fetched, which text has too little contrast (WCAG 2, level AA).
"""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

# Where it is missing a test is skipped, but not in CI.
MISSING = not shutil.which("chromium") and not os.environ.get("REQUIRE_CHROMIUM")
SCHEMES = {"light": 1, "dark": 0}
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 0">
<iframe style="border: 0; width: %dpx; height: 800px" srcdoc="%s"></iframe>
<script>
function luminance(colour) {
  const [r, g, b] = colour.map(c => c / 255).map(
    c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function numbers(colour) { return colour.match(/[\\d.]+/g).map(Number); }
function background(element, view) {
  for (let one = element; one; one = one.parentElement) {
    const colour = numbers(view.getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
  }
  return null;
}
function contrast(element, view) {
  const ground = background(element, view);
  const both = [numbers(view.getComputedStyle(element).color).slice(0, 3), ground].map(luminance);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}
document.querySelector("iframe").onload = event => {
  const view = event.target.contentWindow, page = view.document;
  const shown = [...page.body.querySelectorAll("*")].filter(element => element.checkVisibility());
  const texts = shown.filter(
    element => [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim()));
  const told = element => element.tagName + " " + element.textContent.trim().slice(0, 40);
  const found = {
    width: page.documentElement.scrollWidth,
    beyond: shown.filter(element => element.getBoundingClientRect().right > view.innerWidth + 1
      && !element.closest(".box")).map(told),
    scrolling: [...page.querySelectorAll(".box")].filter(
      box => box.scrollWidth > box.clientWidth).map(told),
    fetched: view.performance.getEntriesByType("resource").map(entry => entry.name),
    images: [...page.images].map(image => image.naturalWidth),
    ground: background(page.body, view),
    faint: texts.filter(element => contrast(element, view) < 4.5).map(told),
    texts: texts.length,
  };
  document.body.textContent = JSON.stringify(found);
};
</script>"""


def measure(page: str, width: int, scheme: str, folder: Path) -> dict:
    """What Chromium finds of a page (its HTML) in a window of so many CSS pixels."""
    framed = folder / f"framed-{width}-{scheme}.html"
    framed.write_text(FRAME % (width, html.escape(page)))
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *(f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *(f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--timeout=60000"),
        framed.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(html.unescape(re.search(r"<body[^>]*>(.*)</body>", done.stdout, re.S)[1]))
