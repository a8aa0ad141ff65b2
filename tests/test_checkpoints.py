"""Checkpoints: what is saved comes back, whole or not at all, and a pickle is refused."""

import json
import os
import pickle
import stat
import subprocess
import sys

import pytest
import torch
from torch import nn

from companion.training import checkpoints
from companion.training.checkpoints import load, save


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 4)], ids=str)
def test_a_tensor_comes_back_bit_for_bit(path, dtype, shape):
    generator = torch.Generator().manual_seed(0)
    tensor = (5 * torch.randn(shape, generator=generator)).to(dtype)
    save(path, {"it": tensor})
    tensors, metadata = load(path)
    assert tensors.keys() == {"it"}
    assert tensors["it"].dtype == dtype
    assert torch.equal(tensors["it"], tensor)
    assert tensors["it"].shape == tensor.shape
    assert metadata == {}


def test_not_a_number_and_negative_zero_come_back(path):
    odd = torch.tensor([float("nan"), -0.0, float("inf"), 1e-45])
    save(path, {"odd": odd})
    assert load(path).tensors["odd"].view(torch.int32).equal(odd.view(torch.int32))


def test_metadata_comes_back(path):
    metadata = {
        "epoch": 3,
        "name": 'naïve "quoted" ∇\n',
        "losses": [1.5, -2.25e-300, 10**20],
        "nested": {"a": {"b": [None, True, False, []]}},
        "nothing": None,
        "path": "names of the arguments",
        "tensors": "are free",
    }
    save(path, {"x": torch.zeros(1)}, **metadata)
    assert load(path).metadata == metadata


def test_a_tuple_comes_back_as_a_list(path):
    save(path, {"x": torch.zeros(1)}, shape=(1, 28, 28))
    assert load(path).metadata == {"shape": [1, 28, 28]}


def test_a_module_and_its_optimizer_come_back(path):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    save(path, model.state_dict(), widths=[3, 4])
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    other.load_state_dict(load(path).tensors)
    for left, right in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right)


def test_views_shared_memory_and_gradients_are_no_obstacle(path):
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": base,
        "again": base,
        "transposed": base.T,
        "row": base[1],
        "strided": base[:, ::2],
        "expanded": torch.ones(1).expand(5),
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "parameter": nn.Parameter(base.clone()),
        "of a graph": nn.Parameter(base.clone()) * 2,
        "channels last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }
    save(path, tensors)
    back = load(path).tensors
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(back[name], tensor), name
        assert not back[name].requires_grad
    back["whole"].zero_()
    assert back["again"].sum() == 66


def test_saving_changes_nothing_about_the_tensor(path):
    parameter = nn.Parameter(torch.ones(2, 3).T)
    save(path, {"p": parameter})
    assert parameter.requires_grad
    assert parameter.stride() == (1, 3)
    assert torch.equal(parameter.detach(), torch.ones(3, 2))


def test_tensors_go_to_the_device(path):
    save(path, {"x": torch.zeros(2)})
    assert load(path).tensors["x"].device.type == "cpu"
    assert load(path, "meta").tensors["x"].device.type == "meta"
    if torch.cuda.is_available():
        assert load(path, torch.device("cuda")).tensors["x"].is_cuda


def test_a_loaded_tensor_outlives_its_file(path):
    save(path, {"x": torch.ones(1000)})
    tensor = load(path).tensors["x"]
    save(path, {"x": torch.zeros(1)})
    path.write_bytes(b"")
    assert tensor.sum() == 1000
    tensor.add_(1)


def test_another_programs_safetensors_file_can_be_read(path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(2)}, path, {"format": "pt", "author": "somebody"})
    tensors, metadata = load(path)
    assert torch.equal(tensors["x"], torch.ones(2))
    assert metadata == {}
    save_file({"x": torch.ones(2)}, path)
    assert load(path).metadata == {}


