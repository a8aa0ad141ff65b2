"""MNIST and Fashion-MNIST from a small mirror on this machine: same format, other content."""

import functools
import gzip
import hashlib
import http.server
import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from companion import data
from companion.data import _downloads, fashion_mnist, mnist, vision

# A little more than 6,000, so that leaving mnist5k out leaves something.
COUNT = {"train": 6020, "test": 30}
FILES = [*_downloads._files("train"), *_downloads._files("test")]


def synthetic(split):
    """Return the two files of a split, whose images and labels can be told from their index."""
    index = np.arange(COUNT[split])
    images = np.zeros((COUNT[split], 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = index % 256, index // 256
    images[:, 27, 27] = 255
    image_file = struct.pack(">4I", 2051, COUNT[split], 28, 28) + images.tobytes()
    return image_file, struct.pack(">2I", 2049, COUNT[split]) + (index % 10).astype("u1").tobytes()


@pytest.fixture(scope="module")
def content():
    return dict(zip(FILES, [*synthetic("train"), *synthetic("test")], strict=True))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder over HTTP to this machine alone; return the folder and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()
        thread.join()


@pytest.fixture
def mirror(server, monkeypatch, content):
    """Let torchvision download from our server, and let our hashes be those of its files."""
    folder, address = server
    resources = []
    for file, body in content.items():
        packed = gzip.compress(body, compresslevel=1)
        (folder / f"{file}.gz").write_bytes(packed)
        resources.append((f"{file}.gz", hashlib.md5(packed).hexdigest()))
    for name in ("MNIST", "FashionMNIST"):
        dataset = getattr(vision.datasets, name)
        monkeypatch.setattr(dataset, "mirrors", [address])
        monkeypatch.setattr(dataset, "resources", resources)
    hashes = {file: hashlib.sha256(body).hexdigest() for file, body in content.items()}
    for name in ("MNIST", "FashionMNIST"):
        monkeypatch.setitem(_downloads._SHA256, name, hashes)
    return folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty cache folder, and keep the reader's own out of the tests."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "elsewhere"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch, mirror):
    """Make every download fail as it does without a network: nobody answers at port 9."""
    for name in ("MNIST", "FashionMNIST"):
        monkeypatch.setattr(getattr(vision.datasets, name), "mirrors", ["http://127.0.0.1:9/"])


def place(folder, content, name="MNIST"):
    """Put the unpacked files where torchvision keeps them."""
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    for file, body in content.items():
        (raw / file).write_bytes(body)
    return raw


def everything_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def index_of(images):
    pixels = (images[:, 0, 0, :2] * 255).round().long()
    return pixels[:, 0] + 256 * pixels[:, 1]


LOADERS = {"MNIST": mnist, "FashionMNIST": fashion_mnist}


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("name", LOADERS)
def test_a_download_gives_the_images_and_leaves_only_the_files(root, name):
    for split in ("train", "test"):
        images, labels = LOADERS[name](split, root=root)
        assert images.shape == (COUNT[split], 1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert torch.equal(index_of(images), torch.arange(COUNT[split]))
        assert torch.equal(labels, torch.arange(COUNT[split]) % 10)
        assert images[:, 0, 27, 27].eq(1).all()
    assert everything_in(root) == sorted(f"{name}/raw/{file}" for file in FILES)
    assert os.listdir(root) == [name]


def test_what_we_downloaded_torchvision_can_use_and_the_other_way_round(root, mirror, tmp_path):
    mnist(root=root)
    theirs = vision.datasets.MNIST(root, train=True, download=False)
    assert torch.equal(theirs.targets, mnist(root=root).labels)
    theirs = vision.datasets.MNIST(tmp_path / "theirs", train=False, download=True)
    for packed in mirror.iterdir():
        packed.unlink()
    images, _ = mnist("test", root=tmp_path / "theirs")
    assert torch.equal((images[:, 0] * 255).round().byte(), theirs.data)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("download", [True, False])
def test_files_that_are_there_are_used_without_a_network(root, content, name, download):
    place(root, content, name)
    assert len(LOADERS[name](root=root, download=download).labels) == COUNT["train"]
    assert len(LOADERS[name]("test", root=str(root), download=download).labels) == COUNT["test"]


@pytest.mark.usefixtures("offline")
def test_one_split_needs_only_its_own_files_and_no_torchvision(root, content, monkeypatch):
    raw = place(root, content)
    for file in _downloads._files("train"):
        (raw / file).unlink()
    monkeypatch.setattr(_downloads, "_fetch", None)
    assert len(mnist("test", root=root).labels) == COUNT["test"]


@pytest.mark.usefixtures("mirror")
def test_missing_files_are_added_to_those_that_are_there(root, content):
    raw = place(root, {FILES[0]: content[FILES[0]]})
    before = (raw / FILES[0]).stat()
    mnist("train", root=root)
    assert sorted(os.listdir(raw)) == sorted(FILES)
    assert (raw / FILES[0]).stat().st_ino == before.st_ino


@pytest.mark.usefixtures("offline")
def test_the_folder_is_the_argument_else_the_variable_else_the_users_cache(
    tmp_path, content, monkeypatch
):
    import platformdirs

    cache = tmp_path / "user"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name, **_: cache / name)
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "variable"))
    assert _downloads.cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert _downloads.cache_folder(None) == tmp_path / "variable"
    place(tmp_path / "variable", content)
    assert len(mnist("test").labels) == COUNT["test"]
    for unset in ("", None):
        monkeypatch.setenv("COMPANION_DATA", unset or "")
        if unset is None:
            monkeypatch.delenv("COMPANION_DATA")
        assert _downloads.cache_folder(None) == cache / "autoencoders-and-adversaries"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert _downloads.cache_folder("~/here") == tmp_path / "here"
    assert _downloads.cache_folder("here") == Path.cwd() / "here"


