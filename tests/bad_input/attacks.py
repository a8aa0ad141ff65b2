"""Bad input of attacks, classifiers and robust accuracy (see `bad_input/densities.py`)."""

import torch
from torch import nn

from bad_input.densities import INF, NAN, spoiled
from companion.attacks import (
    auto_pgd,
    bpda,
    cross_entropy,
    dlr,
    evaluating,
    expectation_over_transformation,
    fgsm,
    margin,
    pgd,
    project,
    random_corners,
    random_noise,
    random_start,
    red_flags,
)
from companion.classifiers import (
    Classifier,
    ConvClassifier,
    DeepConvClassifier,
    MLPClassifier,
    Normalize,
)
from companion.networks import mlp
from companion.robustness import accuracy, robust_accuracy, wilson_interval

X = torch.full((3, 4), 0.5)
Y = torch.tensor([0, 1, 1])
IMAGES = torch.full((3, 1, 28, 28), 0.5)


def model():
    return nn.Linear(4, 2).eval()


def far(model, x, y):
    return x + 0.25


# fmt: off
CASES = [
    # Red flags
    ("images from elsewhere beyond the limit",
     lambda: red_flags(model(), X, Y, eps=0.1, elsewhere={"far": X + 0.25}),
     ValueError, "far"),
    ("class of which there is no logit, red flags",
     lambda: red_flags(model(), X, Y + 5, eps=0.1), ValueError, "logits"),
    # The model
    ("class for a model, attacks", lambda: fgsm(nn.Linear, X, Y, eps=0.1),
     TypeError, "`model` must be a module or a function of x, but it is the class Linear. "
     "Pass an instance"),
    ("logits for a model", lambda: pgd(X, X, Y, eps=0.1), TypeError, "lambda x: classifier("),
    ("model of another dtype", lambda: fgsm(model().double(), X, Y, eps=0.1),
     TypeError, "`model` is torch.float64 and `x` is torch.float32"),
    ("model on another device", lambda: fgsm(nn.Linear(4, 2, device="meta").eval(), X, Y, eps=0.1),
     ValueError, "`model` is on meta and `x` is on cpu. Move both to one device"),
    ("model that cuts gradients off", lambda: fgsm(lambda x: model()(x).detach(), X, Y, eps=0.1),
     ValueError, "No gradient of the loss reaches x. Look for torch.no_grad()"),
    ("model that never looks at x",
     lambda: pgd(lambda x: model()(torch.ones(3, 4)), X, Y, eps=0.1),
     ValueError, "Give a part of the model another backward pass: companion.attacks.bpda(part)"),
    ("model without gradients", lambda: auto_pgd(torch.no_grad()(model()), X, Y, eps=0.1),
     ValueError, "No gradient of the loss reaches x"),
    ("model that gives NaN", lambda: fgsm(lambda x: x / 0 - x / 0, X, Y, eps=0.1),
     ValueError, "`logits` holds 12 values that are NaN or infinite"),
    ("root at zero", lambda: fgsm(lambda x: (x - 0.5).sqrt(), X, Y, eps=0.1),
     ValueError, "`the gradient of the loss` holds"),
    # Images and sizes
    ("pixels up to 255, attacks", lambda: fgsm(model(), 255 * X, Y, eps=0.1),
     ValueError, "`x` must lie in [0, 1], but its values run from 127.5 to 127.5. "
     "Scale pixels to [0, 1], and normalize in the model's first layer"),
    ("normalized pixels", lambda: pgd(model(), X - 0.75, Y, eps=0.1), ValueError, "from -0.25"),
    ("NaN in an image", lambda: pgd(model(), spoiled(X, NAN), Y, eps=0.1),
     ValueError, "`x` must lie in [0, 1]"),
    ("bytes for images, attacks", lambda: fgsm(model(), X.byte(), Y, eps=0.1),
     TypeError, "x.float()"),
    ("list for images", lambda: fgsm(model(), [0.5], Y, eps=0.1),
     TypeError, "`x` must be a torch.Tensor"),
    ("one image without batch", lambda: fgsm(model(), X[0], Y[:1], eps=0.1),
     ValueError, "One example becomes a batch of one by x[None]"),
    ("no images, attacks", lambda: pgd(model(), X[:0], Y[:0], eps=0.1), ValueError, "B >= 1"),
    ("negative eps", lambda: fgsm(model(), X, Y, eps=-0.1),
     ValueError, "`eps` must be at least 0, but it is -0.1. Pass 0.1"),
    ("eps in units of 255", lambda: pgd(model(), X, Y, eps=8),
     ValueError, "eps = 1 already allows every image. If pixels run to 255 elsewhere, write "
     "eps=8 / 255"),
    ("infinite eps", lambda: pgd(model(), X, Y, eps=INF), ValueError, "`eps` must be finite"),
    ("eps of a tensor", lambda: fgsm(model(), X, Y, eps=torch.tensor(0.1)),
     TypeError, "`eps` must be a number, but it is a Tensor"),
    ("negative step", lambda: pgd(model(), X, Y, eps=0.1, step_size=-0.1),
     ValueError, "targeted=True turns the direction, not a negative step"),
    ("step of a text", lambda: pgd(model(), X, Y, eps=0.1, step_size="2/255"),
     TypeError, "`step_size` must be a number"),
    ("no steps", lambda: pgd(model(), X, Y, eps=0.1, steps=0), ValueError, "`steps` must be at"),
    ("half a step", lambda: auto_pgd(model(), X, Y, eps=0.1, steps=2.5), TypeError, "int(steps)"),
    ("no start", lambda: pgd(model(), X, Y, eps=0.1, restarts=0), ValueError, "`restarts` must"),
    ("the same start twice", lambda: pgd(model(), X, Y, eps=0.1, restarts=2, random_start=False),
     ValueError, "`restarts` is 2, but without a random start every one is the same"),
    ("negative momentum", lambda: pgd(model(), X, Y, eps=0.1, momentum=-1.0),
     ValueError, "`momentum` must be at least 0"),
    ("another norm", lambda: fgsm(model(), X, Y, eps=0.1, norm="l1"),
     ValueError, "`norm` must be one of 'linf', 'l2', but it is 'l1'"),
    ("norm of a number", lambda: pgd(model(), X, Y, eps=0.1, norm=2),
     ValueError, "but it is 2"),
    ("seed for a generator, attacks", lambda: pgd(model(), X, Y, eps=0.1, generator=0),
     TypeError, "torch.Generator().manual_seed(0)"),
    ("no noise", lambda: random_noise(model(), X, Y, eps=0.1, n_samples=0),
     ValueError, "`n_samples` must be at least 1"),
    ("half a corner", lambda: random_corners(model(), X, Y, eps=0.1, n_samples=0.5),
     TypeError, "int(n_samples)"),
    ("projection of other images", lambda: project(X[:, :2], X, eps=0.1),
     ValueError, "`x_adv` has shape (3, 2) and `x` has shape (3, 4), but they must be equal"),
    ("projection around bytes", lambda: project(255 * X, 255 * X, eps=0.1),
     ValueError, "`x` must lie in [0, 1]"),
    ("start in units of 255", lambda: random_start(X, eps=8.0), ValueError, "eps=8 / 255"),
    # Labels, logits and losses
    ("float labels", lambda: fgsm(model(), X, Y.float(), eps=0.1),
     TypeError, "`y` must be a tensor of whole numbers, but it is of torch.float32. Convert it "
     "first: y.long()"),
    ("list of labels", lambda: pgd(model(), X, [0, 1, 1], eps=0.1),
     TypeError, "torch.as_tensor(y).long(). If they are no classes, pass another `loss`"),
    ("label of a class too many", lambda: fgsm(model(), X, Y + 1, eps=0.1),
     ValueError, "`y` runs from 1 to 2, but there are 2 logits: classes 0 to 1 are expected"),
    ("negative label", lambda: fgsm(model(), X, Y - 1, eps=0.1), ValueError, "from -1 to 0"),
    ("one-hot labels, attacks", lambda: cross_entropy(X, torch.eye(4)[Y].long()),
     ValueError, "One-hot rows become classes by y.argmax(1)"),
    ("labels of another batch", lambda: margin(X, Y[:2]),
     ValueError, "`y` has shape (2,), but the logits have shape (3, 4)"),
    ("labels on another device", lambda: cross_entropy(X, Y.to("meta")),
     ValueError, "`y` is on meta and `logits` is on cpu"),
    ("logits without batch", lambda: cross_entropy(X[0], Y[:1]), ValueError, "logits[None]"),
    ("margin of one class", lambda: margin(X[:, :1], 0 * Y), ValueError, "compares the 2 largest"),
    ("dlr of two classes", lambda: dlr(2 * X[:, :2], Y),
     ValueError, "dlr compares the 3 largest of an example. Take `margin` or `cross_entropy`"),
    ("NaN in logits", lambda: dlr(spoiled(X, NAN), Y), ValueError, "`logits` holds 1 values"),
    ("value for a loss", lambda: fgsm(model(), X, Y, eps=0.1, loss=0.5),
     TypeError, "`loss` must be a function"),
    ("averaged loss", lambda: fgsm(model(), X, Y, eps=0.1, loss=nn.functional.cross_entropy),
     ValueError, "`loss` returned shape (), but one number for each example, (3,), is expected"),
    ("loss of each logit", lambda: pgd(model(), X, Y, eps=0.1, loss=lambda z, y: z),
     ValueError, "`loss` returned shape (3, 2)"),
    ("loss of a number", lambda: pgd(model(), X, Y, eps=0.1, loss=lambda z, y: 1.0),
     TypeError, "Stay in torch: .item() and numpy cut gradients off"),
    # Wrappers
    ("samples of nothing", lambda: expectation_over_transformation(None, 3),
     TypeError, "`model` must be a module or a function of x"),
    ("no samples of a model", lambda: expectation_over_transformation(model(), 0),
     ValueError, "`n_samples` must be at least 1"),
    ("transform of a number", lambda: expectation_over_transformation(model(), 3, transform=0.1),
     TypeError, "`transform` must be a module or a function of x, but it is 0.1"),
    ("backward pass of a class", lambda: bpda(torch.round, nn.Identity),
     TypeError, "`backward` must be a module or a function of x, but it is the class Identity"),
    ("evaluation of a function", lambda: evaluating(torch.sin).__enter__(),
     TypeError, "`model` must be a torch.nn.Module"),
    # Classifiers
    ("flat images for a convolution", lambda: ConvClassifier()(IMAGES.flatten(1)),
     ValueError, "Reshape it: x.reshape(-1, 1, 28, 28)"),
    ("images without channel, attacks", lambda: DeepConvClassifier(channels=2)(IMAGES[:, 0]),
     ValueError, "`x` has shape (3, 28, 28)"),
    ("float64 images", lambda: MLPClassifier((4,), 2)(X.double()), TypeError, "`x` is torch.f"),
    ("no classes", lambda: ConvClassifier(n_classes=0), ValueError, "`n_classes` must be at least"),
    ("width of a number", lambda: MLPClassifier((4,), 2, hidden_dims=8), TypeError, "(8,)"),
    ("shape without axes", lambda: Classifier(nn.Sequential(nn.Linear(1, 1)), ()),
     ValueError, "`event_shape` is empty"),
    ("standard deviation of zero", lambda: Normalize(0.5, 0.0), ValueError, "`std` must be pos"),
    ("mean of a tensor", lambda: Normalize(torch.zeros(3)), TypeError, "`mean` must be a number"),
    ("widths of a text", lambda: mlp(2, "88", 2), TypeError, "`hidden_dims` must be a sequence"),
    # Accuracy
    ("more successes than trials", lambda: wilson_interval(5, 3),
     ValueError, "`n_successes` is 5 and `n` is 3, but 0 <= n_successes <= n"),
    ("no trials", lambda: wilson_interval(0, 0), ValueError, "with n >= 1 is expected"),
    ("confidence in per cent", lambda: wilson_interval(1, 3, confidence=95),
     ValueError, "Write 0.95 for 95 %"),
    ("accuracy of other labels", lambda: accuracy(model(), X, Y[:2]),
     ValueError, "`x` holds 3 images and `y` 2 classes"),
    ("accuracy of float labels", lambda: accuracy(model(), X, Y.float()), TypeError, "y.long()"),
    ("accuracy of no batch", lambda: accuracy(model(), X, Y, batch_size=0),
     ValueError, "`batch_size` must be at least 1"),
    ("one attack without a name", lambda: robust_accuracy(model(), X, Y, far),
     TypeError, "`attacks` must be a dict of named attacks, but it is a function"),
    ("images for an attack", lambda: robust_accuracy(model(), X, Y, {"fgsm": X}),
     TypeError, "`attacks['fgsm']` must be a function"),
    ("attack without projection", lambda: robust_accuracy(model(), X, Y, {"a": far}, eps=0.1),
     ValueError, "The attack 'a' returned an image at the distance 0.25, but `eps` is 0.1. "
     "Its last step must be a projection"),
    ("attack that leaves [0, 1]",
     lambda: robust_accuracy(model(), X, Y, {"a": lambda m, x, y: 3 * x}),
     ValueError, "The attack 'a' returned pixels from 1.5 to 1.5, but [0, 1] is expected"),
    ("attack that returns logits", lambda: robust_accuracy(model(), X, Y, {"a": lambda m, x, y: y}),
     ValueError, "The attack 'a' returned shape (3,), but images of shape (3, 4) are expected"),
]
