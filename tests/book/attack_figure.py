"""How the tests read and move the figure "attack", and what torch says of it."""

import functools

import numpy as np
import torch

from companion import attacks, pretrained
from companion.data import mnist5k
from companion.page._export import rows_in_bytes

N_DIGITS = 20
NETWORKS = {"natural": "natural_mlp", "robust": "robust_mlp"}
TITLES = {"natural": "Natural network", "robust": "Robust network"}
PARTS = {"linf": 1000, "l2": 100}


@functools.cache
def network(name: str):
    """A network of the page: weights rounded to bytes, computing in float64."""
    model = pretrained.load(NETWORKS[name])
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, torch.nn.Linear):
                scale, whole = rows_in_bytes(layer.weight)
                layer.weight.copy_(scale.float() * whole)
                layer.bias.copy_(layer.bias.half())
    return model.double()


@functools.cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The held-out digits of the page (20, 1, 28, 28), in float64, and their classes."""
    images, labels = mnist5k("test")
    return (255 * images[:N_DIGITS].double()).round() / 255, labels[:N_DIGITS]


def gradient(name, x, y):
    leaf = x.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(network(name)(leaf), y, reduction="sum")
    return torch.autograd.grad(loss, leaf)[0]


def attacked(name, x, y, *, norm, eps, steps):
    """The companion's attack; one step is FGSM."""
    model, eps = network(name), float(eps)  # JavaScript writes 2.0 as 2
    if steps == 1:
        return attacks.fgsm(model, x, y, eps=eps, norm=norm)
    return attacks.pgd(model, x, y, eps=eps, norm=norm, steps=steps, random_start=False)


def probabilities(name, x) -> np.ndarray:
    with torch.no_grad():
        return network(name)(x).softmax(1).numpy()


def reads(name, x) -> list[int]:
    return probabilities(name, x).argmax(1).tolist()


def ready(page, what="attacked"):
    """Wait until the page has attacked, or has filled its table ("searched")."""
    page.wait_for_function(
        "what => document.querySelector('.widget').dataset[what] !== undefined", arg=what
    )
    return page


def picture(page, selector) -> np.ndarray:
    """A picture that is drawn: gray values of 784 pixels."""
    data = page.locator(selector).evaluate("""node => {
        const copy = document.createElement("canvas");
        const context = copy.getContext("2d", {willReadFrequently: true});
        context.drawImage(node, 0, 0);
        return [...context.getImageData(0, 0, 28, 28).data];
    }""")
    colors = np.array(data).reshape(784, 4)
    assert (colors[:, 3] == 255).all()
    assert (colors[:, :1] == colors[:, :3]).all()
    return colors[:, 0]


def pad(page) -> np.ndarray:
    return picture(page, ".attack-pad canvas")


def drawn(page) -> torch.Tensor:
    """The drawing, nearly: a screen has 256 gray values."""
    return torch.from_numpy(pad(page) / 255).view(1, 1, 28, 28)


def sentence(page) -> str:
    return " ".join(page.locator(".attack-sentence").text_content().split())


def table(page) -> dict[tuple[int, str], str]:
    script = "cells => cells.map(cell => [cell.dataset.steps, cell.dataset.of, cell.textContent])"
    found = page.locator("td[data-steps]").evaluate_all(script)
    return {(int(steps), of): text for steps, of, text in found}


def shares(page, name) -> np.ndarray:
    """The probabilities that the hidden table has, before and after: (10, 2)."""
    cells = page.locator(f"[data-network={name}] table td").all_text_contents()
    return np.array([float(cell.removesuffix(" %")) / 100 for cell in cells]).reshape(10, 2)


def words(name, label, before, after) -> str:
    first, then = before.argmax(), after.argmax()
    sure = "over 99 %" if after[then] > 0.995 else f"{100 * after[then]:.0f} %"
    early = "" if first == label else ", wrong from the start"
    if first == then:
        return f"{TITLES[name]}: {first} before and after ({sure}){early}."
    return f"{TITLES[name]}: {first} before, {then} after ({sure}){early}."


def assert_shows(page, x, y, *, norm, eps, steps, tolerance=0.51):
    """Everything on the page belongs to this attack on this picture."""
    ready(page)
    texts = []
    for name in NETWORKS:
        x_adv = attacked(name, x, y, norm=norm, eps=eps, steps=steps)
        before, after = probabilities(name, x)[0], probabilities(name, x_adv)[0]
        texts.append(words(name, int(y), before, after))
        where = f"[data-network={name}] [data-picture="
        gray = 255 * x_adv.flatten().numpy()
        assert np.abs(picture(page, where + "attacked]") - gray).max() <= tolerance
        change = (x_adv - x).flatten().numpy()
        largest = np.abs(change).max() or 1
        expected = 255 * (0.5 + change / (2 * largest))
        assert np.abs(picture(page, where + "change]") - expected).max() <= tolerance
        for row, share in zip(shares(page, name).T, (before, after), strict=True):
            assert np.abs(row - share).max() <= 0.00051
        facts = page.locator(f"[data-network={name}] [data-fact]").all_text_contents()
        assert facts == [f"{np.abs(change).max():.3f}", f"{np.linalg.norm(change):.2f}"]
    assert sentence(page) == " ".join(texts)
