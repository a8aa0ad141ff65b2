"""Bad input of models, numbers and figures (see `bad_input/densities.py`)."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from bad_input.densities import GRAY, NAN, X, Z, spoiled
from companion import linear_gaussian, metrics, vae
from companion.likelihoods import Bernoulli
from companion.linear_gaussian import LinearGaussian
from companion.networks import MLPDecoder, MLPEncoder
from companion.page import plots, report
from companion.priors import StandardNormal
from companion.vae import VAE, importance_weighted_bound, log_importance_weights


def model():
    return VAE(MLPEncoder((4,), 2), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))


def exact(dtype=torch.float32):
    weight = torch.tensor([[1.0, 0.0], [0.5, 2.0], [0.0, 1.0], [1.0, 1.0]])
    return LinearGaussian(*(t.to(dtype) for t in (weight, torch.zeros(4), torch.tensor(0.0))))


def gap(mean, log_var):
    return linear_gaussian.posterior_gap(exact().posterior(X), mean, log_var)


class OnMPS(Tensor):
    """A tensor that says it is on MPS, where float64 fails; it needs no such machine."""

    @staticmethod
    def __new__(cls, *size):
        return Tensor._make_wrapper_subclass(cls, size, dtype=torch.float32, device="mps")

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")


def axes():
    return Figure().add_subplot()


# fmt: off
CASES = [
    # The VAE
    ("empty batch", lambda: model()(X[:0]),
     ValueError, "a batch (B, *event) with B >= 1 is expected"),
    ("one example", lambda: model()(X[0]),
     ValueError, "One example becomes a batch of one by x[None]"),
    ("list for a batch", lambda: model()([[1.0] * 4]), TypeError, "`x` must be a torch.Tensor"),
    ("labels for images", lambda: model().encode(torch.zeros(3, 4).long()), TypeError, "x.float()"),
    ("NaN in the batch", lambda: model().reconstruct(spoiled(X, NAN)),
     ValueError, "`x` holds 1 values"),
    ("gray batch for a Bernoulli", lambda: model()(GRAY),
     ValueError, "or take ContinuousBernoulli"),
    ("None for the number of samples", lambda: model()(X, n_samples=None),
     TypeError, "`n_samples` must be a whole number, but it is None"),
    ("no samples for the ELBO", lambda: model()(X, n_samples=0),
     ValueError, "`n_samples` must be at least 1"),
    ("seed for the ELBO", lambda: model()(X, generator=3), TypeError, "manual_seed"),
    ("class for a likelihood",
     lambda: VAE(model().encoder, model().decoder, Bernoulli, StandardNormal(2)),
     TypeError, "Pass an instance, not its class"),
    ("function for a decoder",
     lambda: VAE(model().encoder, torch.sigmoid, Bernoulli(), StandardNormal(2)),
     TypeError, "`decoder` must be a torch.nn.Module"),
    ("prior as its class",
     lambda: VAE(model().encoder, model().decoder, Bernoulli(), StandardNormal),
     TypeError, "but it is the class StandardNormal"),
    ("likelihood and prior swapped",
     lambda: VAE(model().encoder, model().decoder, StandardNormal(2), Bernoulli()),
     TypeError, "`likelihood` must be a Likelihood, but it is a StandardNormal. The order is VAE("),
    ("encoder for a prior",
     lambda: VAE(model().encoder, model().decoder, Bernoulli(), model().encoder),
     TypeError, "`prior` must be a Prior, but it is a MLPEncoder"),
    ("encoder that gives a tensor",
     lambda: VAE(nn.Linear(4, 2), model().decoder, Bernoulli(), StandardNormal(2))(X),
     TypeError, "`encoder(x)` must be a pair (mean, log_var), but it is a Tensor"),
    ("decoder that gives a pair",
     lambda: VAE(model().encoder, MLPEncoder((2,), 4), Bernoulli(), StandardNormal(2)).decode(Z),
     TypeError, "`decoder(z)` must be a torch.Tensor, but it is a DiagonalGaussian"),
    ("prior of another size",
     lambda: VAE(model().encoder, model().decoder, Bernoulli(), StandardNormal(3))(X),
     ValueError, "last axis must have size 3"),
    ("no images", lambda: model().sample(0), ValueError, "`n` must be at least 1"),
    ("seed for a sample", lambda: model().sample(2, generator=3), TypeError, "manual_seed"),
    ("codes of another size to decode", lambda: model().decode(X),
     ValueError, "`z` has shape (3, 4)"),
    ("encoder for a model", lambda: importance_weighted_bound(model().encoder, X, 3),
     TypeError, "`model` must be a VAE, but it is a MLPEncoder. Pass the whole model"),
    ("no importance samples", lambda: importance_weighted_bound(model(), X, 0),
     ValueError, "`n_samples` must be at least 1"),
    ("1e3 importance samples", lambda: importance_weighted_bound(model(), X, 1000.0),
     TypeError, "int(n_samples)"),
    ("no rows at a time", lambda: importance_weighted_bound(model(), X, 3, max_rows=0),
     ValueError, "`max_rows` must be at least 1"),
    ("empty batch for the bound", lambda: importance_weighted_bound(model(), X[:0], 3),
     ValueError, "B >= 1"),
    ("None importance samples", lambda: log_importance_weights(model(), X, None),
     TypeError, "`n_samples` must be a whole number"),
    ("tensor for an ELBO", lambda: vae.negative_elbo(Z),
     TypeError, "`elbo` must be an Elbo, but it is a Tensor"),
    # The linear-Gaussian model
    ("number for a log-variance", lambda: LinearGaussian(X, X[:, 0], 0.0),
     TypeError, "`log_var` must be a torch.Tensor, but it is a float"),
    ("weight transposed", lambda: LinearGaussian(X.T, X[:, 0], torch.tensor(0.0)),
     ValueError, "`bias` has shape (3,), but its last axis must have size 4"),
    ("NaN in a weight", lambda: LinearGaussian(spoiled(X, NAN), X[:, 0], torch.tensor(0.0)),
     ValueError, "`weight` holds 1 values"),
    ("two dtypes", lambda: LinearGaussian(X.double(), X[:, 0], torch.tensor(0.0)),
     TypeError, "`weight` is torch.float64 and `bias` is torch.float32"),
    ("one point", lambda: exact().log_prob(X[0]),
     ValueError, "`x` has shape (4,), but (B, 4) is expected"),
    ("points of another width", lambda: exact().posterior(Z),
     ValueError, "`x` has shape (3, 2), but its last axis must have size 4"),
    ("stacked points", lambda: exact().log_prob(X[None]), ValueError, "`x` has shape (1, 3, 4)"),
    ("float64 points", lambda: exact().log_prob(X.double()),
     TypeError, "`weight` is torch.float32"),
    ("one q for all points", lambda: exact().elbo(X, Z[:1], Z[:1]),
     ValueError, "`mean` has shape (1, 2), but (3, 2) is expected"),
    ("float32 q", lambda: exact(torch.float64).elbo(X, Z, Z),
     TypeError, "`mean` is torch.float32 and `weight` is torch.float64. "
     "Convert one of them, for example mean.to(torch.float64)"),
    ("no points", lambda: exact().sample(0), ValueError, "`n` must be at least 1"),
    ("seed for points", lambda: exact().sample(2, generator=3), TypeError, "manual_seed"),
    ("gap of one q for all points", lambda: gap(Z[:1], Z[:1]),
     ValueError, "`mean` has shape (1, 2)"),
    ("gap of another width", lambda: gap(Z, Z[:, :1]), ValueError, "`log_var` has shape (3, 1)"),
    ("gap of a list", lambda: gap([0.0], Z), TypeError, "`mean` must be a torch.Tensor"),
    ("gap to a mean", lambda: linear_gaussian.posterior_gap(Z, Z, Z),
     TypeError, "`posterior` must be a Posterior, but it is a Tensor. Pass that of a model"),
    ("PCA without float64", lambda: linear_gaussian.fit_ppca(OnMPS(9, 4), 2),
     ValueError, "`x` is on mps, but this is computed in float64, which MPS does not have. "
     "Move it to the CPU: x.cpu()"),
    ("decoder without float64",
     lambda: linear_gaussian.from_linear_decoder(X.T, X[0], OnMPS()),
     ValueError, "log_var.to(weight.device)"),
    ("PCA of images", lambda: linear_gaussian.fit_ppca(torch.rand(9, 1, 4, 4), 2),
     ValueError, "merge axes: x.flatten(1)"),
    ("PCA of one row", lambda: linear_gaussian.fit_ppca(X[:1], 2), ValueError, "with B >= 2"),
    ("PCA of too few rows", lambda: linear_gaussian.fit_ppca(torch.eye(3, 9), 2),
     ValueError, "varies in no more than 2 directions"),
    ("PCA of a constant", lambda: linear_gaussian.fit_ppca(X, 1),
     ValueError, "Pass more rows, or a smaller `latent_dim`"),
    ("PCA with every direction", lambda: linear_gaussian.fit_ppca(torch.rand(9, 4), 4),
     ValueError, "P > latent_dim"),
    ("PCA with half a direction", lambda: linear_gaussian.fit_ppca(torch.rand(9, 4), 1.5),
     TypeError, "`latent_dim` must be a whole number"),
    ("PCA of bytes", lambda: linear_gaussian.fit_ppca(X.byte(), 1), TypeError, "x.float()"),
    ("PCA of NaN", lambda: linear_gaussian.fit_ppca(spoiled(torch.rand(9, 4), NAN), 1),
     ValueError, "`x` holds 1 values"),
    ("parameters of another decoder",
     lambda: linear_gaussian.from_linear_decoder(X, Z[0], torch.tensor(0.0)),
     ValueError, "`bias` has shape (2,), but its last axis must have size 3"),
    # Numbers and figures
    ("error of one value", lambda: metrics.mean_with_error(torch.ones(1)),
     ValueError, "a standard error needs at least two. Draw more samples"),
    ("error of NaN", lambda: metrics.mean_with_error(torch.tensor([1.0, NAN])),
     ValueError, "`values` holds 1 values"),
    ("error of counts", lambda: metrics.mean_with_error(torch.arange(5)),
     TypeError, "values.float()"),
    ("images in three axes", lambda: plots.image_grid(torch.zeros(2, 4, 4), axes()),
     ValueError, "Add the channel axis: images[:, None]"),
    ("figure for axes", lambda: plots.image_grid(torch.zeros(2, 1, 4, 4), Figure()),
     TypeError, "`ax` must be a matplotlib Axes, but it is a Figure. Take one of a figure"),
    ("several axes", lambda: plots.curve([1.0], Figure().subplots(2), label="", color="elbo"),
     TypeError, "or one of several: axes[0]"),
    ("color images", lambda: plots.image_grid(torch.zeros(2, 3, 4, 4), axes()),
     ValueError, "(N, 1, H, W) with N >= 1 is expected"),
    ("no columns", lambda: plots.image_grid(torch.zeros(2, 1, 4, 4), axes(), columns=0),
     ValueError, "`columns` must be at least 1"),
    ("bytes for images", lambda: plots.image_grid(torch.zeros(2, 1, 4, 4).byte(), axes()),
     TypeError, "images.float()"),
    ("curve without numbers", lambda: plots.curve([], axes(), label="", color="elbo"),
     ValueError, "`values` holds 0 numbers"),
    ("curve in no color", lambda: plots.curve([1.0], axes(), label="", color="elboo"),
     ValueError, "Colors of the course: elbo,"),
    ("report of a vector", lambda: report.report(gap=Z[0]),
     TypeError, "`gap` must be one number, but it is a Tensor"),
    ("report of a text", lambda: report.report(gap="much"),
     TypeError, "Reduce it first, for example gap.mean()"),
    ("a sentence before its number", lambda: report.say("{glue:text}`nowhere`"),
     KeyError, "no cell has reported it yet. Run the cells above first"),
    ("report of nothing", lambda: report.report(gap=None), TypeError, "it is a NoneType"),
]
