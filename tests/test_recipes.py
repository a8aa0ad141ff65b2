"""The recipes of the pretrained models, run on few images for few epochs."""

import json
import sys

import pytest
import torch

from companion import checkpoints, pretrained
from companion.data import mnist5k
from companion.recipes import __main__ as command
from companion.recipes import vaes
from companion.recipes.vaes import Phase, Recipe, measure, strided, train
from companion.training import Run

SMALL = Recipe(
    {"latent_dim": 3, "hidden_dims": [16, 8], "prior": "vamp", "n_components": 4},
    (Phase(2, 1e-3), Phase(1, 1e-4)),
)
RUN = Run("cpu", progress=False)


@pytest.fixture(scope="module")
def images():
    return mnist5k("train").images[:400]


def test_training_continues_where_it_was_interrupted(images, tmp_path):
    whole = train(SMALL, images, _folder(tmp_path / "a"), RUN).state_dict()
    first_phase = SMALL._replace(phases=SMALL.phases[:1])
    train(first_phase, images, _folder(tmp_path / "b"), RUN)
    continued = train(SMALL, images, tmp_path / "b", RUN).state_dict()
    assert all(torch.equal(whole[key], continued[key]) for key in whole)


def test_the_figures_have_their_order_and_their_counts(images):
    model = vaes.start(SMALL, images).eval()
    figures = measure(model, images, n_samples=20, n_bounds=50)
    assert figures["elbo"]["n_images"] == 400
    assert figures["importance_weighted_bound"]["n_images"] == 50
    assert figures == measure(model, images, n_samples=20, n_bounds=50)


def test_a_strided_subset_spreads_over_the_whole():
    assert strided(torch.arange(10), 5).tolist() == [0, 2, 4, 6, 8]
    assert strided(torch.arange(10), 10).tolist() == list(range(10))
    assert len(strided(torch.arange(10_000), 2_000)) == 2_000


def test_the_command_writes_weights_and_a_card_that_load(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "mnist", lambda *_args, **_kwargs: mnist5k("test"))
    monkeypatch.setitem(vaes.RECIPES, "vae_2d", SMALL)
    options = ["--out", str(tmp_path), "--checkpoints", str(tmp_path / "c"), "--device", "cpu"]
    sizes = ["--samples", "5", "--bounds", "20"]
    monkeypatch.setattr(sys, "argv", ["recipes", "vae_2d", *options, *sizes])
    command.main()
    card = json.loads(capsys.readouterr().out)
    assert card["epochs"] == 3
    assert card["sha256"] == pretrained.file_hash(tmp_path / "vae_2d.safetensors")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    weights = checkpoints.load(tmp_path / "vae_2d.safetensors").tensors
    assert pretrained.load("vae_2d").state_dict().keys() == weights.keys()


def _folder(path):
    path.mkdir()
    return path
