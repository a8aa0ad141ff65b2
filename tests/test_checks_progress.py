"""The progress file: kept, shared between notebooks, never lost."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from check_fixtures import ELBO_KEYS, SQUARE, make_progress_file, make_square  # noqa: F401

from companion.checks import _progress, check
from companion.checks._registry import all_exercises

pytestmark = pytest.mark.usefixtures("progress_file", "square")


def solve():
    return check(SQUARE, lambda x: x**2)


def saved(file):
    return json.loads(file.read_text())["exercises"]


def test_progress_is_kept(progress_file, capsys):
    check(SQUARE, lambda x: x)
    assert saved(progress_file) == {SQUARE: {"attempts": 1}}
    solve()
    check(SQUARE, lambda x: x)  # solved stays solved
    assert saved(progress_file)[SQUARE]["attempts"] == 3
    assert saved(progress_file)[SQUARE]["solved"][:2] == "20"
    check("elbo.kl", lambda a, b, c, d: a)
    capsys.readouterr()
    progress = check.progress()
    assert progress.solved == [SQUARE]
    text = capsys.readouterr().out
    assert f"1 of {len(all_exercises())} exercises solved" in text
    assert "✗ tried 1 time " in text
    assert "○ not tried yet" in text
    assert str(progress_file) in text
    html = progress._repr_html_()
    assert "exercises solved</caption>" in html
    assert html.count("<tr>") == len(all_exercises()) + 1
    assert sorted(os.listdir(progress_file.parent)) == ["progress.json"]  # nothing left over


def test_the_chapters_order_is_kept():
    keys = list(check.progress().titles)
    assert keys[: len(ELBO_KEYS)] == ELBO_KEYS
    chapters = list(dict.fromkeys(key.partition(".")[0] for key in keys if key != SQUARE))
    assert chapters == ["elbo", "reparameterization", "mnist", "mixtures", "attacks", "gan"]


def test_progress_shows_the_numbers(progress_file, capsys):
    check("1.2", lambda a, b, c, d: a)
    assert list(saved(progress_file)) == ["elbo.kl"]  # kept by name: numbers may change
    capsys.readouterr()
    html = check.progress()._repr_html_()
    for number in range(1, len(ELBO_KEYS) + 1):
        assert f">1.{number} " in html
    assert "  1.2 The Gaussian KL divergence in code" in capsys.readouterr().out


def test_what_is_not_recorded(progress_file):
    check(SQUARE, lambda x: x**2, record=False)
    check(SQUARE, ...)
    check("elbo.unknown", 1)
    assert not progress_file.exists()


def test_entries_we_do_not_know_are_kept(progress_file):
    progress_file.parent.mkdir()
    entry = {"attempts": 2, "comment": "mine"}
    progress_file.write_text(json.dumps({"exercises": {"later.chapter": entry}}))
    solve()
    assert saved(progress_file)["later.chapter"] == entry


BROKEN = {
    "empty": b"",
    "half": b'{"exercises": {"elbo.kl": {"att',
    "not text": b"\xff\xfe\x00\x80",
    "not ours": b"[1, 2]",
    "no dict": b'{"exercises": [1]}',
    "odd entry": b'{"exercises": {"elbo.kl": 7}}',
    "odd count": b'{"exercises": {"elbo.kl": {"attempts": "many"}}}',
    "odd date": b'{"exercises": {"elbo.kl": {"attempts": 1, "solved": 7}}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_moved_aside_and_not_lost(progress_file, content, capsys):
    progress_file.parent.mkdir()
    for _ in range(2):
        progress_file.write_bytes(content)
        assert "moved to" in solve().note
        assert SQUARE in saved(progress_file)
    progress_file.write_bytes(content)
    assert "moved to" in check.progress().note
    asides = [file for file in progress_file.parent.iterdir() if "unreadable" in file.name]
    assert [file.read_bytes() for file in asides] == [content] * 3


def test_a_place_that_cannot_be_written_costs_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "progress.json", tmp_path):
        monkeypatch.setenv("COMPANION_PROGRESS", str(place))
        capsys.readouterr()
        verdict = solve()
        assert verdict.status == "correct"
        assert "could not be saved" in verdict.note
        assert "\n" not in verdict.note
        assert "could not be" in capsys.readouterr().out
        assert "could not be read" in check.progress().note or place != tmp_path


def test_the_file_is_where_the_reader_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("COMPANION_PROGRESS", "~/mine.json")
    solve()
    assert (tmp_path / "mine.json").exists()
    monkeypatch.delenv("COMPANION_PROGRESS")
    assert _progress.path().name == "progress.json"
    assert "autoencoders-and-adversaries" in str(_progress.path())


def test_a_link_to_the_file_stays_a_link(tmp_path, monkeypatch):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    try:
        link.symlink_to(target)
    except OSError:  # Windows without the privilege: there are no links to keep
        return
    monkeypatch.setenv("COMPANION_PROGRESS", str(link))
    solve()
    assert link.is_symlink()
    assert SQUARE in saved(target)


def test_threads_do_not_lose_each_others_entries(progress_file, monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 600)  # on a busy machine nobody's lock is broken

    def work(name):
        for index in range(10):
            assert _progress.record(f"{name}.{index}", solved=True) == ""

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(saved(progress_file)) == 60


def test_notebooks_do_not_lose_each_others_entries(progress_file):
    code = "from companion.checks import _progress\n_progress._PATIENCE = 600\n" + (
        "for i in range(40): assert not _progress.record('{}.' + str(i), solved=True)"
    )
    command = [sys.executable, "-c"]
    running = [subprocess.Popen([*command, code.format(name)]) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    assert len(saved(progress_file)) == 80


@pytest.mark.parametrize("age", [60, -60])
def test_a_lock_left_behind_is_broken(progress_file, age):
    lock = make_lock(progress_file, age)
    assert solve().note == ""
    assert SQUARE in saved(progress_file)
    assert os.listdir(progress_file.parent) == ["progress.json"]
    _progress._break(lock)  # another waiter was faster still


def test_a_fresh_lock_is_never_stolen(progress_file, monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.05)
    lock = make_lock(progress_file, age=0)
    assert "could not be saved" in solve().note
    assert "another notebook is writing" in solve().note
    _progress._break(lock)  # as a waiter does that saw the lock before this one
    assert os.listdir(progress_file.parent) == [lock.name]


def make_lock(file, age):
    file.parent.mkdir()
    lock = file.with_name("progress.json.lock")
    lock.touch()
    os.utime(lock, (time.time() - age, time.time() - age))
    return lock


def test_a_failed_write_leaves_the_old_file(progress_file, monkeypatch):
    solve()
    before = progress_file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    assert "disk full" in solve().note
    assert progress_file.read_bytes() == before
    assert os.listdir(progress_file.parent) == ["progress.json"]


def test_a_lock_that_cannot_be_removed_does_not_hang(progress_file, monkeypatch, capsys):
    """The verdict still shows, with one line that says why nothing was recorded."""
    monkeypatch.setattr(_progress, "_PATIENCE", 0.05)
    lock = progress_file.with_name(progress_file.name + ".lock")
    lock.mkdir(parents=True)
    assert solve().status == "correct"
    assert "could not be saved" in capsys.readouterr().out
