"""What has been solved so far: a small JSON file that belongs to the reader."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import platformdirs

from companion.checks._display import Shown, inline_html

_COURSE = "autoencoders-and-adversaries"
_PATIENCE = 5.0  # seconds to wait for another notebook; a write takes milliseconds
_STALE = 10.0  # seconds after which a lock belongs to a kernel that died


def path() -> Path:
    """Return the file: the one COMPANION_PROGRESS names, else one in the user's data folder."""
    chosen = os.environ.get("COMPANION_PROGRESS")
    if chosen:
        return Path(os.path.expanduser(chosen))  # unlike Path.expanduser, it never raises
    return Path(platformdirs.user_data_path(_COURSE, appauthor=False)) / "progress.json"


def record(key: str, *, solved: bool) -> str:
    """Add one attempt to the file; return a line to show if something is worth saying.

    Other notebooks may write at the same time: the file is read again under a lock, changed
    by this one entry and replaced as a whole, so no entry is lost and none half-written.
    """
    try:
        file = Path(os.path.realpath(path()))
        file.parent.mkdir(parents=True, exist_ok=True)
        with _lock(file):
            entries, note = _load(file)
            entry = dict(entries.get(key, {}))
            entry["attempts"] = int(entry.get("attempts", 0)) + 1
            if solved:
                entry.setdefault("solved", datetime.now().astimezone().isoformat("T", "seconds"))
            _save(file, {**entries, key: entry})
        return note
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"Your progress could not be saved in {path()}: {reason}."


def _load(file: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the entries and a line to show; a file that can't be read is moved aside."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return _checked(content), ""
    except FileNotFoundError:
        return {}, ""
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, or not what we wrote
        aside = _free_name(file)
        os.replace(file, aside)
        return (
            {},
            f"Your progress file could not be read. It was moved to {aside}; a new one began.",
        )


def _checked(content: Any) -> dict[str, dict[str, Any]]:
    """Return the entries of a file's content, or raise ValueError if it is not ours."""
    entries = content.get("exercises") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise ValueError("no exercises")
    for entry in entries.values():
        if not isinstance(entry, dict) or type(entry.get("attempts", 0)) is not int:
            raise ValueError("not an entry")
        if not isinstance(entry.get("solved", ""), str):
            raise ValueError("not a date")
    return entries


def _free_name(file: Path) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (file.with_name(f"{file.name}.unreadable-{stamp}-{n}") for n in range(10_000))
    return next(name for name in names if not name.exists())


def _save(file: Path, entries: Mapping[str, object]) -> None:
    """Write the whole file beside the old one, then put it in its place in one step."""
    content = {"course": _COURSE, "exercises": dict(sorted(entries.items()))}
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold `file`.lock; one left behind by a kernel that died is broken, a fresh one never is."""
    lock = file.with_name(file.name + ".lock")
    deadline = time.monotonic() + _PATIENCE
    while not _created(lock):
        if _age(lock) > _STALE:
            _break(lock)
        elif time.monotonic() > deadline:
            raise TimeoutError(f"another notebook is writing (it holds {lock.name})")
        time.sleep(0.005)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()


def _break(lock: Path) -> None:
    """Remove a stale lock, and put it back if another waiter was faster and this one is fresh."""
    aside = lock.with_name(f"{lock.name}-{os.getpid()}-{threading.get_ident()}")
    with suppress(FileNotFoundError):
        os.rename(lock, aside)  # another OSError reaches the caller, which reports it
        if _age(aside) > _STALE:
            aside.unlink()
        else:
            os.rename(aside, lock)


def _created(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    except FileExistsError:
        return False
    except PermissionError:
        if os.name == "nt" and lock.exists():  # Windows: it is being deleted
            return False
        raise


def _age(lock: Path) -> float:
    try:
        return abs(time.time() - lock.stat().st_mtime)  # a clock may have been set back
    except OSError:  # just released
        return 0.0


@dataclass(repr=False)
class Progress(Shown):
    """The exercises of the course with what the progress file says of each.

    Attributes:
        titles: The title of each exercise, by key.
        entries: For each exercise tried: `attempts` and, if solved, the date `solved`.
        note: A line on the file itself.
    """

    titles: dict[str, str]
    entries: dict[str, dict[str, Any]]
    note: str

    @property
    def solved(self) -> list[str]:
        """The keys of the exercises solved so far."""
        return [key for key in self.titles if self.entries.get(key, {}).get("solved")]

    def __repr__(self) -> str:
        return f"<Progress: {self._summary()}>"

    def _summary(self) -> str:
        return f"{len(self.solved)} of {len(self.titles)} exercises solved"

    def _state(self, key: str) -> str:
        entry = self.entries.get(key, {})
        if entry.get("solved"):
            return f"✓ solved on {entry['solved'][:10]}"
        attempts = entry.get("attempts", 0)
        if not attempts:
            return "○ not tried yet"
        return f"✗ tried {attempts} time{'s' if attempts > 1 else ''}"

    def text(self) -> str:
        """Return the table as plain text."""
        width = max(map(len, self.titles), default=0)
        rows = [
            f"  {key:<{width}}  {self._state(key):<23}  {title}"
            for key, title in self.titles.items()
        ]
        return "\n".join([self._summary() + ".", *rows, self.note])

    def html(self) -> str:
        """Return the table as HTML."""
        style = 'style="text-align:left; padding:0.2em 0.8em"'
        rows = "".join(
            f'<tr><th scope="row" {style}>{inline_html(title)}</th>'
            f"<td {style}>{inline_html(f'`{key}`')}</td>"
            f"<td {style}>{escape(self._state(key))}</td></tr>"
            for key, title in self.titles.items()
        )
        heads = "".join(
            f'<th scope="col" {style}>{name}</th>' for name in ("Exercise", "Name", "State")
        )
        return (
            '<table class="companion-progress">'
            f'<caption style="color:inherit">{self._summary()}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
            f"<p><small>{escape(self.note)}</small></p>"
        )


def read(titles: Mapping[str, str]) -> Progress:
    """Return the progress on the exercises with these titles."""
    try:
        entries, note = _load(Path(os.path.realpath(path())))
        note = note or f"Kept in {path()}; the file is yours."
    except (OSError, RuntimeError) as error:
        entries, note = {}, f"Your progress in {path()} could not be read: {error}."
    return Progress(dict(titles), entries, note)
