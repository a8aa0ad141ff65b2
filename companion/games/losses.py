r"""The losses of a game between a generator and a discriminator, as pairs of functions.

Each function reads what a discriminator says, logits and never probabilities, and gives one number
for each example, which its player minimizes. `Pair` joins the two players' losses::

    NON_SATURATING.discriminator(real, fake), NON_SATURATING.generator(fake)

D(x) is the sigmoid of the logit f(x): the probability that the discriminator gives to "x is real".
For Wasserstein and hinge losses f(x) is a plain score.

Axis: B batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch  # noqa: F401 - for the doctests
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from companion._require.signature import checked

Logits = Float[Tensor, " B"]


class Pair(NamedTuple):
    """What the discriminator minimizes, and what the generator minimizes."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


@checked
def logistic_discriminator(real: Logits, fake: Logits) -> Logits:
    r"""Return the discriminator's cross-entropy: is this example real?

    .. math:: -\log D(x) - \log(1 - D(G(z)))
        = \operatorname{softplus}(-f(x)) + \operatorname{softplus}(f(G(z)))

    Args:
        real: logits of real examples, shape (B,).
        fake: logits of generated examples, shape (B,).

    Returns:
        Shape (B,), in nats. The minimum over all D of its mean is 2 log 2 - 2 JS(p, q).

    Reference: Goodfellow et al. (2014), equation (1).

    >>> logistic_discriminator(torch.zeros(1), torch.zeros(1))
    tensor([1.3863])
    """
    return F.softplus(-real) + F.softplus(fake)


@checked
def minimax_generator(fake: Logits) -> Logits:
    r"""Return the other side of the discriminator's loss, which saturates where D is sure.

    .. math:: \log(1 - D(G(z))) = -\operatorname{softplus}(f(G(z)))

    Its derivative in the logit is -D(G(z)): nothing is left where the discriminator says "fake".

    Args:
        fake: logits of generated examples, shape (B,).

    Returns:
        Shape (B,), in nats.

    Reference: Goodfellow et al. (2014), equation (1).

    >>> minimax_generator(torch.zeros(1))
    tensor([-0.6931])
    """
    return -F.softplus(fake)


@checked
def non_saturating_generator(fake: Logits) -> Logits:
    r"""Return the cross-entropy of generated examples with the label "real".

    .. math:: -\log D(G(z)) = \operatorname{softplus}(-f(G(z)))

    Its derivative in the logit is D(G(z)) - 1: largest where the discriminator says "fake".

    Args:
        fake: logits of generated examples, shape (B,).

    Returns:
        Shape (B,), in nats.

    Reference: Goodfellow et al. (2014), section 3.

    >>> non_saturating_generator(torch.zeros(1))
    tensor([0.6931])
    """
    return F.softplus(-fake)


@checked
def wasserstein_critic(real: Logits, fake: Logits) -> Logits:
    r"""Return the critic's loss: minus the difference of the scores.

    .. math:: f(G(z)) - f(x)

    Over all f of slope at most one, the maximum of its negative mean is the Wasserstein distance.

    Args:
        real: scores of real examples, shape (B,).
        fake: scores of generated examples, shape (B,).

    Returns:
        Shape (B,), in units of x if f has slope at most one.

    Reference: Arjovsky, Chintala and Bottou (2017), equation (3).

    >>> wasserstein_critic(torch.ones(1), torch.zeros(1))
    tensor([-1.])
    """
    return fake - real


@checked
def wasserstein_generator(fake: Logits) -> Logits:
    r"""Return minus the score, for Wasserstein and hinge games.

    .. math:: -f(G(z))

    Args:
        fake: scores of generated examples, shape (B,).

    Returns:
        Shape (B,).

    Reference: Arjovsky, Chintala and Bottou (2017), algorithm 1.

    >>> wasserstein_generator(torch.ones(1))
    tensor([-1.])
    """
    return -fake


@checked
def hinge_discriminator(real: Logits, fake: Logits) -> Logits:
    r"""Return a loss that asks for a margin, and for nothing beyond it.

    .. math:: \max(0, 1 - f(x)) + \max(0, 1 + f(G(z)))

    Args:
        real: scores of real examples, shape (B,).
        fake: scores of generated examples, shape (B,).

    Returns:
        Shape (B,).

    Reference: Lim and Ye (2017); Miyato et al. (2018), equation (16).

    >>> hinge_discriminator(torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.0]))
    tensor([0., 2.])
    """
    return F.relu(1 - real) + F.relu(1 + fake)


@checked
def least_squares_discriminator(real: Logits, fake: Logits) -> Logits:
    r"""Return half the squared distances of the scores from 1 for real, and 0 for generated.

    .. math:: \tfrac12 (f(x) - 1)^2 + \tfrac12 f(G(z))^2

    Args:
        real: scores of real examples, shape (B,).
        fake: scores of generated examples, shape (B,).

    Returns:
        Shape (B,).

    Reference: Mao et al. (2017), equation (2) with a = 0 and b = c = 1.

    >>> least_squares_discriminator(torch.zeros(1), torch.ones(1))
    tensor([1.])
    """
    return ((real - 1).square() + fake.square()) / 2


@checked
def least_squares_generator(fake: Logits) -> Logits:
    r"""Return half the squared distance of the score from 1.

    .. math:: \tfrac12 (f(G(z)) - 1)^2

    Args:
        fake: scores of generated examples, shape (B,).

    Returns:
        Shape (B,).

    Reference: Mao et al. (2017), equation (2) with c = 1.

    >>> least_squares_generator(torch.zeros(1))
    tensor([0.5000])
    """
    return (fake - 1).square() / 2


MINIMAX = Pair(logistic_discriminator, minimax_generator)
NON_SATURATING = Pair(logistic_discriminator, non_saturating_generator)
WASSERSTEIN = Pair(wasserstein_critic, wasserstein_generator)
HINGE = Pair(hinge_discriminator, wasserstein_generator)
LEAST_SQUARES = Pair(least_squares_discriminator, least_squares_generator)
