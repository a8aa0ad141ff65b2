"""The check of the attack that is built from nothing, and the keys of chapter 5's quiz."""

import pytest
import torch
from check_helpers import assert_correct, assert_not_attempted, judge

from companion.attacks import fgsm, margin, pgd, random_noise
from companion.checks.attacks import QUIZ
from companion.checks.attacks import build as task

KEY = "attacks.build"


def learners_pgd(model, x, y, eps, steps, restarts, **wrong):
    low, high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)
    size = wrong.get("step_size", 2.5 * eps / steps)
    kept, worst = x, torch.full((len(x),), -torch.inf)
    for _ in range(restarts):
        x_adv = x.clone() if wrong.get("no_start") else x + eps * (2 * torch.rand_like(x) - 1)
        for _ in range(steps * wrong.get("more", 1)):
            inside = x_adv if wrong.get("late") else x_adv.clamp(low, high)
            leaf = inside.detach().requires_grad_()
            loss = torch.nn.functional.cross_entropy(model(leaf), y)
            (gradient,) = torch.autograd.grad(loss, leaf)
            x_adv = leaf.detach() + wrong.get("sign", 1) * size * gradient.sign()
        x_adv = x_adv if wrong.get("outside") else x_adv.clamp(low, high)
        with torch.no_grad():
            found = margin(model(x_adv.clamp(0, 1)), y)
        worse = torch.ones_like(found).bool() if wrong.get("last") else found > worst
        kept, worst = torch.where(worse[:, None], x_adv, kept), torch.where(worse, found, worst)
    return kept


def with_backward(model, x, y, eps, steps, restarts):
    leaf = x.clone().requires_grad_()
    torch.nn.functional.cross_entropy(model(leaf), y).backward()
    return (x + eps * leaf.grad.sign()).clamp(0, 1)


def with_zeroed_gradients(model, x, y, eps, steps, restarts):
    model.zero_grad()
    return learners_pgd(model, x, y, eps, steps, restarts)


def in_training_mode(model, x, y, eps, steps, restarts):
    model.train()
    return learners_pgd(model, x, y, eps, steps, restarts)


def frozen(model, x, y, eps, steps, restarts):
    model.requires_grad_(False)
    return learners_pgd(model, x, y, eps, steps, restarts)


def wrong(**options):
    def attack(model, x, y, eps, steps, restarts):
        return learners_pgd(model, x, y, eps, steps, restarts, **options)

    return attack


def by_the_companion(model, x, y, eps, steps, restarts):
    return pgd(model, x, y, eps=eps, steps=steps, restarts=restarts)


def by_image(each, n):
    return each.repeat_interleave(n, dim=0)


def all_starts_at_once(repeat):
    """Climb from all starts in one batch, which holds them in either order."""

    def attack(model, x, y, eps, steps, restarts):
        many, labels = repeat(x, restarts), repeat(y, restarts)
        ends = pgd(model, many, labels, eps=eps, steps=steps)
        with torch.no_grad():
            found = margin(model(ends), labels)
        if repeat is by_image:
            ends, found = ends.view(len(x), restarts, -1), found.view(len(x), restarts)
        else:
            ends = ends.view(restarts, len(x), -1).transpose(0, 1)
            found = found.view(restarts, len(x)).T
        return ends[torch.arange(len(x)), found.argmax(1)]

    return attack


def test_right_attacks_pass():
    assert_correct(KEY, learners_pgd, by_the_companion, wrong(step_size=task.EPS / 4))
    in_blocks = all_starts_at_once(lambda each, n: torch.cat([each] * n))
    assert_correct(KEY, all_starts_at_once(by_image), in_blocks)
    assert_not_attempted(KEY, ..., lambda *arguments: ...)