def test_other_programs_can_read_ours(path):
    from safetensors import safe_open

    save(path, {"x": torch.ones(2)}, epoch=1)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        assert metadata.pop("sha256").isalnum()
        assert metadata == {"format": "pt", "companion": '{"epoch": 1}'}
        assert file.get_tensor("x").tolist() == [1, 1]


def test_a_symbolic_link_and_a_home_folder_are_followed(path, tmp_path, monkeypatch):
    link = tmp_path / "latest"
    path.write_bytes(b"old")
    link.symlink_to(path)
    save(link, {"x": torch.ones(1)})
    assert link.is_symlink()
    assert load(path).tensors["x"] == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save("~/home.safetensors", {"x": torch.ones(1)})
    assert load("~/home.safetensors").tensors["x"] == 1


def test_the_file_has_the_usual_permissions(path, tmp_path):
    save(path, {"x": torch.ones(1)})
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("stage", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_save_leaves_the_older_file(path, monkeypatch, stage, error):
    save(path, {"x": torch.ones(1)}, epoch=1)

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.os, stage, fail)
        with pytest.raises(type(error)):
            save(path, {"x": torch.zeros(1)}, epoch=2)
    assert load(path).metadata == {"epoch": 1}
    assert os.listdir(path.parent) == [path.name]


def test_the_temporary_file_is_in_the_same_folder(path, monkeypatch):
    seen = []
    replace = os.replace
    monkeypatch.setattr(checkpoints.os, "replace", lambda a, b: (seen.append(a), replace(a, b)))
    save(path, {"x": torch.ones(1)})
    assert [temporary.parent for temporary in seen] == [path.parent]
    assert seen[0] != path


X = {"x": torch.zeros(1)}

BAD_SAVES = {
    "a module": (nn.Linear(1, 1), {}, TypeError, r"Linear.*model\.state_dict\(\)"),
    "a list": ([torch.zeros(1)], {}, TypeError, r"`tensors` must be a dict"),
    "empty": ({}, {}, ValueError, r"`tensors` is empty"),
    "number as name": ({1: torch.zeros(1)}, {}, TypeError, r"must be strings, but one is 1"),
    "a float": ({"lr": 0.1}, {}, TypeError, r"`tensors\['lr'\]`.*float.*lr=\.\.\."),
    "a list as value": ({"x": [1.0]}, {}, TypeError, r"must be a torch\.Tensor, .*list"),
    "nested": ({"x": {"y": torch.zeros(1)}}, {}, TypeError, r"torch\.Tensor, .*dict"),
    "sparse": ({"x": torch.eye(2).to_sparse()}, {}, TypeError, r"sparse.*\.to_dense\(\)"),
    "meta": ({"x": torch.zeros(1, device="meta")}, {}, TypeError, r"meta tensor"),
    "dtype": ({"x": torch.zeros(1).to(torch.complex128)}, {}, TypeError, r"complex128"),
    "metadata tensor": (X, {"loss": torch.ones(1)}, TypeError, r"`loss` is a Tensor"),
    "metadata object": (X, {"model": object()}, TypeError, r"`model` is a object"),
    "metadata set": (X, {"seen": {1}}, TypeError, r"`seen` is a set"),
    "metadata bytes": (X, {"raw": b"x"}, TypeError, r"`raw` is a bytes"),
    "metadata nan": (X, {"loss": float("nan")}, ValueError, r"`loss` is nan.*Store None"),
    "metadata inf": (X, {"loss": [1.0, float("inf")]}, ValueError, r"`loss\[1\]` is inf"),
    "metadata deep": (X, {"a": {"b": [{}, {"c": 1j}]}}, TypeError, r"`a\['b'\]\[1\]\['c'\]` is a"),
    "metadata key": (X, {"by_epoch": {1: 2.0}}, TypeError, r"`by_epoch` has the key 1"),
}


