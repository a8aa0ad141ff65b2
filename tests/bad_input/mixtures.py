"""Bad input of mixtures, the VampPrior, metrics of a VAE, wrappers, pretrained models."""

import torch
from torch import nn

from bad_input.densities import NAN, X, Z, spoiled
from bad_input.models import model
from companion import pretrained
from companion.em import em_step, fit_em
from companion.metrics import active_units, aggregated_log_prob, cluster_accuracy, kl_decomposition
from companion.mixture import GaussianMixture
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import VampPrior
from companion.training.wrappers import DynamicBinarization, KLWarmUp

HALF = torch.tensor([0.5, 0.5])
TWO = torch.zeros(2, 2)
CODES = torch.rand(9, 2)
LABELS = torch.zeros(3).long()


def made(weights=HALF, mean=TWO, covariance=None):
    given = torch.ones(2, 2) if covariance is None else covariance
    return GaussianMixture.from_parameters(weights, mean, given)


# fmt: off
CASES = [
    # The mixture
    ("no components", lambda: GaussianMixture(0, 2),
     ValueError, "`n_components` must be at least 1"),
    ("spherical covariance", lambda: GaussianMixture(2, 2, covariance="spherical"),
     ValueError, "must be one of 'diagonal', 'full', but it is 'spherical'"),
    ("list of weights", lambda: made([0.5, 0.5]), TypeError, "torch.as_tensor(weights)"),
    ("weights that sum to two", lambda: made(2 * HALF),
     ValueError, "Normalize them: weights / weights.sum()"),
    ("a weight of zero", lambda: made(torch.tensor([0.0, 1.0])), ValueError, "must be positive"),
    ("weights in rows", lambda: made(HALF[None]), ValueError, "but (K,) is expected"),
    ("means in a row", lambda: made(mean=torch.zeros(2)), ValueError, "but (2, D) is expected"),
    ("too few means", lambda: made(mean=TWO[:1]), ValueError, "`mean` has shape (1, 2)"),
    ("one variance", lambda: made(covariance=torch.ones(2)),
     ValueError, "variances (2, 2) or matrices (2, 2, 2) are expected"),
    ("log-variances for variances", lambda: made(covariance=-torch.ones(2, 2)),
     ValueError, "variances that are not positive"),
    ("an indefinite covariance", lambda: made(covariance=torch.ones(2, 2, 2)),
     ValueError, "not positive definite"),
    ("a covariance that is not symmetric",
     lambda: made(covariance=torch.tensor([[1.0, 0.9], [0.0, 1.0]]).expand(2, 2, 2)),
     ValueError, "Symmetrize them"),
    ("seed for the means at the start", lambda: GaussianMixture(2, 2, generator=3),
     TypeError, "manual_seed"),
    ("a negative floor of a fit", lambda: fit_em(CODES, 2, floor=-1.0),
     ValueError, "`floor` must be at least 0, but it is -1.0. Pass 1.0"),
    ("NaN in a mean", lambda: made(mean=spoiled(TWO, NAN)), ValueError, "`mean` holds 1 values"),
    ("two dtypes of a mixture", lambda: made(HALF.double()), TypeError, "float64"),
    ("codes of another size for a mixture", lambda: made().log_prob(X),
     ValueError, "last axis must have size 2"),
    ("NaN in a code", lambda: made().log_prob(spoiled(CODES, NAN)),
     ValueError, "`z` holds 1 values"),
    ("whole-number codes", lambda: made().responsibilities(LABELS[:, None]),
     TypeError, "z.float()"),
    ("no codes of a mixture", lambda: made().sample(0), ValueError, "`n` must be at least 1"),
    ("seed for codes of a mixture", lambda: made().sample(2, generator=1),
     TypeError, "manual_seed"),
    ("EM without a mixture", lambda: em_step(3, CODES),
     TypeError, "`mixture` must be a GaussianMixture, but it is a int. Begin with GaussianMixture"),
    ("EM on stacked codes", lambda: em_step(made(), CODES[None]), ValueError, "z.flatten(0, -2)"),
    ("EM on one code", lambda: em_step(made(), CODES[:1]), ValueError, "with N >= 2"),
    ("EM on codes of another size", lambda: em_step(made(), X),
     ValueError, "its last axis must have size 2"),
    ("EM in another dtype", lambda: em_step(made(), CODES.double()), TypeError, "float64"),
    ("a negative floor", lambda: em_step(made(), CODES, floor=-1.0),
     ValueError, "`floor` must be at least 0"),
    ("more components than codes", lambda: fit_em(CODES, 10), ValueError, "only 9 codes"),
    ("huge codes of a fit", lambda: fit_em(1e20 * CODES, 2), ValueError, "`z` reaches"),
    ("huge codes of a step", lambda: em_step(made(), 1e20 * CODES),
     ValueError, "Divide the codes by their standard deviation"),
    ("no tolerance", lambda: fit_em(CODES, 2, tolerance=0.0),
     ValueError, "`tolerance` must be positive"),
    ("no EM steps", lambda: fit_em(CODES, 2, max_steps=0), ValueError, "`max_steps`"),
    ("no start of EM", lambda: fit_em(CODES, 2, n_starts=0), ValueError, "`n_starts`"),
    # The VampPrior
    ("function for an encoder", lambda: VampPrior(torch.sigmoid, X),
     TypeError, "`encoder` must be a torch.nn.Module"),
    ("class for the encoder of a VampPrior", lambda: VampPrior(MLPEncoder, X),
     TypeError, "but it is the class MLPEncoder. Pass an instance"),
    ("encoder of a VampPrior that gives a tensor",
     lambda: VampPrior(nn.Linear(4, 2), X).log_prob(CODES),
     TypeError, "`encoder(pseudo_inputs)` must be a pair (mean, log_var)"),
    ("q that is no pair for the VampPrior",
     lambda: VampPrior(MLPEncoder((4,), 2), X).kl(Z, Z), TypeError, "`q` must be a pair"),
    ("one pseudo-input", lambda: VampPrior(MLPEncoder((4,), 2), X[0]),
     ValueError, "`pseudo_inputs` has shape (4,), but (K, ...) is expected"),
    ("pseudo-inputs beyond white", lambda: VampPrior(MLPEncoder((4,), 2), X + 2),
     ValueError, "Start from images in [0, 1]"),
    ("codes of another size for the VampPrior",
     lambda: VampPrior(MLPEncoder((4,), 2), X).log_prob(X), ValueError, "size 2"),
    ("NaN in a code for the VampPrior",
     lambda: VampPrior(MLPEncoder((4,), 2), X).log_prob(spoiled(CODES, NAN)),
     ValueError, "`z` holds 1 values"),
    ("no codes of the VampPrior", lambda: VampPrior(MLPEncoder((4,), 2), X).sample(0),
     ValueError, "`n` must be at least 1"),
    # Metrics
    ("units of no model", lambda: active_units(3, X),
     TypeError, "`model` must be a VAE, but it is a int. Pass the whole model"),
    ("units of an encoder", lambda: active_units(MLPEncoder((4,), 2), X),
     TypeError, "`model` must be a VAE, but it is a MLPEncoder"),
    ("information in no model", lambda: kl_decomposition(None, X),
     TypeError, "`model` must be a VAE, but it is a NoneType"),
    ("q(z) of no model", lambda: aggregated_log_prob(3, X, CODES),
     TypeError, "`model` must be a VAE, but it is a int"),
    ("list of clusters", lambda: cluster_accuracy([0, 1], LABELS),
     TypeError, "`clusters` must be a tensor of whole numbers, but it is a list. "
     "Convert it first: torch.as_tensor(clusters)"),
    ("units of one example", lambda: active_units(model(), X[:1]),
     ValueError, "at least two are needed"),
    ("no threshold", lambda: active_units(model(), X, threshold=0.0),
     ValueError, "`threshold` must be positive"),
    ("information in one example", lambda: kl_decomposition(model(), X[:1]),
     ValueError, "at least two are needed"),
    ("no codes for the decomposition", lambda: kl_decomposition(model(), X, n_samples=0),
     ValueError, "`n_samples` must be at least 1"),
    ("codes of another size for q(z)", lambda: aggregated_log_prob(model(), X, X),
     ValueError, "last axis must have size 2"),
    ("one code for q(z)", lambda: aggregated_log_prob(model(), X, CODES[0]),
     ValueError, "z[None]"),
    ("stacked codes for q(z)", lambda: aggregated_log_prob(model(), X, CODES[None]),
     ValueError, "(M, D) is expected"),
    ("NaN in a code for q(z)", lambda: aggregated_log_prob(model(), X, spoiled(CODES, NAN)),
     ValueError, "`z` holds 1 values"),
    ("clusters as floats", lambda: cluster_accuracy(Z[:, 0], LABELS),
     TypeError, "clusters.long()"),
    ("one-hot labels", lambda: cluster_accuracy(LABELS, LABELS[:, None]), ValueError, "(N,)"),
    ("a negative class", lambda: cluster_accuracy(LABELS, LABELS - 1),
     ValueError, "no negative number"),
    ("clusters without labels", lambda: cluster_accuracy(LABELS, LABELS[:2]),
     ValueError, "`clusters` has 3, `labels` has 2"),
    # Wrappers, pretrained models, networks
    ("class for a model", lambda: DynamicBinarization(nn.Linear), TypeError, "not its class"),
    ("bytes to binarize", lambda: DynamicBinarization(model())(255 * X + 1),
     ValueError, "Divide bytes by 255"),
    ("warm-up in no time", lambda: KLWarmUp(model(), 0), ValueError, "`n_steps`"),
    ("unknown pretrained model", lambda: pretrained.card("vae50"), ValueError, "'vae_2d'"),
    ("unknown pretrained weights", lambda: pretrained.load("vae50"), ValueError, "'vae_2d'"),
    ("unknown prior",
     lambda: pretrained.build({"latent_dim": 2, "hidden_dims": [4], "prior": "gmm"}),
     ValueError, "'normal', 'mixture', 'vamp'"),
    ("activation, not its class", lambda: MLPDecoder(2, (4,), activation=nn.Tanh()),
     TypeError, "not nn.Tanh()"),
]
