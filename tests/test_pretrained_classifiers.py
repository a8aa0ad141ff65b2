"""The pretrained classifiers: their cards, and what the cards say measured anew."""

import pytest
import torch
from torch.nn import functional as F

from companion import pretrained
from companion.attacks import pgd
from companion.classifiers import Classifier
from companion.data import mnist, mnist5k
from companion.defenses import Scored
from companion.recipes.classifiers import RECIPES, Shifted, facts, measure, train
from companion.robustness import accuracy
from companion.training import Run, generator_for

NAMES = sorted(RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_recipe_and_the_file_is_small(name):
    card = pretrained.card(name)
    assert {key: card[key] for key in facts(RECIPES[name])} == facts(RECIPES[name])
    assert card["n_images"] == 54_000
    assert card["test"]["clean"]["n"] == card["test"]["pgd100x10"]["n"] == 10_000
    assert (pretrained.FOLDER / f"{name}.safetensors").stat().st_size < 3_000_000
    model = pretrained.load(name)
    assert isinstance(model, Classifier)
    assert not model.training


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_hold_on_the_embedded_digits(name):
    test, card = mnist5k("test"), pretrained.card(name)["test"]
    model, x, y = pretrained.load(name), *(part[:200] for part in test)
    clean = accuracy(model, *test)
    assert clean.low <= card["clean"]["high"]
    assert clean.high >= card["clean"]["low"]
    # Ten steps from one start break no more images than a hundred from ten, but for sampling.
    eps = card["pgd100x10"]["eps"]
    x_adv = pgd(model, x, y, eps=eps, steps=10, generator=generator_for("cpu", 0))
    assert accuracy(model, x_adv, y).high >= card["pgd100x10"]["low"]


@pytest.mark.parametrize("name", NAMES)
def test_clean_accuracy_is_measured_again(name, mnist_folder):
    digits = mnist("test", root=mnist_folder, download=False)
    found = accuracy(pretrained.load(name), *digits)
    assert found.value == pytest.approx(pretrained.card(name)["test"]["clean"]["value"], abs=2e-4)


def test_a_recipe_trains_in_small_and_is_measured(tmp_path):
    small = RECIPES["robust_mlp"]._replace(epochs=2, batch_size=50, decay=0.5, shift=1)
    images, labels = (part[:400] for part in mnist5k("train"))
    run = Run("cpu", progress=False, checkpoint=tmp_path / "run")
    model = train(small, images, labels, run).eval()
    again = train(small, images, labels, run).eval()  # from the checkpoint: at once
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    figures = measure(model, images[:50], labels[:50], eps=0.05, restarts=2)
    assert figures["clean"]["value"] > 0.3
    assert figures["pgd100x2"]["value"] <= figures["clean"]["value"]


def test_an_image_counts_as_its_worst_case():
    model = pretrained.load("natural_mlp")
    x, y = (part[:100] for part in mnist5k("test"))
    one, two = (measure(model, x, y, eps=0.04, restarts=n) for n in (1, 2))
    assert one["pgd100x1"]["value"] >= two["pgd100x2"]["value"]


def test_a_shift_moves_whole_images_in_training_only():
    seen = []
    shifted = Shifted(Spy(seen), most=2)
    x = torch.zeros(500, 1, 28, 28)
    x[:, :, 10, 12] = 1
    y = torch.zeros(500, dtype=torch.int64)
    shifted(x, y, generator=generator_for("cpu", 0))
    places = {tuple(place) for place in seen[0].nonzero()[:, 2:].tolist()}
    assert places == {(i, j) for i in range(8, 13) for j in range(10, 15)}
    assert seen[0].sum() == 500
    shifted.eval()(x, y)
    assert torch.equal(seen[1], x)
    corner = F.pad(torch.ones(1, 1, 1, 1), (0, 27, 0, 27)).expand(200, 1, 28, 28)
    shifted.train()(corner, y[:200], generator=generator_for("cpu", 1))
    assert seen[2].sum() == pytest.approx(200 * 9 / 25, abs=30)  # moved out, not around


class Spy(torch.nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x, y, *, generator=None):
        self.seen.append(x)
        return Scored(y.float(), y.float())
