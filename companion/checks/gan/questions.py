"""The quiz of chapter 9."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "At some point there are four times as many generated examples as real ones. What does the "
        "best discriminator say there?",
        (
            Option(
                "0.25",
                "that is the ratio of real to generated ones. A probability compares real ones "
                "with all.",
            ),
            Option(
                "0.2",
                "one real example among five, whatever it says elsewhere.",
                right=True,
            ),
            Option(
                "0, because most examples there are generated",
                "0 is the answer only where no real example can lie. The cross-entropy would be "
                "infinite at the first real one.",
            ),
        ),
    ),
    Question(
        "A discriminator's loss has settled at 1.386, which is $\\log 4$. What do you know?",
        (
            Option(
                "The generator has reached the distribution of the data.",
                "the best discriminator would have this loss then. Yours may only be too "
                "weak or too slow to see a difference.",
            ),
            Option(
                "The discriminator has collapsed, and training has to begin again.",
                "at the ideal end it has exactly this loss. The number alone does not say "
                "which case it is.",
            ),
            Option(
                "By its loss, it does no better than one that always says 1/2.",
                "and no more: what it reports is a lower bound of the divergence, here zero.",
                right=True,
            ),
        ),
    ),
    Question(
        "For all samples the discriminator says 0.001. Which loss moves the generator?",
        (
            Option(
                "The non-saturating one",
                "its derivative in the logit is 0.001 minus 1, close to -1.",
                right=True,
            ),
            Option(
                "The one of the minimax game",
                "its derivative in the logit is a thousandth.",
            ),
            Option(
                "Both alike, since they have the same optimum",
                "the same optimum, but different slopes on the way to it.",
            ),
        ),
    ),
    Question(
        "In the generator's turn somebody writes `judge(generate(z).detach())`. What happens?",
        (
            Option(
                "`backward()` raises an error, because no graph is left.",
                "a graph is left: that of the judge, whose parameters want gradients.",
            ),
            Option(
                "The judge moves in the generator's turn.",
                "gradients arrive in the judge, but the generator's optimizer does not hold its "
                "parameters.",
            ),
            Option(
                "Nothing moves, and no error is raised.",
                "the judge's parameters get gradients that nobody uses, and the generator's get "
                "none.",
                right=True,
            ),
        ),
    ),
    Question(
        "Of 2,500 samples on a ring of eight modes, 8 modes are found and 30 % are of high "
        "quality. What would you report?",
        (
            Option(
                "Both numbers, and how many modes have a fair share.",
                "one good sample is enough to find a mode. A cloud over the whole ring finds all.",
                right=True,
            ),
            Option(
                "Eight of eight modes: there is no mode collapse.",
                "true by the usual count. But 70 % of the samples lie near none of the modes.",
            ),
            Option(
                "Nothing: the quality is too low to count modes.",
                "it is a result, and a frequent one: packing on the chapter's setting, for "
                "example.",
            ),
        ),
    ),
    Question(
        "A generator returns images of its training set, each as often as it occurs there. Which "
        "ruler shows that something is wrong?",
        (
            Option(
                "The Fréchet distance",
                "it is at its floor: no generator in the chapter comes closer.",
            ),
            Option(
                "Precision and recall",
                "both are what real digits reach against real digits.",
            ),
            Option(
                "None of the chapter's three",
                "one has to look for the nearest training image of each sample, and compare "
                "with how near held-out images lie.",
                right=True,
            ),
        ),
    ),
    Question(
        "Two Gaussians that hardly overlap move a little farther apart. What grows?",
        (
            Option(
                "Their Jensen-Shannon divergence",
                "it is close to $\\log 2$ already, its largest value, and flat.",
            ),
            Option(
                "Their Wasserstein distance",
                "it is how far mass has to be carried, at any distance.",
                right=True,
            ),
            Option(
                "The gradient of the minimax loss under the best discriminator",
                "it vanishes: the discriminator gets surer still.",
            ),
        ),
    ),
    Question(
        "R1 cured one collapsed GAN and made another one worse. Why can that be?",
        (
            Option(
                "R1 only works with the Wasserstein loss.",
                "it was made for the logistic loss. The penalty of the Wasserstein critic "
                "aims at a slope of 1.",
            ),
            Option(
                "It slows the discriminator, which may be too fast or too slow.",
                "a remedy acts on one cause. Ask what is ill before you choose one.",
                right=True,
            ),
            Option(
                "It was bad luck: remedies help on average over seeds.",
                "luck can play a part, and seeds would show it. But in the chapter all five seeds "
                "agree that the slow discriminator is not cured by slowing it.",
            ),
        ),
    ),
)
