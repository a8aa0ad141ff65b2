"""The pretrained models: their files, their cards, and their figures measured anew."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

import companion
from companion import pretrained
from companion.data import binarize, mnist, mnist5k
from companion.metrics import active_units, mean_with_error
from companion.recipes import classifiers
from companion.recipes.vaes import EVALUATION_SEED, RECIPES, start, strided
from companion.training import generator_for
from companion.vae import importance_weighted_bound

NAMES = ["vae", "vae_2d", "vae_mixture", "vae_vamp"]
SIGMAS = 4.0


def test_there_is_a_model_for_each_recipe():
    assert sorted(RECIPES) == NAMES
    assert pretrained.names() == sorted([*RECIPES, *classifiers.RECIPES])


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_recipe_and_the_file_is_small(name):
    card, recipe = pretrained.card(name), RECIPES[name]
    assert card["architecture"] == recipe.architecture
    assert card["phases"] == [phase._asdict() for phase in recipe.phases]
    assert card["epochs"] == sum(phase.epochs for phase in recipe.phases)
    assert (card["seed"], card["batch_size"]) == (recipe.seed, recipe.batch_size)
    assert card["n_images"] == 54_000
    assert card["test"]["importance_weighted_bound"]["n_samples"] == 5_000
    assert (pretrained.FOLDER / f"{name}.safetensors").stat().st_size < 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_model_loads_ready_for_use(name):
    model = pretrained.load(name)
    assert not model.training
    assert all(weight.isfinite().all() for weight in model.state_dict().values())


def test_the_model_goes_where_it_is_asked_and_draws_no_random_numbers():
    before = torch.get_rng_state()
    weights = pretrained.load("vae_2d", device="meta").state_dict().values()
    assert {weight.device.type for weight in weights} == {"meta"}
    assert torch.equal(torch.get_rng_state(), before)


def subset_of_mnist(folder):
    """The test images of MNIST as the recipes binarize them, and those of the bound."""
    images = mnist("test", root=folder, download=False).images
    return binarize(images, generator=generator_for("cpu", EVALUATION_SEED))


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_the_card_are_measured_again(name, mnist_folder):
    model, figures = pretrained.load(name), pretrained.card(name)["test"]
    x = strided(subset_of_mnist(mnist_folder), 500)
    noise = generator_for("cpu", 1)
    with torch.no_grad():
        elbo = mean_with_error(model(x, n_samples=5, generator=noise).value())
    assert abs(elbo.mean - figures["elbo"]["mean"]) < SIGMAS * elbo.standard_error
    # A bound with fewer samples is lower in expectation, and above the ELBO.
    bound = mean_with_error(importance_weighted_bound(model, x[:200], 100, generator=noise))
    stated = figures["importance_weighted_bound"]["mean"]
    assert bound.mean < stated + SIGMAS * bound.standard_error
    assert figures["elbo"]["mean"] < stated


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_hold_on_the_embedded_digits(name):
    """Those digits are held out too: the models never saw the first 6,000 training images."""
    model, figures = pretrained.load(name), pretrained.card(name)["test"]
    images = mnist5k("test").images
    x = binarize(images, generator=generator_for("cpu", 2))
    with torch.no_grad():
        elbo = mean_with_error(model(x, generator=generator_for("cpu", 3)).value())
    error = (elbo.standard_error**2 + figures["elbo"]["standard_error"] ** 2) ** 0.5
    # Other writers than in the test set, so the means need not be equal to the last nat.
    assert abs(elbo.mean - figures["elbo"]["mean"]) < SIGMAS * error + 4
    assert abs(int(active_units(model, x).sum()) - figures["active_units"]) <= 2


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    for name in ("vae_2d.json", "vae_2d.safetensors"):
        shutil.copy(pretrained.FOLDER / name, tmp_path)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    weights = tmp_path / "vae_2d.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"python -m companion\.recipes vae_2d"):
        pretrained.load("vae_2d")


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(ValueError, match="'vae', 'vae_2d', 'vae_mixture', 'vae_vamp'"):
        pretrained.load("vae-2d")


def test_an_installed_package_has_the_files():
    package = Path(companion.__file__).parent
    settings = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["companion"]
    for path in pretrained.FOLDER.glob("*.[!p]*"):
        assert any(path.relative_to(package).match(pattern) for pattern in patterns), path.name


def test_cards_are_plain_json():
    for path in pretrained.FOLDER.glob("*.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        assert path.read_text(encoding="utf-8") == json.dumps(card, indent=2) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_starts_the_same_model_each_time(name):
    images = torch.rand(300, 1, 28, 28, generator=generator_for("cpu", 4))
    before = torch.get_rng_state()
    first, second = (start(RECIPES[name], images).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first.keys() == pretrained.load(name).state_dict().keys()
