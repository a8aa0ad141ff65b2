"""The numbers that interactive figures start from, as scripts: they come from committed models."""

import json
from collections.abc import Callable

import torch

from companion import gaussian, pretrained
from companion.data import mnist5k
from companion.page._export import export_mlp


def latent(n_codes: int = 500) -> str:
    """Return the decoder of the plane, and the mean codes of held-out digits."""
    model = pretrained.load("vae_2d")
    images, labels = mnist5k("test")  # the classes take turns
    with torch.no_grad():
        codes = model.encode(images[:n_codes]).mean
    arrays = {"codes": codes, "labels": labels[:n_codes]}
    return export_mlp(model.decoder, name="vae_2d", arrays=arrays)


def mixture(n_codes: int = 300) -> str:
    """Return codes in the plane: one draw from the posterior of each held-out digit."""
    images, _ = mnist5k("test")
    with torch.no_grad():
        posterior = pretrained.load("vae_2d").encode(images[:n_codes])
        codes = gaussian.rsample(*posterior, generator=torch.Generator().manual_seed(0))
    content = json.dumps({"codes": [[round(a, 3) for a in code] for code in codes.tolist()]})
    return f"(window.CompanionExports ??= {{}}).codes_2d = {content};\n"


def attack(n_digits: int = 20) -> str:
    """Return the two perceptrons that are attacked, and held-out digits."""
    images, labels = mnist5k("test")  # the classes take turns
    pixels = (255 * images[:n_digits, 0]).round().to(torch.uint8)
    while not (pixels[:, [0, -1]].any() or pixels[:, :, [0, -1]].any()):
        pixels = pixels[:, 1:-1, 1:-1]  # a black border needs no bytes
    digits = {"digits": pixels, "labels": labels[:n_digits].to(torch.uint8)}
    # Their normalization does nothing: the layers behind it read the same pixels.
    return "".join(
        export_mlp(
            pretrained.load(name).layers,
            name=name,
            arrays=digits if name == "natural_mlp" else None,
            weights_in_bytes=True,
        )
        for name in ("natural_mlp", "robust_mlp")
    )


NUMBERS: dict[str, Callable[[], str]] = {"attack": attack, "latent": latent, "mixture": mixture}
