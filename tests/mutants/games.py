"""Published bugs of games and of measures of samples, as functions (see `mutants/densities.py`).

Axis: B batch.
"""

from collections.abc import Callable
from itertools import chain

import torch
from oracles import games as oracles
from torch import Tensor, nn
from torch.nn import functional as F

from companion import games, samples
from companion.games.play import Player
from companion.training import History, descend, loop
from mutants.densities import fault

# Losses


@fault("labels swapped: generated examples called real", oracles.assert_logistic_discriminator)
def _(real, fake):
    return games.logistic_discriminator(fake, real)


@fault("only the real half", oracles.assert_logistic_discriminator)
def _(real, fake):
    return F.softplus(-real)


@fault("half the sum: the mean of the two halves", oracles.assert_logistic_discriminator)
def _(real, fake):
    return games.logistic_discriminator(real, fake) / 2


@fault("half the sum: no Jensen-Shannon divergence", oracles.assert_minimum_is_divergence)
def _(real, fake):
    return games.logistic_discriminator(real, fake) / 2


@fault("labels of 0.9, of one side only", oracles.assert_minimum_is_divergence)
def _(real, fake):
    return 0.9 * F.softplus(-real) + 0.1 * F.softplus(real) + F.softplus(fake)


@fault("averaged over the batch, games", oracles.assert_logistic_discriminator)
def _(real, fake):
    return games.logistic_discriminator(real, fake).mean().expand(len(real))


@fault("a sigmoid before the logistic loss", oracles.assert_logistic_discriminator)
def _(real, fake):
    return games.logistic_discriminator(real.sigmoid(), fake.sigmoid())


@fault("log(1 - sigmoid): infinite where D is sure", oracles.assert_minimax_generator)
def _(fake):
    return (1 - fake.sigmoid()).log()


@fault("the discriminator's side: the generator helps it", oracles.assert_minimax_generator)
def _(fake):
    return F.softplus(fake)


@fault("log D in place of -log D", oracles.assert_non_saturating_generator)
def _(fake):
    return -F.softplus(-fake)


@fault("the minimax loss under its name", oracles.assert_non_saturating_generator)
def _(fake):
    return games.minimax_generator(fake)


@fault("critic's sign", oracles.assert_wasserstein)
def _(real, fake):
    return real - fake


@fault("critic's scores through a sigmoid", oracles.assert_wasserstein)
def _(real, fake):
    return fake.sigmoid() - real.sigmoid()


@fault("no margin: hinge at zero", oracles.assert_hinge_discriminator)
def _(real, fake):
    return F.relu(-real) + F.relu(fake)


@fault("margin of the sum, not of each score", oracles.assert_hinge_discriminator)
def _(real, fake):
    return F.relu(2 - real + fake)


@fault("swapped targets", oracles.assert_least_squares)
def _(real, fake):
    return games.least_squares_discriminator(fake, real)


# Penalties


@fault("the slope itself, not its distance from one", oracles.assert_gradient_penalty)
def _(critic, real, fake, *, generator):
    x = torch.lerp(fake, real, torch.rand(len(real), 1, generator=generator).double())
    return playing_slope(critic, x).square().sum(1)


@fault("one u for the whole batch", oracles.assert_gradient_penalty)
def _(critic, real, fake, *, generator):
    u = torch.rand(1, generator=generator).double()
    return (playing_slope(critic, torch.lerp(fake, real, u)).norm(dim=1) - 1).square()


@fault("at the real examples", oracles.assert_gradient_penalty)
def _(critic, real, fake, *, generator):
    return (playing_slope(critic, real).norm(dim=1) - 1).square()


@fault("no graph: the penalty has no gradient", oracles.assert_gradient_penalty)
def _(critic, real, fake, *, generator):
    values = games.gradient_penalty(critic, real, fake, generator=generator)
    return values.detach() + 0 * values


@fault("slopes above one only", oracles.assert_r1)
def _(critic, real):
    return (playing_slope(critic, real).norm(dim=1) - 1).square() / 2


