"""Independent oracles of games and of measures of samples, as assertions on a function.

Losses against torch's own cross-entropy and against integrals of known densities; penalties against
a linear critic; the game against a loop by hand, and against what must stay where it is; distances
against SciPy's matrix root and against sets that are known.

Axes: B batch, N examples, F features.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from scipy import integrate, linalg, stats
from torch import Tensor, nn
from torch.nn import functional as F

from companion.data.toys import grid, grid_centers, ring, ring_centers
from companion.games import GAN, Player
from companion.training import Run
from companion.training.loop import _order, generator_for
from oracles.densities import generator

EXACT = {"rtol": 1e-9, "atol": 1e-9}
P, Q = stats.norm(-0.7, 0.8), stats.norm(0.5, 1.3)


def logits(seed: int, n: int = 40) -> Tensor:
    return 6 * torch.randn(n, dtype=torch.float64, generator=generator(seed))


# Losses: discriminator(real, fake) and generator(fake)


def assert_logistic_discriminator(loss: Callable) -> None:
    real, fake = logits(1), logits(2)
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    entropy = F.binary_cross_entropy_with_logits
    expected = entropy(real, ones, reduction="none") + entropy(fake, zeros, reduction="none")
    torch.testing.assert_close(loss(real, fake), expected, **EXACT)


def assert_minimax_generator(loss: Callable) -> None:
    fake = logits(3)
    torch.testing.assert_close(loss(fake), (1 - fake.sigmoid()).log(), rtol=1e-5, atol=1e-9)
    assert loss(torch.tensor([200.0])).item() == -200.0  # log(1 - 1) would be infinite


def assert_non_saturating_generator(loss: Callable) -> None:
    fake = logits(4)
    torch.testing.assert_close(loss(fake), -fake.sigmoid().log(), rtol=1e-5, atol=1e-9)
    assert loss(torch.tensor([-200.0])).item() == 200.0


def assert_wasserstein(critic: Callable) -> None:
    """The identity has slope one and is optimal for two shifted copies: minus the shift."""
    x = logits(5)
    torch.testing.assert_close(critic(x + 1.75, x).mean().item(), -1.75)
    assert critic(x, x + 1.75).mean() > 0


def assert_hinge_discriminator(loss: Callable) -> None:
    real, fake = logits(6), logits(7)
    brute = [
        max(0.0, 1 - r) + max(0.0, 1 + f) for r, f in zip(real.tolist(), fake.tolist(), strict=True)
    ]
    torch.testing.assert_close(loss(real, fake), torch.tensor(brute, dtype=real.dtype), **EXACT)


def assert_least_squares(loss: Callable) -> None:
    real, fake = logits(8), logits(9)
    mse = F.mse_loss
    expected = mse(real, torch.ones_like(real), reduction="none")
    expected = (expected + mse(fake, torch.zeros_like(fake), reduction="none")) / 2
    torch.testing.assert_close(loss(real, fake), expected, **EXACT)


def js_divergence() -> float:
    """The Jensen-Shannon divergence of P and Q, by SciPy's quadrature."""

    def half(p: object, q: object) -> float:
        def value(x: float) -> float:
            return p.pdf(x) * math.log(2 * p.pdf(x) / (p.pdf(x) + q.pdf(x)))

        return integrate.quad(value, -9, 9, epsabs=1e-12)[0]

    return (half(P, Q) + half(Q, P)) / 2


def assert_minimum_is_divergence(loss: Callable) -> None:
    """At f = log p - log q the mean loss is 2 log 2 - 2 JS, and no other f does better."""
    x = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    p, q = (torch.from_numpy(d.pdf(x.numpy())) for d in (P, Q))
    best = torch.from_numpy(P.logpdf(x.numpy()) - Q.logpdf(x.numpy()))

    def mean(f: Tensor) -> float:
        nothing = torch.zeros_like(f)
        on_real = loss(f, nothing) - loss(nothing, nothing) / 2
        on_fake = loss(nothing, f) - loss(nothing, nothing) / 2
        return torch.trapezoid(p * on_real + q * on_fake, x).item()

    assert abs(mean(best) - (2 * math.log(2) - 2 * js_divergence())) < 1e-6
    assert all(mean(best + shift) > mean(best) + 1e-4 for shift in (-0.1, 0.1, 0.1 * x.sin()))


# Penalties


