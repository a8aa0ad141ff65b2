"""What every attack keeps: the ball, the pixels, the model, its generator; and what it warns of."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import attacks as oracles
from oracles.densities import generator
from torch import nn
from torch.nn import functional as F

import companion
from companion.attacks import (
    auto_pgd,
    evaluating,
    fgsm,
    margin,
    pgd,
    project,
    random_corners,
    random_noise,
    random_start,
)
from companion.data import mnist5k
from companion.pretrained import load

short = partial(pgd, steps=5)
short_auto = partial(auto_pgd, steps=9)
noise, corners = partial(random_noise, n_samples=3), partial(random_corners, n_samples=3)
ATTACKS = {
    "fgsm": fgsm,
    "pgd": short,
    "pgd, restarts": partial(short, restarts=3),
    "pgd, momentum": partial(short, momentum=1.0),
    "auto_pgd": short_auto,
    "noise": noise,
    "corners": corners,
}
RANDOM = {name: attack for name, attack in ATTACKS.items() if name != "fgsm"}
every = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
every_random = pytest.mark.parametrize("attack", RANDOM.values(), ids=RANDOM)
both_norms = pytest.mark.parametrize("norm", ["linf", "l2"])


@every
@both_norms
def test_the_image_is_allowed(attack, norm):
    oracles.assert_allowed(attack, norm=norm, eps={"linf": 0.2, "l2": 1.5}[norm])


@every
def test_the_model_and_the_image_are_left_as_they_were(attack):
    oracles.assert_untouched(attack)


@pytest.mark.parametrize("attack", [fgsm, partial(short, random_start=False)])
def test_a_batch_of_one_equals_its_row_in_a_batch_of_a_hundred(attack):
    oracles.assert_row_of_batch(attack)


def test_auto_pgd_of_one_equals_its_row_in_a_batch_of_a_hundred():
    oracles.assert_row_of_batch(partial(short_auto, random_start=False), tolerance=1e-5)


@every_random
def test_the_same_generator_gives_the_same_answer_and_torchs_own_is_not_used(attack):
    model, x, y = oracles.problem()
    state = torch.get_rng_state()
    first = attack(model, x, y, eps=0.1, generator=generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, attack(model, x, y, eps=0.1, generator=generator(1)))
    assert not torch.equal(first, attack(model, x, y, eps=0.1, generator=generator(2)))


@every
def test_eps_zero_gives_x_back(attack):
    model, x, y = oracles.problem()
    for norm in ("linf", "l2"):
        x_adv = attack(model, x, y, eps=0.0, norm=norm)
        assert torch.equal(x_adv, x)
        assert x_adv is not x


@every
def test_the_answer_has_no_gradient_also_where_the_image_has_one(attack):
    model, x, y = oracles.problem()
    assert not attack(model, x.requires_grad_(), y, eps=0.1).requires_grad


@pytest.mark.parametrize(
    ("attack", "passes"),
    [(fgsm, 1), (pgd, 40), (auto_pgd, 101), (random_noise, 100), (random_corners, 100)],
)
def test_by_default_an_attack_takes_as_many_passes_as_its_documentation_says(attack, passes):
    model, x, y = oracles.problem()
    calls = []
    attack(lambda images: calls.append(1) or model(images), x[:2], y[:2], eps=0.1)
    assert len(calls) == passes


sizes = st.floats(0.0, 1.0)


@given(st.integers(0, 10_000), sizes, st.sampled_from(["linf", "l2"]))
def test_a_projection_is_allowed_and_projecting_twice_changes_nothing(seed, eps, norm):
    source = generator(seed)
    x = torch.rand(5, 2, 3, generator=source)
    far = x + 3 * torch.randn(5, 2, 3, generator=source)
    before = far.clone()
    once = project(far, x, eps=eps, norm=norm)
    assert torch.equal(far, before)  # what comes in is not overwritten
    length = (once - x).flatten(1).norm(dim=1, p={"linf": torch.inf, "l2": 2}[norm])
    assert length.max() <= eps + 1e-6
    assert 0 <= once.min() <= once.max() <= 1
    twice = project(once, x, eps=eps, norm=norm)
    torch.testing.assert_close(twice, once, rtol=0, atol=0 if norm == "linf" else 2e-7)
    inside = project(x, x, eps=eps, norm=norm)
    assert torch.equal(inside, x)


@given(st.integers(0, 10_000), st.floats(0.01, 0.5))
def test_in_linf_the_projection_is_the_nearest_allowed_image(seed, eps):
    source = generator(seed)
    x = torch.rand(4, 3, generator=source)
    far = x + torch.randn(4, 3, generator=source)
    distance = (project(far, x, eps=eps) - far).norm(dim=1)
    others = random_start(x.repeat(50, 1), eps=eps, generator=source).clamp(0, 1)
    assert ((others - far.repeat(50, 1)).norm(dim=1) >= distance.repeat(50) - 1e-6).all()


@settings(max_examples=20)
@given(st.integers(0, 500), st.floats(0.01, 0.6), st.sampled_from(["linf", "l2"]))
def test_more_starts_are_never_weaker(seed, eps, norm):
    model, x, y = oracles.problem()
    x, y = x[:8], y[:8]
    attack = partial(pgd, model, x, y, eps=eps, norm=norm, steps=2)
    one = margin(model(attack(generator=generator(seed))), y)
    three = margin(model(attack(restarts=3, generator=generator(seed))), y)
    assert (three >= one - 1e-6).all()  # the first of the three starts is the one


def test_the_worst_start_is_kept_for_each_example_apart():
    model, x, y = oracles.problem()
    source = generator(0)
    runs = [pgd(model, x, y, eps=0.1, steps=1, generator=source) for _ in range(4)]
    margins = torch.stack([margin(model(run), y) for run in runs])
    kept = pgd(model, x, y, eps=0.1, steps=1, restarts=4, generator=generator(0))
    torch.testing.assert_close(margin(model(kept), y), margins.amax(0))
    assert margins.argmax(0).unique().numel() > 1  # else a choice for the whole batch would do


def test_a_start_that_fools_beats_one_of_higher_loss():
    # Class 0 wins at A with a high cross-entropy; at B class 1 wins with a lower one.
    logits = torch.tensor([[1.0, 0.9, 0.9, 0.9], [1.0, 1.1, -9.0, -9.0]])
    assert F.cross_entropy(logits[:1], torch.tensor([0])) > F.cross_entropy(
        logits[1:], torch.tensor([0])
    )

    def model(x):  # A on the left of 0.5, B on the right, without slope
        return torch.where(x > 0.5, logits[1], logits[0]) + 0 * x

    x, y = torch.full((1, 1), 0.5), torch.tensor([0])
    x_adv = random_noise(model, x, y, eps=0.4, n_samples=40, generator=generator(0))
    assert model(x_adv).argmax() == 1


def test_of_two_classes_too_the_margin_decides_which_start_is_kept():
    model, x, y = nn.Linear(2, 2).eval(), torch.full((50, 2), 0.5), torch.zeros(50).long()
    attack = partial(random_noise, model, x, y, eps=0.3, loss=lambda logits, y: 0 * logits.sum(1))
    one, best = (margin(model(attack(n_samples=n, generator=generator(0))), y) for n in (1, 20))
    assert (best > one).float().mean() > 0.8  # of 20, the first is the best in one case of 20


def test_of_images_that_are_equally_bad_auto_pgd_keeps_the_first():
    def model(x):  # the margin of class 0 never changes; the loss, the third logit, does
        return torch.cat([0 * x, 0 * x + 5, -x], 1)

    x, y = torch.full((3, 1), 0.5), torch.zeros(3).long()
    climb = partial(auto_pgd, eps=0.2, random_start=False, loss=lambda logits, y: logits[:, 2])
    assert torch.equal(climb(model, x, y), x)
    assert (climb(model, x, torch.ones(3)) != x).all()  # without classes, the loss decides


@every
def test_a_targeted_attack_comes_nearer_to_its_target(attack):
    model, x, _ = oracles.problem()
    target = (model(x).argmax(1) + 1) % oracles.CLASSES
    x_adv = attack(model, x, target, eps=0.1, targeted=True)
    assert margin(model(x_adv), target).mean() < margin(model(x), target).mean()


def test_gradients_are_taken_where_they_are_switched_off():
    model, x, y = oracles.problem()
    expected = fgsm(model, x, y, eps=0.1)
    with torch.no_grad():
        assert torch.equal(fgsm(model, x, y, eps=0.1), expected)
    x.requires_grad_()
    assert torch.equal(fgsm(model, x, y, eps=0.1), expected)


def test_an_attack_in_float64_stays_there():
    model, x, y = oracles.problem()
    assert fgsm(model.double(), x.double(), y, eps=0.1).dtype == torch.float64


def test_tiny_gradients_have_a_direction_too():
    # Squares of 1e-25 vanish in float32; a norm of zero would turn into a step of zero, or of 1e13.
    x_adv = pgd(
        lambda x: x * 1e-25,
        torch.full((1, 4), 0.5),
        None,
        loss=lambda output, _: output.sum(1),
        eps=0.2,
        norm="l2",
        random_start=False,
    )
    torch.testing.assert_close(x_adv, torch.full((1, 4), 0.6))


def test_the_step_size_is_enough_to_cross_the_ball():
    model = nn.Linear(2, 2).eval()
    x, y = torch.full((50, 2), 0.5), torch.zeros(50, dtype=torch.long)
    for steps in (1, 3, 40):
        x_adv = pgd(model, x, y, eps=0.1, steps=steps)
        torch.testing.assert_close((x_adv - x).abs(), torch.full_like(x, 0.1))


def test_a_vae_is_attacked_through_its_codes():
    vae, digits = load("vae_2d").eval(), mnist5k("test").images
    x, wanted = digits[:4], vae.encode(digits[7:11]).mean.detach()

    def distance(q, codes):
        return (q.mean - codes).square().sum(1)

    x_adv = pgd(vae.encode, x, wanted, eps=0.2, loss=distance, targeted=True, generator=generator())
    before, after = (distance(vae.encode(image), wanted).mean() for image in (x, x_adv))
    assert after < 0.5 * before


def test_a_pipeline_is_attacked_as_a_function():
    model, x, y = oracles.problem()

    def blurred(x):
        return model(F.avg_pool2d(x, 3, stride=1, padding=1))

    x_adv = pgd(blurred, x, y, eps=0.1)
    assert margin(blurred(x_adv), y).mean() > margin(blurred(x), y).mean()


# Warnings


def test_a_model_in_training_mode_is_named():
    model, x, y = oracles.problem()
    with pytest.warns(UserWarning, match=r"in training mode.*Call model\.eval") as caught:
        fgsm(model.train(), x, y, eps=0.1)
    # It points at the program that called the attack, not into the package.
    assert not Path(caught[0].filename).is_relative_to(Path(companion.__file__).parent)
    model.eval()[4].train()
    with pytest.warns(UserWarning, match=r"^1 of the model's modules.*a Flatten"):
        pgd(model, x, y, eps=0.1, steps=1)


def test_evaluating_gives_each_module_its_mode_back_also_after_an_error():
    model = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Dropout())
    with suppress(RuntimeError), evaluating(model):
        assert not any(part.training for part in model.modules())
        raise RuntimeError
    assert [part.training for part in model.modules()] == [True, False, True]


def test_probabilities_in_place_of_logits_are_named_once():
    model, x, y = oracles.problem()
    with pytest.warns(UserWarning, match=r"look like probabilities.*before the softmax") as caught:
        pgd(nn.Sequential(model, nn.Softmax(1)).eval(), x, y, eps=0.1)
    assert len(caught) == 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_gradients_of_exactly_zero_are_named(norm):
    model, x, y = oracles.problem()
    with pytest.warns(UserWarning, match=r"exactly zero for 40 of 40.*masked gradients"):
        x_adv = fgsm(lambda x: model((4 * x).round() / 4), x, y, eps=0.1, norm=norm)
    assert torch.equal(x_adv, x)
    with pytest.warns(UserWarning, match="exactly zero"):
        fgsm(lambda x: 1e6 * model(x), x, model(x).argmax(1), eps=0.1)


def test_a_few_gradients_of_zero_are_no_reason_to_warn():
    model = oracles.network()
    x, y = oracles.images(n=200)
    keep = torch.ones(200, 1)
    keep[3] = 0
    fgsm(lambda x: model(x) * keep, x, y, eps=0.1)
