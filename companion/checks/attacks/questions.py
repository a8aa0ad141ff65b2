"""The quiz of chapter 5."""

from companion.checks._quiz import Option, Question

QUIZ = (
    Question(
        "A paper reports 82 % accuracy under FGSM with a limit of 0.3, and 90 % under PGD with 40 "
        "steps inside the same limit. What do you conclude?",
        (
            Option(
                "The network is robust: it withstands the stronger of the two attacks.",
                "PGD can do what FGSM does, and more. Inside the same ball it should find at least "
                "as much.",
            ),
            Option(
                "The PGD is broken, or the network hides its gradients.",
                "a search with 40 steps that finds less than one step has a fault: its step size, "
                "its units, its loss, or gradients that say nothing.",
                right=True,
            ),
            Option(
                "The truth lies between the two, near 86 %.",
                "both are upper bounds of the robust accuracy. It is at most 82 %, and for all we "
                "know far lower.",
            ),
        ),
    ),
    Question(
        "A linear score $w^\\top x + b$ is attacked in the linf ball of radius $\\varepsilon$, the "
        "box aside. By how much can it fall?",
        (
            Option(
                "By $\\varepsilon \\lVert w \\rVert_1$",
                "each pixel moves by $\\varepsilon$ against the sign of its weight, and the "
                "effects add up.",
                right=True,
            ),
            Option(
                "By $\\varepsilon \\lVert w \\rVert_2$",
                "that is the answer for the l2 ball, where the changes of all pixels share one "
                "length.",
            ),
            Option(
                "By $\\varepsilon \\max_p |w_p|$",
                "that is the answer for the l1 ball, where it is best to move one pixel only.",
            ),
            Option(
                "By $\\varepsilon$, whatever the weights are",
                "one pixel of weight 1 would do that. There are 784 of them.",
            ),
        ),
    ),
    Question(
        "A program subtracts 0.1307 from each pixel, divides by 0.3081, and then attacks these "
        "numbers with a limit of 0.1. What is the limit in pixels of $[0, 1]$?",
        (
            Option(
                "0.32, for one unit is longer after the normalization",
                "that is 0.1 divided by 0.3081. The program divided the image already; going back "
                "multiplies.",
            ),
            Option(
                "0.1, as the program says",
                "only if the model normalized, and the attack worked on pixels.",
            ),
            Option(
                "0.031",
                "one unit of the normalized image is 0.3081 of a pixel's range, so the attack is a "
                "third as strong as its number says.",
                right=True,
            ),
        ),
    ),
    Question(
        "At $\\varepsilon = 0.5$ in linf, a network on ten equally frequent classes keeps 40 % "
        "accuracy under PGD. Why can that not be its robust accuracy?",
        (
            Option(
                "Because no network that anybody has trained so far is robust at such a size",
                "that is a guess about networks. The argument needs none.",
            ),
            Option(
                "Because every image can then be turned into the same gray one",
                "with all pixels at 0.5 the network gives one answer, which is right for one class "
                "in ten. So the attack missed images that can be broken.",
                right=True,
            ),
            Option(
                "Because PGD needs more than one restart there",
                "it may, but why is it certain that it missed something? Look at what the ball "
                "contains.",
            ),
        ),
    ),
    Question(
        "Someone attacks `softmax(f(x))` in place of the logits `f(x)`, with the same "
        "cross-entropy, which applies a softmax once more. What happens?",
        (
            Option(
                "Nothing: a softmax keeps the order of the classes",
                "the predictions stay, and the gradients don't. The attack lives on gradients.",
            ),
            Option(
                "Where the network is sure, float32 loses the gradient of the softmax",
                "a small gradient still has a sign. But where a probability is rounded to 1, the "
                "gradient is exactly zero, or made of rounding errors.",
                right=True,
            ),
            Option(
                "The attack gets stronger, because probabilities are bounded and logits are not",
                "bounded outputs are no help: their derivative is small where the network is sure.",
            ),
        ),
    ),
    Question(
        "Five attacks leave accuracies of 61, 58, 64, 57 and 70 %. Which number is the best upper "
        "bound of the robust accuracy?",
        (
            Option(
                "57 %, since the strongest of the five attacks decides what stands",
                "it is a bound. But the others may break images that this one left.",
            ),
            Option(
                "62 %, their mean",
                "the mean of upper bounds is a worse bound than the smallest.",
            ),
            Option(
                "70 %, to be on the safe side",
                "safe for whom? The defender would like it.",
            ),
            Option(
                "The share of images that no attack broke, at most 57 %",
                "the worst case is taken for each image first, and then averaged.",
                right=True,
            ),
        ),
    ),
    Question(
        "Images made on network A fool network B, which is as accurate as A, although the attack "
        "never saw B. Whose fault is that?",
        (
            Option(
                "The attack's: it left the ball",
                "whether it did can be measured, and in this chapter it did not.",
            ),
            Option(
                "Nobody's: for the same task, networks learn similar directions",
                "what raises the loss of A often raises the loss of B, so hiding B's weights "
                "protects little.",
                right=True,
            ),
            Option(
                "B's: it must be overfitted to the examples on which it was trained",
                "B is as accurate as A. Transfer is common among networks that generalize well.",
            ),
        ),
    ),
)