def assert_gradient_penalty(penalty: Callable) -> None:
    """On a linear critic in closed form, weights' gradient too; on a parabola at known points."""
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    x = torch.randn(6, 2, dtype=torch.float64, generator=generator(1))
    y = torch.randn(6, 2, dtype=torch.float64, generator=generator(2))
    values = penalty(lambda z: z @ weight, x, y, generator=generator(3))
    torch.testing.assert_close(values, torch.full_like(values, 16.0), **EXACT)
    (slope,) = torch.autograd.grad(values.mean(), weight)
    expected = 2 * (5 - 1) * weight.detach() / 5
    torch.testing.assert_close(slope, expected, **EXACT)
    # f = |z|^2 / 2 has slope |z|: the penalty tells where the point lies.
    line, far = torch.tensor([[1.0]]).double(), torch.tensor([[3.0]]).double()
    ends = line.expand(4000, 1), far.expand(4000, 1)
    values = penalty(lambda z: z.square().sum(1) / 2, *ends, generator=generator(4))
    where = values.detach().sqrt() + 1
    assert 1 <= where.min() < 1.01  # each point has its own u
    assert 2.99 < where.max() <= 3
    assert stats.kstest(where.numpy() - 1, stats.uniform(0, 2).cdf).pvalue > 1e-3
    steep = penalty(lambda z: 10 * z.sum(1), x[:, :1], y[:, :1], generator=generator(3))
    torch.testing.assert_close(steep, torch.full_like(steep, 81.0), **EXACT)


def assert_r1(penalty: Callable) -> None:
    """The slope of f = |z|^4 / 4 is |z|^3, at the real examples and nowhere else."""
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator(1))
    values = penalty(lambda z: scale * z.square().sum(1).square() / 4, x)
    sixth = x.square().sum(1) ** 3
    torch.testing.assert_close(values, (4 * sixth / 2).detach(), **EXACT)
    (slope,) = torch.autograd.grad(values.sum(), scale)
    torch.testing.assert_close(slope, (2 * sixth).sum(), **EXACT)
    assert not x.requires_grad


def assert_packed(pack: Callable) -> None:
    points = torch.randn(6, 2, generator=generator(1))
    assert torch.equal(pack(points, 3), torch.stack([points[:3].flatten(), points[3:].flatten()]))
    images = torch.randn(4, 1, 3, 5, generator=generator(2))
    assert torch.equal(pack(images, 2), torch.stack([images[:2, 0], images[2:, 0]]))


def assert_spectrally_normalized(normalize: Callable) -> None:
    """NumPy's singular values of each layer are at most one, and the biases stay."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 1)))
    bias = network[0].bias.detach().clone()
    network = normalize(network).train()
    for _ in range(200):
        network(torch.zeros(1, 4))
    for layer in (network[0], network[2][0]):
        values = np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)
        np.testing.assert_allclose(values[0], 1, rtol=1e-4)
    assert torch.equal(network[0].bias, bias)


# The game: play(players, data, epochs=, batch_size=, seed=, run=)


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    first = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    return first, nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))


def _players() -> tuple[dict[str, Player], nn.Module, nn.Module]:
    first, second = networks()
    gan = GAN(first, second, latent_dim=2)
    players = {
        "discriminator": Player(second, gan.discriminator_loss, learning_rate=3e-3),
        "generator": Player(first, gan.generator_loss, learning_rate=1e-3),
    }
    return players, first, second


DATA = ring(48, generator=generator(5))
SETTINGS = {"epochs": 3, "batch_size": 16, "seed": 4, "run": Run(device="cpu", progress=False)}


def by_hand() -> tuple[nn.Module, nn.Module, list[tuple[float, float]]]:
    """The alternating loop as a textbook writes it, with the loop's order and noise."""
    first, second = networks()
    adam_d = torch.optim.Adam(second.parameters(), lr=3e-3, betas=(0.5, 0.999))
    adam_g = torch.optim.Adam(first.parameters(), lr=1e-3, betas=(0.5, 0.999))
    curve = []
    for epoch in range(3):
        noise = generator_for("cpu", 4, epoch, 1)
        means = []
        for rows in _order(48, 4, epoch).split(16):
            fake = first(torch.randn(16, 2, generator=noise)).detach()
            entropy = F.binary_cross_entropy_with_logits
            loss_d = entropy(second(DATA[rows]), torch.ones(16, 1))
            loss_d = loss_d + entropy(second(fake), torch.zeros(16, 1))
            adam_d.zero_grad()
            loss_d.backward()
            adam_d.step()
            fake = first(torch.randn(16, 2, generator=noise))
            loss_g = entropy(second(fake), torch.ones(16, 1))
            adam_g.zero_grad()
            loss_g.backward()
            adam_g.step()
            means.append((loss_d.item(), loss_g.item()))
        curve.append(tuple(np.mean(means, axis=0)))
    return first, second, curve


