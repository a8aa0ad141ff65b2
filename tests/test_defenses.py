"""Training losses of defenses against derivations of their own, with torch.func."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad

from companion.classifiers import MLPClassifier
from companion.defenses import TRADES, FGSMTraining, StandardTraining
from companion.training import Run, fit, generator_for

EPS = 0.2


@pytest.fixture
def problem():
    g = generator_for("cpu", 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MLPClassifier((1, 3, 3), 4, (6,)).double()
    return model, torch.rand(8, 1, 3, 3, generator=g).double(), torch.arange(8) % 4


def log_p(model, x):
    """Log-probabilities of one image, by torch.func."""
    weights = dict(model.named_parameters())
    logits = functional_call(model, weights, (x[None],))[0]
    return logits - logits.exp().sum().log()


def uniform(x, seed):
    return 2 * torch.rand(x.shape, generator=generator_for("cpu", seed), dtype=x.dtype) - 1


def test_standard_training_is_the_cross_entropy(problem):
    model, x, y = problem
    expected = torch.stack([-log_p(model, a)[b] for a, b in zip(x, y, strict=True)])
    scored = StandardTraining(model)(x, y)
    torch.testing.assert_close(scored.loss, expected)
    assert scored.error.tolist() == [float(log_p(model, a).argmax() != b) for a, b in zip(x, y)]  # noqa: B905


@pytest.mark.parametrize("random_start", [True, False])
def test_fgsm_training_takes_one_step_from_its_start(problem, random_start):
    model, x, y = problem
    noise = EPS * uniform(x, 7) * random_start
    expected = []
    for a, b, start in zip(x, y, noise, strict=True):
        g = grad(lambda moved, b=b: -log_p(model, moved)[b])(a + start)
        change = (start + 0.25 * g.sign()).clamp(-EPS, EPS)
        expected.append(-log_p(model, (a + change).clamp(0, 1))[b])
    defense = FGSMTraining(model, eps=EPS, step_size=0.25, random_start=random_start)
    scored = defense(x, y, generator=generator_for("cpu", 7))
    torch.testing.assert_close(scored.loss, torch.stack(expected))


def test_trades_is_cross_entropy_plus_the_largest_divergence_found(problem):
    model, x, y = problem
    expected = []
    for a, b, start in zip(x, y, uniform(x, 7), strict=True):
        p = log_p(model, a).exp().detach()

        def divergence(moved, p=p):
            return (p * (p.log() - log_p(model, moved))).sum()

        moved = (a + EPS * start).clamp(0, 1)
        for _ in range(3):
            moved = moved + 2.5 / 3 * EPS * grad(divergence)(moved).sign()
            moved = moved.clamp(a - EPS, a + EPS).clamp(0, 1)
        expected.append(-log_p(model, a)[b] + 4 * divergence(moved))
    trades = TRADES(model, eps=EPS, steps=3, beta=4.0)
    torch.testing.assert_close(
        trades(x, y, generator=generator_for("cpu", 7)).loss, torch.stack(expected)
    )


def test_both_terms_of_trades_reach_the_weights(problem):
    model, x, y = problem
    trades = TRADES(model, eps=EPS, steps=2, beta=4.0)
    weights = list(model.parameters())
    together = torch.autograd.grad(
        trades(x, y, generator=generator_for("cpu", 1)).loss.sum(), weights
    )
    alone = torch.autograd.grad(StandardTraining(model)(x, y).loss.sum(), weights)
    assert all(not torch.allclose(a, b) for a, b in zip(together, alone, strict=True))
    assert all(weight.grad is None for weight in weights)


def test_the_radius_warms_up_in_training_and_is_whole_in_evaluation(problem):
    trades = TRADES(problem[0], eps=EPS, steps=1, beta=1.0, warm_up=10)
    radii = []
    for _ in range(12):
        radii.append(trades._radius().item())
    expected = [EPS * min(1.0, 0.05 + step / 10) for step in range(12)]
    assert radii == pytest.approx(expected)
    assert trades.eval()._radius().item() == pytest.approx(EPS)
    assert trades.step.item() == 12


@pytest.mark.parametrize(
    ("defense", "arguments"),
    [
        (FGSMTraining, {"eps": -0.1, "step_size": 0.1}),
        (TRADES, {"eps": -0.1, "steps": 2, "beta": 1.0}),
        (TRADES, {"eps": 0.1, "steps": 0, "beta": 1.0}),
    ],
)
def test_bad_numbers_get_a_message(defense, arguments):
    with pytest.raises(ValueError, match="must be at least"):
        defense(nn.Linear(2, 2), **arguments)


def test_training_makes_a_model_robust_where_it_matters():
    # Two blobs: one pixel tells them apart safely, eight others almost, but within eps of failing.
    g = generator_for("cpu", 0)
    y = torch.arange(400) % 2
    x = 0.5 + torch.cat([(y[:, None] - 0.5) * 0.6, (y[:, None] - 0.5).expand(-1, 8) * 0.1], 1)
    x = (x + 0.02 * torch.randn(x.shape, generator=g)).clamp(0, 1).reshape(400, 1, 3, 3)
    shares = {}
    for name in ("standard", "trades"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = MLPClassifier((1, 3, 3), 2, ())
        loss = {
            "standard": StandardTraining(model),
            "trades": TRADES(model, eps=0.1, steps=5, beta=4.0),
        }[name]
        run = Run("cpu", progress=False)
        fit(
            loss,
            (x, y),
            loss=lambda s: s.loss,
            epochs=10,
            batch_size=50,
            learning_rate=0.05,
            run=run,
        )
        weight = (model.layers[1].weight[1] - model.layers[1].weight[0]).abs()
        shares[name] = (weight[0] / weight.sum()).item()
    assert shares["trades"] > shares["standard"] + 0.1
