"""The checks of arguments: what passes, and that they can be switched off."""

import threading

import numpy as np
import pytest
import torch

from companion._require import arguments as v

NAN, INF = float("nan"), float("inf")
GRAY = torch.tensor([[0.0, 0.5, 1.0]])

PASSES = [
    lambda: v.require_tensor(a=torch.zeros(2), b=torch.zeros(2, dtype=torch.bfloat16)),
    lambda: v.require_same_device(a=torch.zeros(2), b=torch.zeros(3)),
    lambda: v.require_same_shape(a=torch.zeros(2, 3), b=torch.zeros(2, 3), c=torch.ones(2, 3)),
    lambda: v.require_same_dtype(a=torch.zeros(2), b=torch.zeros(3)),
    lambda: v.require_generator(torch.Generator(), torch.device("cpu")),
    lambda: v.require_last_axis(3, a=torch.zeros(3), b=torch.zeros(2, 3)),
    lambda: v.require_finite(a=torch.tensor([3e38, 3e38]), b=torch.zeros(0)),
    lambda: v.require_range(0.0, 1.0, "", a=GRAY, b=torch.zeros(0)),
    lambda: v.require_binary("", a=torch.tensor([0.0, 1.0, -0.0])),
    lambda: v.require_count(n=1),
    lambda: v.require_count(n=np.int64(3)),
    lambda: v.require_positive(a=1, b=0.5),
    lambda: v.require_at_least_zero(a=0, b=0.5),
    lambda: v.require_in(lambda share: share < 1, "below 1", a=-3, b=0.5),
    lambda: v.require_choice(("a", "b"), name="b"),
    lambda: v.require_generator(torch.Generator()),
    lambda: v.require_module(a=torch.nn.ReLU(), b=torch.nn.Linear(1, 1)),
    lambda: v.require_function(a=len, b=torch.nn.ReLU()),
    lambda: v.require_instance(dict, "", a={}),
    lambda: v.require_float64_device(a=GRAY, b=GRAY.to("meta")),
]

FAILS = [
    (lambda: v.require_tensor(a=torch.zeros(2), b=[1.0]), TypeError, "`b` must be a torch.Tensor"),
    (lambda: v.require_tensor(a=torch.ones(2).long()), TypeError, "a.float()"),
    (lambda: v.require_tensor(a=torch.ones(2) * 1j), TypeError, "floating-point"),
    (
        lambda: v.require_same_device(a=GRAY, b=GRAY, c=GRAY.to("meta")),
        ValueError,
        "`a` is on cpu and `c` is on meta",
    ),
    (
        lambda: v.require_same_shape(a=GRAY, b=GRAY, c=GRAY[0]),
        ValueError,
        "`c` has shape (3,), but they must be equal",
    ),
    (
        lambda: v.require_same_dtype(a=GRAY, b=GRAY.double()),
        TypeError,
        "`a` is torch.float32 and `b` is torch.float64. Convert one of them",
    ),
    (lambda: v.require_generator(0, torch.device("cpu")), TypeError, "manual_seed"),
    (
        lambda: v.require_generator(torch.Generator(), torch.device("meta")),
        ValueError,
        "torch.Generator('meta')",
    ),
    (lambda: v.require_last_axis(2, a=GRAY), ValueError, "last axis must have size 2"),
    (lambda: v.require_last_axis(2, a=torch.tensor(1.0)), ValueError, "shape ()"),
    (lambda: v.require_finite(a=GRAY, b=torch.tensor([NAN, 1.0, INF])), ValueError, "2 values"),
    (lambda: v.require_finite(a=torch.tensor([INF, -INF])), ValueError, "2 values"),
    (lambda: v.require_range(0.0, 1.0, "Remedy.", a=2 * GRAY), ValueError, "from 0 to 2. Remedy."),
    (lambda: v.require_range(0.0, 1.0, "", a=torch.tensor([NAN])), ValueError, "nan"),
    (lambda: v.require_binary("Remedy.", a=GRAY), ValueError, "1 of its 3 values"),
    (lambda: v.require_binary("", a=torch.tensor([NAN, 0.0, 2.0])), ValueError, "2 of its 3"),
    (lambda: v.require_count(n=0), ValueError, "`n` must be at least 1"),
    (lambda: v.require_count(n=True), TypeError, "whole number"),
    (lambda: v.require_count(n=2.0), TypeError, "int(n)"),
    (lambda: v.require_positive(a=0), ValueError, "positive and finite"),
    (lambda: v.require_positive(a=INF), ValueError, "positive and finite"),
    (lambda: v.require_positive(a=NAN), ValueError, "positive and finite"),
    (lambda: v.require_positive(a="1"), TypeError, "must be a number"),
    (lambda: v.require_positive(a=True), TypeError, "must be a number"),
    (lambda: v.require_at_least_zero(a=-2), ValueError, "at least 0, but it is -2. Pass 2."),
    (lambda: v.require_at_least_zero(a=INF), ValueError, "`a` must be finite, but it is inf."),
    (
        lambda: v.require_in(lambda share: share < 1, "below 1", " Do.", a=0, b=2),
        ValueError,
        "`b` must be below 1, but it is 2. Do.",
    ),
    (lambda: v.require_choice(("a", "b"), name="c"), ValueError, "one of 'a', 'b', but it is 'c'"),
    (lambda: v.require_generator(None), TypeError, "torch.Generator().manual_seed(0)"),
    (lambda: v.require_module(a=torch.nn.ReLU(), b=torch.nn.ReLU), TypeError, "`b` must be a"),
    (lambda: v.require_module(a=torch.nn.ReLU), TypeError, "the class ReLU. Pass an instance"),
    (lambda: v.require_module(a=torch.relu), TypeError, "put a function into the forward"),
    (lambda: v.require_function(a=3), TypeError, "`a` must be a function, but it is 3. Pass"),
    (lambda: v.require_instance(dict, "Do.", a=[]), TypeError, "a dict, but it is a list. Do."),
]

