"""Bad input of games and of measures of samples (see `bad_input/densities.py`)."""

import torch
from torch import nn

from bad_input.densities import NAN, spoiled
from companion.data.toys import grid_centers, ring_centers
from companion.games import (
    GAN,
    ConvDiscriminator,
    ConvGenerator,
    MLPDiscriminator,
    MLPGenerator,
    Pair,
    ParallelMLP,
    Player,
    gradient_penalty,
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    minimax_generator,
    non_saturating_generator,
    packed,
    play,
    r1,
    spectrally_normalized,
    wasserstein_critic,
    wasserstein_generator,
)
from companion.samples import (
    class_score,
    count_modes,
    frechet_distance,
    precision_recall,
    precision_recall_curve,
)
from companion.training import Run

L = torch.zeros(4)
X = torch.zeros(6, 2)
CPU = Run(device="cpu", progress=False)


def net():
    return nn.Linear(2, 1)


def player(**options):
    network = net()
    return Player(network, lambda x, *, generator: network(x)[:, 0], **options)


def game(players, data=X, **options):
    return play(players, data, run=CPU, **{"epochs": 1, "batch_size": 3, **options})


# fmt: off
CASES = [
    # Losses
    ("logits of another batch, games", lambda: logistic_discriminator(L, L[:2]),
     ValueError, "`real` has shape (4,) and `fake` has shape (2,), but they must be equal"),
    ("a column of logits", lambda: minimax_generator(L[:, None]),
     ValueError, "`fake` has shape (4, 1), but (B,) is expected"),
    ("one logit", lambda: non_saturating_generator(L[0]), ValueError, "becomes a vector by fake["),
    ("whole logits", lambda: wasserstein_critic(L.long(), L.long()), TypeError, "real.float()"),
    ("list of scores", lambda: wasserstein_generator([0.0]), TypeError, "must be a torch.Tensor"),
    ("NaN in scores", lambda: hinge_discriminator(spoiled(L, NAN), L),
     ValueError, "`real` holds 1 values that are NaN or infinite"),
    ("scores of two precisions", lambda: least_squares_discriminator(L, L.double()),
     TypeError, "`real` is torch.float32 and `fake` is torch.float64"),
    ("scores with an axis too many", lambda: least_squares_generator(X), ValueError, "fake[0]"),
    ("half a pair", lambda: GAN(net(), net(), 2, Pair(minimax_generator, None)).generator_loss(X),
     TypeError, "`losses.generator` must be a function, but it is None"),
    # Penalties and remedies
    ("value for a critic", lambda: gradient_penalty(L, X, X),
     TypeError, "`critic` must be a function"),
    ("fewer generated than real", lambda: gradient_penalty(net(), X, X[:3]),
     ValueError, "`real` has shape (6, 2) and `fake` has shape (3, 2)"),
    ("seed for a generator, games", lambda: gradient_penalty(net(), X, X, generator=0),
     TypeError, "torch.Generator().manual_seed(0)"),
    ("real examples without batch", lambda: r1(net(), L), ValueError, "x"),
    ("class to be normalized", lambda: spectrally_normalized(nn.Linear),
     TypeError, "the class Linear"),
    ("packs that do not fit", lambda: packed(X, 4),
     ValueError, "B must be a multiple of 4. Leave the last 2 out: x[:4]"),
    ("packs of numbers", lambda: packed(L, 2), ValueError, "`x` has shape (4,)"),
    ("packs of none", lambda: packed(X, 0), ValueError, "`n` must be at least 1"),
    # Networks
    ("no latent dimensions, games", lambda: MLPGenerator(0, (4,)), ValueError, "`latent_dim`"),
    ("codes of another size, games", lambda: MLPGenerator(3, (4,))(X),
     ValueError, "must have size 3"),
    ("images of another size, games", lambda: MLPDiscriminator((4,))(X),
     ValueError, "but this network expects (B, 4)"),
    ("codes for a convolution", lambda: ConvGenerator(3)(X), ValueError, "must have size 3"),
    ("points for a convolution", lambda: ConvDiscriminator(2)(X),
     ValueError, "but this network expects (B, 1, 28, 28)"),
    ("no copies", lambda: ParallelMLP(0, 2, (4,), 1), ValueError, "`copies` must be at least 1"),
    # The game
    ("class of a network for a player", lambda: Player(nn.Linear, abs), TypeError, "an instance"),
    ("list of networks for a player", lambda: Player([net()], abs), TypeError, "but it is a list"),
    ("loss of a player as a value", lambda: Player(net(), L), TypeError, "`loss` must be a funct"),
    ("negative learning rate of a player", lambda: player(learning_rate=-1.0),
     ValueError, "`learning_rate` must be positive"),
    ("no steps of a player", lambda: player(steps=0), ValueError, "`steps` must be at least 1"),
    ("optimizer of a player made already",
     lambda: player(optimizer=torch.optim.SGD(net().parameters(), lr=1.0)),
     TypeError, "`optimizer` must be a function"),
    ("average of another kind", lambda: player(average=net()), TypeError, "WeightAverage(model"),
    ("frozen player", lambda: Player(net().requires_grad_(False), abs),
     ValueError, "several go into one nn.ModuleList"),
    ("players without names", lambda: game([player()]),
     TypeError, "Pass a dict in the order of their turns"),
    ("nobody plays", lambda: game({}), TypeError, "`players` must name the players"),
    ("network for a player", lambda: game({"d": net()}),
     TypeError, "`players['d']` must be a Player, but it is a Linear. Pass Player(network, loss)"),
    ("more steps than examples", lambda: game({"d": player(steps=4)}),
     ValueError, "A player takes 4 steps in its turn, each on its own share of the batch, but the "
     "smallest batch holds 3 of 6 examples"),
    ("mean of a player's losses",
     lambda: game({"d": Player(n := net(), lambda x, *, generator: n(x).mean())}),
     ValueError, "`losses` must be one number for each example, shape (B,)"),
    ("a player's loss of another network",
     lambda: game({"d": Player(net(), lambda x, *, generator: x.sum(1))}),
     ValueError, "The loss does not depend on the weights that require gradients"),
    ("text for a run, games", lambda: play({"d": player()}, X, run="cpu"),
     TypeError, "run=Run(device='cpu')"),
    ("function for a generator network", lambda: GAN(torch.sin, net(), 2),
     TypeError, "`generator_network` must be a torch.nn.Module"),
    ("no latent dimensions of a GAN", lambda: GAN(net(), net(), 0), ValueError, "`latent_dim`"),
    ("two logits for each example", lambda: GAN(nn.Linear(2, 2), nn.Linear(2, 2), 2)
     .generator_loss(X), ValueError, "The discriminator, a Linear, returned shape (6, 2)"),
    # Samples
    ("modes of a ring of none", lambda: ring_centers(modes=0), ValueError, "`modes` must be at"),
    ("modes of a grid of none", lambda: grid_centers(spacing=0.0), ValueError, "`spacing`"),
    ("samples in space", lambda: count_modes(torch.zeros(5, 3), X),
     ValueError, "its last axis must have size 2"),
    ("NaN among samples", lambda: count_modes(spoiled(X, NAN), ring_centers()),
     ValueError, "`samples` holds 1 values that are NaN"),
    ("modes without width", lambda: count_modes(X, X, std=0.0), ValueError, "`std` must be posit"),
    ("features of two networks", lambda: frechet_distance(X, torch.zeros(6, 3)),
     ValueError, "`b` has shape (6, 3), but its last axis must have size 2"),
    ("one example has no covariance", lambda: frechet_distance(X, X[:1]),
     ValueError, "`b` holds 1 examples, but more than 1 are expected. Draw more"),
    ("infinite features", lambda: frechet_distance(spoiled(X, float("inf")), X),
     ValueError, "`a` holds 1 values that are NaN or infinite"),
    ("logits for probabilities, samples", lambda: class_score(X - 3),
     ValueError, "Pass probabilities, not logits: logits.softmax(1)"),
    ("rows that do not sum to one", lambda: class_score(X + 0.25),
     ValueError, "The rows of `probabilities` sum to 0.5 up to 0.5, but 1 is expected"),
    ("no neighbors", lambda: precision_recall(generated=X, real=X, neighbors=0),
     ValueError, "`neighbors` must be at least 1"),
    ("fewer examples than neighbors", lambda: precision_recall(generated=X[:3], real=X),
     ValueError, "`generated` holds 3 examples, but more than 3 are expected"),
    ("curve of other features", lambda: precision_recall_curve(generated=X, real=X[:, :1]),
     ValueError, "its last axis must have size 2"),
    ("no clusters", lambda: precision_recall_curve(generated=X, real=X, clusters=0),
     ValueError, "`clusters` must be at least 1"),
]