@fault("without the half", oracles.assert_r1)
def _(critic, real):
    return 2 * games.r1(critic, real)


@fault("the mean over the coordinates", oracles.assert_r1)
def _(critic, real):
    return games.r1(critic, real) / real.shape[1]


@fault("no graph: R1 without a gradient", oracles.assert_r1)
def _(critic, real):
    return games.r1(critic, real) * 0 + games.r1(critic, real).detach()


@fault("examples interleaved, not side by side", oracles.assert_packed)
def _(x, n):
    return x.reshape(n, len(x) // n, *x.shape[1:]).transpose(0, 1).flatten(1, 2)


@fault("the Frobenius norm", oracles.assert_spectrally_normalized)
def _(network):
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data /= layer.weight.norm()
    return network


@fault("only the outer layers", oracles.assert_spectrally_normalized)
def _(network):
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.utils.parametrizations.spectral_norm(layer)
    return network


def playing_slope(critic: Callable, x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)[0]


# The game: play(players, data, ...)


def game(
    *,
    parameters: Callable = lambda player, players: player.moves.parameters(),
    order: Callable = list,
    noise: Callable = lambda noise: noise,
    share: Callable = lambda x, number, most: x.tensor_split(most)[number],
    together: bool = False,
) -> Callable:
    """A game by hand, right unless an option makes it wrong."""

    def play(players, data, *, epochs, batch_size, seed, run) -> History:
        adams = {
            name: torch.optim.Adam(
                parameters(player, players), lr=player.learning_rate, betas=(0.5, 0.999)
            )
            for name, player in players.items()
        }
        most = max(player.steps for player in players.values())

        def step(batch, generator):
            record = {}
            for name in order(players):
                for number in range(players[name].steps):
                    x = share(batch[0], number, most)
                    losses = players[name].loss(x, generator=noise(generator))
                    if not together:
                        descend(losses, adams[name])
                    record[name] = losses.detach().mean()
                    if together:
                        adams[name].zero_grad()
                        losses.mean().backward()
            if together:
                for adam in adams.values():
                    adam.step()
            return record

        state = {name: player.moves for name, player in players.items()} | {
            f"{name}: adam": adam for name, adam in adams.items()
        }
        return loop(step, state, data, epochs=epochs, batch_size=batch_size, seed=seed, run=run)

    return play


RIGHT = game()  # `test_games.py` shows that it passes


@fault("one optimizer holds both players", oracles.assert_only_own_parameters_move)
def _(*args, **options):
    everybody = game(
        parameters=lambda player, players: list(
            dict.fromkeys(chain(*(p.moves.parameters() for p in players.values())))
        )
    )
    return everybody(*args, **options)


@fault("the generator's turn comes first", oracles.assert_only_own_parameters_move)
def _(*args, **options):
    return game(order=reversed)(*args, **options)


@fault("the generator's turn comes first", oracles.assert_plays_like_by_hand)
def _(*args, **options):
    return game(order=reversed)(*args, **options)


@fault("both move at once, after both losses", oracles.assert_only_own_parameters_move)
def _(*args, **options):
    return game(together=True)(*args, **options)


@fault("both move at once, after both losses", oracles.assert_plays_like_by_hand)
def _(*args, **options):
    return game(together=True)(*args, **options)


@fault("the same noise in every turn", oracles.assert_plays_like_by_hand)
def _(*args, **options):
    return game(noise=lambda _: torch.Generator().manual_seed(0))(*args, **options)


@fault("the generator's loss through detached samples", oracles.assert_plays_like_by_hand)
def _(players, data, **options):
    def detached(x: Tensor, *, generator: torch.Generator) -> Tensor:
        loss = players["generator"].loss(x, generator=generator)
        return loss.detach() + 0 * players["generator"].moves[0].weight.sum()

    cut = {**players, "generator": Player(players["generator"].moves, detached)}
    return games.play(cut, data, **options)


@fault("the generator's graph is left in the discriminator's turn",
       oracles.assert_undetached_samples_move_nobody_else)  # fmt: skip
def _(players, data, **options):
    graph = {name: Player(p.moves, _alive(p.loss)) for name, p in players.items()}
    return RIGHT(graph, data, **options)


def _alive(loss: Callable) -> Callable:
    return lambda *batch, generator: loss(*batch, generator=generator) + 0.0


@fault("every step of a turn on the same share", oracles.assert_steps_have_their_own_shares)
def _(*args, **options):
    return game(share=lambda x, number, most: x.tensor_split(most)[0])(*args, **options)


@fault("every step of a turn on the whole batch", oracles.assert_steps_have_their_own_shares)
def _(*args, **options):
    return game(share=lambda x, number, most: x)(*args, **options)


# Measures of samples


@fault("standard deviations for the covariances", oracles.assert_frechet)
def _(a, b):
    means = (a.mean(0) - b.mean(0)).square().sum()
    return (means + (a.std(0) - b.std(0)).square().sum()).item()


@fault("roots of the eigenvalues summed without the other matrix", oracles.assert_frechet)
def _(a, b):
    roots = [torch.linalg.eigvalsh(x.T.cov()).clamp_min(0).sqrt() for x in (a, b)]
    return ((a.mean(0) - b.mean(0)).square().sum() + (roots[0] - roots[1]).square().sum()).item()


@fault("the distance of the means is not squared", oracles.assert_frechet)
def _(a, b):
    return samples.frechet_distance(a - a.mean(0), b - b.mean(0)) + (
        (a.mean(0) - b.mean(0)).norm().item()
    )


@fault("covariances divided by N", oracles.assert_frechet)
def _(a, b):
    return samples.frechet_distance(a * (1 - 1 / len(a)) ** 0.5, b * (1 - 1 / len(b)) ** 0.5)


@fault("the divergence turned around", oracles.assert_class_score)
def _(p):
    marginal = p.mean(0)
    return (torch.xlogy(marginal, marginal) - torch.xlogy(marginal, p)).sum(1).mean().exp().item()


@fault("certainty only: no marginal", oracles.assert_class_score)
def _(p):
    return torch.xlogy(p, p).sum(1).mean().exp().item() * p.shape[1]


@fault("precision and recall swapped, as by the order in a README", oracles.assert_precision_recall)
def _(*, generated, real, neighbors=3):
    return samples.precision_recall(generated=real, real=generated, neighbors=neighbors)


@fault("a point counts as its own first neighbor", oracles.assert_precision_recall)
def _(*, generated, real, neighbors=3):
    return samples.precision_recall(generated=generated, real=real, neighbors=max(neighbors - 1, 1))


@fault("the ball of the point itself, not of the others", oracles.assert_precision_recall)
def _(*, generated, real, neighbors=3):
    between = torch.cdist(generated, real)

    def share(distances: Tensor, points: Tensor) -> float:
        own = torch.cdist(points, points).kthvalue(neighbors + 1, dim=1).values
        return (distances <= own[:, None]).any(1).double().mean().item()

    return samples.PrecisionRecall(share(between, generated), share(between.T, real))


@fault("precision and recall swapped in the curve", oracles.assert_precision_recall_curve)
def _(*, generated, real, clusters, generator):
    return samples.precision_recall_curve(
        generated=real, real=generated, clusters=clusters, generator=generator
    )


@fault("any mode within reach counts, without a sample near it", oracles.assert_count_modes)
def _(x, centers):
    right = samples.count_modes(x, centers)
    found = torch.cdist(x, centers).argmin(1).unique().numel()
    return right._replace(found=found)


@fault("three deviations along each axis: a square", oracles.assert_count_modes)
def _(x, centers):
    nearest = torch.cdist(x, centers).argmin(1)
    good = ((x - centers[nearest]).abs() <= 0.15).all(1)
    return samples.count_modes(x, centers)._replace(high_quality=good.double().mean().item())


@fault("one sample fills a mode", oracles.assert_count_modes)
def _(x, centers):
    right = samples.count_modes(x, centers)
    return right._replace(filled=right.found)