@pytest.mark.usefixtures("mirror")
def test_the_tensors_go_to_the_device_and_are_fresh(root):
    assert mnist("test", root=root, device="meta").images.is_meta
    first = mnist("test", root=root)
    first.images.zero_()
    assert mnist("test", root=root).images.sum() > 0
    if torch.cuda.is_available():
        assert mnist("test", root=root, device="cuda").images.is_cuda


# ---- leaving mnist5k out -------------------------------------------------------------------


@pytest.mark.usefixtures("mirror")
def test_leaving_mnist5k_out_drops_the_first_6000_training_images(root):
    images, labels = mnist("train", root=root, exclude_mnist5k=True)
    assert torch.equal(index_of(images), torch.arange(6000, COUNT["train"]))
    assert len(labels) == COUNT["train"] - 6000
    assert len(mnist("test", root=root, exclude_mnist5k=True).labels) == COUNT["test"]
    assert len(mnist("train", root=root).labels) == COUNT["train"]


def test_the_constants_agree():
    assert data.MNIST5K_LAST_TRAIN_INDEX == 5847
    assert data.FIRST_CLEAN_TRAIN_INDEX == 6000 > data.MNIST5K_LAST_TRAIN_INDEX


def test_mnist5k_is_the_beginning_of_each_class_of_the_training_set(mnist_folder):
    whole = mnist("train", root=mnist_folder, download=False)
    train, test = data.mnist5k("train"), data.mnist5k("test")
    last = 0
    for label in range(10):
        index = (whole.labels == label).nonzero()[:500, 0]
        held_out = torch.arange(500) % 5 == 4
        assert torch.equal(whole.images[index][~held_out], train.images[train.labels == label])
        assert torch.equal(whole.images[index][held_out], test.images[test.labels == label])
        last = max(last, int(index[-1]))
    assert last == data.MNIST5K_LAST_TRAIN_INDEX


def test_no_image_of_mnist5k_is_left_in_the_clean_training_set(mnist_folder):
    clean = mnist("train", root=mnist_folder, download=False, exclude_mnist5k=True)
    assert len(clean.labels) == 54_000
    embedded = torch.cat([data.mnist5k(split).images for split in ("train", "test")])
    known = {image.numpy().tobytes() for image in embedded}
    assert len(known) == 5000
    assert not any(image.numpy().tobytes() in known for image in clean.images)


