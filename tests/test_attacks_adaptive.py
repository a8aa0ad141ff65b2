"""Random models and models without useful gradients, attacked on purpose."""

import copy

import pytest
import torch
from oracles import attacks as oracles
from oracles.densities import generator
from torch import nn
from torch.nn import functional as F

from companion.attacks import (
    bpda,
    cross_entropy,
    expectation_over_transformation,
    fgsm,
    margin,
    pgd,
)
from companion.pretrained import load
from companion.vae import Elbo


def gradient(model, x, y, loss=cross_entropy):
    """The gradient that an attack sees, read off one small l2 step."""
    step = pgd(
        model, x, y, eps=1.0, norm="l2", steps=1, step_size=1e-3, random_start=False, loss=loss
    )
    return (step - x) / 1e-3


# Expectation over transformation


def test_samples_lead_and_each_is_a_fresh_one():
    noise = generator(1)
    eot = expectation_over_transformation(
        nn.Identity(), 7, transform=lambda x: x + torch.randn(x.shape, generator=noise)
    )
    outputs = eot(torch.zeros(3, 2))
    assert outputs.shape == (7, 3, 2)
    assert len(outputs.flatten().unique()) == 42


def test_the_direction_is_that_of_the_mean_loss_not_of_a_mean_output():
    model, x, y = oracles.problem()
    views = [0.5, 1.0, 4.0]

    def scaled(x, calls=[0]):  # noqa: B006 - the three views in turn
        calls[0] += 1
        return views[calls[0] % 3] * x

    leaf = (0.4 + 0.2 * x).requires_grad_()
    losses = sum(F.cross_entropy(model(v * leaf), y, reduction="sum") for v in views)
    expected = F.normalize(torch.autograd.grad(losses, leaf)[0].flatten(1))
    eot = expectation_over_transformation(model, 3, transform=scaled)
    found = gradient(eot, leaf.detach(), y).flatten(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


def test_more_samples_point_nearer_to_the_expected_gradient():
    # E over a ~ N(1, 1) of the gradient of a x w is w; one sample is off by its whole size.
    w, noise = torch.tensor([1.0, -2.0, 0.5]), generator(2)

    def noisy(x):
        return (x * w + 3 * torch.randn(x.shape, generator=noise) * x).sum(1)

    x = torch.full((200, 3), 0.5)
    errors = []
    for n in (1, 10, 100):
        eot = expectation_over_transformation(noisy, n)
        found = gradient(eot, x, None, loss=lambda output, _: output)
        errors.append((1 - F.cosine_similarity(found, w.expand_as(found))).mean().item())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_a_random_vae_gives_named_tuples_of_samples():
    vae, x = load("vae_2d").eval(), torch.rand(3, 1, 28, 28).round()
    eot = expectation_over_transformation(vae, 4)
    elbo = eot(x)
    assert isinstance(elbo, Elbo)
    assert elbo.log_likelihood.shape == elbo.kl.shape == (4, 3)
    x_adv = fgsm(eot, x, None, eps=0.0, loss=lambda elbo, _: elbo.kl - elbo.log_likelihood)
    assert torch.equal(x_adv, x)


# Backward pass differentiable approximation


def rounded(x):
    return (4 * x).round() / 4


def test_the_output_is_exactly_that_of_the_part():
    x = torch.rand(5, 3)
    assert torch.equal(bpda(rounded)(x), rounded(x))
    assert torch.equal(bpda(rounded, backward=torch.sin)(x), rounded(x))
    assert torch.equal(bpda(lambda x: x)(x), x)


def test_the_gradient_is_that_of_the_backward_function():
    x = torch.rand(5, 3, requires_grad=True)
    weights = torch.rand(5, 3)
    (found,) = torch.autograd.grad((weights * bpda(rounded, torch.sin)(x)).sum(), x)
    torch.testing.assert_close(found, weights * x.cos())
    (found,) = torch.autograd.grad((weights * bpda(rounded)(x)).sum(), x)
    torch.testing.assert_close(found, weights)


def test_rounding_stops_an_attack_only_until_its_gradient_is_replaced():
    model, x, y = oracles.problem()
    defended = nn.Sequential(bpda(rounded), model).eval()
    with pytest.warns(UserWarning, match="exactly zero"):
        blind = pgd(lambda x: model(rounded(x)), x, y, eps=0.1, random_start=False)
    assert torch.equal(blind, x)
    x_adv = pgd(defended, x, y, eps=0.2, generator=generator(0))
    before, after = (margin(defended(image), y) for image in (x, x_adv))
    assert (after > before).float().mean() > 0.9


def test_a_part_under_no_grad_can_be_attacked_through_it():
    model, x, y = oracles.problem()

    @torch.no_grad()
    def purifier(x):
        return x.clamp(0.1, 0.9)

    with pytest.raises(ValueError, match=r"No gradient of the loss reaches x.*bpda"):
        fgsm(lambda x: model(purifier(x)), x, y, eps=0.1)
    fgsm(nn.Sequential(bpda(purifier), model).eval(), x, y, eps=0.1)


def test_modes_devices_and_copies_follow():
    model = oracles.network()
    for module in (expectation_over_transformation(model, 2), bpda(model), bpda(model.forward)):
        assert {id(p) for p in module.parameters()} == {id(p) for p in model.parameters()}
        module.train()
        assert model.training
        module.eval()
        twin = copy.deepcopy(module).double()
        assert twin(torch.rand(1, *oracles.SHAPE).double()).dtype == torch.float64
        assert next(model.parameters()).dtype == torch.float32
