"""Record the runs of a chapter's blind diagnosis: `python -m tools.record_runs mnist`.

A chapter's module in `tools.runs` has `SETTINGS`, which decide the recording, `PROGRAMS`, a
program for each fault and one without, and `record_run(program, epochs)`, which returns the curves
of one program. What comes out lies beside the chapter's checks. Never edit it by hand: it carries
the hash of what it holds.
"""

import argparse
import hashlib
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

CHECKS = Path(__file__).parents[1] / "companion" / "checks"


def fingerprint(recording: dict[str, Any]) -> str:
    """Return the hash of a recording's settings and runs, whatever the order of their names.

    >>> one, other = {"settings": {"a": 1, "b": 2}, "runs": {}}, {"runs": {}, "settings": {}}
    >>> fingerprint(one) == fingerprint(one | {"settings": {"b": 2, "a": 1}})
    True
    >>> fingerprint(one) == fingerprint(other)
    False
    """
    content = json.dumps([recording["settings"], recording["runs"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def record(chapter: str) -> dict[str, Any]:
    """Run all programs of a chapter; return the settings, the curves and their hash."""
    module = import_module(f"tools.runs.{chapter}")
    runs = {}
    for name, program in module.PROGRAMS.items():
        curves = module.record_run(program, module.SETTINGS["epochs"])
        runs[name] = {curve: [_rounded(x) for x in values] for curve, values in curves.items()}
        print(name, {curve: values[-1] for curve, values in runs[name].items()})
    recording = {"settings": module.SETTINGS, "runs": runs}
    return {
        "recipe": f"python -m tools.record_runs {chapter}",
        "torch": torch.__version__.partition("+")[0],
        "sha256": fingerprint(recording),
        **recording,
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def layout(recording: dict[str, Any]) -> str:
    """Return JSON with one line for each list, so that two recordings can be compared."""
    text = json.dumps(recording, indent=1)
    return re.sub(r"\[[^\]]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def main() -> None:
    """Record the runs of the chapter that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.record_runs", description=__doc__)
    parser.add_argument("chapter", help="name of a module in tools/runs, such as mnist")
    chapter = parser.parse_args().chapter
    recording = layout(record(chapter))
    (CHECKS / chapter / "runs.json").write_text(recording, encoding="utf-8")


if __name__ == "__main__":
    main()