def test_the_real_files_pass_the_pinned_hashes(mnist_folder):
    assert len(mnist("test", root=mnist_folder, download=False).labels) == 10_000
    assert all(
        _downloads._checked("MNIST", Path(mnist_folder, "MNIST", "raw", file)) for file in FILES
    )


# ---- when something is wrong ---------------------------------------------------------------


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", LOADERS)
def test_without_a_network_the_message_says_what_to_do(root, name):
    with pytest.raises(RuntimeError, match=f"The download of {name} failed") as info:
        LOADERS[name](root=root)
    message = str(info.value)
    for remedy in (
        "set COMPANION_DATA",
        f"copy the unpacked files {FILES[0]}",
        str(root / name / "raw"),
        "companion.data.mnist5k",
    ):
        assert remedy in message
    assert everything_in(root) == []


def test_a_missing_file_without_permission_to_download(root):
    with pytest.raises(FileNotFoundError, match=r"MNIST is not in .*With a network, call with"):
        mnist(root=root, download=False)
    assert not root.exists()


@pytest.mark.parametrize("file", FILES)
def test_a_download_damaged_on_its_way_is_refused(root, mirror, file):
    packed = mirror / f"{file}.gz"
    good = packed.read_bytes()
    packed.write_bytes(good[:-20])
    with pytest.raises(RuntimeError, match="The download of MNIST failed"):
        mnist(root=root)
    assert everything_in(root) == []
    packed.write_bytes(good)
    assert len(mnist(root=root).labels) == COUNT["train"]


@pytest.mark.parametrize("name", LOADERS)
def test_a_mirror_with_other_digits_is_refused(root, mirror, monkeypatch, content, name):
    """Its own checksums agree, as those of a forged mirror would; ours do not."""
    other = bytearray(content[FILES[0]])
    other[500] ^= 1
    packed = gzip.compress(bytes(other))
    (mirror / f"{FILES[0]}.gz").write_bytes(packed)
    resources = [(f"{FILES[0]}.gz", hashlib.md5(packed).hexdigest())]
    resources += vision.datasets.MNIST.resources[1:]
    monkeypatch.setattr(getattr(vision.datasets, name), "resources", resources)
    with pytest.raises(ValueError, match=r"downloaded as train-images.* is no file of") as info:
        LOADERS[name](root=root)
    assert everything_in(root) == []
    message = str(info.value)
    assert "Delete" not in message  # nothing is left to be deleted
    assert "was not kept" in message
    assert f"`{root / name / 'raw'}`" in message


DAMAGES = {
    "cut short": lambda body: body[:-1],
    "too long": lambda body: body + b"\0",
    "empty": lambda body: b"",
    "another format": lambda body: b"\1" + body[1:],
    "one bit": lambda body: body[:-1] + bytes([body[-1] ^ 1]),
}


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("file", FILES[:2])
def test_a_file_damaged_on_disk_is_named_and_can_be_fetched_again(
    root, content, damage, name, file
):
    raw = place(root, content, name)
    (raw / file).write_bytes(DAMAGES[damage](content[file]))
    with pytest.raises(ValueError, match=rf"{file}.*is damaged.*Delete it and call with download"):
        LOADERS[name](root=root)
    (raw / file).unlink()
    assert len(LOADERS[name](root=root).labels) == COUNT["train"]


@pytest.mark.usefixtures("mirror")
def test_a_download_is_renamed_within_its_file_system(root, monkeypatch):
    """From anywhere else, it would be a copy, which a reader can meet half-way."""
    sources, replace = [], os.replace
    monkeypatch.setattr(
        _downloads.os, "replace", lambda a, b: (sources.append(Path(a)), replace(a, b))[1]
    )
    mnist(root=root)
    assert len(sources) == 4
    assert all(root in source.parents for source in sources)


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("file", range(4))
def test_an_interrupted_download_leaves_no_file_and_can_be_repeated(root, monkeypatch, file):
    module = vision.datasets.mnist
    original, calls = module.download_and_extract_archive, []

    def interrupted(*args, **kwargs):
        calls.append(args)
        original(*args, **kwargs)
        if len(calls) == file + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "download_and_extract_archive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mnist(root=root)
    assert everything_in(root) == []
    assert len(mnist(root=root).labels) == COUNT["train"]


