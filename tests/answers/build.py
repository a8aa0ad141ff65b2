"""Answers to exercise 3.10, "build it": right ones in several styles, and a loop for slips."""

import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

PIXELS = 28 * 28


class Encoder(nn.Module):
    """A body and two heads."""

    def __init__(self, body, width, n_latent, last=None):
        super().__init__()
        self.body, self.last = body, last or nn.Identity()
        self.mean, self.log_var = nn.Linear(width, n_latent), nn.Linear(width, n_latent)

    def forward(self, x):
        hidden = self.body(x)
        return self.mean(hidden), self.last(self.log_var(hidden))


def perceptrons(*end, last=None, n_latent=20, width=200):
    body = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, width), nn.ReLU())
    decoder = nn.Sequential(
        nn.Linear(n_latent, width), nn.ReLU(), nn.Linear(width, PIXELS), *end
    ).append(nn.Unflatten(-1, (1, 28, 28)))
    return Encoder(body, width, n_latent, last), decoder


def convolutions():
    body = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 4, 2, 1), nn.SiLU(), nn.Flatten()
    )
    decoder = nn.Sequential(
        nn.Linear(12, 16 * 49),
        nn.SiLU(),
        nn.Unflatten(1, (16, 7, 7)),
        nn.ConvTranspose2d(16, 8, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
    )
    return Encoder(body, 16 * 49, 12), decoder


def kl_each(mean, log_var):
    return 0.5 * (log_var.exp() + mean**2 - 1 - log_var)


def sample(mean, log_var):
    return mean + (log_var / 2).exp() * torch.randn_like(mean)


def cross_entropy(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def loop(
    *,
    draw=sample,
    reconstruction=lambda logits, x: cross_entropy(logits, x).mean(),
    kl=lambda mean, log_var: kl_each(mean, log_var).sum(1).mean(),
    combine=torch.add,
    held=lambda encoder, decoder: [*encoder.parameters(), *decoder.parameters()],
    fed=lambda images: images,
    repeat=1,
    forget=False,
    idle=False,
    rate=3e-3,
):
    """A plain training loop, with one thing as the argument says."""

    def train(encoder, decoder, images, epochs):
        images = fed(images)
        optimizer = torch.optim.Adam(held(encoder, decoder), rate)
        for _ in range(epochs * repeat):
            for rows in torch.randperm(len(images)).split(50):
                x = images[rows]
                mean, log_var = encoder(x)
                logits = decoder(draw(mean, log_var))
                loss = combine(reconstruction(logits, x), kl(mean, log_var))
                if not forget:
                    optimizer.zero_grad()
                loss.backward()
                if not idle:
                    optimizer.step()

    return train


def by_distributions(encoder, decoder, images, epochs):
    """Batches in order, another optimizer, `rsample`, three samples at once."""
    optimizer = torch.optim.RMSprop([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _epoch in range(epochs):
        for start in range(0, len(images), 64):
            x = images[start : start + 64]
            mean, log_var = encoder(x)
            q = Normal(mean, (0.5 * log_var).exp())
            z = q.rsample((3,)).flatten(0, 1)
            logits = decoder(z).unflatten(0, (3, -1))
            log_likelihood = Bernoulli(logits=logits).log_prob(x).flatten(2).sum(2).mean(0)
            kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
            optimizer.zero_grad()
            (kl - log_likelihood).mean().backward()
            optimizer.step()


def monte_carlo(encoder, decoder, images, epochs):
    """The divergence by the same sample as the reconstruction; validation without `no_grad`."""
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    train, held_back = images[:-100], images[-100:]
    for _ in range(epochs):
        for x in train[torch.randperm(len(train))].split(50):
            mean, log_var = encoder(x)
            q = Normal(mean, (0.5 * log_var).exp())
            z = q.rsample()
            log_q, log_prior = q.log_prob(z).sum(1), Normal(0.0, 1.0).log_prob(z).sum(1)
            loss = (cross_entropy(decoder(z), x) + log_q - log_prior).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        mean, log_var = encoder(held_back)
        cross_entropy(decoder(mean), held_back).mean()


def sticking_the_landing(encoder, decoder, images, epochs):
    """The divergence by the sample, with no gradient through the parameters of log q."""
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for _ in range(epochs):
        for x in images[torch.randperm(len(images))].split(50):
            mean, log_var = encoder(x)
            z = sample(mean, log_var)
            frozen = Normal(mean.detach(), (0.5 * log_var.detach()).exp())
            log_ratio = (frozen.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)
            loss = (cross_entropy(decoder(z), x) + log_ratio).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def warm_up(encoder, decoder, images, epochs):
    """The divergence's weight grows to 1; each term has a `backward` of its own."""
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for epoch in range(epochs):
        for x in images[torch.randperm(len(images))].split(50):
            optimizer.zero_grad()
            mean, log_var = encoder(x)
            cross_entropy(decoder(sample(mean, log_var)), x).mean().backward(retain_graph=True)
            (min(1, (epoch + 1) / 2) * kl_each(mean, log_var).sum(1).mean()).backward()
            optimizer.step()


class Plain:
    """A network without `nn.Module`: tensors and a formula."""

    def __init__(self, n_in, n_out, split):
        self.weights = [
            (torch.randn(a, b) / a**0.5).requires_grad_() for a, b in [(n_in, 100), (100, n_out)]
        ]
        self.split = split

    def __call__(self, values):
        output = torch.tanh(values.flatten(1) @ self.weights[0]) @ self.weights[1]
        return output.chunk(2, dim=1) if self.split else output


def plain_networks():
    return Plain(PIXELS, 16, split=True), Plain(8, PIXELS, split=False)


def plain_loop(encoder, decoder, images, epochs):
    weights = encoder.weights + decoder.weights
    optimizer = torch.optim.Adam(weights, lr=3e-3)
    for _ in range(epochs):
        for x in images[torch.randperm(len(images))].split(50):
            mean, log_var = encoder(x)
            logits = decoder(sample(mean, log_var))
            loss = cross_entropy(logits, x.flatten(1)) + kl_each(mean, log_var).sum(1)
            gradients = torch.autograd.grad(loss.mean(), weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
