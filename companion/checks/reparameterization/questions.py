"""The quiz of chapter 2."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "You draw $z$ from $q_\\phi(z)$ with `sample()` and compute `f(z).mean()`. Why is its "
        "gradient by $\\phi$ not an estimate of $\\nabla_\\phi E_{q_\\phi}[f(z)]$?",
        (
            Option(
                "Because the mean over samples is noisy",
                "noise would average out with more samples. Here something is missing altogether.",
            ),
            Option(
                "Because $\\phi$ acts through the density, and the drawn numbers hold no trace "
                "of it",
                "which values come up depends on $\\phi$, and autograd can't see that in the "
                "values. It finds no path, and the gradient is missing or zero.",
                right=True,
            ),
            Option(
                "Because $f$ need not be differentiable",
                "it may be smooth, and the gradient is still missing: the path breaks between "
                "$\\phi$ and $z$.",
            ),
            Option(
                "Nothing is wrong with it: gradient and expectation can be exchanged",
                "they can if the density does not depend on $\\phi$. Here it does.",
            ),
        ),
    ),
    Question(
        "You subtract a constant baseline $b$ from $f(z)$ in the score-function estimator. What "
        "changes?",
        (
            Option(
                "Its variance, but not its expectation",
                "the score has mean zero, so $E[b\\, s(z)] = 0$ for every constant $b$. The "
                "variance does depend on $b$.",
                right=True,
            ),
            Option(
                "Its expectation: the result is shifted by $b$",
                "what is subtracted is $b$ times the score, and the score has mean zero.",
            ),
            Option(
                "Its variance falls, whatever $b$ is",
                "only if $b$ lies between 0 and twice the best $b$. Outside, it rises.",
            ),
        ),
    ),
    Question(
        "An encoder outputs `mean = 0` and `log_var = -2`, and the noise is $\\epsilon = 1$. "
        "What is $z$, to two decimals?",
        (
            Option("0.14", "that is $e^{-2}$, the variance. The noise is multiplied by $\\sigma$."),
            Option("-2.00", "`log_var` is a logarithm; it never multiplies the noise itself."),
            Option(
                "0.37",
                "$\\sigma = e^{-2/2} = e^{-1} \\approx 0.37$, and $z = 0 + \\sigma \\cdot 1$.",
                right=True,
            ),
            Option(
                "0.61",
                "that is $e^{-1/2}$: the root was taken twice. $\\sigma = e^{\\log\\sigma^2 / 2}$.",
            ),
        ),
    ),
    Question(
        "In a VAE with a closed-form KL, $z$ is drawn under `torch.no_grad()`. The loss is the "
        "negative ELBO. What does training do?",
        (
            Option(
                "It stops with an error message",
                "the loss still depends on the decoder and, through the KL, on the encoder. "
                "Nothing looks wrong to autograd.",
            ),
            Option(
                "The encoder learns from the KL alone and goes to the prior",
                "no gradient of the reconstruction reaches the encoder. The KL pulls every "
                "$q(z \\mid x)$ to $N(0, I)$, and the code says nothing about $x$.",
                right=True,
            ),
            Option(
                "The decoder stops learning; the encoder is fine",
                "the decoder comes after $z$, so its gradient is whole. The encoder comes before.",
            ),
            Option(
                "Both learn, only with more noise",
                "the missing part is not noise: the encoder never hears of the reconstruction.",
            ),
        ),
    ),
    Question(
        "$f(z) = \\operatorname{ReLU}(z)$, that is, $z$ for $z > 0$ and 0 otherwise, and "
        "$q = N(0, 1)$. What do the two estimators of the derivative by the mean give on average?",
        (
            Option(
                "Neither is defined: $f$ has a kink",
                "the slope is missing at a single point, which is never drawn. And $f$ does not "
                "jump there, so the derivative may enter the integral.",
            ),
            Option(
                "Pathwise 0, score function 0.5",
                "so it would be for a step, whose slope is zero almost everywhere. Here the slope "
                "is 1 for $z > 0$.",
            ),
            Option(
                "Both give 0.5",
                "the slope is 1 with probability one half, and 0 otherwise. The score function "
                "gives $E[\\operatorname{ReLU}(\\epsilon)\\, \\epsilon]$, half of "
                "$E[\\epsilon^2] = 1$.",
                right=True,
            ),
            Option(
                "Pathwise 0.5, score function 0",
                "both are unbiased here. The score function needs values of $f$ only, and a kink "
                "does not disturb it.",
            ),
        ),
    ),
    Question(
        "$f(z) = \\sum_d z_d^2$ and $q = N(\\mu, I)$ with all $\\mu_d = 1$. You estimate "
        "the derivative by $\\mu_1$ from one sample, without a baseline. How do the variances "
        "grow with $D$?",
        (
            Option(
                "Both like $D$",
                "the pathwise estimate is $2 z_1$. Does it know of the other dimensions?",
            ),
            Option(
                "Pathwise: not at all. Score function: like $D$",
                "nearly. The values of $f$ grow like $D$, and they enter the variance squared.",
            ),
            Option(
                "Neither grows: each is about one dimension only",
                "the score is, but it is multiplied by the whole of $f$.",
            ),
            Option(
                "Pathwise: not at all. Score function: like $D^2$",
                "the pathwise estimate is $2 z_1$, with variance 4. The score-function estimate is "
                "$f(z)(z_1 - \\mu_1)$, and $f$ is about $2D$.",
                right=True,
            ),
        ),
    ),
    Question(
        "In the straight-through Gumbel-softmax, what happens forwards and backwards?",
        (
            Option(
                "Forwards a one-hot vector, backwards the gradient of the soft one: biased",
                "the gradient belongs to another function than the value, so in general it is not "
                "an unbiased estimate of the gradient of the expectation.",
                right=True,
            ),
            Option(
                "Forwards a one-hot vector, backwards its exact gradient: unbiased",
                "the exact derivative of a one-hot vector is zero almost everywhere.",
            ),
            Option(
                "Forwards the soft vector, backwards the gradient of the one-hot one",
                "the other way round: the decoder sees the one-hot vector.",
            ),
            Option(
                "Forwards a one-hot vector, and nothing backwards",
                "that is what `argmax` alone does. The soft vector is there to carry a gradient.",
            ),
        ),
    ),
    Question(
        "You lower the temperature $\\tau$ of the Gumbel-softmax (the soft one) towards 0. What "
        "becomes of the gradient estimate?",
        (
            Option(
                "Bias and variance both vanish",
                "the bias does. But the softmax becomes a step: mostly flat, and very steep where "
                "two categories are close.",
            ),
            Option(
                "Its bias grows, its variance falls",
                "that is roughly what a higher temperature does.",
            ),
            Option(
                "Its bias vanishes, its variance grows",
                "the samples approach one-hot vectors, so the bias vanishes. The slope is near "
                "zero most of the time and of size $1/\\tau$ now and then.",
                right=True,
            ),
        ),
    ),
)
