"""How fast is one epoch of training, next to the usual loop and to the bare arithmetic?

Run it from the root of the repository: `python -m benchmarks.training_speed`.

The model is the 784-400-20-400-784 ReLU VAE with a Bernoulli likelihood, trained with Adam on
batches of 100 binary images. Four programs take turns, so that a busy machine slows all alike:

* `fit`: `companion.training.fit` on `companion.vae.VAE`, everything included (checks, curves);
* `tutorial`: the loop of most tutorials: a `DataLoader` over images, `ToTensor` for each image,
  and `.item()` in each step;
* `by hand`: the shortest fast loop in plain PyTorch: one tensor, a random order, fused Adam, no
  curves;
* `products`: only the matrix products of the same shapes, forward and backward, into memory that
  is there already. No program that trains this model can be faster.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.ratios import print_ratio
from companion.likelihoods import Bernoulli
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.training import Run, fit
from companion.vae import VAE, negative_elbo

PIXELS, HIDDEN, LATENT, BATCH, LEARNING_RATE = 784, 400, 20, 100, 1e-3
EVENT = (1, 28, 28)

Clock = Callable[[], float]


def synthetic_images(n: int) -> Tensor:
    """Return n images of zeros and 255s, uint8, with about as much ink as handwritten digits."""
    noise = torch.rand(n, 28, 28, generator=torch.Generator().manual_seed(0))
    return (noise < 0.13).to(torch.uint8) * 255


def time_fit(images: Tensor, epochs: int, clock: Clock) -> float:
    """Return seconds for an epoch of `fit`. All its checks count."""
    vae = VAE(
        MLPEncoder(EVENT, LATENT, (HIDDEN,)),
        MLPDecoder(LATENT, EVENT, (HIDDEN,)),
        Bernoulli(),
        StandardNormal(LATENT),
    )
    data = (images / 255).unsqueeze(1)
    run = Run(device="cpu", progress=False)
    start = clock()
    fit(
        vae,
        data,
        loss=negative_elbo,
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        run=run,
    )
    return (clock() - start) / epochs


class Images(Dataset):
    """Images as torchvision's MNIST gives them: one at a time, as PIL images, transformed."""

    def __init__(self, images: Tensor, transform: Callable) -> None:
        from PIL import Image

        self.images = images
        self.transform = transform
        self.from_array = Image.fromarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.from_array(self.images[index].numpy())), 0


class TutorialVAE(nn.Module):
    """The VAE as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, HIDDEN)
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.log_var = nn.Linear(HIDDEN, LATENT)
        self.decode = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the probabilities of the pixels, and mean and log-variance of the code."""
        h = F.relu(self.hidden(x))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decode(z), mean, log_var


def time_tutorial(images: Tensor, to_tensor: Callable, clock: Clock) -> float:
    """Return seconds for an epoch of the usual loop."""
    model = TutorialVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(Images(images, to_tensor), batch_size=BATCH, shuffle=True)
    start = clock()
    total = 0.0
    for x, _ in loader:
        x = x.view(-1, PIXELS)
        optimizer.zero_grad()
        output, mean, log_var = model(x)
        likelihood = F.binary_cross_entropy(output, x, reduction="sum")
        divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        loss = (likelihood + divergence) / len(x)
        loss.backward()
        total += loss.item()
        optimizer.step()
    return clock() - start


class PlainVAE(nn.Module):
    """The VAE without any check: per-example loss from logits."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )
        self.decode = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))

    def forward(self, x: Tensor) -> Tensor:
        """Return the negative ELBO of each example."""
        mean, log_var = self.encode(x).chunk(2, -1)
        logits = self.decode(mean + torch.exp(log_var / 2) * torch.randn_like(mean))
        likelihood = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        return likelihood + 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum(-1)


def time_by_hand(images: Tensor, clock: Clock) -> float:
    """Return seconds for an epoch of the shortest fast loop."""
    model = PlainVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    data = (images / 255).flatten(1)
    start = clock()
    for rows in torch.randperm(len(data)).split(BATCH):
        optimizer.zero_grad()
        model(data[rows]).mean().backward()
        optimizer.step()
    return clock() - start


def matrix_products() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return (a, b, out) for each product of a step: out = a @ b."""
    sizes = [(PIXELS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, PIXELS)]
    products = []
    for layer, (n_in, n_out) in enumerate(sizes):
        x, weight, grad = (torch.randn(*s) for s in ((BATCH, n_in), (n_out, n_in), (BATCH, n_out)))
        products.append((x, weight.T, torch.empty(BATCH, n_out)))  # forward
        products.append((grad.T, x, torch.empty(n_out, n_in)))  # gradient of the weight
        if layer > 0:  # nobody asks for the gradient of the image
            products.append((grad, weight, torch.empty(BATCH, n_in)))
    return products


def time_products(n_images: int, clock: Clock) -> float:
    """Return seconds for the matrix products of an epoch."""
    products = matrix_products()
    start = clock()
    for _ in range(-(-n_images // BATCH)):
        for a, b, out in products:
            torch.mm(a, b, out=out)
    return clock() - start


def find_to_tensor() -> tuple[str, Callable]:
    """Return torchvision's ToTensor if it is installed, else the same in NumPy."""
    try:
        from companion.data import vision

        return "torchvision", vision.transforms.ToTensor()
    except ImportError:
        import numpy as np

        def to_tensor(picture: object) -> Tensor:
            return torch.from_numpy(np.array(picture, copy=True))[None].float().div(255)

        return "NumPy, torchvision not found", to_tensor


def measure(n_images: int, repeats: int, epochs: int, clock: Clock) -> dict[str, list[float]]:
    """Return seconds for an epoch, by program; the programs take turns."""
    images = synthetic_images(n_images)
    _, to_tensor = find_to_tensor()
    programs: dict[str, Callable[[], float]] = {
        "fit": lambda: time_fit(images, epochs, clock),
        "tutorial": lambda: time_tutorial(images, to_tensor, clock),
        "by hand": lambda: time_by_hand(images, clock),
        "products": lambda: time_products(n_images, clock),
    }
    for program in programs.values():
        program()  # a round that does not count warms caches and allocators
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            times[name].append(program())
    return times


def main() -> None:
    """Measure with one thread and with torch's default, and print the ratios."""
    parser = argparse.ArgumentParser(description="Compare the speed of four programs.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=5, help="epochs of each call of fit")
    parser.add_argument("--threads", type=int, nargs="*", help="default: 1, and torch's default")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count processor time: for one thread, if busy"
    )
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    threads = options.threads or sorted({1, torch.get_num_threads()})
    print(f"torch {torch.__version__}, {options.images} images, ToTensor: {find_to_tensor()[0]}")
    for n in threads:
        torch.set_num_threads(n)
        times = measure(options.images, options.repeats, options.epochs, clock)
        print(f"{n} thread(s), {options.repeats} rounds; best seconds for an epoch:", end=" ")
        print(", ".join(f"{name} {min(series):.3f}" for name, series in times.items()))
        print_ratio("tutorial / fit", times["tutorial"], times["fit"], "aim: 2.5 or more")
        print_ratio("fit / products", times["fit"], times["products"], "aim: 1.7 or less")
        print_ratio("fit / by hand", times["fit"], times["by hand"], "aim: 1.05 or less")
        print_ratio("by hand/products", times["by hand"], times["products"], "the machine's floor")


if __name__ == "__main__":
    main()
