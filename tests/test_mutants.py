"""The suite's own assertions reject every published bug."""

import mutants.attacks
import mutants.games
import mutants.mixtures
import mutants.models  # noqa: F401 - each enters its bugs into MUTANTS
import pytest
from mutants.densities import MUTANTS, Mutant


def _name(mutant: Mutant) -> str:
    return f"{mutant.assertion.__name__.removeprefix('assert_')}: {mutant.fault}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_the_suite_rejects_the_bug(mutant):
    with pytest.raises(AssertionError):
        mutant.assertion(mutant.function)


def test_every_bug_is_named_once():
    names = [_name(mutant) for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 40
