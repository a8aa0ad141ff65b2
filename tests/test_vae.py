"""The VAE and its bounds, against a model whose log p(x) is exact.

Monte Carlo comparisons allow `SIGMAS` = 5 standard errors, a false alarm of 6e-7 each, and their
seeds are fixed.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import densities as oracles
from oracles import models as oracles_model
from oracles.models import exact_elbo, exact_log_prob, linear_vae, problem
from torch import nn

from companion import gaussian
from companion._require.arguments import without_value_checks
from companion.likelihoods import Bernoulli, Gaussian
from companion.linear_gaussian import LinearGaussian
from companion.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.vae import (
    VAE,
    Elbo,
    importance_weighted_bound,
    log_importance_weights,
    negative_elbo,
)


def small_vae(likelihood=None):
    return VAE(
        MLPEncoder((4,), 2, (8,)),
        MLPDecoder(2, (4,), (8,)),
        likelihood or Bernoulli(),
        StandardNormal(2),
    )


def binary(n):
    return (torch.rand(n, 4, generator=oracles.generator(1)) > 0.5).float()


# The evidence lower bound


def test_the_elbo_is_exact_in_the_mean(device):
    oracles_model.assert_elbo_of_vae(VAE.__call__, device)


def test_elbo_value_and_loss():
    oracles_model.assert_elbo_value(
        lambda log_likelihood, kl, beta: Elbo(log_likelihood, kl).value(beta)
    )
    elbo = Elbo(torch.tensor([-10.0, -20.0]), torch.tensor([2.0, 3.0]))
    assert elbo.value().tolist() == [-12.0, -23.0]
    assert negative_elbo(elbo).tolist() == [12.0, 23.0]


def test_the_gradient_is_that_of_the_exact_elbo():
    """The mean of 150 gradients with respect to the encoder's parameters."""
    case = problem(b=3)
    vae = linear_vae(case)
    parameters = list(vae.encoder.parameters())
    model = LinearGaussian(case.weight, case.bias, case.log_var)
    exact = torch.autograd.grad(model.elbo(case.x, *vae.encode(case.x)).sum(), parameters)
    draws = []
    for seed in range(150):
        value = vae(case.x, n_samples=4, generator=oracles.generator(seed)).value()
        gradients = torch.autograd.grad(value.sum(), parameters)
        draws.append(torch.cat([gradient.flatten() for gradient in gradients]))
    draws = torch.stack(draws)
    expected = torch.cat([gradient.flatten() for gradient in exact])
    oracles.assert_within(draws.mean(0), expected, draws.std(0) / 150**0.5)


@settings(max_examples=30)
@given(st.floats(-1.5, 1.5), st.floats(-2, 2))
def test_the_elbo_stays_below_log_p_for_every_q(mean_shift, log_var_shift):
    case = problem(b=3)
    vae = linear_vae(case, mean_shift=mean_shift, log_var_shift=log_var_shift)
    exact = exact_log_prob(case.x, case.weight, case.bias, case.log_var)
    assert (exact_elbo(case, vae) <= exact + 1e-10).all()


# What a call leaves behind, and what it depends on


def calls(vae, x, generator):
    return {
        "forward": lambda: vae(x, generator=generator),
        "encode": lambda: vae.encode(x),
        "reconstruct": lambda: vae.reconstruct(x),
        "sample": lambda: vae.sample(3, generator=generator),
        "bound": lambda: importance_weighted_bound(vae, x, 5, generator=generator),
        "weights": lambda: log_importance_weights(vae, x, 5, generator=generator),
    }


@pytest.mark.parametrize("name", calls(None, None, None))
def test_a_call_leaves_the_model_and_the_global_state_alone(name):
    vae = small_vae()
    next(vae.decoder.parameters()).requires_grad_(False)
    vae(binary(3)).value().sum().backward()
    vae.train()
    vae.encoder.layers[1].eval()  # modes are mixed on purpose
    x = binary(5).requires_grad_()

    def state():
        gradients = [None if p.grad is None else p.grad.clone() for p in vae.parameters()]
        return (
            [module.training for module in vae.modules()],
            [parameter.requires_grad for parameter in vae.parameters()],
            [g if g is None else g.tolist() for g in gradients],
            {key: value.tolist() for key, value in vae.state_dict().items()},
            (x.tolist(), x.grad, x.requires_grad),
            (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()),
            torch.get_rng_state().tolist(),
        )

    before = copy.deepcopy(state())
    calls(vae, x, oracles.generator())[name]()
    assert state() == before


