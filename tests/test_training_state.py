"""What `fit` leaves alone: the generators, the data, and the state of the model."""

import inspect
import math

import pytest
import torch
from torch import nn
from training_models import (
    CPU,
    Constant,
    Interrupted,
    Regression,
    mode_pattern,
    points,
    trained,
    weights,
)

from companion._require import arguments
from companion.training import fit, generator_for

# --- randomness ---


def test_same_seed_same_result_and_another_seed_another():
    (one, a), (two, b), (other, c) = trained(), trained(), trained(seed=4)
    assert torch.equal(weights(one), weights(two))
    assert a == b
    assert not torch.equal(weights(one), weights(other))
    assert a != c


def test_global_generator_and_data_stay_as_they_were():
    data = points()
    copies = [tensor.clone() for tensor in data]
    model = Regression(noise=0.1, norm=True)
    state = torch.get_rng_state()
    trained(data, model)
    assert torch.equal(state, torch.get_rng_state())
    assert all(map(torch.equal, data, copies))


def test_global_draws_do_not_change_the_result():
    one, _ = trained()
    torch.rand(5)
    two, _ = trained()
    assert torch.equal(weights(one), weights(two))


def test_data_that_require_gradients_get_none():
    data = points()
    data[0].requires_grad_()
    trained(data)
    assert data[0].grad is None
    assert data[0].requires_grad


def test_generators_of_different_keys_are_unrelated():
    keys = [(), (0,), (0, 0), (1,), (1, 0), (0, 1), (-1,), (2**40,), (2**40 + 1,), (1, 2, 3)]
    keys += [(seed, epoch) for seed in range(2, 22) for epoch in range(20)]
    draws = torch.stack([torch.rand(64, generator=generator_for("cpu", *key)) for key in keys])
    assert len(draws.unique(dim=0)) == len(keys)
    correlation = torch.corrcoef(draws) - torch.eye(len(keys))
    assert correlation.abs().max() < 0.7  # 0.64 expected of 84,000 pairs of independent rows
    assert draws[:, 0].std() == pytest.approx(math.sqrt(1 / 12), rel=0.1)


def test_a_key_gives_the_same_numbers_again_also_as_a_tensor():
    expected = torch.rand(3, generator=generator_for("cpu", 5, 1))
    key = torch.tensor(5)
    assert torch.equal(
        torch.rand(3, generator=inspect.unwrap(generator_for)("cpu", key, 1)), expected
    )


# --- the model is left as it was found ---


@pytest.mark.parametrize("root_mode", [True, False])
def test_modes_are_restored_and_gradients_dropped(root_mode):
    model = Regression(norm=True).train(root_mode)
    model.norm.train(not root_mode)
    before = mode_pattern(model)
    trained(model=model, heldout=points(20))
    assert mode_pattern(model) == before
    assert all(weight.grad is None for weight in model.parameters())


def test_modes_are_restored_after_an_exception():
    model = Interrupted(at=5)
    model.norm.eval()
    before = mode_pattern(model)
    with pytest.raises(KeyboardInterrupt):
        trained(model=model)
    assert mode_pattern(model) == before
    assert all(weight.grad is None for weight in model.parameters())


def test_training_in_training_mode_and_evaluation_in_evaluation_mode():
    modes = []

    class Spy(Constant):
        def forward(self, x, *, generator=None):
            modes.append((self.training, torch.is_grad_enabled(), len(x)))
            return super().forward(x)

    fit(Spy().eval(), torch.zeros(5), heldout=torch.zeros(2), epochs=2, batch_size=5, run=CPU)
    assert modes == [(True, True, 5), (False, False, 2)] * 2


def test_it_trains_also_inside_no_grad_and_with_older_gradients():
    expected, _ = trained()
    model = Regression(noise=0.1, norm=True)
    model.linear.weight.grad = torch.full((1, 3), 1e3)
    with torch.no_grad():
        trained(model=model)
    assert torch.equal(weights(model), weights(expected))


@pytest.mark.parametrize("root_mode", [True, False])
def test_a_frozen_batch_norm_stays_in_evaluation_mode(root_mode):
    model = Regression(norm=True).train(root_mode)
    model.norm.requires_grad_(False).eval()
    before = weights(model.norm)  # its running statistics too
    trained(model=model, heldout=points(20))
    assert torch.equal(weights(model.norm), before)
    assert model.linear.bias.item() != 0


@pytest.mark.parametrize(("root_mode", "drops"), [(True, False), (False, True)])
def test_dropout_in_evaluation_mode_on_purpose_stays_there(root_mode, drops):
    # A whole model in evaluation mode is what the last evaluation left behind: no purpose.
    seen = []

    class Drops(Constant):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x, *, generator=None):
            if self.training:
                seen.append(self.drop.training)
            return super().forward(x)

    model = Drops().train(root_mode)
    model.drop.eval()
    fit(model, torch.ones(4), epochs=1, run=CPU)
    assert seen == [drops]


def test_a_norm_in_evaluation_mode_that_has_weights_to_train_is_trained():
    model = Regression(norm=True)
    model.norm.eval()
    trained(model=model)
    assert model.norm.num_batches_tracked.item() == 4 * 7


def test_frozen_parameters_stay():
    model = Regression()
    model.linear.weight.requires_grad_(False)
    before = model.linear.weight.clone()
    trained(model=model)
    assert torch.equal(model.linear.weight, before)
    assert model.linear.bias.item() != 0


# --- values are checked in the first epoch, which sees all data, and then no more ---


class Checked(Constant):
    def __init__(self):
        super().__init__()
        self.looked = []

    def forward(self, x, *, generator=None):
        self.looked.append(arguments.checks_values())
        arguments.require_binary("Binarize it.", x=x)
        return x * self.weight


def test_a_forbidden_value_anywhere_is_found_and_the_model_is_as_it_was():
    data = torch.ones(1000)
    model = Checked()
    fit(model, data, epochs=3, run=CPU)
    assert model.looked == [True] * 10 + [False] * 20
    assert arguments.checks_values()
    data[-1] = 0.5
    model = Checked()
    with pytest.raises(ValueError, match=r"`x` must hold only zeros and ones, but 1 of"):
        fit(model, data, epochs=1, run=CPU)
    assert model.weight.item() == 0
    with pytest.raises(ValueError, match=r"`x` must hold only zeros and ones"):
        fit(model, torch.ones(9), heldout=data, epochs=1, run=CPU)
    assert model.weight.item() == 0