@pytest.mark.usefixtures("mirror")
def test_an_interruption_between_two_files_can_be_repeated(root, monkeypatch):
    replace, moved = os.replace, []

    def stop_at_third(*args):
        moved.append(args)
        if len(moved) == 3:
            raise KeyboardInterrupt
        replace(*args)

    with monkeypatch.context() as patch:
        patch.setattr(_downloads.os, "replace", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            mnist("test", root=root)
    assert len(everything_in(root)) == 2
    for split in ("test", "train"):
        assert len(mnist(split, root=root).labels) == COUNT[split]


@pytest.mark.usefixtures("mirror")
def test_the_leavings_of_a_killed_process_do_not_matter(root):
    left = root / ".download-abc" / "MNIST" / "raw"
    left.mkdir(parents=True)
    (left / FILES[0]).write_bytes(b"half")
    assert len(mnist(root=root).labels) == COUNT["train"]


@pytest.mark.usefixtures("mirror")
def test_several_may_download_at_once(root, monkeypatch):
    """All of them fetch before any of them moves its files into place."""
    fetch, ready = _downloads._fetch, threading.Barrier(4, timeout=600)

    def fetch_and_wait(*args):
        path = fetch(*args)
        ready.wait()
        return path

    monkeypatch.setattr(_downloads, "_fetch", fetch_and_wait)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda split: mnist(split, root=root), ["train", "test"] * 2))
    assert [len(result.labels) for result in results] == [COUNT["train"], COUNT["test"]] * 2
    assert everything_in(root) == sorted(f"MNIST/raw/{file}" for file in FILES)
    assert os.listdir(root) == ["MNIST"]


@pytest.mark.usefixtures("mirror")
def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path, root, monkeypatch):
    remedy = r"Cannot write MNIST into .*Pass root=\.\.\. or set COMPANION_DATA to a folder you may"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PermissionError, match=remedy):
        mnist(root=tmp_path / "file")

    # The superuser may write anywhere, so a read-only folder is played here.
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_downloads.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(PermissionError, match=remedy):
        mnist(root=root)
    assert everything_in(root) == []


@pytest.mark.usefixtures("mirror")
def test_a_full_disk_is_reported_and_leaves_no_file(root, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vision.datasets.mnist, "download_and_extract_archive", full)
    with pytest.raises(RuntimeError, match=r"(?s)failed.*No space left on device"):
        mnist(root=root)
    assert everything_in(root) == []


@pytest.mark.usefixtures("without_shape_checker")
@pytest.mark.parametrize("load", LOADERS.values())
def test_an_unknown_split_touches_no_folder(root, load):
    with pytest.raises(ValueError, match=r"`split` must be one of 'train', 'test'"):
        load("all", root=root)
    assert not root.exists()


@pytest.mark.usefixtures("offline")
def test_a_label_that_is_no_class_is_refused(root, content):
    raw = place(root, content, "FashionMNIST")
    file = FILES[1]
    (raw / file).write_bytes(content[file][:-1] + bytes([77]))
    with pytest.raises(ValueError, match=rf"{file}.*is damaged"):
        fashion_mnist(root=root, download=False)


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("file", FILES)
def test_a_folder_in_a_files_place_is_named(root, content, file, download):
    raw = place(root, content)
    (raw / file).unlink()
    (raw / file).mkdir()
    with pytest.raises(ValueError, match=rf"{file}` is a folder.*Move the folder away"):
        mnist(root=root, download=download)


def test_every_file_has_a_hash_of_its_own():
    hashes = [_downloads._SHA256[name][file] for name in LOADERS for file in FILES]
    assert len(set(hashes)) == 8
    assert all(len(digest) == 64 and int(digest, 16) for digest in hashes)
