"""The quiz of chapter 1."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "For one $x$ you know $\\log p(x) = -90$ and the ELBO of your encoder's $q$ is $-96$, "
        "both in nats. What is the KL divergence from $q(z \\mid x)$ to the true posterior?",
        (
            Option(
                "It can't be said: the posterior is out of reach.",
                "the posterior is out of reach, but the gap is not: "
                "$\\log p(x) = \\mathrm{ELBO} + \\mathrm{KL}$ holds exactly.",
            ),
            Option(
                "6 nats",
                "the identity $\\log p(x) = \\mathrm{ELBO} + \\mathrm{KL}$ leaves "
                "$-90 - (-96) = 6$ nats.",
                right=True,
            ),
            Option(
                "At most 6 nats",
                "that would be so if the identity were only a bound. It is an equality: the "
                "gap is the KL divergence.",
            ),
            Option(
                "-6 nats",
                "a KL divergence is never negative. The bound lies below $\\log p(x)$, so "
                "subtract it from $\\log p(x)$.",
            ),
        ),
    ),
    Question(
        "Two runs of the same model print their loss: run A 98, run B 103, in nats per image. "
        "The loss is the negative ELBO. Which run is better by this measure?",
        (
            Option(
                "Run A",
                "a loss of 98 is an ELBO of $-98$, which is higher than $-103$.",
                right=True,
            ),
            Option(
                "Run B, because the ELBO is to be maximized",
                "the ELBO is to be maximized, but the loss is its negative: smaller is better.",
            ),
            Option(
                "Neither: on binary images no bound is positive, and both numbers are",
                "on binary images $\\log p(x)$ is negative, and so is its bound. The loss has "
                "the other sign, so positive numbers are what you expect.",
            ),
        ),
    ),
    Question(
        "A loss sums the cross-entropy over all pixels but averages the KL over $D = 20$ latent "
        "dimensions. Which $\\beta$ is that?",
        (
            Option(
                "$\\beta = 20$",
                "averaging makes the KL smaller, not larger, so the prior counts for less.",
            ),
            Option(
                "$\\beta = 1$: a constant factor does not matter",
                "a factor on the whole loss would not matter. This one is on one of two terms.",
            ),
            Option(
                "$\\beta = 1/20$",
                "the mean is the sum divided by $D$, so the KL counts a twentieth. The "
                "reconstructions get sharper, and codes drawn from the prior fit the decoder "
                "less well.",
                right=True,
            ),
        ),
    ),
    Question(
        "Another loss averages the binary cross-entropy over 784 pixels and adds the KL summed "
        "over latent dimensions. Which $\\beta$ is that, and what do you expect to see?",
        (
            Option(
                "$\\beta = 784$: blurred, nearly equal reconstructions, a KL near zero",
                "multiply the loss by 784 to get the sum over pixels back, and the KL carries "
                "the factor. So strong a pull to the prior leaves little about $x$ in $z$.",
                right=True,
            ),
            Option(
                "$\\beta = 1/784$: sharp reconstructions, a large KL",
                "it is the reconstruction that was made 784 times smaller, not the KL.",
            ),
            Option(
                "$\\beta = 1$, with a learning rate 784 times smaller",
                "that would be so if the KL had been divided by 784 too. It was not.",
            ),
        ),
    ),
    Question(
        "$\\hat L_S$ estimates the importance-weighted bound from $S$ samples of $q$. Which "
        "statement is right?",
        (
            Option(
                "Each estimate with more samples is at least as large as one with fewer.",
                "a single estimate is random and can come out lower. Its expectation can't.",
            ),
            Option(
                "Its expectation never falls as $S$ grows, and with $S = 1$ it is the ELBO.",
                "one sample gives $\\log w$, whose mean is the ELBO; more samples only tighten "
                "the bound, up to $\\log p(x)$ in the limit.",
                right=True,
            ),
            Option(
                "It is an unbiased estimate of $\\log p(x)$ for every $S$.",
                "the mean weight is an unbiased estimate of $p(x)$; the logarithm of it is "
                "too low on average (Jensen).",
            ),
            Option(
                "With enough samples it exceeds $\\log p(x)$ on average.",
                "its expectation stays below $\\log p(x)$ for every $S$.",
            ),
        ),
    ),
    Question(
        "When is the gap between $\\log p(x)$ and the ELBO zero?",
        (
            Option(
                "When $q(z \\mid x)$ equals the prior $p(z)$",
                "then the KL term of the ELBO is zero, but the gap is the KL to the "
                "posterior. The two are easily mixed up.",
            ),
            Option(
                "When the reconstruction is perfect",
                "a perfect reconstruction says nothing about how far $q$ is from the posterior.",
            ),
            Option(
                "When $q(z \\mid x)$ equals the posterior $p(z \\mid x)$",
                "the gap is $\\mathrm{KL}(q(z \\mid x) \\,\\|\\, p(z \\mid x))$, which is zero "
                "just then.",
                right=True,
            ),
            Option(
                "When training has converged",
                "even the best encoder only makes the gap as small as its family of distributions "
                "allows, and that need not be zero.",
            ),
        ),
    ),
    Question(
        "An encoder's last layer is `softplus`, and its output is used as $\\log \\sigma^2$. "
        "What follows?",
        (
            Option(
                "Nothing special: this is the usual way to make $\\sigma$ positive.",
                "$\\exp$ makes it positive already. `softplus` would be right if its output "
                "were $\\sigma$ itself.",
            ),
            Option(
                "$\\sigma > 1$ always: $q$ can't become narrower than the prior.",
                "`softplus` gives positive numbers, so $\\log \\sigma^2 > 0$. Where the "
                "posterior is narrower than the prior, a gap must remain.",
                right=True,
            ),
            Option(
                "$\\sigma < 1$ always.",
                "that would need a negative logarithm; `softplus` gives positive numbers.",
            ),
        ),
    ),
    Question(
        "A weight $w$ is 1 or 3, each with probability one half. Which is right?",
        (
            Option(
                "$E[\\log w] < \\log E[w]$",
                "$E[\\log w] = \\tfrac12 \\log 3 \\approx 0.55$ and "
                "$\\log E[w] = \\log 2 \\approx 0.69$. The logarithm is concave, "
                "so Jensen's inequality points this way, and the ELBO is a lower bound.",
                right=True,
            ),
            Option(
                "$E[\\log w] > \\log E[w]$",
                "that is Jensen's inequality for a convex function; the logarithm is concave.",
            ),
            Option(
                "They are equal, since the expectation is linear.",
                "the expectation is linear, the logarithm is not. They are equal only if $w$ "
                "does not vary.",
            ),
        ),
    ),
    Question(
        "$q$ is a single Gaussian. Training maximizes the ELBO, so it minimizes "
        "$\\mathrm{KL}(q \\,\\|\\, p(z \\mid x))$; the posterior has two narrow peaks, far "
        "apart. Where does $q$ end up?",
        (
            Option(
                "On one peak; the other is left out",
                "the divergence averages over $q$, so mass where the posterior is tiny costs "
                "most. A peak that $q$ leaves out costs little.",
                right=True,
            ),
            Option(
                "Over both peaks and the valley between them",
                "that is the other direction, $\\mathrm{KL}(p(z \\mid x) \\,\\|\\, q)$: it "
                "averages over the posterior and punishes leaving a peak out.",
            ),
            Option(
                "Either: the two directions of the KL have the same minimum",
                "they do only if the family holds the posterior itself. One Gaussian does not "
                "hold two peaks.",
            ),
        ),
    ),
)
