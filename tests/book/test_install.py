"""The set-up: exact versions, a PyTorch of one's own, and no third-party file without a check."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import assets, install
from tools.pages import ROOT

CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> list[Requirement]:
    """The exact versions of the constraints file."""
    lines = [line for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")]
    return [Requirement(line) for line in lines]


def wanted() -> list[Requirement]:
    """Everything that pyproject.toml asks for."""
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    return [Requirement(line) for line in lines]


def test_every_pin_is_exact():
    """No range, no address, no hash: names and versions only."""
    assert all(re.fullmatch(r"==[\w.!+]+", str(pin.specifier)) for pin in pins())
    assert "://" not in CONSTRAINTS


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_requirement_is_pinned_within_its_range(requirement):
    """The lock holds every package that pyproject.toml names, in a version it allows."""
    if requirement.name == PROJECT["name"]:
        return
    versions = [pin for pin in pins() if pin.name.lower() == requirement.name.lower()]
    assert versions
    for pin in versions:
        version = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(version)


def test_pins_chosen_by_hand_are_in_the_lock():
    """constraints.txt was derived from constraints.in."""
    chosen = (ROOT / "constraints.in").read_text(encoding="utf-8")
    for line in re.findall(r"^[\w.-]+==[\w.]+", chosen, re.MULTILINE):
        assert f"\n{line}\n" in CONSTRAINTS


def test_own_torch_keeps_its_companions():
    """The lock's CUDA packages must not be forced on another PyTorch."""
    text = "# head\nnumpy==2.0\ntorch==2.13.0\nTorchvision==0.28.0\nnvidia-cublas==1\n"
    text += "cuda-bindings==1 ; sys_platform == 'linux'\ntriton==3\ntorchmetrics==1\n"
    assert install.without_torch(text) == "# head\nnumpy==2.0\ntorchmetrics==1\n"


@pytest.mark.parametrize("own_torch", [True, False])
def test_written_pins_hold_the_installed_torch(tmp_path: Path, monkeypatch, own_torch):
    """Nothing that comes later may replace the PyTorch that is there."""
    versions = {"torch": "2.9.1+cu128", "torchvision": "0.24.1+cu128"}
    monkeypatch.setattr(install, "installed_version", versions.get)
    install.write_pins(ROOT / "constraints.txt", own_torch, tmp_path / "pins.txt")
    written = (tmp_path / "pins.txt").read_text()
    assert re.findall(r"(?m)^torch==.*|^torchvision==.*", written) == [
        "torch==2.9.1+cu128",
        "torchvision==0.24.1+cu128",
    ]
    assert ("\nnvidia-cublas==" in written) is not own_torch
    assert "\nnumpy==" in written


def test_weight_is_said_before_the_download(monkeypatch, capsys):
    """So that a reader can still stop and choose the smaller build."""
    said = []
    monkeypatch.setattr(install, "pip", lambda *arguments: said.append(capsys.readouterr().out))
    install.install_torch(None, "")
    assert len(said) == 1
    for weight in ("0.5 GB", "1.7 GB", "3.0 GB", "5.7 GB"):
        assert weight in said[0]


def test_no_pins_without_lock(tmp_path: Path, monkeypatch):
    """The newest versions, but still this PyTorch."""
    monkeypatch.setattr(install, "installed_version", {"torch": "3.0"}.get)
    install.write_pins(None, True, tmp_path / "pins.txt")
    assert (tmp_path / "pins.txt").read_text().strip() == "torch==3.0"


def test_torchattacks_comes_without_its_dependencies(monkeypatch):
    """It asks for a release of requests that Jupyter refuses."""
    calls = []
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(install, "torch_works", lambda: True)
    monkeypatch.setattr(install, "write_pins", lambda *arguments: None)
    monkeypatch.setattr("sys.argv", ["install.py"])
    install.main()
    assert calls[-1] == ("install", "--quiet", "--no-deps", "torchattacks==3.5.1")


def test_mathjax_is_copied(tmp_path: Path):
    """The script and its fonts, and a second time nothing."""
    assets.copy_mathjax(assets.source_folder(), tmp_path / "mathjax")
    script = tmp_path / "mathjax" / "tex-chtml-full.js"
    assert script.stat().st_size > 1_000_000
    assert len(list(tmp_path.rglob("*.woff"))) > 20
    before = script.stat().st_mtime_ns
    assets.copy_mathjax(assets.source_folder(), tmp_path / "mathjax")
    assert script.stat().st_mtime_ns == before


def test_changed_mathjax_is_refused(tmp_path: Path):
    """One changed byte is enough."""
    changed = tmp_path / "changed"
    shutil.copytree(assets.source_folder(), changed, ignore=shutil.ignore_patterns("a11y", "sre"))
    with (changed / "tex-chtml-full.js").open("a") as file:
        file.write(";")
    with pytest.raises(SystemExit, match="not the expected ones"):
        assets.copy_mathjax(changed, tmp_path / "mathjax")
    assert not (tmp_path / "mathjax").exists()


def test_no_registry_is_named():
    """Committed set-up files leave the choice of registry to the user's own configuration."""
    names = ["Makefile", "constraints.txt", "constraints.in", "pyproject.toml", ".ci/run"]
    names += ["tests/book/package.json", "tests/book/package-lock.json"]
    for name in names:
        assert not re.search(r"https?://", (ROOT / name).read_text(encoding="utf-8")), name
