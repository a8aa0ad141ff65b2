"""The figure "attack" in a real browser: its networks and its attack, against torch."""

import json
import re

import numpy as np
import pytest
import torch
from attack_figure import (
    N_DIGITS,
    NETWORKS,
    PARTS,
    assert_shows,
    attacked,
    digits,
    gradient,
    network,
    probabilities,
    reads,
    ready,
    table,
)
from widget_pages import Figures

from companion import pretrained
from companion.data import mnist5k
from companion.page.widget import FOLDER
from companion.robustness import accuracy

ATTACKS = [
    ("linf", 0.1, 1),
    ("linf", 0.3, 5),
    ("linf", 0.05, 40),
    ("l2", 1.0, 1),
    ("l2", 3.0, 20),
    ("l2", 0.5, 40),
]


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "attack")
    yield figures.open
    figures.finish()


def on_all(page, name, expression):
    """An expression of `net`, `x` and `label`, for each held-out digit."""
    script = f"""name => {{
        const {{model, attack, finish, smallest}} = CompanionWidgets.attack;
        const {{nets, pictures}} = model();
        const net = nets[name];
        return pictures.map(({{x, label}}) => {expression});
    }}"""
    return page.evaluate(script, name)


def test_the_digits_are_held_out_ones(open_page):
    pictures = open_page().evaluate(
        "CompanionWidgets.attack.model().pictures.map(({x, label}) => [label, [...x]])"
    )
    x, y = digits()
    assert [label for label, _ in pictures] == y.tolist()
    assert np.bincount(y).tolist() == [2] * 10
    assert np.array_equal([values for _, values in pictures], x.flatten(1))
    np.testing.assert_allclose(x, mnist5k("test").images[:N_DIGITS], atol=1e-7)


@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities_and_gradients_are_those_of_torch(open_page, name):
    page, (x, y) = open_page(), digits()
    ours = np.array(on_all(page, name, "[...net.probabilities(x)]"))
    assert np.abs(ours - probabilities(name, x)).max() < 1e-9
    ours = np.array(on_all(page, name, "[...net.gradient(x, label)]"))
    exact = gradient(name, x, y).flatten(1).numpy()
    assert np.abs(ours - exact).max() < 1e-9
    assert np.abs(exact).max() > 0.01
    ours = np.array(on_all(page, name, "[...net.gradient(x, (label + 1) % 10)]"))
    np.testing.assert_allclose(ours, gradient(name, x, (y + 1) % 10).flatten(1), atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("norm", "eps", "steps"), ATTACKS)
def test_the_attack_is_that_of_the_companion(open_page, name, norm, eps, steps):
    page, (x, y) = open_page(), digits()
    options = json.dumps({"norm": norm, "eps": eps, "steps": steps})
    ours = np.array(on_all(page, name, f"[...finish(attack(net, x, label, {options}))]"))
    theirs = attacked(name, x, y, norm=norm, eps=eps, steps=steps)
    assert np.abs(ours - theirs.flatten(1).numpy()).max() < 1e-4
    assert (theirs - x).abs().amax() > 0.03


@pytest.mark.parametrize("name", NETWORKS)
def test_rounding_the_weights_changes_little(name):
    """The networks of the page answer as those of the text do."""
    images, labels = mnist5k("test")
    exact, rounded = pretrained.load(NETWORKS[name]), network(name)
    ours = accuracy(rounded, images.double(), labels).value
    assert abs(ours - accuracy(exact, images, labels).value) <= 0.003
    # What was attacked on the page's network fools the exact one too.
    some = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:200]
    x, y = images[some].double(), labels[some]
    found = attacked(name, x, y, norm="linf", eps=0.1, steps=5)
    theirs = accuracy(exact, found.float(), y).value
    assert abs(accuracy(rounded, found, y).value - theirs) <= 0.015


