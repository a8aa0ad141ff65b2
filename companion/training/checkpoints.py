"""Tensors and a few facts about them in one file: safetensors, never pickle.

A pickle can run any code when it is opened. A safetensors file holds a header of JSON and
then plain numbers, so a file from a stranger can be wrong but never dangerous.
"""

import hashlib
import json
import math
import os
import secrets
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

# The header maps strings to strings. All metadata goes, as JSON, under this one key.
_KEY = "companion"
# Beside it: a hash of everything else in the file, because a disk can flip a bit.
_HASH = "sha256"
# In the names of temporary files: process numbers mean something on one machine only.
_MACHINE = f"{uuid.getnode():x}"


class Checkpoint(NamedTuple):
    """What a file holds: named tensors, and metadata made of plain JSON values."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def save(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], /, **metadata: Any) -> None:
    """Write tensors and metadata to one file, whole or not at all.

    The file is written under a temporary name beside `path` and renamed when it is complete:
    an interrupted save leaves the older file as it was. Tensors that share memory (tied
    weights) are written one by one, and come back as separate tensors with equal values.

    Args:
        path: the file to write. Its folder must exist. A file already there is replaced.
        tensors: names and tensors, for example `model.state_dict()`. Any device and layout
            in memory; sparse, quantized and meta tensors are refused.
        metadata: None, bool, int, finite float, str, and lists and dicts of them. A tuple
            comes back as a list.

    Raises:
        TypeError: a value of `tensors` is no dense tensor, or one of `metadata` no JSON.
        ValueError: `tensors` is empty, or a number of `metadata` is NaN or infinite.
        FileNotFoundError: the folder of `path` does not exist.
        IsADirectoryError: `path` is a folder.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> save(path, {"weight": torch.ones(2, 3)}, epoch=4)
    >>> tensors, metadata = load(path)
    >>> tensors["weight"].shape, metadata
    (torch.Size([2, 3]), {'epoch': 4})
    """
    target = _writable_target(path)
    dense = _dense_copies(tensors)
    for name, value in metadata.items():
        _require_json(name, value)
    header = {"format": "pt", _KEY: json.dumps(metadata)}
    try:
        content = safetensors.save(dense, header)
    except KeyError as error:
        raise TypeError(f"safetensors cannot hold the dtype {error}. Convert it first.") from error
    _remove_leftovers(target)
    _write_atomically(target, _with_hash(content))


def load(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Checkpoint:
    """Read a file that `save` wrote, or any other safetensors file.

    Args:
        path: the file to read.
        device: where the tensors go.

    Returns:
        The tensors by name, and the metadata (empty if `save` did not write the file).
        The file is read to the end and closed: it may be replaced while its tensors live.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: `path` is a folder.
        ValueError: the file is no safetensors file, is cut short, is a pickle, holds a dtype or
            metadata that cannot be read, or is not, bit for bit, what `save` wrote.
    """
    source = Path(path).expanduser()
    if source.is_dir():
        raise IsADirectoryError(f"`{source}` is a folder. Name the file in it.")
    if not source.exists():
        raise FileNotFoundError(f"There is no file `{source}`. Check the name, or save it first.")
    content = source.read_bytes()
    try:
        tensors = safetensors.load(content)
    except SafetensorError as error:
        raise ValueError(_why_unreadable(source, content)) from error
    except KeyError as error:
        raise ValueError(
            f"`{source}` holds a tensor of the dtype {error}, which PyTorch {torch.__version__} "
            f"or safetensors cannot read. Update them, or convert the tensor where it was saved."
        ) from error
    _require_hash(source, content)
    return Checkpoint(
        {name: tensor.to(device) for name, tensor in tensors.items()}, _metadata_of(source, content)
    )


def _writable_target(path: str | os.PathLike[str]) -> Path:
    # Symbolic links are followed, else the rename would replace the link itself.
    target = Path(path).expanduser().resolve()
    if target.is_dir():
        raise IsADirectoryError(f"`{target}` is a folder. Add a file name to the path.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder `{target.parent}` to write `{target.name}` in. "
            f"Make it first: Path({str(target.parent)!r}).mkdir(parents=True)."
        )
    return target


def _dense_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"`tensors` must be a dict of names and tensors, but it is a "
            f"{type(tensors).__name__}. For a module, pass model.state_dict()."
        )
    if not tensors:
        raise ValueError("`tensors` is empty, so there is nothing to save.")
    return {_require_name(name): _dense_copy(name, tensor) for name, tensor in tensors.items()}


def _require_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"The names of `tensors` must be strings, but one is {name!r}.")
    return name


def _dense_copy(name: str, tensor: Any) -> Tensor:
    if isinstance(tensor, Mapping):
        raise TypeError(
            f"`tensors[{name!r}]` must be a torch.Tensor, but it is a {type(tensor).__name__}. "
            f"Save one state_dict alone, such as tensors[{name!r}], or give each tensor a name "
            f"of its own."
        )
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"`tensors[{name!r}]` must be a torch.Tensor, but it is a {type(tensor).__name__}. "
            f"Pass numbers and strings as metadata: save(path, tensors, {name}=...)."
        )
    if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
        raise TypeError(
            f"`tensors[{name!r}]` is a sparse, quantized or meta tensor. Only dense tensors "
            f"with values can be saved: call .to_dense() or .dequantize(), or leave it out."
        )
    # A clone of its own: safetensors refuses tensors that share memory or have gaps.
    dense = tensor.detach().cpu().resolve_conj().resolve_neg()
    return dense.clone(memory_format=torch.contiguous_format)


def _require_json(name: str, value: Any) -> None:
    """Raise unless the value is JSON; the message names the place inside a nested value."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"Metadata `{name}` has the key {key!r}, but keys must be str.")
            _require_json(f"{name}[{key!r}]", item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _require_json(f"{name}[{index}]", item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"Metadata `{name}` is {value}, which JSON lacks. Store None instead.")
    elif not isinstance(value, (str, int, float, bool, type(None))):
        raise TypeError(
            f"Metadata `{name}` is a {type(value).__name__}, which JSON lacks. Convert it to a "
            f"number, str, list or dict, or store it among the tensors."
        )


def _write_atomically(target: Path, content: bytes) -> None:
    owner = f"{_MACHINE}-{os.getpid()}-{secrets.token_hex(6)}"
    temporary = target.with_name(f".{target.name}.{owner}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a rename must not reach the disk before the content
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed process left, but not what another one is writing just now."""
    prefix = f".{target.name}.{_MACHINE}-"
    for path in target.parent.iterdir():
        if path.name.startswith(prefix) and path.name.endswith(".tmp"):
            process = path.name.removeprefix(prefix).split("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is not a question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _with_hash(content: bytes) -> bytes:
    header, data = _parts(content)
    header["__metadata__"][_HASH] = _digest(header, data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for data that begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data


def _require_hash(source: Path, content: bytes) -> None:
    header, data = _parts(content)
    saved = (header.get("__metadata__") or {}).pop(_HASH, None)
    if saved is not None and saved != _digest(header, data):
        raise ValueError(
            f"`{source}` is damaged: its content is not what was saved (the hashes differ). "
            f"Copy or download it again, or delete it and save it again."
        )


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _digest(header: dict[str, Any], data: bytes) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()


def _metadata_of(source: Path, content: bytes) -> dict[str, Any]:
    text = (_parts(content)[0].get("__metadata__") or {}).get(_KEY, "{}")
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{source}` has metadata under {_KEY!r} that this package did not write: {text[:80]}. "
            f"Its tensors can be read with safetensors.torch.load_file."
        ) from error


def _why_unreadable(source: Path, content: bytes) -> str:
    # torch.save writes a zip archive; older versions, and pickle itself, begin with 0x80.
    if content.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            f"`{source}` looks like a pickle (torch.save writes those). It is refused, because "
            f"opening a pickle can run any code hidden in it. If you trust its origin, convert "
            f"it: content = torch.load(path, weights_only=True), then "
            f"checkpoints.save(new_path, state_dict), where state_dict is the dict of tensors "
            f"alone: content itself, or one of its entries."
        )
    if content[8:9] == b"{":
        return (
            f"`{source}` begins like a safetensors file but is cut short or damaged "
            f"({len(content)} bytes). Copy, download or save it again."
        )
    return f"`{source}` is not a safetensors file ({len(content)} bytes). Check the path."