@pytest.mark.parametrize(
    ("attack", "hint"),
    [
        (with_backward, "`torch.autograd.grad`"),
        (with_zeroed_gradients, "`.grad`"),
        (in_training_mode, "another mode"),
        (frozen, "freezes or thaws"),
        (wrong(more=2), "The network saw"),
        (wrong(outside=True), "Is the ball around x"),
        (wrong(late=True), "asks the network about images outside"),
        (wrong(sign=-1), "rise from step to step, or fall"),
        (wrong(step_size=2 * task.EPS, more=1), "as long as the ball is wide|One start alone"),
        (wrong(no_start=True), "begin at different points"),
        (wrong(last=True), "keep the worst end for each image"),
        (wrong(step_size=task.EPS / 60), "too weak"),
        (lambda model, x, *rest: x[:3], "one image for each"),
        (lambda model, x, *rest: x * torch.nan, "NaN"),
        (lambda model, x, y, *rest: fgsm(model, x, y, eps=task.EPS), "rise from step|start alone"),
    ],
)
def test_wrong_attacks_get_their_hint(attack, hint):
    verdict = judge(KEY, attack)
    assert verdict.status == "not yet", str(verdict)
    assert any(part in verdict.message for part in hint.split("|")), str(verdict)


def test_the_limit_separates_right_from_wrong():
    """Over seeds: restarts pass with room to spare; one start, one step and noise do not."""
    model, (x, y) = task.Hidden(), task.images()
    assert len(x) == 64
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        options = {"eps": task.EPS, "generator": generator}
        climb = {**options, "steps": task.STEPS}
        right = pgd(model, x, y, restarts=task.RESTARTS, **climb)
        single = pgd(model, x, y, **climb)
        noise = random_noise(model, x, y, n_samples=task.RESTARTS * task.STEPS, **options)
        assert task.broken(model, right, y) >= task.LIMIT + 0.05
        assert task.broken(model, single, y) <= task.LIMIT - 0.05
        assert task.broken(model, noise, y) < 0.4


def test_keys_of_the_quiz():
    def right(fragment):
        (question,) = [each for each in QUIZ if fragment in each.text]
        return next(option.text for option in question.options if option.right)

    assert float(right("subtracts 0.1307")) == pytest.approx(0.1 * 0.3081, abs=5e-4)
    weights = torch.randn(1, 784, generator=torch.Generator().manual_seed(0))
    x = torch.full((1, 784), 0.5)
    x_adv = fgsm(lambda u: u, x, None, eps=0.1, loss=lambda u, _: -(u @ weights[0]))
    fall = (x - x_adv) @ weights[0]
    torch.testing.assert_close(fall, 0.1 * weights.abs().sum(1), rtol=1e-4, atol=1e-4)
    assert r"\lVert w \rVert_1" in right("A linear score")
    # With all pixels at 0.5 there is one answer.
    grays = {tuple(torch.full((4,), v).clamp(0.5, 0.5).tolist()) for v in (0.0, 0.3, 1.0)}
    assert len(grays) == 1
    assert "same gray one" in right("keeps 40 %")
    # The gradient of a double softmax, where the network is sure.
    sizes = []
    for change in (lambda z: z, lambda z: z.softmax(-1)):
        logits = torch.tensor([[12.0, 0.0, 0.0]], requires_grad=True)
        loss = torch.nn.functional.cross_entropy(change(logits), torch.tensor([1]))
        sizes.append(torch.autograd.grad(loss, logits)[0].abs().max().item())
    assert sizes[1] < 1e-3 * sizes[0]
    # In float32, it is lost where the probability is rounded to 1.
    lost = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor([[120.0, 0.0, 0.0]], requires_grad=True, dtype=dtype)
        loss = torch.nn.functional.cross_entropy(logits.softmax(-1), torch.tensor([0]))
        lost.append((torch.autograd.grad(loss, logits)[0] == 0).all().item())
    assert lost == [True, False]
    assert "loses the gradient" in right("attacks `softmax(f(x))`")
    # Three attacks on four images: the worst case for each image is below every average.
    correct = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]]).bool()
    assert correct.all(0).float().mean() < correct.float().mean(1).min()
    assert "no attack broke" in right("Five attacks")


def test_the_right_option_is_not_the_longest():
    for question in QUIZ:
        right = [len(option.text) for option in question.options if option.right]
        wrong_ones = [len(option.text) for option in question.options if not option.right]
        assert max(right) <= max(wrong_ones), question.text
