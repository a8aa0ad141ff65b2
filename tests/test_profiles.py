"""The two profiles."""

import pytest

from companion.page.profiles import VARIABLE, budget, profile


def test_quick_is_what_a_reader_gets_unasked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert profile() == "quick"
    assert budget(quick=1, full=2) == 1


@pytest.mark.parametrize(("name", "value"), [("quick", 1), ("full", 2)])
def test_the_environment_chooses(name, value, monkeypatch):
    monkeypatch.setenv(VARIABLE, name)
    assert profile() == name
    assert budget(quick=1, full=2) == value


@pytest.mark.parametrize("name", ["Full", "fast", " quick", ""])
def test_another_profile_is_an_error_that_names_the_two(name, monkeypatch):
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(ValueError, match=f"`{VARIABLE}` must be one of 'quick', 'full'"):
        budget(quick=1, full=2)
