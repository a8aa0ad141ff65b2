"""What the exercises of chapter 4 claim on paper, and the luck of a sampler's draw."""

import math
from itertools import pairwise

import pytest
import torch
from answers.mixtures import (
    density_by_torch,
    draw_closed,
    information_closed,
    m_closed,
    repaired,
)
from check_helpers import judge
from torch.distributions import Normal


def test_which_test_finds_which_fault_of_fix_the_density():
    """What the solution on paper says: one Gaussian, the integral, an independent mixture."""
    line = torch.linspace(-14, 14, 400, dtype=torch.float64)
    grid, cell = torch.cartesian_prod(line, line), (line[1] - line[0]).item() ** 2
    logits = torch.tensor([0.4, -0.3]).double()
    mean = torch.tensor([[-2.0, -2.0], [2.0, 2.0]]).double()
    log_var = torch.tensor([[0.3, 0.8], [-0.4, 0.5]]).double()

    def one_gaussian(density, logit=0.4):
        arguments = grid, torch.tensor([logit]).double(), mean[:1], log_var[:1]
        return torch.allclose(density(*arguments), density_by_torch(*arguments))

    def integral(density):
        return density(grid, logits, mean, log_var).exp().sum().item() * cell

    def mixture(density):
        arguments = grid, logits, mean, log_var
        return torch.allclose(density(*arguments), density_by_torch(*arguments))

    right, parenthesis, unnormalized, product_density = (
        repaired(),
        repaired(False),
        repaired(weights="logits"),
        repaired(order="start"),
    )
    assert one_gaussian(right)
    assert mixture(right)
    assert integral(right) == pytest.approx(1, abs=1e-6)
    assert not one_gaussian(parenthesis)
    assert abs(integral(parenthesis) - 1) > 0.05
    assert not one_gaussian(unnormalized)
    assert one_gaussian(unnormalized, logit=0.0)
    assert integral(unnormalized) == pytest.approx(logits.exp().sum().item(), abs=1e-6)
    assert one_gaussian(product_density)
    assert integral(product_density) == pytest.approx(1, abs=1e-6)
    assert not any(map(mixture, (parenthesis, unnormalized, product_density)))


def test_the_key_of_m_step_never_lowers_the_likelihood():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    z[:30] += 3
    weights, mean, var = (
        torch.full((3,), 1 / 3).double(), z[:3].clone(), torch.ones(3, 2).double()
    )  # fmt: skip
    values = []
    for _ in range(12):
        joint = weights.log() + Normal(mean, var.sqrt()).log_prob(z[:, None]).sum(-1)
        values.append(joint.logsumexp(1).mean().item())
        weights, mean, var = m_closed(z, joint.softmax(1), weights, mean)
    assert all(b >= a - 1e-12 for a, b in pairwise(values))
    assert values[-1] > values[0] + 0.1


def test_right_samplers_do_not_depend_on_luck():
    """Whatever numbers a right way of drawing gets, it passes: here with twenty other streams."""
    for shift in range(20):

        def draw(n, logits, mean, log_var, generator, shift=shift):
            torch.rand(shift, generator=generator)
            return draw_closed(n, logits, mean, log_var, generator)

        assert judge("mixtures.sample", draw), shift


def test_the_key_of_mutual_information_obeys_its_limits():
    noise = torch.linspace(-1, 1, 12).reshape(6, 2).double()
    same = information_closed(torch.zeros(6, 2).double(), torch.zeros(6, 2).double(), noise)
    assert same.abs() < 1e-12
    mean = 100 * torch.arange(12.0).reshape(6, 2).double()
    apart = information_closed(mean, torch.zeros(6, 2).double(), mean + noise)
    assert abs(apart.item() - math.log(6)) < 1e-12
