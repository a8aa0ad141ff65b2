"""The check of the GAN that is built from nothing, and the keys of chapter 9's quiz."""

import math
from functools import partial

import pytest
import torch
from check_helpers import assert_not_attempted, judge
from torch import nn
from torch.nn import functional as F

from companion.checks.gan import QUIZ
from companion.games import GAN, Player, minimax_generator, non_saturating_generator, play
from companion.networks import mlp
from companion.samples import count_modes
from companion.training import Run

KEY = "gan.build"


def learners_gan(points, rounds, **wrong):
    generator, discriminator = mlp(2, (32, 32), 2), mlp(2, (32, 32), 1)
    both = [*generator.parameters(), *discriminator.parameters()]
    adam = partial(torch.optim.Adam, betas=(wrong.get("momentum", 0.0), 0.999))
    d_rate, g_rate = wrong.get("rates", (3e-3, 1e-3))
    adam_d = adam(both if wrong.get("joint") else discriminator.parameters(), lr=d_rate)
    adam_g = adam(both if wrong.get("joint") else generator.parameters(), lr=g_rate)
    sign = -1 if wrong.get("swapped") else 1
    for _ in range(rounds):
        x = points[torch.randint(len(points), (64,))]
        for _ in range(wrong.get("d_steps", 1)):
            fake = generator(torch.randn(64, 2))
            fake = fake if wrong.get("joint") else fake.detach()
            loss = F.softplus(-sign * discriminator(x)) + F.softplus(sign * discriminator(fake))
            adam_d.zero_grad()
            loss.mean().backward()
            adam_d.step()
        for _ in range(wrong.get("g_steps", 1)):
            fake = generator(torch.randn(64, 2))
            fake = fake.detach() if wrong.get("cut") else fake
            adam_g.zero_grad()
            F.softplus(-discriminator(fake)).mean().backward()
            if not wrong.get("lazy"):
                adam_g.step()
    return generator, discriminator


def by_the_companion(points, rounds):
    generator, discriminator = mlp(2, (32, 32), 2), mlp(2, (32, 32), 1)
    gan = GAN(generator, discriminator, latent_dim=2)
    adam = partial(torch.optim.Adam, betas=(0.0, 0.999))
    players = {
        "d": Player(discriminator, gan.discriminator_loss, 3e-3, adam),
        "g": Player(generator, gan.generator_loss, 1e-3, adam),
    }
    several = points.repeat(15, 1)[: 64 * rounds]
    play(players, several, epochs=1, batch_size=64, run=Run(device="cpu", progress=False))
    return generator, discriminator


@pytest.mark.parametrize("answer", [learners_gan, by_the_companion])
def test_right_answers_pass(answer):
    verdict = judge(KEY, answer)
    assert verdict.status == "correct", str(verdict)


def test_the_stub_is_not_attempted():
    assert_not_attempted(KEY, ..., lambda points, rounds: ...)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"joint": True}, "One step moves both networks"),
        ({"cut": True}, "The generator never moves"),
        ({"lazy": True}, "The generator never moves"),
        ({"d_steps": 0}, "The discriminator never moves"),
        ({"g_steps": 2}, "One step in each round"),
    ],
)
def test_the_steps_get_their_hint(options, hint):
    verdict = judge(KEY, partial(learners_gan, **options))
    assert verdict.status == "not yet", str(verdict)
    assert hint in verdict.message, str(verdict)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"swapped": True}, "a larger number than real ones|Hardly a sample"),
        ({"rates": (5e-4, 2e-3), "momentum": 0.5}, "mode collapse|Hardly a sample"),
        ({"rates": (1e-6, 1e-6)}, "Hardly a sample|mode collapse"),
    ],
)
def test_the_result_gets_its_hint(options, hint):
    verdict = judge(KEY, partial(learners_gan, **options))
    assert verdict.status == "not yet", str(verdict)
    assert any(part in verdict.message for part in hint.split("|")), str(verdict)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda points, rounds: mlp(2, (4,), 2), "Return the two networks"),
        (lambda points, rounds: (mlp(2, (4,), 2), mlp(2, (4,), 1)), "No optimizer has taken"),
        (lambda points, rounds: (mlp(2, (4,), 3), mlp(2, (4,), 1)), "to points"),
    ],
)
def test_what_is_no_game_gets_its_hint(answer, hint):
    verdict = judge(KEY, answer)
    assert verdict.status == "not yet", str(verdict)
    assert hint in verdict.message, str(verdict)


def test_networks_must_not_share_parameters():
    def shared(points, rounds):
        net = nn.Linear(2, 2)
        sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        net(points[:4]).sum().backward()
        sgd.step()
        return net, net

    assert "share parameters" in judge(KEY, shared).message


def test_the_hooks_are_gone_afterwards():
    from torch.optim import optimizer

    before = len(optimizer._global_optimizer_pre_hooks)
    judge(KEY, partial(learners_gan, joint=True))
    assert len(optimizer._global_optimizer_pre_hooks) == before


def test_keys_of_the_quiz():
    def right(fragment):
        (question,) = [each for each in QUIZ if fragment in each.text]
        return next(option.text for option in question.options if option.right)

    assert float(right("four times as many")) == pytest.approx(1 / (1 + 4))
    f = torch.tensor([math.log(0.001 / 0.999)], requires_grad=True)
    slopes = {
        name: torch.autograd.grad(loss(f).sum(), f)[0].abs().item()
        for name, loss in {
            "The non-saturating one": non_saturating_generator,
            "The one of the minimax game": minimax_generator,
        }.items()
    }
    assert min(slopes.values()) < max(slopes.values()) / 900
    assert right("says 0.001") == max(slopes, key=slopes.get)
    # The generator's turn through detached samples: no error, and nothing moves.
    generate, judge_ = nn.Linear(2, 2), nn.Linear(2, 1)
    F.softplus(-judge_(generate(torch.randn(4, 2)).detach())).mean().backward()
    assert generate.weight.grad is None
    assert judge_.weight.grad is not None
    assert right("detach()").startswith("Nothing moves")
    cloud = torch.empty(2_500, 2).uniform_(-1.2, 1.2, generator=torch.Generator().manual_seed(0))
    from companion.data.toys import ring_centers

    count = count_modes(cloud, ring_centers())
    assert count.found == 8
    assert count.high_quality < 0.3
    assert right("8 modes are found").startswith("Both numbers")
