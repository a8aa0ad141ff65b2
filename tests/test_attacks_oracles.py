"""The attacks equal those of foolbox, ART and torchattacks; and answers that are known exactly."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from mutants import attacks as mutants_attacks
from oracles import attacks as oracles
from torch import nn
from torch.nn import functional as F

from companion import attacks
from companion.attacks import auto_pgd, ball, fgsm, pgd, random_corners
from companion.attacks.auto_pgd import intervals

from_x = partial(pgd, random_start=False)


def test_fgsm_equals_the_three(device):
    oracles.assert_fgsm(fgsm, device)


def test_the_l2_step_equals_that_of_foolbox():
    model, x, y = oracles.problem()
    theirs = oracles.foolbox_attack("fgsm", "l2", model, x, y, eps=1.0)
    torch.testing.assert_close(fgsm(model, x, y, eps=1.0, norm="l2"), theirs, **oracles.EXACT)


def test_pgd_in_linf_equals_the_three(device):
    oracles.assert_pgd_linf(from_x, device)


def test_pgd_in_l2_equals_foolbox_and_torchattacks(device):
    oracles.assert_pgd_l2(from_x, device)


@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_in_l2_equals_art_once_it_clips_before_it_projects(targeted, monkeypatch):
    model, x, y = oracles.problem()
    options = {**oracles.PGD["l2"], "steps": 40, "targeted": targeted}
    theirs = oracles.art_attack("pgd", "l2", model, x, y, **options)
    assert (from_x(model, x, y, norm="l2", **options) - theirs).abs().max() > 1e-4
    project = ball.L2Ball.project
    monkeypatch.setattr(ball.L2Ball, "project", lambda self, x: project(self, x.clamp(0, 1)))
    ours = from_x(model, x, y, norm="l2", **options)
    torch.testing.assert_close(ours, theirs, **oracles.EXACT)


def test_the_attack_of_the_mutants_is_right_without_a_fault():
    oracles.assert_fgsm(mutants_attacks.fgsm(mutants_attacks.RIGHT))
    oracles.assert_pgd_linf(mutants_attacks.RIGHT)
    oracles.assert_pgd_l2(mutants_attacks.RIGHT)
    oracles.assert_row_of_batch(mutants_attacks.RIGHT)
    oracles.assert_allowed(mutants_attacks.RIGHT)


@pytest.mark.parametrize("theirs", [oracles.torchattacks_attack, oracles.art_attack])
def test_momentum_equals_that_of_torchattacks_and_art(theirs):
    model, x, y = oracles.problem()
    options = {**oracles.PGD["linf"], "steps": 10, "momentum": 0.9}
    expected = theirs("momentum", "linf", model, x, y, **options)
    torch.testing.assert_close(from_x(model, x, y, **options), expected, **oracles.EXACT)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_auto_pgd_equals_that_of_torchattacks(norm, monkeypatch):
    # With two classes the margin and the cross-entropy order images alike, so that the image of the
    # largest loss, which theirs keeps, is the worst one.
    model, x, y = oracles.problem()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(model, nn.Linear(oracles.CLASSES, 2)).eval().double()
    x = x.double()
    y, eps = y % 2, {"linf": 0.05, "l2": 0.5}[norm]
    theirs = oracles.torchattacks.APGD(model, norm=norm.capitalize(), eps=eps, steps=50, loss="ce")
    source = torch.Generator().manual_seed(3)
    noise = torch.randn(x.shape, generator=source, dtype=x.dtype)
    noise = noise / noise.flatten(1).abs().amax(1).reshape(-1, 1, 1, 1)  # theirs starts at the edge
    monkeypatch.setattr(torch, "rand", lambda *a, **k: (noise + 1) / 2)
    monkeypatch.setattr(torch, "randn", lambda *a, **k: noise)
    monkeypatch.setattr(ball.L2Ball, "offset", ball.L2Ball.corner)
    expected, _, loss, _ = theirs.attack_single_run(x, y)
    ours = auto_pgd(model, x, y, eps=eps, norm=norm, steps=50)
    # Where rounding decides whether a step is halved, two runs part: on few images, and not far.
    same = (ours - expected).flatten(1).abs().amax(1) <= oracles.EXACT["atol"]
    assert same.double().mean() >= 0.95
    found = F.cross_entropy(model(ours), y, reduction="none")
    torch.testing.assert_close(found[same], loss[same])
    torch.testing.assert_close(found, loss, rtol=0.01, atol=0.0)


def test_auto_pgd_reconsiders_its_steps_as_the_paper_says():
    # Croce and Hein: p_0 = 0, p_1 = 0.22, p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06).
    shares, step = [0.0, 0.22], 0.22
    while shares[-1] < 1:
        step = max(step - 0.03, 0.06)
        shares.append(shares[-1] + step)
    expected = [round(100 * b) - round(100 * a) for a, b in pairwise(shares)]
    found = list(intervals(100))
    assert found[:-1] == expected[: len(found) - 1]
    assert [sum(intervals(n)) for n in (1, 2, 10, 33, 100)] == [1, 2, 10, 33, 100]


@pytest.mark.parametrize("attack", [fgsm, from_x, partial(from_x, momentum=1.0)])
def test_on_a_linear_model_the_attack_is_the_closed_form(attack):
    oracles.assert_linear(attack)


def test_on_a_linear_model_auto_pgd_comes_to_the_closed_form_from_a_random_start():
    oracles.assert_linear(auto_pgd, tolerance=1e-3)


def test_the_worst_corner_of_a_linear_model_is_found_by_trying_them_all():
    model, x, y = oracles.linear()
    tried = random_corners(model, x, y, eps=0.2, n_samples=500)
    torch.testing.assert_close(tried, fgsm(model, x, y, eps=0.2), **oracles.EXACT)


def test_the_worst_logistic_loss_in_closed_form_is_that_of_the_worst_corner():
    def worst(w, b, x, y, eps):
        return F.softplus(eps * w.abs().sum() - y * (x @ w + b))

    oracles.assert_worst_logistic_loss(worst)


@pytest.mark.parametrize("attack", [pgd, auto_pgd])
def test_many_starts_find_the_maximum_that_a_search_finds(attack):
    source = torch.Generator().manual_seed(0)
    oracles.assert_finds_maximum(partial(attack, steps=40, restarts=10, generator=source))


def test_losses_equal_a_loop_over_numbers():
    oracles.assert_cross_entropy(attacks.cross_entropy)
    oracles.assert_margin(attacks.margin)
    oracles.assert_dlr(attacks.dlr)


def test_losses_take_samples_in_front():
    samples, y = torch.randn(2, 7, 4), torch.arange(7) % 4
    for loss in (attacks.cross_entropy, attacks.margin, attacks.dlr):
        apart = torch.stack([loss(logits, y) for logits in samples])
        torch.testing.assert_close(loss(samples, y), apart)


def test_starts_are_uniform_in_the_ball():
    oracles.assert_start(attacks.random_start)
