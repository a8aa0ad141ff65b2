"""The quiz of chapter 4."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "Three components in the plane have small variances and the means $(-3, 0)$, $(0, 3)$ and "
        "$(3, -3)$. "
        "Code takes the logsumexp over components in each dimension, then adds the two "
        "dimensions. How many peaks does its density have?",
        (
            Option(
                "Six",
                "six is the number of the ghosts. The three peaks of the mixture are there, too.",
            ),
            Option(
                "Three, as it should",
                "that is the mixture. The code describes a product of two one-dimensional "
                "mixtures, which lets each coordinate choose its component.",
            ),
            Option(
                "Nine",
                "each coordinate chooses $-3$, $0$ or $3$ by itself, so there are peaks at six "
                "more points, such as $(0, 0)$, where the mixture has no mass.",
                right=True,
            ),
        ),
    ),
    Question(
        "You integrate $\\exp$ of a mixture's log-density over a grid and get 1. "
        "What does that rule out?",
        (
            Option(
                "That the logsumexp was taken in each dimension",
                "the product of one-dimensional mixtures is a density too, only another one. It "
                "integrates to 1.",
            ),
            Option(
                "That the weights were left unnormalized",
                "the integral is the sum of the weights, so this mistake would show.",
                right=True,
            ),
            Option(
                "That the sampler uses a wrong standard deviation",
                "the sampler does not enter the integral. Compare moments of samples "
                "with those of the density.",
            ),
            Option(
                "Every mistake in the log-density",
                "any density integrates to 1, also one with the means or variances of other "
                "components. Compare with an independent mixture.",
            ),
        ),
    ),
    Question(
        "An encoder's divergence from the prior is 25 nats on average over its $N = 1000$ training "
        "images. How much of that is the misfit between the prior and the aggregated posterior "
        "of these images?",
        (
            Option(
                "At least 18.1 nats",
                "the rest is mutual information between index and code. An index holds no more "
                "than $\\log 1000 \\approx 6.9$ nats, and $25 - 6.9 = 18.1$.",
                right=True,
            ),
            Option(
                "At most 6.9 nats",
                "$\\log 1000 \\approx 6.9$ limits the other part, the mutual information.",
            ),
            Option(
                "None, if the prior is $N(0, I)$ and training has converged",
                "training weighs the divergence against the reconstruction. It does not make the "
                "aggregated posterior equal to the prior.",
            ),
            Option(
                "25 nats",
                "that would need a mutual information of zero: codes that say nothing about "
                "their images.",
            ),
        ),
    ),
    Question(
        "You freeze encoder and decoder. On the training images the mutual information is 6 nats "
        "and $\\mathrm{KL}(q(z) \\,\\|\\, p(z))$ is 4 nats. How many nats can the "
        "best of all priors add to the mean ELBO of these images?",
        (
            Option(
                "10 nats",
                "this is the whole divergence. A new prior does not touch the "
                "mutual information: that depends on the encoder alone.",
            ),
            Option(
                "6 nats",
                "the mutual information does not depend on the prior at all.",
            ),
            Option(
                "4 nats",
                "the best prior is $q(z)$ itself, and it makes the second part zero. To gain more, "
                "the encoder or the decoder has to change.",
                right=True,
            ),
            Option(
                "There is no limit: a flexible prior fits anything.",
                "the reconstruction stays as it is, and the divergence can't fall "
                "below the mutual information.",
            ),
        ),
    ),
    Question(
        "A VampPrior gets one pseudo-input for each training image, equal to that image, with "
        "equal weights. What is this prior?",
        (
            Option(
                "The standard normal distribution",
                "it would be, if the encoder gave $N(0, I)$ for every image.",
            ),
            Option(
                "The aggregated posterior of the training images",
                "it is the mean of all $q(z \\mid x_n)$. With this encoder and decoder, no prior "
                "gives these images a higher ELBO. It costs a pass over all of them and can "
                "overfit.",
                right=True,
            ),
            Option(
                "The best prior for held-out images",
                "it is the best one for the training images. On held-out images a prior with "
                "fewer components can be better.",
            ),
        ),
    ),
    Question(
        "Your EM code, without a floor on the variances, prints the mean log-likelihood after "
        "each step, on the same data: $-3.41$, $-3.20$, $-3.26$. What follows?",
        (
            Option(
                "EM has passed a maximum; stop at the second step.",
                "EM does not overshoot. Each step maximizes a lower bound that touches the "
                "log-likelihood.",
            ),
            Option(
                "Nothing: EM is a stochastic method.",
                "EM with all the data in each step has no randomness. Only the start has.",
            ),
            Option(
                "There is a bug.",
                "an exact EM step never lowers the log-likelihood. Variances around the old "
                "means, or a division by $N$, can break that.",
                right=True,
            ),
        ),
    ),
    Question(
        "A mixture has two components of equal weight on the real line, $N(0, 1)$ and $N(0, 9)$. "
        "Which responsibility does the wide one have for the outlier $z = 10$?",
        (
            Option(
                "Almost 1",
                "at 10 the narrow density is $e^{-50}$ times its height, the wide one "
                "$e^{-5.6}$. Only their ratio counts, and the wide one wins.",
                right=True,
            ),
            Option(
                "Almost 0: both densities vanish there.",
                "responsibilities are ratios. They sum to one however small both densities are.",
            ),
            Option(
                "One half, as both have the same mean and weight",
                "the variances differ, and with them the densities.",
            ),
            Option(
                "$1/4$, as its peak is one third as high",
                "that is its responsibility at $z = 0$, where only the heights count.",
            ),
        ),
    ),
    Question(
        "With a mixture prior you estimate a divergence from one sample, "
        "$\\log q(z \\mid x) - \\log p(z)$, and get $-0.3$. What now?",
        (
            Option(
                "A divergence is never negative: there must be a bug.",
                "the expectation is never negative. A single sample may well be, "
                "wherever $p(z) > q(z \\mid x)$.",
            ),
            Option(
                "Take the absolute value, or zero.",
                "then the estimate is too high on average, and so is the loss.",
            ),
            Option(
                "Keep it: only the mean over many samples can't be negative, up to noise.",
                "the estimate is unbiased just because it may fall on both sides of the "
                "divergence.",
                right=True,
            ),
        ),
    ),
)
