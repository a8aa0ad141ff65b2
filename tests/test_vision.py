"""The torchvision shim, with the installed build and with small stand-ins for other builds.

What declares operators runs in an interpreter of its own: a declaration lasts as long as the
process. Stand-ins that only fail are imported here.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from companion.data import vision

ROOT = Path(__file__).resolve().parents[1]

# A stand-in for torchvision, whose `__init__.py` each test writes.
SUBMODULES = ("datasets", "io", "models", "ops", "transforms", "utils")


def run(code, *first_on_path):
    """Run code in a new interpreter with warnings as errors; return what it printed."""
    path = os.pathsep.join(map(str, [*first_on_path, ROOT]))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.strip()


@pytest.fixture
def fake(tmp_path):
    """Return a function that writes a package `torchvision` and gives the folder it is in."""

    def write(init):
        package = tmp_path / "torchvision"
        package.mkdir()
        for name in SUBMODULES:
            (package / f"{name}.py").write_text(f"marker = {name!r}\n")
        (package / "__init__.py").write_text(textwrap.dedent(init))
        return tmp_path

    return write


def test_importing_the_shim_imports_no_torchvision_and_says_nothing():
    code = """
        import sys, companion.data.vision, companion.data
        print([m for m in sys.modules if m.startswith("torchvision")])
        print(hasattr(__import__("torch").ops.torchvision, "nms"))
    """
    assert run(code) == "[]\nFalse"


def test_the_installed_torchvision_works_through_the_shim():
    code = """
        import torch
        from companion.data.vision import datasets, transforms, utils
        fake = datasets.FakeData(size=2, image_size=(1, 8, 8), transform=transforms.ToTensor())
        print(tuple(fake[0][0].shape), tuple(utils.make_grid(torch.zeros(4, 1, 8, 8)).shape))
        print(datasets.MNIST.__name__)
        import torchvision
        print(torchvision.datasets is datasets)
    """
    assert run(code) == "(1, 8, 8) (3, 12, 42)\nMNIST\nTrue"


def test_a_working_build_is_left_alone(fake):
    """A build that imports by itself: imported once, and no operator is declared by us."""
    folder = fake("""
        import torch
        print("imported")
        _library = torch.library.Library("torchvision", "DEF")
        _library.define("nms(Tensor dets) -> Tensor")  # the build's own, another signature
    """)
    code = """
        import torch
        from companion.data import vision
        print(vision.datasets.marker, vision.torchvision() is vision.torchvision())
        print(vision._declare_operators.cache_info().currsize)
        print(torch.ops.torchvision.nms.default._schema)
    """
    expected = "imported\ndatasets True\n0\ntorchvision::nms(Tensor dets) -> Tensor"
    assert run(code, folder) == expected


def test_a_build_without_its_operators_is_repaired_once_and_for_all(fake):
    """The failure of a CUDA build beside a CPU PyTorch, in miniature."""
    folder = fake("""
        import torch
        from torchvision import ops  # a half import that must be forgotten
        print("try")
        for name in ("nms", "qnms"):
            torch.library.register_fake(f"torchvision::{name}", lambda *a: None)
    """)
    code = """
        from companion.data import vision
        print(vision.utils.marker, vision._declare_operators.cache_info().currsize)
        import torchvision
        from torchvision import datasets
        print(torchvision is vision.torchvision(), datasets is vision.datasets)
    """
    assert run(code, folder) == "try\ntry\nutils 1\nTrue True"


def test_an_operator_we_cannot_declare_is_reported(fake):
    folder = fake("raise RuntimeError('operator torchvision::novel does not exist')")
    code = """
        from companion.data import vision
        try:
            vision.torchvision()
        except ImportError as error:
            print(error)
    """
    printed = run(code, folder)
    assert printed.startswith("torchvision does not fit PyTorch")
    assert "torchvision::novel" in printed


@pytest.fixture
def forgotten(monkeypatch):
    """Let this process import torchvision afresh, and restore what it had imported."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    vision.torchvision.cache_clear()
    yield
    vision.torchvision.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_torchvision_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError, match="torchvision is not installed") as info:
        _ = vision.datasets
    assert "pip install torchvision" in str(info.value)
    assert "mnist5k" in str(info.value)
    assert info.value.name == "torchvision"


@pytest.mark.usefixtures("forgotten")
def test_a_missing_dependency_of_torchvision_keeps_its_own_name(fake, monkeypatch):
    monkeypatch.syspath_prepend(fake("import a_module_nobody_has"))
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'a_module_nobody_has'$"):
        _ = vision.datasets


@pytest.mark.usefixtures("forgotten")
def test_another_failure_is_reported_not_repaired(fake, monkeypatch):
    monkeypatch.syspath_prepend(fake("raise RuntimeError('built for the wrong moon')"))
    with pytest.raises(ImportError, match="fails to import: built for the wrong moon"):
        vision.torchvision()
    assert "torchvision" not in sys.modules


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match=r"'companion\.data\.vision' has no attribute 'dataset'"
    ):
        _ = vision.dataset
