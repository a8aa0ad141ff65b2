"""Losses, penalties, and the loop for several players."""

import inspect
import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from mutants.games import RIGHT
from oracles import games as oracles
from oracles.densities import generator
from torch import nn
from torch.nn import functional as F

from companion import games
from companion.data.toys import ring
from companion.games import (
    GAN,
    HINGE,
    LEAST_SQUARES,
    MINIMAX,
    NON_SATURATING,
    WASSERSTEIN,
    ParallelMLP,
    Player,
    play,
)
from companion.games.play import _set_rates
from companion.training import Run, WeightAverage, cosine
from companion.training._state import pack

QUIET = Run(device="cpu", progress=False)
PAIRS = (MINIMAX, NON_SATURATING, WASSERSTEIN, HINGE, LEAST_SQUARES)


# --- losses and penalties ---


def test_losses_equal_the_papers_formulas():
    oracles.assert_logistic_discriminator(games.logistic_discriminator)
    oracles.assert_minimax_generator(games.minimax_generator)
    oracles.assert_non_saturating_generator(games.non_saturating_generator)
    oracles.assert_wasserstein(games.wasserstein_critic)
    oracles.assert_hinge_discriminator(games.hinge_discriminator)
    oracles.assert_least_squares(games.least_squares_discriminator)
    x = oracles.logits(10)
    torch.testing.assert_close(games.wasserstein_generator(x), -x)
    torch.testing.assert_close(games.least_squares_generator(x), (x - 1) ** 2 / 2)


def test_the_best_discriminator_of_two_gaussians_leaves_the_divergence():
    oracles.assert_minimum_is_divergence(games.logistic_discriminator)


def test_a_trained_discriminator_comes_close_to_the_best_one():
    """On two 1-D Gaussians the fit of a parabola, the exact form of log p - log q."""
    source = generator(0)
    p = -0.7 + 0.8 * torch.randn(20_000, 1, generator=source)
    q = 0.5 + 1.3 * torch.randn(20_000, 1, generator=source)

    class Parabola(nn.Linear):
        def forward(self, x):
            return super().forward(torch.cat([x, x**2], dim=1)).squeeze(1)

    net = Parabola(2, 1)

    def loss(real, fake, *, generator):
        return games.logistic_discriminator(net(real), net(fake))

    player = Player(net, loss, learning_rate=0.1, optimizer=torch.optim.Adam)
    history = play({"d": player}, (p, q), epochs=8, batch_size=500, schedule=cosine(), run=QUIET)
    x = torch.linspace(-2.5, 2.5, 21)
    exact = torch.tensor(oracles.P.logpdf(x) - oracles.Q.logpdf(x), dtype=torch.float32)
    with torch.no_grad():
        assert (net(x[:, None]).sigmoid() - exact.sigmoid()).abs().max() < 0.03
    found = math.log(2) - history.train["d"][-1] / 2
    assert abs(found - oracles.js_divergence()) < 0.01


def test_gradients_of_the_two_generators_where_the_discriminator_is_sure():
    fake = torch.tensor([-12.0], requires_grad=True)
    (minimax,) = torch.autograd.grad(games.minimax_generator(fake).sum(), fake)
    (other,) = torch.autograd.grad(games.non_saturating_generator(fake).sum(), fake)
    assert -1e-5 < minimax.item() < 0
    assert -1 < other.item() < -0.9999
    both = torch.zeros(1, requires_grad=True)
    for loss in (games.minimax_generator, games.non_saturating_generator):
        assert torch.autograd.grad(loss(both).sum(), both)[0].item() == -0.5


def test_every_generators_loss_falls_with_the_score_and_every_pair_is_separated():
    low, high = torch.full((3,), -0.5), torch.full((3,), 0.5)
    for pair in PAIRS:
        assert (pair.generator(high) < pair.generator(low)).all()
        assert (pair.discriminator(high, low) < pair.discriminator(low, high)).all()


