"""Fetch the raw files of MNIST and Fashion-MNIST once, check them, and read them.

The files lie where torchvision puts them, `ROOT/NAME/raw`, so that either can use what the
other downloaded. A download goes to a temporary folder inside ROOT. Each file is checked
there and then moved into place by renaming: no reader ever meets half a file, an interrupted
download leaves nothing behind that counts, and several processes may download at once.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

APPLICATION = "autoencoders-and-adversaries"
VARIABLE = "COMPANION_DATA"

_PREFIX = {"train": "train", "test": "t10k"}

# SHA-256 of the unpacked files.
_SHA256 = {
    "MNIST": {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
}


class RawDigits(NamedTuple):
    """Images (N, 1, 28, 28) and labels (N,) as bytes, read-only."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def read(
    name: str, split: str, *, root: str | os.PathLike[str] | None, download: bool
) -> RawDigits:
    """Return one split of a data set, after downloading it if it is missing and allowed."""
    base = cache_folder(root)
    raw = base / name / "raw"
    _require_no_folder(name, raw)
    if not all((raw / file).is_file() for file in _files(split)):
        if not download:
            raise FileNotFoundError(f"{name} is not in `{raw}`. {_remedy(name, raw)}")
        _download(name, base)
    images, labels = (_checked(name, raw / file) for file in _files(split))
    return RawDigits(_body(images).reshape(-1, 1, 28, 28), _body(labels))


def cache_folder(root: str | os.PathLike[str] | None) -> Path:
    """Return the argument, else the folder of the environment variable, else the user's cache."""
    chosen = root if root is not None else os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path(APPLICATION, appauthor=False)


def _files(split: str) -> tuple[str, str]:
    prefix = _PREFIX[split]
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _download(name: str, base: Path) -> None:
    raw = base / name / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        # A sibling of the target: a rename is only atomic within one file system.
        scratch = tempfile.TemporaryDirectory(prefix=".download-", dir=base)
    except OSError as error:
        raise PermissionError(
            f"Cannot write {name} into `{base}`: {error}. "
            f"Pass root=... or set {VARIABLE} to a folder you may write to."
        ) from error
    with scratch as folder:
        fetched = _fetch(name, folder, _remedy(name, raw))
        for file in (*_files("train"), *_files("test")):
            _require_sound_download(name, fetched / file, raw)
            if not (raw / file).is_file():  # what the user put there stays
                os.replace(fetched / file, raw / file)


def _fetch(name: str, folder: str, remedy: str) -> Path:
    from companion.data import vision  # here, because torchvision is large and rarely needed

    dataset: Any = getattr(vision.datasets, name)
    try:
        dataset(folder, download=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise RuntimeError(f"The download of {name} failed. {remedy}\nReason: {error}") from error
    return Path(folder) / name / "raw"


def _checked(name: str, path: Path) -> bytes:
    """Return the content of a file after checking its hash."""
    content = path.read_bytes()
    if not _is_sound(name, path.name, content):
        raise ValueError(
            f"`{path}` is damaged, or is no file of {name} ({len(content)} bytes). "
            f"Delete it and call with download=True: it is then downloaded again."
        )
    return content


def _require_sound_download(name: str, path: Path, raw: Path) -> None:
    content = path.read_bytes()
    if not _is_sound(name, path.name, content):  # the folder that holds it is about to go
        raise ValueError(
            f"What was downloaded as {path.name} is no file of {name} ({len(content)} bytes), and "
            f"was not kept. The mirror, or a proxy on the way, sent something else: try again "
            f"later or through another network. {_remedy(name, raw)}"
        )


def _is_sound(name: str, file: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == _SHA256[name][file]


def _require_no_folder(name: str, raw: Path) -> None:
    for file in (*_files("train"), *_files("test")):
        if (raw / file).is_dir():
            raise ValueError(
                f"`{raw / file}` is a folder, but a file of {name} of that name belongs there. "
                f"Move the folder away. A file that was unpacked into it may take its place."
            )


def _body(content: bytes) -> NDArray[np.uint8]:
    # The fourth byte of the format is the number of axes; each has four bytes in the header.
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])


def _remedy(name: str, raw: Path) -> str:
    files = ", ".join((*_files("train"), *_files("test")))
    return (
        f"With a network, call with download=True. Without one, either set {VARIABLE} (or pass "
        f"root=...) to a folder that holds {name}/raw, or copy the unpacked files {files} to "
        f"`{raw}`, or use companion.data.mnist5k, which needs no download."
    )
