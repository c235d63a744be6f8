"""Look at the built site as a person would, and complain.

- every link and picture within the site leads somewhere, anchors included, and every picture has
  a text alternative
- every page is opened in headless Chromium at the widths of a desktop and a phone: no error on the
  console, nothing beyond the edge of the window except in a box that scrolls
- screenshots of some pages are written for a person to look at
- the search finds a word

    python docs/check_site.py docs/_build/html

It needs Chromium and its driver (Debian: chromium, chromium-driver), or a Chrome that selenium
finds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

from bs4 import BeautifulSoup
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# Pages with a screenshot.
SCREENSHOTS = {
    "front": "index.html",
    "guide": "guide/how_it_works.html",
    "gallery": "auto_examples/index.html",
    "example": "auto_examples/plot_digits_few_labels.html",
    "api": "api/generated/sgan_sklearn.SGANClassifier.html",
    "benchmarks": "benchmarks/tabular_suite.html",
}
WIDTHS = {"desktop": (1400, 1000), "phone": (400, 900)}
QUERY, FOUND = "pseudo-labels", "guide"

# The first parts of the article whose right edge lies outside of the window, and which no box
# around them lets a reader scroll to.
CUT_OFF = """
const scrolls = (element) => {
  for (let box = element.parentElement; box && box.tagName !== "BODY"; box = box.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)
        && box.tagName !== "ARTICLE" && !box.classList.contains("bd-main")
        && !box.classList.contains("bd-content") && !box.classList.contains("bd-article-container"))
      return true;
  return false;
};
return [...document.querySelectorAll("article *")]
  .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
  .filter((element) => element.getClientRects().length && !scrolls(element))
  .slice(0, 3)
  .map((element) => `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 40)}"`
    + ` to ${Math.round(element.getBoundingClientRect().right)} pixels`);
"""

# What the pages take from elsewhere may be missing where there is no network.
ELSEWHERE = ("http://", "https://", "mailto:", "data:", "javascript:")


def html_pages(site: Path) -> list[Path]:
    """Return the files of all pages."""
    return [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


def broken_links(site: Path) -> list[str]:
    """Return the links and pictures of all pages that lead nowhere within the site."""
    pages = {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in html_pages(site)
    }
    anchors = {
        path: {tag["id"] for tag in page.find_all(id=True)}
        | {tag["name"] for tag in page.find_all("a", attrs={"name": True})}
        for path, page in pages.items()
    }
    problems = []
    for path, page in pages.items():
        targets = {tag.get("href") or tag.get("src") for tag in page.find_all(["a", "img", "link"])}
        for target in sorted(filter(None, targets)):
            if target.startswith(ELSEWHERE):
                continue
            place, anchor = urldefrag(urljoin(path.as_uri(), target))
            found = Path(unquote(urlparse(place).path))
            if found.is_dir():
                found /= "index.html"
            if not found.exists():
                problems.append(f"{path.relative_to(site)}: {target} does not exist")
            elif anchor and found in anchors and unquote(anchor) not in anchors[found]:
                problems.append(f"{path.relative_to(site)}: {target} has no such anchor")
        problems += [
            f"{path.relative_to(site)}: {picture.get('src')} has no text alternative"
            # It is empty beside a text. An animation has a picture without a source.
            for picture in page.find_all("img", src=True, alt=None)
        ]
    return problems


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve the site on this machine alone, and yield its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Yield a headless browser."""
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    service = None
    if binary and driver:  # of one package, so of one version
        options.binary_location = binary
        service = webdriver.ChromeService(executable_path=driver)
    found = webdriver.Chrome(options=options, service=service)
    try:
        yield found
    finally:
        found.quit()


def resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    """Set the size of what a page sees, which windows cannot make as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console_errors(driver: webdriver.Chrome, address: str) -> list[str]:
    """Return the errors on the console since the last look, but for what lies elsewhere."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE" and address in entry["message"]
    ]


def look(driver: webdriver.Chrome, address: str, site: Path, pictures: Path) -> list[str]:
    """Open each page at each width, write some screenshots, and return what is wrong."""
    problems = []
    names = {page: name for name, page in SCREENSHOTS.items()}
    for kind, (width, height) in WIDTHS.items():
        resize(driver, width, height)
        for page in html_pages(site):
            name = page.relative_to(site).as_posix()
            driver.get(address + name)
            problems += [f"{name}, {kind}: {e}" for e in console_errors(driver, address)]
            problems += [f"{name}, {kind}: {part}" for part in driver.execute_script(CUT_OFF)]
            needed = driver.execute_script("return document.documentElement.scrollWidth")
            if needed > width:
                problems.append(f"{name}, {kind}: {needed} pixels wide, the window has {width}")
            if name in names:
                driver.save_screenshot(str(pictures / f"{names[name]}-{kind}.png"))
    return problems


def search(driver: webdriver.Chrome, address: str, pictures: Path) -> list[str]:
    """Search for a word, and return what is wrong."""
    resize(driver, *WIDTHS["desktop"])
    driver.get(f"{address}search.html?q={QUERY}")

    def results(driver: webdriver.Chrome) -> list[str]:
        found = driver.find_elements(By.CSS_SELECTOR, "#search-results li a")
        return [link.get_attribute("href") or "" for link in found]

    try:
        WebDriverWait(driver, 20).until(results)
    except TimeoutException:
        return [f"a search for {QUERY!r} finds nothing"]
    driver.save_screenshot(str(pictures / "search.png"))
    if not any(FOUND in link for link in results(driver)):
        return [f"a search for {QUERY!r} finds no page of the {FOUND}"]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path, help="folder of the built site")
    parser.add_argument("--pictures", type=Path, help="where to write them (default: beside it)")
    options = parser.parse_args()
    site = options.site.resolve()
    if not (site / "index.html").exists():
        parser.error(f"there is no built site in {site}: run make docs")
    pictures = options.pictures or site.parent / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    problems = broken_links(site)
    with served(site) as address, browser() as driver:
        problems += look(driver, address, site, pictures)
        problems += search(driver, address, pictures)
    print(*problems, f"{len(problems)} problems. Pictures: {pictures}", sep="\n")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