def test_penalties_and_remedies():
    oracles.assert_gradient_penalty(games.gradient_penalty)
    oracles.assert_r1(games.r1)
    oracles.assert_packed(games.packed)
    oracles.assert_spectrally_normalized(games.spectrally_normalized)


# --- the game ---


def test_the_game_equals_a_loop_by_hand():
    oracles.assert_plays_like_by_hand(play)
    oracles.assert_plays_like_by_hand(RIGHT)


def test_in_a_turn_only_the_players_own_parameters_move():
    oracles.assert_only_own_parameters_move(play)
    oracles.assert_only_own_parameters_move(RIGHT)


def test_a_forgotten_detach_moves_nobody_else():
    first, second = oracles.networks()

    def loss(x, *, generator):
        fake = first(torch.randn(len(x), 2, generator=generator))
        assert not fake.requires_grad  # the other player's: no graph is built
        return NON_SATURATING.discriminator(second(x)[:, 0], second(fake)[:, 0])

    def other(x, *, generator):
        return second(first(torch.randn(len(x), 2, generator=generator)))[:, 0]

    players = {"discriminator": Player(second, loss), "generator": Player(first, other)}
    play(players, oracles.DATA, **oracles.SETTINGS)
    assert all(w.requires_grad and w.grad is None for w in first.parameters())


def test_each_step_of_a_turn_has_its_own_share_of_the_batch():
    oracles.assert_steps_have_their_own_shares(play)
    oracles.assert_steps_have_their_own_shares(RIGHT)


def test_parameters_require_gradients_again_also_after_an_error():
    first, second = oracles.networks()
    first[0].bias.requires_grad_(False)

    def loss(x, *, generator):
        if not first[0].weight.requires_grad:
            raise KeyboardInterrupt
        return second(first(x))[:, 0]

    players = {"first": Player(first, loss), "second": Player(second, loss)}
    with pytest.raises(KeyboardInterrupt):
        play(players, oracles.DATA, **oracles.SETTINGS)
    assert all(w.requires_grad for w in [*second.parameters(), first[0].weight])
    assert not first[0].bias.requires_grad  # what came frozen stays frozen


def test_two_players_may_move_one_network_each_with_its_own_optimizer():
    """As in an adversarial autoencoder: three players, the encoder moves in two turns."""
    torch.manual_seed(0)
    encoder, decoder, judge = nn.Linear(2, 1), nn.Linear(1, 2), nn.Linear(1, 1)
    moved = []

    def noted(name, loss):
        def with_note(x, *, generator):
            both = [encoder.weight.detach().clone(), judge.weight.detach().clone()]
            moved.append((name, *both))
            return loss(x, generator)

        return with_note

    reconstruct = noted("r", lambda x, g: (decoder(encoder(x)) - x).square().sum(1))
    judged = noted("d", lambda x, g: F.softplus(-judge(encoder(x)))[:, 0])
    fooled = noted("g", lambda x, g: F.softplus(judge(encoder(x)))[:, 0])
    players = {
        "autoencoder": Player(nn.ModuleList([encoder, decoder]), reconstruct),
        "discriminator": Player(judge, judged),
        "encoder": Player(encoder, fooled),
    }
    history = play(players, oracles.DATA, **oracles.SETTINGS)
    assert set(history.train) == {"autoencoder", "discriminator", "encoder"}
    names = {"r": (True, False), "d": (False, True), "g": (True, False)}
    for (name, *before), (_, *after) in pairwise(moved):
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert tuple(changed) == names[name]


def players_with(average=True):
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    discriminator = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.2), nn.Linear(4, 1))
    gan = GAN(generator, discriminator, latent_dim=2)
    return {
        "discriminator": Player(discriminator, gan.discriminator_loss, steps=2),
        "generator": Player(
            generator,
            gan.generator_loss,
            average=WeightAverage(generator, 0.9) if average else None,
        ),
    }


