"""Make what the pages need but the repository does not hold.

MathJax is copied out of an installed package, so that the pages need no network. Its files are
third-party, so they are not committed. Their content is checked: a changed package cannot slip
something else into the book.
"""

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

from tools.pages import ROOT

TARGET = ROOT / "_build" / "assets" / "mathjax"
PACKAGE = "django-static-mathjax"
FILES = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2/*.woff")
SHA256 = "79d37e6724d27715fc2d8e4fc9f17d9f5dbd02335088881da42eb72ff13a1da0"


def source_folder() -> Path:
    """Return the folder of MathJax inside the installed package."""
    spec = importlib.util.find_spec("mathjax")
    if spec is None or spec.origin is None:
        raise SystemExit(f"{PACKAGE} is not installed. Run: make setup")
    return Path(spec.origin).parent / "static" / "mathjax" / "es5"


def wanted(folder: Path) -> list[Path]:
    """Return the script and the fonts: a thirtieth of the package."""
    return sorted(path for pattern in FILES for path in folder.glob(pattern))


def digest(folder: Path) -> str:
    """Return one hash over the names and the content of all wanted files."""
    total = hashlib.sha256()
    for path in wanted(folder):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def copy_mathjax(source: Path, target: Path) -> None:
    """Copy the wanted files unless they are there already."""
    found = digest(source)
    if found != SHA256:
        raise SystemExit(
            f"The files of {PACKAGE} are not the expected ones: their hash is\n{found}, not\n"
            f"{SHA256}. Install the version in constraints.txt, or review the new one and pin it."
        )
    if target.is_dir() and digest(target) == found:
        return
    shutil.rmtree(target, ignore_errors=True)
    for path in wanted(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    print(f"Copied MathJax from {PACKAGE}.", file=sys.stderr)


if __name__ == "__main__":
    copy_mathjax(source_folder(), TARGET)
