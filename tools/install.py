"""Install the course into the environment that runs this file (standard library only).

PyTorch comes first and is left alone where it already works: a build for your GPU stays. Every
other package gets the exact version that the constraints file names.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "book,test,lab"

# An oracle of the tests. It asks for an old release of requests, which Jupyter refuses and which it
# never imports.
WITHOUT_DEPENDENCIES = ("torchattacks==3.5.1",)

WEIGHT = (
    "Installing takes some minutes. With a CPU build of PyTorch the download is about 0.5 GB and "
    "the environment 1.7 GB; with the CUDA build, the default on Linux, 3.0 GB and 5.7 GB. "
    "README.md says how to choose."
)

# The lock's companions of its own PyTorch. Another PyTorch brings others.
BELONGS_TO_TORCH = re.compile(r"(torch|torchvision|triton|setuptools|(nvidia|cuda)-.*)$")


def package_name(line: str) -> str:
    """Return the normalized package name of a requirement line, or nothing for a comment."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def without_torch(constraints: str) -> str:
    """Drop the pins that belong to the lock's own PyTorch build."""
    kept = [
        line for line in constraints.splitlines() if not BELONGS_TO_TORCH.match(package_name(line))
    ]
    return "\n".join(kept) + "\n"


def installed_version(package: str) -> str | None:
    """Ask a fresh interpreter, because this one may have cached an earlier answer."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or None


def torch_works() -> bool:
    """Say whether `import torch` succeeds."""
    done = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True)
    return done.returncode == 0


def pip(*arguments: str) -> None:
    """Run pip, and stop with its exit status if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    print("+", shlex.join(command[2:]), flush=True)
    status = subprocess.run(command, cwd=ROOT).returncode
    if status:
        sys.exit(status)


def install_torch(constraints: Path | None, torch_args: str) -> None:
    """Install PyTorch and the torchvision that was built for it."""
    pins = ["-c", str(constraints)] if constraints else []
    print(WEIGHT, flush=True)
    pip("install", "--quiet", *pins, *shlex.split(torch_args), "torch", "torchvision")


def write_pins(constraints: Path | None, own_torch: bool, target: Path) -> None:
    """Write the pins for the rest: they hold the installed PyTorch fast, whatever it is."""
    text = constraints.read_text(encoding="utf-8") if constraints else ""
    lines = [without_torch(text) if own_torch else re.sub(r"(?m)^torch(vision)?==.*\n", "", text)]
    for package in ("torch", "torchvision"):
        version = installed_version(package)
        lines += [f"{package}=={version}\n"] if version else []
    target.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Install everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraints", default="", help="exact versions; empty: the newest")
    parser.add_argument("--torch-args", default="", help="options for pip's PyTorch step")
    options = parser.parse_args()
    constraints = Path(options.constraints).resolve() if options.constraints else None
    own_torch = torch_works()
    if own_torch:
        print("PyTorch", installed_version("torch"), "is here already and stays as it is.")
    else:
        install_torch(constraints, options.torch_args)
    pins = Path(sys.prefix) / "course-pins.txt"
    write_pins(constraints, own_torch, pins)
    pip("install", "--quiet", "-c", str(pins), "setuptools>=77")
    # The build back-end is installed and pinned, so no second, unpinned one is fetched.
    pip("install", "--quiet", "-c", str(pins), "--no-build-isolation", "-e", f".[{EXTRAS}]")
    pip("install", "--quiet", "--no-deps", *WITHOUT_DEPENDENCIES)


if __name__ == "__main__":
    main()