@pytest.mark.usefixtures("without_shape_checker")
@pytest.mark.parametrize("case", BAD_SAVES)
def test_what_cannot_be_saved_is_refused_and_nothing_is_written(path, case):
    tensors, metadata, error, message = BAD_SAVES[case]
    with pytest.raises(error, match=message):
        save(path, tensors, **metadata)
    assert os.listdir(path.parent) == []


def test_no_flipped_bit_goes_unseen(path):
    save(path, {"x": torch.arange(3.0)}, epoch=1)
    content = path.read_bytes()
    silent = []
    for position in range(8, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        try:
            tensors, metadata = load(path)
        except ValueError:
            continue
        same = set(tensors) == {"x"} and torch.equal(tensors["x"], torch.arange(3.0))
        if not same or metadata not in ({"epoch": 1}, {}):  # {}: the name of the entry was hit
            silent.append(position)
    assert silent == []
    path.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(ValueError, match=r"is damaged: .* Copy or download it again"):
        load(path)


KILLED_IN_A_SAVE = """
import os, signal, sys, torch
from companion.training import checkpoints
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
checkpoints.save(sys.argv[1], {"x": torch.ones(2)})
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_next_save_removes_what_a_killed_one_left(path):
    subprocess.run([sys.executable, "-c", KILLED_IN_A_SAVE, str(path)], check=False)
    (leftover,) = path.parent.iterdir()
    dead = leftover.name.split("-")[1]
    running = leftover.with_name(leftover.name.replace(f"-{dead}-", f"-{os.getppid()}-"))
    elsewhere = leftover.with_name(".other" + leftover.name)
    for other in (running, elsewhere):
        other.touch()
    save(path, {"x": torch.ones(2)})
    assert set(path.parent.iterdir()) == {path, running, elsewhere}


def test_a_bad_place_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save(tmp_path, X)
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*mkdir"):
        save(tmp_path / "absent" / "x.safetensors", X)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent"):
        load(tmp_path / "absent")


def test_a_file_cut_short_anywhere_is_refused(path):
    save(path, {"x": torch.arange(5.0), "y": torch.ones(2, 2)}, epoch=1)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        expected = "cut short" if length > 8 else "not a safetensors file"
        with pytest.raises(ValueError, match=expected):
            load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="cut short or damaged"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"hello, world: no tensors here", b"\0" * 100])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(path)


def written(path, entry, metadata=None):
    """Write a file of one tensor, as another program might."""
    header = json.dumps({"x": entry, "__metadata__": metadata}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(entry["data_offsets"][1]))


NUMBER = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def test_a_dtype_that_torch_lacks_is_named(path):
    written(path, {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]})
    with pytest.raises(ValueError, match=r"a tensor of the dtype 'F4', which PyTorch"):
        load(path)


def test_a_file_may_lack_metadata(path):
    written(path, NUMBER, None)
    assert load(path).metadata == {}
    written(path, NUMBER, {"author": "somebody"})
    assert load(path).metadata == {}


@pytest.mark.parametrize("text", ["{", "[1]", "3", '"epoch"'])
def test_metadata_of_another_program_under_our_name_is_refused(path, text):
    written(path, NUMBER, {"companion": text})
    with pytest.raises(ValueError, match="that this package did not write: ") as caught:
        load(path)
    assert text in str(caught.value)


class Bomb:
    """A pickle that would leave a trace when opened."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (self.trace, "w"))


@pytest.mark.parametrize("how", ["torch", "torch, old", *range(2, pickle.HIGHEST_PROTOCOL + 1)])
def test_a_pickle_is_refused_unopened(path, tmp_path, how):
    trace = tmp_path / "trace"
    if how == "torch":
        torch.save({"x": Bomb(str(trace))}, path)
    elif how == "torch, old":
        torch.save({"x": Bomb(str(trace))}, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(Bomb(str(trace)), protocol=how))
    with pytest.raises(ValueError, match=r"looks like a pickle.*run any code.*weights_only=True"):
        load(path)
    assert not trace.exists()
