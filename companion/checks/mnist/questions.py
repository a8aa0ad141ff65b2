"""The quiz of chapter 3."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "A decoder reproduces every gray pixel perfectly: its probability is the pixel's value. "
        "What is the binary cross-entropy of a pixel of value 0.5?",
        (
            Option(
                "0: the reconstruction is perfect",
                "it would be 0 for a pixel of 0 or 1. The cross-entropy of a gray value with "
                "itself is its entropy, which is positive.",
            ),
            Option(
                "0.69 nats",
                "$-0.5 \\log 0.5 - 0.5 \\log 0.5 = \\log 2$. Gray pixels put a floor under this "
                "loss. It is no $-\\log p(x)$ of any density over gray values.",
                right=True,
            ),
            Option(
                "Infinite: a Bernoulli gives a gray value no probability",
                "a Bernoulli gives it none, that is true; but the formula of the cross-entropy "
                "still returns a finite number, and hides the fault.",
            ),
        ),
    ),
    Question(
        "A transposed convolution with kernel 5, stride 2, padding 1 and no output padding gets "
        "an image of $6 \\times 6$. How large is its output?",
        (
            Option(
                "$12 \\times 12$",
                "stride 2 doubles the size only if the kernel is 2 larger than both paddings "
                "together. Here it is 3 larger.",
            ),
            Option(
                "$13 \\times 13$",
                "five steps of 2, plus 5 for the kernel, minus 1 at both ends: "
                "$5 \\cdot 2 + 5 - 2 = 13$.",
                right=True,
            ),
            Option(
                "$15 \\times 15$",
                "that is the size before the padding crops one pixel at both ends.",
            ),
            Option(
                "$2 \\times 2$",
                "that is the ordinary convolution with the same numbers; it shrinks.",
            ),
        ),
    ),
    Question(
        "A VAE has 50 latent dimensions. In 30 of them $q(z_d \\mid x)$ is the prior for every "
        "$x$. What do these 30 cost in the ELBO?",
        (
            Option(
                "Nothing in the KL divergence; the decoder sees noise there, and can learn to "
                "ignore it",
                "their divergence is 0. A variational autoencoder prunes what it can't use, so a "
                "code that is too wide does little harm.",
                right=True,
            ),
            Option(
                "30 times the divergence of an active dimension, for nothing",
                "active dimensions pay: they differ from the prior. These don't differ at all.",
            ),
            Option(
                "Their entropy, about 1.42 nats each",
                "the entropy of $q$ is cancelled by $-\\log p(z)$ on average: if $q$ is the "
                "prior, the difference is 0.",
            ),
        ),
    ),
    Question(
        "A Gaussian decoder learns one variance for all pixels. Training cuts the mean squared "
        "error to a quarter, and the variance follows. How much does the log-likelihood of an "
        "image of 784 pixels rise?",
        (
            Option(
                "By 543 nats",
                "at the best variance only $-\\tfrac12 \\log \\sigma^2$ for each pixel changes: "
                "$784 \\cdot \\tfrac12 \\log 4 \\approx 543$. A density rewards small errors "
                "without limit.",
                right=True,
            ),
            Option(
                "By a factor of four",
                "a factor on the error is a summand on the log-likelihood, which holds only the "
                "error's logarithm: the exponent is the error divided by the variance, and both "
                "fall alike.",
            ),
            Option(
                "By 0.69 nats",
                "that is $\\tfrac12 \\log 4$, the gain of one pixel. There are 784 of them.",
            ),
            Option(
                "By 1087 nats",
                "that counts $\\log \\sigma^2$ in full for each pixel. The Gaussian density "
                "carries one half.",
            ),
        ),
    ),
    Question(
        "Model A reaches a held-out ELBO of +1,200 nats with a continuous Bernoulli on gray "
        "digits. Model B reaches -100 nats with a Bernoulli on binary digits. Which is better?",
        (
            Option(
                "Model A: a higher bound is better",
                "only for the same data. A's number is a density, and would be another one if gray "
                "values ran from 0 to 255. So its height says nothing against B.",
            ),
            Option(
                "Model B: a positive ELBO must be an error",
                "A's number is no error: it is a density, and a density may exceed 1. It does "
                "where a pixel is surely black. Nor does B's lower number say anything for B.",
            ),
            Option(
                "The two numbers can't be compared",
                "they belong to different data, one to gray values and one to zeros and ones. "
                "Compare models on the same pixels, under the same kind of measure.",
                right=True,
            ),
        ),
    ),
    Question(
        "You raise $\\beta$ from 1 to 4 and train again to the end. What happens to the rate, the "
        "KL divergence, and to the distortion, the expected $-\\log p(x \\mid z)$?",
        (
            Option(
                "The rate falls, the distortion rises",
                "divergence costs four times as much, so the code keeps only what saves four "
                "times its nats, and the reconstructions get blurrier.",
                right=True,
            ),
            Option(
                "Both rise",
                "a minimum with a higher price on the rate can't have more of both: the old "
                "solution would be better.",
            ),
            Option(
                "The rate falls, and with it the distortion, since the model is regularized",
                "on the training data a cheaper code can't reconstruct better at the optimum. "
                "Held-out digits may profit, but that is not what $\\beta$ trades.",
            ),
            Option(
                "The rate is divided by 4, the distortion stays",
                "the loss is larger for the same code. The optimum moves along the "
                "rate-distortion curve, and both change.",
            ),
        ),
    ),
    Question(
        "Each training step takes 100 of the 4,000 training digits and averages their losses. "
        "What does its gradient say about the mean loss of all 4,000?",
        (
            Option(
                "It is exactly the gradient of the mean over all 4,000.",
                "it depends on which 100 came up: two batches give two gradients.",
            ),
            Option(
                "It is an unbiased estimate of that gradient.",
                "every digit is equally likely to be in the batch, so the batch's mean gradient is "
                "right on average. The noise of the codes is unbiased too.",
                right=True,
            ),
            Option(
                "It is 40 times too small; multiply the learning rate by 40.",
                "a sum over the batch would be 40 times smaller than the sum over all. Both "
                "means are on the same scale.",
            ),
        ),
    ),
)