@pytest.mark.parametrize("name", ["forward", "sample", "bound", "weights"])
def test_same_generator_same_answer(name):
    vae, x = small_vae(), binary(5)
    first, second, other = (calls(vae, x, oracles.generator(s))[name]() for s in (1, 1, 2))
    first, second, other = (r[0] if name == "forward" else r for r in (first, second, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_bound_carries_no_graph_but_the_weights_do():
    vae, x = small_vae(), binary(5)
    assert not importance_weighted_bound(vae, x, 3).requires_grad
    assert log_importance_weights(vae, x, 3).requires_grad


def test_a_batch_of_one_equals_its_row_in_a_batch_of_a_hundred():
    vae, x = small_vae(), binary(100)
    row = x[37:38]
    torch.testing.assert_close(vae.reconstruct(row), vae.reconstruct(x)[37:38])
    torch.testing.assert_close(vae.encode(row).log_var, vae.encode(x).log_var[37:38])
    torch.testing.assert_close(vae(row).kl, vae(x).kl[37:38])


def test_a_reconstruction_is_the_mean_at_the_mean_code_and_a_sample_is_a_mean_too():
    vae, x = small_vae(), binary(5)
    expected = torch.sigmoid(vae.decoder(vae.encoder(x).mean))
    assert torch.equal(vae.reconstruct(x), expected)
    z = torch.randn(7, 2, generator=oracles.generator(5))
    found = vae.sample(7, generator=oracles.generator(5))
    assert torch.equal(found, torch.sigmoid(vae.decoder(z)))


# Precision, compilation, the checks of values


@pytest.mark.parametrize(
    "vae",
    [
        VAE(MLPEncoder((1, 28, 28), 2, (8,)), MLPDecoder(2, (1, 28, 28), (8,)), likelihood, prior)
        for likelihood, prior in ((Bernoulli(), StandardNormal(2)), (Gaussian(), StandardNormal(2)))
    ]
    + [VAE(ConvEncoder(2, 4), ConvDecoder(2, 4), Bernoulli(), StandardNormal(2))],
    ids=["mlp-bernoulli", "mlp-gaussian", "conv-bernoulli"],
)
def test_densities_stay_in_float32_under_autocast(vae):
    x = (torch.rand(3, 1, 28, 28, generator=oracles.generator()) > 0.5).float()
    seen = []
    vae.decoder.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q, elbo = vae.encode(x), vae(x)
        others = vae.decode(q.mean), vae.reconstruct(x), importance_weighted_bound(vae, x, 3)
    assert set(seen) == {torch.bfloat16}  # autocast was at work inside the network
    assert {tensor.dtype for tensor in (*q, *elbo, *others)} == {torch.float32}
    torch.testing.assert_close(elbo.kl, gaussian.kl_to_standard(*q))


def test_a_float64_model_answers_in_float64():
    vae, x = small_vae(Gaussian()).double(), binary(3).double()
    results = (*vae(x), *vae.encode(x), vae.reconstruct(x), vae.sample(2))
    assert {tensor.dtype for tensor in results} == {torch.float64}
    assert importance_weighted_bound(vae, x, 3).dtype == torch.float64


def test_compiling_the_model_does_not_change_its_numbers(without_shape_checker):
    vae, x = linear_vae(problem()), problem().x
    # This backend traces the model as the usual one does, but needs no C++ compiler. The whole
    # model must be one graph: no check of ours may read a value in the middle.
    compiled = torch.compile(vae, backend="eager", fullgraph=True)
    found, expected = [], []
    for model, results in ((compiled, found), (vae, expected)):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            elbo = model(x, n_samples=3)
        loss = negative_elbo(elbo).sum()
        results.extend([*elbo, *torch.autograd.grad(loss, list(vae.parameters()))])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_value_checks_can_be_switched_off_for_a_training_loop():
    vae, gray = small_vae(), torch.full((2, 4), 0.5)
    with pytest.raises(ValueError, match="zeros and ones"):
        vae(gray)
    with without_value_checks():
        assert vae(gray).kl.isfinite().all()


def test_an_exception_leaves_the_mode_of_gradients_alone():
    with pytest.raises(ValueError, match="batch"):
        importance_weighted_bound(small_vae(), torch.zeros(4), 3)
    assert torch.is_grad_enabled()


class HalfWayEncoder(nn.Module):
    """A learner's own encoder needs no base class: a pair is enough."""

    def forward(self, x):
        return x[:, :2], x[:, 2:]


def test_any_module_that_returns_a_pair_is_an_encoder():
    vae = VAE(HalfWayEncoder(), MLPDecoder(2, (4,)), Bernoulli(), StandardNormal(2))
    x = binary(3)
    expected = gaussian.kl_to_standard(x[:, :2], x[:, 2:])
    torch.testing.assert_close(vae(x).kl, expected)
