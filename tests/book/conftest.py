"""The built book and a browser, for the tests marked `pages`."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class ByPage(LoadScopeScheduling):
    """Send all tests of a page to one process, which so opens it once; other tests by their file.

    (The marks of `--dist loadgroup` would be simpler, but pytest-xdist 3.8 ignores them silently
    under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        page = re.search(r"\[(book/.*?\.html)", nodeid)
        return page[1] if page else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log) -> ByPage | None:
    """Distribute the tests by page where `--dist loadscope` asks for whole files otherwise."""
    return ByPage(config, log) if config.getoption("dist") == "loadscope" else None


def unavailable(reason: str) -> None:
    """Say in one line what could not be tested; where everything must be tested, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (an error, because CI=true)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "book" / "index.html").is_file():
        pytest.fail("The book is not built. Run: make book", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium from this machine."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        unavailable("No Chromium or Chrome found: the pages were not tested in a browser.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker axe-core, from npm, at the version of the lock file."""
    script = HERE / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            unavailable("No npm found: the accessibility of the pages was not tested.")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True)
    return script.read_text(encoding="utf-8")
