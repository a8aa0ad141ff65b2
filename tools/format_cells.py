"""Format the code cells of the chapters as ruff formats a module, at 79 columns.

Ruff does not see code inside Markdown. Readers see cells in a narrow column, so their lines are
shorter than the package's. `--check` writes nothing and fails if a cell would change.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tools.pages import ROOT, chapters

WIDTH = 79
CELL = re.compile(
    r"(?P<head>^```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::[^\n]*\n)+\n?)?)(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


def ruff_format(code: str) -> str:
    """Return formatted code; the code's own error if it cannot be parsed."""
    command = [sys.executable, "-m", "ruff", "format", "--line-length", str(WIDTH), "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"A cell cannot be formatted:\n{code}\n{done.stderr}")
    return done.stdout


def format_cells(text: str) -> str:
    """Return a chapter's source with every code cell formatted."""
    return CELL.sub(lambda cell: f"{cell['head']}{ruff_format(cell['code'])}```", text)


def main() -> None:
    """Format the chapters named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapter", nargs="*", type=Path, default=chapters())
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    args = parser.parse_args()
    stale = []
    for path in args.chapter:
        source = path.read_text(encoding="utf-8")
        formatted = format_cells(source)
        if formatted != source:
            stale.append(str(path.resolve().relative_to(ROOT)))
            if not args.check:
                path.write_text(formatted, encoding="utf-8")
    if args.check and stale:
        raise SystemExit(f"Cells to format in {', '.join(stale)}. Run: make notebooks")


if __name__ == "__main__":
    main()
