"""Bad input of densities and networks: name, call, exception, and a part of the message.

`test_bad_input.py` makes the calls. The table of models is in `bad_input/models.py`.
"""

import numpy as np
import torch

from companion import gaussian, likelihoods
from companion.gaussian import DiagonalGaussian
from companion.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian
from companion.networks import ConvDecoder, ConvEncoder, LinearEncoder, MLPDecoder, MLPEncoder
from companion.priors import StandardNormal

NAN, INF = float("nan"), float("inf")
Z = torch.zeros(3, 2)
X = torch.ones(3, 4)
GRAY = torch.full((3, 4), 0.5)
META = torch.zeros(3, 2, device="meta")


def spoiled(tensor, value):
    tensor = tensor.clone()
    tensor.view(-1)[-1] = value
    return tensor


# fmt: off
CASES = [
    # The diagonal Gaussian
    ("list for a tensor", lambda: gaussian.kl_to_standard([0.0], Z),
     TypeError, "`mean` must be a torch.Tensor, but it is a list. "
     "Convert it first: torch.as_tensor(mean)"),
    ("array for a tensor", lambda: gaussian.rsample(np.zeros((3, 2)), Z),
     TypeError, "it is a ndarray"),
    ("number for a tensor", lambda: gaussian.entropy(0.0),
     TypeError, "`log_var` must be a torch.Tensor, but it is a float"),
    ("whole numbers", lambda: gaussian.log_prob(Z.long(), Z, Z),
     TypeError, "its dtype is torch.int64. Convert it first: value.float()"),
    ("truth values", lambda: gaussian.entropy(Z.bool()), TypeError, "its dtype is torch.bool"),
    ("log-variance of another width", lambda: gaussian.kl_to_standard(Z, Z[:, :1]),
     ValueError, "`log_var` has shape (3, 1), but they must be equal"),
    ("log-variance without batch", lambda: gaussian.rsample(Z, Z[0]),
     ValueError, "log_var.expand_as(mean)"),
    ("prior of another batch", lambda: gaussian.kl(Z, Z, Z[:1], Z[:1]),
     ValueError, "`mean_p` has shape (1, 2), but they must be equal"),
    ("value of another width", lambda: gaussian.log_prob(X, Z, Z),
     ValueError, "`value` has shape (3, 4), but its last axis must have size 2"),
    ("value with fewer axes", lambda: gaussian.log_prob(Z[0], Z, Z),
     ValueError, "Samples lead: (S, B, D) goes with (B, D)"),
    ("samples behind the batch", lambda: gaussian.log_prob(torch.zeros(3, 5, 2), Z, Z),
     ValueError, "Samples lead"),
    ("two devices", lambda: gaussian.kl_to_standard(Z, META),
     ValueError, "`mean` is on cpu and `log_var` is on meta. Move both to one device"),
    ("codes of another width for pairs", lambda: gaussian.pairwise_log_prob(X, Z, Z),
     ValueError, "`z` has shape (3, 4), but its last axis must have size 2"),
    ("stacked components", lambda: gaussian.pairwise_log_prob(Z, Z[None], Z[None]),
     ValueError, "`mean` has shape (1, 3, 2), but (K, D) is expected"),
    ("one component without its axis", lambda: gaussian.pairwise_log_prob(Z, Z[0], Z[0]),
     ValueError, "becomes a batch by mean[None]"),
    ("NaN in a code of pairs", lambda: gaussian.pairwise_log_prob(spoiled(Z, NAN), Z, Z),
     ValueError, "`z` holds 1 values"),
    ("value on another device", lambda: gaussian.log_prob(META, Z, Z),
     ValueError, "`value` is on meta and `mean` is on cpu"),
    ("NaN", lambda: gaussian.kl_to_standard(spoiled(Z, NAN), Z),
     ValueError, "`mean` holds 1 values that are NaN or infinite, of 6"),
    ("infinity", lambda: gaussian.entropy(spoiled(Z, -INF)),
     ValueError, "`log_var` holds 1 values"),
    ("no samples", lambda: gaussian.rsample(Z, Z, n_samples=0),
     ValueError, "`n_samples` must be at least 1, but it is 0"),
    ("fewer than no samples", lambda: gaussian.rsample(Z, Z, n_samples=-2), ValueError, "it is -2"),
    ("half a sample", lambda: gaussian.rsample(Z, Z, n_samples=1.5),
     TypeError, "Pass an int, for example int(n_samples)"),
    ("truth value for a count", lambda: gaussian.rsample(Z, Z, n_samples=True),
     TypeError, "must be a whole number, but it is True (bool)"),
    ("seed for a generator", lambda: gaussian.rsample(Z, Z, generator=0),
     TypeError, "torch.Generator().manual_seed(0)"),
    ("array's generator", lambda: gaussian.rsample(Z, Z, generator=np.random.default_rng(0)),
     TypeError, "`generator` must be a torch.Generator"),
    ("generator elsewhere", lambda: gaussian.rsample(META, META, generator=torch.Generator()),
     ValueError, "`generator` is on cpu, but the numbers are drawn on meta. Make it there"),
    # Likelihoods
    ("gray pixels for a Bernoulli", lambda: Bernoulli().log_prob(GRAY, X),
     ValueError, "12 of its 12 values are something else. Binarize gray pixels first"),
    ("pixels up to 255", lambda: ContinuousBernoulli().log_prob(255 * X, X),
     ValueError, "`x` must lie in [0, 1], but its values run from 255 to 255. "
     "Scale pixels to [0, 1]: x / 255"),
    ("pixels from -1", lambda: likelihoods.cross_entropy(2 * GRAY - 2, X),
     ValueError, "run from -1 to -1"),
    ("bytes for pixels", lambda: Bernoulli().log_prob(X.byte(), X), TypeError, "x.float()"),
    ("output flattened", lambda: Bernoulli().log_prob(X[:, None], X),
     ValueError, "`output` has shape (3, 4), which does not end in the shape of `x`, (3, 1, 4)"),
    ("output of another batch", lambda: Gaussian().log_prob(X, X[:1]),
     ValueError, "Samples lead: (S, B, D) goes with (B, D), and nothing is broadcast"),
    ("pixels without batch", lambda: Bernoulli().log_prob(X[0], X[0]),
     ValueError, "`x` has shape (4,), but (B, ...) is expected. One example becomes a batch"),
    ("logits of another width", lambda: likelihoods.cross_entropy(GRAY, X[:, :2]),
     ValueError, "`logits` has shape (3, 2)"),
    ("NaN in the output", lambda: Gaussian().log_prob(X, spoiled(X, NAN)),
     ValueError, "`output` holds 1 values that are NaN"),
    ("output elsewhere", lambda: Bernoulli().log_prob(X, X.to("meta")),
     ValueError, "`x` is on cpu and `output` is on meta"),
    ("list for an output", lambda: Bernoulli().mean([0.0]),
     TypeError, "`output` must be a torch.Tensor"),
    ("NaN to sample from", lambda: Bernoulli().sample(spoiled(X, NAN)),
     ValueError, "`output` holds 1 values"),
    ("seed to sample with", lambda: ContinuousBernoulli().sample(X, generator=1),
     TypeError, "manual_seed"),
    ("infinite log-variance", lambda: Gaussian(INF),
     ValueError, "`log_var` must be finite, but it is inf"),
    ("text for a log-variance", lambda: Gaussian("0"),
     TypeError, "`log_var` must be a number, but it is a str"),
    ("tensor for a log-variance", lambda: Gaussian(torch.zeros(3)),
     TypeError, "`log_var` must be a number, but it is a Tensor"),
    # Prior
    ("prior without dimensions", lambda: StandardNormal(0), ValueError, "`dim` must be at least 1"),
    ("codes of another size", lambda: StandardNormal(3).log_prob(Z),
     ValueError, "`z` has shape (3, 2), but its last axis must have size 3"),
    ("codes with NaN", lambda: StandardNormal(2).log_prob(spoiled(Z, NAN)),
     ValueError, "`z` holds 1 values"),
    ("half a code", lambda: StandardNormal(2).sample(2.0), TypeError, "`n` must be a whole number"),
    ("no codes", lambda: StandardNormal(2).sample(0), ValueError, "`n` must be at least 1"),
    ("mean alone for a q", lambda: StandardNormal(2).kl(Z, Z),
     TypeError, "`q` must be a pair (mean, log_var), but it is a Tensor. Collect the two tensors"),
    ("number for a q", lambda: StandardNormal(2).kl(3, Z), TypeError, "but it is a int"),
    ("numbers in a q", lambda: StandardNormal(2).kl((0.0, 0.0), Z),
     TypeError, "`mean` must be a torch.Tensor, but it is a float"),
    ("q of another size", lambda: StandardNormal(3).kl(DiagonalGaussian(Z, Z), Z),
     ValueError, "`mean` has shape (3, 2), but its last axis must have size 3"),
    # Networks
    ("number for an event", lambda: MLPEncoder(784, 2),
     TypeError, "One number becomes a tuple by a comma: (784,)"),
    ("number for the hidden layers", lambda: MLPDecoder(2, (4,), 400),
     TypeError, "`hidden_dims` must be a sequence of whole numbers, but it is 400"),
    ("text for an event", lambda: LinearEncoder("28", 2),
     TypeError, "`event_shape` must be a sequence"),
    ("empty event", lambda: MLPEncoder((), 2), ValueError, "`event_shape` is empty"),
    ("empty hidden layer", lambda: MLPEncoder((4,), 2, (8, 0)),
     ValueError, "`hidden_dims` must be at least 1"),
    ("no latent dimensions", lambda: ConvEncoder(0), ValueError, "`latent_dim` must be at least 1"),
    ("half a latent dimension", lambda: MLPDecoder(1.5, (4,)),
     TypeError, "`latent_dim` must be a whole number"),
    ("half a filter", lambda: ConvDecoder(2, channels=8.0),
     TypeError, "`channels` must be a whole number"),
    ("flat images", lambda: MLPEncoder((1, 2, 2), 2)(X),
     ValueError, "this network expects (B, 1, 2, 2). Reshape it: x.reshape(-1, 1, 2, 2)"),
    ("images without channel", lambda: ConvEncoder(2)(torch.zeros(3, 28, 28)),
     ValueError, "expects (B, 1, 28, 28)"),
    ("one image for an encoder", lambda: MLPEncoder((4,), 2)(X[0]),
     ValueError, "`x` has shape (4,), but this network expects (B, 4)"),
    ("one code for a decoder", lambda: ConvDecoder(2)(Z[0]),
     ValueError, "One code becomes a batch of one by z[None]"),
    ("codes of another size for a decoder", lambda: MLPDecoder(3, (4,))(Z),
     ValueError, "last axis must have size 3"),
    ("float64 data for a float32 network", lambda: MLPEncoder((4,), 2)(X.double()),
     TypeError, "`x` is torch.float64 and `model` is torch.float32. "
     "Convert one of them, for example x.to(torch.float32)"),
    ("float64 codes for a float32 network", lambda: ConvDecoder(2)(Z.double()),
     TypeError, "`z` is torch.float64 and `model` is torch.float32"),
    ("network elsewhere", lambda: LinearEncoder((4,), 2).to("meta")(X),
     ValueError, "`x` is on cpu and `model` is on meta. "
     "Move both to one device: model.to(x.device)"),
]
