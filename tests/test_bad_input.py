"""What a bad input gets: the right exception, and a message that names the remedy.

The shape checker of the test run would catch many of these first. Readers do not have it, so it is
switched off here, and our own messages are what is tested.
"""

import importlib
import inspect
from pathlib import Path

import pytest
from bad_input import attacks, densities, estimators, export, games, mixtures, models, plots

import companion
from companion.page import profiles

ROOT = Path(companion.__file__).parents[1]

TABLES = (densities, models, mixtures, estimators, export, plots, attacks, games)
CASES = [case for table in TABLES for case in table.CASES]


pytestmark = pytest.mark.usefixtures("without_shape_checker")


@pytest.mark.parametrize(
    ("call", "error", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_bad_input_gets_an_exception_that_names_the_remedy(call, error, message):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the next line pins the type
        call()
    assert type(caught.value) is error
    assert message in str(caught.value)
    # The message comes from us, not from deep inside torch.
    last = caught.traceback[-1].path
    ours = (ROOT / "companion", ROOT / "tools")
    assert any(Path(last).is_relative_to(folder) for folder in ours), f"raised in {last}"


def test_an_unknown_profile_names_the_known_ones(monkeypatch):
    monkeypatch.setenv(profiles.VARIABLE, "fast")
    with pytest.raises(ValueError, match=r"must be one of 'quick', 'full', but it is 'fast'"):
        profiles.budget(quick=1, full=2)


def test_the_table_is_long_and_names_each_case_once():
    names = [case[0] for case in CASES]
    assert len(set(names)) == len(names) >= 100


@pytest.mark.parametrize(
    "module",
    [
        "companion.attacks.adaptive",
        "companion.attacks.auto_pgd",
        "companion.attacks.ball",
        "companion.attacks.gradient",
        "companion.attacks.losses",
        "companion.attacks.mode",
        "companion.attacks.sanity",
        "companion.classifiers",
        "companion.em",
        "companion.games.gan",
        "companion.games.losses",
        "companion.games.networks",
        "companion.games.play",
        "companion.games.remedies",
        "companion.samples",
        "companion.estimators",
        "companion.page._export",
        "companion.gaussian",
        "companion.likelihoods",
        "companion.linear_gaussian",
        "companion.metrics",
        "companion.mixture",
        "companion.networks",
        "companion.pretrained",
        "companion.priors",
        "companion.robustness",
        "companion.page.report",
        "companion.vae",
        "companion.training.wrappers",
    ],
)
def test_every_public_name_stands_in_the_table(module):
    module = importlib.import_module(module)
    table = "".join(map(inspect.getsource, TABLES))
    public = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }
    # What functions return, and what takes no arguments of its own.
    results = {"Elbo", "Estimate", "Posterior", "Likelihood", "Prior"}
    results |= {"Model", "WarmElbo", "EMFit", "KLDecomposition", "GradientSamples"}
    results |= {"Proportion", "RobustAccuracy", "ModeCount", "PrecisionRecall"}
    results |= {"MINIMAX", "NON_SATURATING", "WASSERSTEIN", "HINGE", "LEAST_SQUARES"}  # pairs
    results |= {"Ball", "LinfBall", "L2Ball", "ball_around", "column", "intervals"}  # for attacks
    results |= {"rows_in_bytes"}  # of weights that export_mlp has looked at
    without_arguments = {"use_style", "names", "file_hash"}
    assert {
        name for name in public - results - without_arguments if f"{name}(" not in table
    } == set()