@pytest.mark.parametrize(("norm", "steps"), [("linf", 1), ("linf", 5), ("l2", 3)])
def test_the_smallest_radius_fools_and_the_next_smaller_does_not(open_page, norm, steps):
    page, (x, y) = open_page(), digits()
    call = f"finish(smallest(net, x, label, {{norm: '{norm}', steps: {steps}}}))"
    for name in NETWORKS:
        found = on_all(page, name, call)
        right = [read == label for read, label in zip(reads(name, x), y.tolist(), strict=True)]
        assert [radius != 0 for radius in found] == right
        for i, radius in enumerate(found):
            one = {"norm": norm, "steps": steps}
            if radius is None:
                top = attacked(name, x[i : i + 1], y[i : i + 1], eps=300 / PARTS[norm], **one)
                assert reads(name, top) == [y[i]]
            elif radius > 0:
                multiple = round(radius * PARTS[norm])
                below = (multiple - 1) / PARTS[norm]
                for eps, errs in ((radius, True), (below, False)):
                    end = attacked(name, x[i : i + 1], y[i : i + 1], eps=eps, **one)
                    assert (reads(name, end) != [y[i]]) == errs, (name, i, eps)


def test_the_answers_are_true(open_page):
    """What the tasks say of all digits here."""
    page, (x, y) = open_page(), digits()

    def radii(name, norm, steps):
        call = f"finish(smallest(net, x, label, {{norm: '{norm}', steps: {steps}}}))"
        found = on_all(page, name, call)
        return np.array([np.inf if radius is None else radius for radius in found])

    both = np.array(reads("natural", x)) == y.numpy()
    assert (both == (np.array(reads("robust", x)) == y.numpy())).all()
    assert both.tolist() == [True] * 19 + [False]
    natural, robust = (
        {steps: radii(name, "linf", steps)[both] for steps in (1, 2, 3, 5, 20)} for name in NETWORKS
    )
    # An infinite radius lies above 0.3, the end of the search.
    assert (np.minimum(robust[20], 0.3) > 2 * natural[20]).all()
    assert (natural[2] <= natural[1]).all()
    assert (robust[2] <= robust[1]).mean() > 0.75
    assert (np.isinf(robust[1]) & np.isfinite(robust[3])).sum() >= 3
    for found in (natural, robust):
        settled = np.isfinite(found[5])
        assert (found[20][settled] > 0.9 * found[5][settled]).all()
    assert any((robust[b] > robust[a]).any() for a, b in ((1, 2), (2, 3)))
    natural, robust = (radii(name, "l2", 20)[both] for name in NETWORKS)
    assert (robust > natural).all()


def test_the_note_is_true():
    text = (FOLDER / "attack.js").read_text(encoding="utf-8")
    for name in NETWORKS.values():
        sizes = [
            layer.weight.shape for layer in pretrained.load(name).layers if hasattr(layer, "weight")
        ]
        units = "–".join(str(size) for size in [sizes[0][1], *(size[0] for size in sizes)])
        assert f"{units} units" in text
    card = pretrained.card("robust_mlp")
    assert card["defense"]["eps"] == 0.1
    assert re.search(r"trained on attacks with <i>ε</i> up to 0\.1 in linf", " ".join(text.split()))


def test_the_figure_starts_with_an_attack_and_fills_its_table(open_page):
    page, (x, y) = open_page(), digits()
    assert_shows(page, x[7:8], y[7:8], norm="linf", eps=0.1, steps=20)
    ready(page, "searched")
    found = table(page)
    assert list(found) == [(n, name) for n in (1, 2, 3, 5, 20, 40) for name in NETWORKS]
    for steps, name in [(1, "natural"), (5, "robust"), (20, "natural")]:
        eps = float(found[steps, name])
        end = attacked(name, x[7:8], y[7:8], norm="linf", eps=eps, steps=steps)
        assert reads(name, end) != [7]
    assert found[1, "robust"] == "over 0.3"