def assert_plays_like_by_hand(play: Callable) -> None:
    players, first, second = _players()
    history = play(players, DATA, **SETTINGS)
    own_first, own_second, curve = by_hand()
    close = {"rtol": 1e-4, "atol": 1e-6}
    for mine, theirs in ((first, own_first), (second, own_second)):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, **close)
    both = zip(history.train["discriminator"], history.train["generator"], strict=True)
    np.testing.assert_allclose(list(both), curve, rtol=1e-4)


def assert_only_own_parameters_move(play: Callable) -> None:
    """After each turn, look which networks have changed: its own, and no other."""
    first, second = networks()
    gan = GAN(first, second, latent_dim=2)
    nets = {"generator": first, "discriminator": second}
    turns: list[tuple[str, dict[str, Tensor]]] = []

    def watched(name: str, loss: Callable) -> Callable:
        def watch(*batch: Tensor, generator: torch.Generator) -> Tensor:
            turns.append((name, {n: _flat(net) for n, net in nets.items()}))
            return loss(*batch, generator=generator)

        return watch

    players = {
        name: Player(nets[name], watched(name, loss))
        for name, loss in (
            ("discriminator", gan.discriminator_loss),
            ("generator", gan.generator_loss),
        )
    }
    play(players, DATA, **SETTINGS)
    turns.append(("end", {n: _flat(net) for n, net in nets.items()}))
    assert [name for name, _ in turns[:-1]] == ["discriminator", "generator"] * 9
    for (mover, before), (_, after) in pairwise(turns):
        moved = {name for name in nets if not torch.equal(before[name], after[name])}
        assert moved == {mover}


def assert_undetached_samples_move_nobody_else(play: Callable) -> None:
    """A discriminator's loss with a graph through the generator leaves the generator alone."""
    first, second = networks()
    before = _flat(first)

    def loss(x: Tensor, *, generator: torch.Generator) -> Tensor:
        fake = first(torch.randn(len(x), 2, generator=generator))
        assert not fake.requires_grad
        return (second(fake) - second(x)).squeeze(1)

    play({"discriminator": Player(second, loss)}, DATA, **SETTINGS)  # the generator plays nothing
    assert torch.equal(_flat(first), before)


def assert_steps_have_their_own_shares(play: Callable) -> None:
    """Three steps of the one see each example once in an epoch, one step of the other a third."""
    net, other = nn.Linear(2, 1), nn.Linear(2, 1)
    seen: dict[str, list[Tensor]] = {"three": [], "one": []}

    def loss(name: str, network: nn.Module) -> Callable:
        def losses(x: Tensor, *, generator: torch.Generator) -> Tensor:
            seen[name].append(x)
            return network(x).squeeze(1)

        return losses

    players = {
        "three": Player(net, loss("three", net), steps=3),
        "one": Player(other, loss("one", other)),
    }
    play(players, DATA, **{**SETTINGS, "epochs": 1, "batch_size": 12})
    assert [len(x) for x in seen["three"]] == [4] * 12
    assert [len(x) for x in seen["one"]] == [4] * 4
    assert torch.equal(torch.cat(seen["three"]).sort(0).values, DATA.sort(0).values)
    assert all(torch.equal(a, b) for a, b in zip(seen["one"], seen["three"][::3], strict=True))