def _tensors(players):
    averages = {f"{n} average": p.average for n, p in players.items() if p.average is not None}
    return pack({name: p.moves for name, p in players.items()} | averages)[0]


def test_a_game_resumes_with_the_same_bits_and_refuses_other_settings(tmp_path):
    data = ring(40, generator=generator(0))
    settings = {"batch_size": 10, "seed": 2}
    run = Run(device="cpu", progress=False, checkpoint=tmp_path / "game")
    whole = players_with()
    curves = play(whole, data, epochs=4, **settings, run=QUIET)
    play(players_with(), data, epochs=2, **settings, run=run)
    resumed = players_with()
    assert play(resumed, data, epochs=4, **settings, run=run) == curves
    expected = _tensors(whole)
    assert all(torch.equal(t, expected[name]) for name, t in _tensors(resumed).items())
    other = players_with()
    other["generator"] = replace(other["generator"], learning_rate=0.5)
    with pytest.raises(ValueError, match="generator: learning_rate"):
        play(other, data, epochs=5, **settings, run=run)


def test_the_average_follows_once_a_turn():
    players = players_with()
    start = _tensors({"generator": players["generator"]})["generator.3.weight"].clone()
    play(players, ring(10, generator=generator(0)), epochs=1, batch_size=10, run=QUIET)
    now = players["generator"].moves[3].weight
    expected = 0.9 * start + 0.1 * now
    found = players["generator"].average.model[3].weight
    torch.testing.assert_close(found, expected)


def test_a_seed_decides_everything_and_modes_come_back():
    data = ring(40, generator=generator(0))
    runs = []
    for seed in (3, 3, 4):
        players = players_with()
        players["generator"].moves.eval()
        play(players, data, epochs=2, batch_size=10, seed=seed, run=QUIET)
        assert not players["generator"].moves.training
        assert players["generator"].moves[1].num_batches_tracked > 0  # it was in training mode
        runs.append(_tensors(players)["generator.0.weight"])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_the_schedule_scales_every_rate():
    seen = []
    net = nn.Linear(2, 1)

    def loss(x, *, generator):
        return net(x)[:, 0]

    made = []

    def optimizer(weights, lr):
        made.append(torch.optim.SGD(weights, lr=lr))
        return made[-1]

    def schedule(progress):
        seen.append(progress)
        return 1 - progress

    players = {n: Player(net, loss, rate, optimizer) for n, rate in (("a", 0.5), ("b", 0.1))}
    play(players, torch.ones(20, 2), epochs=1, batch_size=5, schedule=schedule, run=QUIET)
    assert sorted(set(seen)) == [0, 0.25, 0.5, 0.75]
    torch.testing.assert_close([m.param_groups[0]["lr"] for m in made], [0.125, 0.025])
    tensor = torch.tensor(0.5)  # as in a captured graph
    made[0].param_groups[0]["lr"] = tensor
    _set_rates({"a": made[0]}, lambda _: 0.5, 0.0)
    assert tensor.item() == 0.25


def test_heldout_data_go_to_evaluate():
    net = nn.Sequential(nn.Linear(2, 1), nn.Dropout(0.5))
    players = {"a": Player(net, lambda x, *, generator: net(x)[:, 0])}

    def evaluate(batch, generator):
        assert not net.training
        return {"sum": batch[0].sum(1)}

    history = play(
        players,
        torch.ones(8, 2),
        epochs=2,
        heldout=torch.ones(4, 2),
        evaluate=evaluate,
        run=QUIET,
    )
    assert history.heldout == {"sum": [2.0, 2.0]}


