"""Each broken defense raises its own flag; an honest network, natural or robust, raises none."""

import pytest
import torch

from companion import pretrained
from companion.attacks import fgsm, margin, pgd, random_corners, red_flags
from companion.data import mnist5k

EPS = 0.1
digits = mnist5k("test")
picked = torch.randperm(1_000, generator=torch.Generator().manual_seed(0))[:100]
X, Y = digits.images[picked], digits.labels[picked]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net():
    return pretrained.load("natural_mlp").eval()


@pytest.fixture(scope="module")
def elsewhere(net):
    """Images found without the defense: on the bare network, and by noise."""
    return {
        "the bare network": pgd(net, X, Y, eps=EPS, steps=20, generator=seeded()),
        "noise": random_corners(net, X, Y, eps=EPS, n_samples=5, generator=seeded()),
    }


def raised(model, elsewhere=None, **options):
    found = red_flags(model, X, Y, eps=EPS, generator=seeded(), elsewhere=elsewhere, **options)
    return {flag.name for flag in found if flag.raised}


@pytest.mark.parametrize("name", ["natural_mlp", "robust_mlp"])
def test_an_honest_network_raises_none(name, elsewhere):
    assert raised(pretrained.load(name).eval(), elsewhere) == set()


def test_rounding(net, elsewhere):
    found = raised(lambda x: net((7 * x).round() / 7), elsewhere)
    assert {"zero gradients", "right at eps 0.5", "the bare network finds more"} <= found
    assert "random gradients" not in found
    assert "no gradient" not in found


def test_loud_logits(net):
    found = raised(lambda x: 1000 * net(x))
    assert "another loss finds more" in found
    assert "zero gradients" in found


def test_dropout_at_test_time(net, elsewhere):
    random = seeded()

    def dropped(x):
        return net(x * (torch.rand(x.shape, generator=random) > 0.3) / 0.7)

    assert "random gradients" in raised(dropped, elsewhere)


def test_no_gradient_at_all(net, elsewhere):
    found = raised(torch.no_grad()(net), elsewhere)
    own = {"no gradient", "the bare network finds more", "right at eps 0.5"}
    assert own <= found <= own | {"noise finds more"}
    cut = raised(lambda x: net((x > 0.5).float()), elsewhere)
    assert "no gradient" in cut


def test_too_few_steps(net):
    """Three steps find less than nine on a hill that turns."""
    wavy = lambda x: net((x + 0.02 * torch.sin(60 * x)).clamp(0, 1))  # noqa: E731
    assert "more steps find more" in raised(wavy, steps=1)


def test_the_comparison_is_a_sign_test(net):
    """Against SciPy, on what two attacks really break."""
    from scipy.stats import binomtest

    found = {flag.name: flag for flag in red_flags(net, X, Y, eps=0.05, generator=seeded())}
    for flag in (found["one step finds more"], found["another loss finds more"]):
        a, b = map(int, flag.evidence.split(" against "))
        chance = binomtest(a, a + b, alternative="greater").pvalue if a + b else 1.0
        assert flag.raised == (chance < 0.01)


def test_the_evidence_counts_the_same_examples(net):
    found = {flag.name: flag for flag in red_flags(net, X, Y, eps=0.05, generator=seeded())}
    source = seeded()
    many = pgd(net, X, Y, eps=0.05, steps=20, generator=source)
    other = pgd(net, X, Y, eps=0.05, steps=20, loss=margin, generator=source)
    one = fgsm(net, X, Y, eps=0.05)
    broken = [net(each).argmax(1) != Y for each in (many, one, other)]
    for name, flags in (("one step finds more", broken[1]), ("another loss finds more", broken[2])):
        a, b = (flags & ~broken[0]).sum(), (broken[0] & ~flags).sum()
        assert found[name].evidence == f"{a} against {b}"


def test_the_model_is_as_before(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    red_flags(net, X, Y, eps=EPS, generator=seeded())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