def _flat(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


# Measures of samples


def features(seed: int, n: int = 300, f: int = 5) -> Tensor:
    mix = torch.randn(f, f, dtype=torch.float64, generator=generator(seed))
    return torch.randn(n, f, dtype=torch.float64, generator=generator(seed + 50)) @ mix + seed


def assert_frechet(distance: Callable) -> None:
    """SciPy's root of the product of covariances, as the FID's authors compute it."""
    a, b = features(1), features(2, n=200)
    root = linalg.sqrtm(np.cov(a.numpy().T) @ np.cov(b.numpy().T)).real
    expected = (
        np.square(a.numpy().mean(0) - b.numpy().mean(0)).sum()
        + np.trace(np.cov(a.numpy().T) + np.cov(b.numpy().T) - 2 * root)
    )  # fmt: skip
    np.testing.assert_allclose(distance(a, b), expected, rtol=1e-8)
    np.testing.assert_allclose(distance(b, a), expected, rtol=1e-8)
    assert abs(distance(a, a)) < 1e-8
    shifted = a + torch.tensor([3.0, 4.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(distance(a, shifted), 25, rtol=1e-8)
    # A feature that never changes, as a dead unit: the product of covariances is singular.
    dead = torch.cat([a, torch.zeros(len(a), 2)], dim=1)
    np.testing.assert_allclose(distance(dead, dead[:100]), distance(a, a[:100]), rtol=1e-6)


def assert_class_score(score: Callable) -> None:
    """SciPy's entropies: H(p(y)) - E H(p(y | x)) is the exponent."""
    p = torch.softmax(2 * features(3), dim=1)
    entropy = stats.entropy(p.numpy().mean(0)) - stats.entropy(p.numpy(), axis=1).mean()
    np.testing.assert_allclose(score(p), math.exp(entropy), rtol=1e-9)
    only = torch.eye(5)[torch.zeros(7, dtype=torch.long)]  # all of one class: no variety
    np.testing.assert_allclose(score(only), 1, rtol=1e-9)


def assert_precision_recall(measure: Callable) -> None:
    """What only draws the ones on the left has precision 1 and recall about one half."""
    left = torch.randn(150, 2, generator=generator(1)) - torch.tensor([9.0, 0.0])
    right = torch.randn(150, 2, generator=generator(2)) + torch.tensor([9.0, 0.0])
    more = torch.randn(150, 2, generator=generator(3)) - torch.tensor([9.0, 0.0])
    precision, recall = measure(generated=more, real=torch.cat([left, right]))
    assert precision > 0.95
    assert 0.45 < recall <= 0.5
    precision, recall = measure(generated=torch.cat([more, right + 40]), real=left)
    assert 0.45 < precision <= 0.5
    assert recall > 0.95
    # Brute force, with Python's own sorting.
    a, b = features(4, n=30, f=2), features(5, n=25, f=2)

    def inside(points: Tensor, of: Tensor) -> float:
        radii = [sorted((c - o).norm().item() for o in of)[3] for c in of]
        hits = [
            any((p - c).norm().item() <= r for c, r in zip(of, radii, strict=True)) for p in points
        ]
        return sum(hits) / len(hits)

    found = measure(generated=a, real=b, neighbors=3)
    np.testing.assert_allclose(found, (inside(a, b), inside(b, a)), rtol=1e-9)


def assert_precision_recall_curve(curve: Callable) -> None:
    """Two clusters far apart: the curve of two known histograms, (1/4, 3/4) and (3/4, 1/4)."""
    place = torch.tensor([9.0, 0.0])
    noise = torch.randn(400, 2, generator=generator(1))
    sides = torch.cat([torch.ones(100), -torch.ones(300), torch.ones(300), -torch.ones(100)])
    x = 0.01 * torch.cat([noise, noise]) + sides[:, None] * place
    rows = curve(generated=x[:400], real=x[400:], clusters=2, generator=generator(2)).numpy()
    q, p = np.array([0.25, 0.75]), np.array([0.75, 0.25])
    for precision, recall in rows[5:-5:37]:
        slope = precision / recall
        np.testing.assert_allclose(precision, np.minimum(slope * p, q).sum(), atol=1e-6)
    np.testing.assert_allclose(rows[len(rows) // 2], (0.5, 0.5), atol=1e-3)
    # All samples in one of two equal modes: precision one with recall one half, not the reverse.
    real = torch.cat([x[:100], x[100:200]])
    rows = curve(generated=x[:100], real=real, clusters=2, generator=generator(3)).numpy()
    np.testing.assert_allclose(rows[:, 0].max(), 1, atol=1e-6)
    np.testing.assert_allclose(rows[rows[:, 0] > 0.999, 1].max(), 0.5, atol=0.01)


def assert_count_modes(count: Callable) -> None:
    """Of true samples, 1 - exp(-9/2) lie within three standard deviations."""
    for sample, centers in ((ring, ring_centers()), (grid, grid_centers())):
        x = sample(20_000, generator=generator(7))
        found = count(x, centers)
        assert found[:2] == (len(centers), len(centers))
        assert abs(found[2] - (1 - math.exp(-4.5))) < 3.5 * math.sqrt(0.011 * 0.989 / 20_000)
    corner = ring_centers()[:1]
    assert count(corner.expand(100, 2), ring_centers()) == (1, 1, 1.0)
    lonely = torch.cat([corner.expand(799, 2), ring_centers()[4:5]])
    assert count(lonely, ring_centers())[:2] == (2, 1)  # one sample of 800 finds, but fills nothing
    assert count(torch.full((9, 2), 5.0), ring_centers()) == (0, 0, 0.0)
    off = corner + torch.tensor([[0.0, 0.14], [0.0, 0.16]])
    assert count(off, ring_centers())[2] == 0.5
    diagonal = corner + 0.12  # 0.17 away, though each coordinate is nearer than 0.15
    assert count(diagonal, ring_centers())[2] == 0.0