# --- the GAN's losses ---


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("pair", PAIRS)
def test_the_losses_of_a_gan_are_those_of_its_pair(pair, packing):
    first, _ = oracles.networks()
    second = nn.Linear(2 * packing, 1)
    gan = GAN(first, second, latent_dim=2, losses=pair, packing=packing)
    x = ring(6, generator=generator(1))
    with torch.no_grad():
        noise = torch.randn(6, 2, generator=generator(2))
        fake = first(noise).reshape(6 // packing, -1)
        on_fake, on_real = second(fake)[:, 0], second(x.reshape(6 // packing, -1))[:, 0]
    found = gan.discriminator_loss(x, generator=generator(2))
    torch.testing.assert_close(found, pair.discriminator(on_real, on_fake))
    found = gan.generator_loss(x, generator=generator(2))
    torch.testing.assert_close(found, pair.generator(on_fake))
    punished = replace(gan, penalty=lambda critic, real, fake, *, generator: critic(real) * 0 + 7)
    more = punished.discriminator_loss(x, generator=generator(2)) - gan.discriminator_loss(
        x, generator=generator(2)
    )
    torch.testing.assert_close(more, torch.full_like(more, 7.0))


def test_a_penalty_reaches_the_discriminators_weights():
    first, second = oracles.networks()

    def penalty(critic, real, fake, *, generator):
        return 10 * games.gradient_penalty(critic, real, fake, generator=generator)

    gan = GAN(first, second, latent_dim=2, losses=WASSERSTEIN, penalty=penalty)
    players = {
        "critic": Player(
            second,
            gan.discriminator_loss,
            optimizer=partial(torch.optim.Adam, betas=(0.0, 0.9)),
            learning_rate=0.01,
            steps=5,
        ),
        "generator": Player(first, gan.generator_loss),
    }
    history = play(players, ring(300, generator=generator(1)), epochs=6, batch_size=50, run=QUIET)
    x = ring(100, generator=generator(2)).requires_grad_()
    (slope,) = torch.autograd.grad(second(x).sum(), x)
    assert 0.5 < slope.norm(dim=1).mean() < 1.3
    assert history.train["critic"][-1] < history.train["critic"][0]


def test_copies_train_as_they_would_alone():
    torch.manual_seed(0)
    many = ParallelMLP(3, 2, (8, 8), 1, nn.Tanh)
    alone = [games.networks.mlp(2, (8, 8), 1, nn.Tanh) for _ in range(3)]
    for number, net in enumerate(alone):
        linears = [layer for layer in net if isinstance(layer, nn.Linear)]
        for layer, weight, bias in zip(linears, many.weights, many.biases, strict=True):
            layer.weight.data = weight[number].T.detach().clone()
            layer.bias.data = bias[number, 0].detach().clone()
    x = torch.randn(3, 10, 2, generator=generator(1))
    adam = torch.optim.Adam(many.parameters(), lr=0.01)
    for _ in range(5):
        adam.zero_grad()
        (many(x) - 1).square().mean(1).sum().backward()
        adam.step()
    for number, net in enumerate(alone):
        adam = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(5):
            adam.zero_grad()
            (net(x[number]) - 1).square().mean().backward()
            adam.step()
        torch.testing.assert_close(many(x)[number], net(x[number]), rtol=1e-4, atol=1e-5)


def test_generators_give_pixels_and_discriminators_logits():
    z = torch.randn(16, 8, generator=generator(0))
    for g, d in (
        (games.MLPGenerator(8, (1, 28, 28)), games.MLPDiscriminator((1, 28, 28))),
        (games.ConvGenerator(8, 4), games.ConvDiscriminator(4)),
    ):
        x = g(z)
        assert x.shape == (16, 1, 28, 28)
        assert 0 <= x.min() < x.max() <= 1
        assert d(x).shape == (16,)
        assert all(w.grad is not None for w in [*_backward(d, x), *g.parameters()])


def _backward(d, x):
    d(x).sum().backward()
    return list(d.parameters())


def test_every_public_name_has_a_doctest():
    for name in games.__all__:
        value = getattr(games, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert name == "Pair" or ">>>" in value.__doc__, name
