"""Attacks: images near x that a model gets wrong.

An attack is a function `f(model, x, y, *, eps, ...) -> x_adv`. The model is a module or any
function of x; `y` is what the loss compares the model's output with, and the loss is an argument.
So a classifier, a VAE, a purifier or a whole pipeline can be attacked::

    pgd(classifier, x, labels, eps=0.1)
    pgd(lambda x: classifier(vae.reconstruct(x)), x, labels, eps=0.1)
    pgd(vae.encode, x, vae.encode(target), loss=kl_of_codes, targeted=True, eps=0.1)

`eps` and `step_size` are in units of pixels in [0, 1]; normalization is the model's first layer.
The last step is a projection into the ball and [0, 1]. The model's gradients and modes, and x, are
as before, also when the model raises. An attack warns where its result would mean less than it
seems to: a model in training mode, probabilities in place of logits, gradients of exactly zero.
"""

from companion.attacks.adaptive import bpda, expectation_over_transformation
from companion.attacks.auto_pgd import auto_pgd
from companion.attacks.ball import project, random_start
from companion.attacks.gradient import fgsm, pgd
from companion.attacks.losses import cross_entropy, dlr, margin
from companion.attacks.mode import evaluating
from companion.attacks.red_flags import RedFlag, red_flags
from companion.attacks.sanity import random_corners, random_noise

__all__ = [
    "RedFlag",
    "auto_pgd",
    "bpda",
    "cross_entropy",
    "dlr",
    "evaluating",
    "expectation_over_transformation",
    "fgsm",
    "margin",
    "pgd",
    "project",
    "random_corners",
    "random_noise",
    "random_start",
    "red_flags",
]
