"""Importing the companion changes nothing outside it, and loads nothing heavy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import companion

ROOT = Path(companion.__file__).parents[1]


def _module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = sorted(_module_name(file) for file in (ROOT / "companion").rglob("*.py"))
HEAVY = ("torchvision", "sklearn", "scipy", "pandas", "matplotlib", "IPython", "mlxtend")
ALLOWED = {name: {"matplotlib"} for name in ("companion.page.plots", "companion.page._panels")}

# Each module is imported in turn, in one process that has imported the third parties it builds on.
CHILD = """
import importlib, json, logging, os, random, signal, sys, threading, warnings
import numpy, torch, tqdm
heavy, modules = json.loads(sys.argv[1])

def state():
    found = {
        "torch's random numbers": torch.get_rng_state().numpy().tobytes(),
        "numpy's random numbers": repr(numpy.random.get_state()),
        "python's random numbers": random.getstate(),
        "numpy's error handling": numpy.geterr(),
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "validation": torch.distributions.Distribution._validate_args,
        "warnings": list(map(str, warnings.filters)),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "logging": (logging.root.level, len(logging.root.handlers)),
        "hooks": (sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__),
    }
    if "matplotlib" in sys.modules:
        import matplotlib
        found["matplotlib"] = dict(matplotlib.rcParams)
    return found

for name in modules:
    if name == "companion.page.plots":
        import matplotlib.axes
    before, loaded = state(), set(sys.modules)
    try:
        importlib.import_module(name)
        after = state()
        changed = [key for key in after if key in before and after[key] != before[key]]
    except Exception as error:
        changed = [repr(error)]
    new = sorted({module.split(".")[0] for module in set(sys.modules) - loaded} & set(heavy))
    print(json.dumps([name, changed, new]))
"""


@pytest.fixture(scope="module")
def found():
    """For each module, the state that its import changed and the heavy modules that it loaded."""
    # The module that may load a heavy one comes last, lest it hide what others load.
    modules = sorted(MODULES, key=lambda name: (name in ALLOWED, name))
    # Two threads, so that a module that asks for one is caught.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", CHILD, json.dumps([HEAVY, modules])]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    return {name: {"changed": changed, "heavy": heavy} for name, changed, heavy in lines}


@pytest.mark.parametrize("name", MODULES)
def test_importing_changes_no_global_state(name, found):
    assert found[name]["changed"] == []


@pytest.mark.parametrize("name", MODULES)
def test_importing_loads_nothing_heavy(name, found):
    assert set(found[name]["heavy"]) <= ALLOWED.get(name, set())


def test_all_modules_were_looked_at(found):
    assert set(found) == set(MODULES)
    assert len(MODULES) > 15
