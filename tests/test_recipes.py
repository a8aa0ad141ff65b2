"""The recipes of the pretrained models, run on few images for few epochs."""

import json
import sys

import pytest
import torch

from companion import pretrained
from companion.data import mnist5k
from companion.recipes import __main__ as command
from companion.recipes import vaes
from companion.recipes.vaes import Phase, Recipe, measure, strided, train
from companion.training import Run, checkpoints
from companion.training._resume import SavedRun

SMALL = Recipe(
    {"latent_dim": 3, "hidden_dims": [16, 8], "prior": "vamp", "n_components": 4},
    (Phase(2, 1e-3), Phase(1, 1e-4)),
)
RUN = Run("cpu", progress=False)


@pytest.fixture(scope="module")
def images():
    return mnist5k("train").images[:400]


def test_training_continues_where_it_was_interrupted(images, tmp_path, monkeypatch):
    whole = train(SMALL, images, RUN).state_dict()
    run = Run("cpu", progress=False, checkpoint=tmp_path / "run")
    save, saved = SavedRun.save, []

    def stops(run):
        save(run)
        saved.append(run)
        if len(saved) == 3:  # before the first epoch, and after two
            raise KeyboardInterrupt

    monkeypatch.setattr(SavedRun, "save", stops)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, images, run)
    monkeypatch.undo()
    continued = train(SMALL, images, run).state_dict()
    assert all(torch.equal(whole[key], continued[key]) for key in whole)


def test_the_figures_have_their_order_and_their_counts(images):
    model = vaes.start(SMALL, images).eval()
    figures = measure(model, images, n_samples=20, n_bounds=50)
    assert figures["elbo"]["n_images"] == 400
    assert figures["importance_weighted_bound"]["n_images"] == 50
    assert figures == measure(model, images, n_samples=20, n_bounds=50)


def test_each_phase_has_its_epochs_and_its_rate(images, monkeypatch):
    calls = []
    monkeypatch.setattr(vaes, "fit", lambda _model, _images, **options: calls.append(options))
    for recipe in (SMALL, vaes.RECIPES["vae"], vaes.RECIPES["vae_2d"]):
        train(recipe, images, RUN)
        settings = calls.pop()
        epochs, batches = settings["epochs"], 54
        rates = [
            settings["learning_rate"] * settings["schedule"]((epoch + step / batches) / epochs)
            for epoch in range(epochs)
            for step in range(batches)
        ]
        expected = [p.learning_rate for p in recipe.phases for _ in range(p.epochs * batches)]
        assert rates == pytest.approx(expected)


def test_a_model_starts_at_the_mean_image_and_at_training_images(images):
    model = vaes.start(SMALL, images)
    mean_image = images.mean(0).flatten().clamp(1e-3, 1 - 1e-3)
    torch.testing.assert_close(model.decoder.layers[-1].bias.detach().sigmoid(), mean_image)
    pseudo_inputs = model.prior.pseudo_inputs.detach()
    torch.testing.assert_close(pseudo_inputs, images[::100].clamp(0.02, 0.98))


def test_the_bound_is_measured_on_images_spread_over_the_set(images, monkeypatch):
    seen = []
    bound = vaes.importance_weighted_bound
    monkeypatch.setattr(
        vaes,
        "importance_weighted_bound",
        lambda model, x, *rest, **options: seen.append(x) or bound(model, x, *rest, **options),
    )
    measure(vaes.start(SMALL, images).eval(), images, n_samples=2, n_bounds=50)
    binary = vaes.binarize(images, generator=vaes.generator_for("cpu", vaes.EVALUATION_SEED))
    assert torch.equal(torch.cat(seen), binary[::8])


def test_a_strided_subset_spreads_over_the_whole():
    assert strided(torch.arange(10), 5).tolist() == [0, 2, 4, 6, 8]
    assert strided(torch.arange(10), 10).tolist() == list(range(10))
    assert len(strided(torch.arange(10_000), 2_000)) == 2_000


def test_the_command_writes_weights_and_a_card_that_load(images, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        command, "mnist", lambda split, **options: asked.append((split, options)) or mnist5k("test")
    )
    monkeypatch.setitem(vaes.RECIPES, "vae_2d", SMALL)
    monkeypatch.chdir(tmp_path)
    options = ["--device", "cpu", "--samples", "5", "--bounds", "20"]
    monkeypatch.setattr(sys, "argv", ["recipes", "vae_2d", *options])
    command.main()
    written = tmp_path / "retrained"  # not over the files of the package
    assert [split for split, _ in asked] == ["train", "test"]
    assert asked[0][1]["exclude_mnist5k"]
    card = json.loads(capsys.readouterr().out)
    assert card["epochs"] == 3
    assert card["sha256"] == pretrained.file_hash(written / "vae_2d.safetensors")
    monkeypatch.setattr(pretrained, "FOLDER", written)
    weights = checkpoints.load(written / "vae_2d.safetensors").tensors
    assert pretrained.load("vae_2d").state_dict().keys() == weights.keys()