VALUE_CHECKS = [
    lambda: v.require_finite(a=torch.tensor([NAN])),
    lambda: v.require_range(0.0, 1.0, "", a=torch.tensor([7.0])),
    lambda: v.require_binary("", a=GRAY),
]


@pytest.mark.parametrize("call", PASSES)
def test_good_arguments_pass(call):
    assert call() is None


@pytest.mark.parametrize(("call", "error", "message"), FAILS)
def test_bad_arguments_raise(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert message in str(caught.value)


@pytest.mark.parametrize("call", VALUE_CHECKS)
def test_checks_of_values_are_on_can_be_switched_off_and_come_back(call):
    with pytest.raises(ValueError, match="`a`"):
        call()
    with v.without_value_checks():
        call()
        with v.without_value_checks():
            call()
        call()
    with pytest.raises(ValueError, match="`a`"):
        call()


def test_checks_of_values_come_back_after_an_exception():
    with pytest.raises(KeyError), v.without_value_checks():
        raise KeyError
    with pytest.raises(ValueError, match="NaN"):
        v.require_finite(a=torch.tensor([NAN]))


def test_other_threads_keep_their_checks():
    caught = []

    def work():
        try:
            v.require_finite(a=torch.tensor([NAN]))
        except ValueError as error:
            caught.append(error)

    with v.without_value_checks():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_other_checks_stay_on_without_value_checks():
    with v.without_value_checks(), pytest.raises(TypeError, match="must be a torch"):
        v.require_tensor(a=1.0)


def test_tensors_without_values_pass_the_checks_of_values():
    meta = torch.zeros(2, device="meta")
    v.require_finite(a=meta)
    v.require_range(0.0, 1.0, "", a=meta)
    v.require_binary("", a=meta)


def test_a_check_leaves_no_trace_in_the_graph():
    x = torch.ones(3, requires_grad=True)
    v.require_finite(x=x)
    v.require_range(0.0, 1.0, "", x=x)
    v.require_binary("", x=x)
    assert x.grad is None
    assert x.grad_fn is None
