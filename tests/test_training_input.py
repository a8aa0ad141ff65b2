"""Devices, precision, the progress bar, and bad input."""

import inspect
import math
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import nn
from training_models import (
    CPU,
    SETTINGS,
    Answer,
    Constant,
    Regression,
    error,
    penalized,
    points,
    trained,
    weights,
)

from companion._require import training as require
from companion.page import shell as shell_module
from companion.training import Run, _bar, default_device, fit, generator_for

# Type errors are our own business: look below the type checker that the tests switch on.
plain_fit = inspect.unwrap(fit)


# --- devices, precision, compilation ---


def test_default_device_is_the_fastest(monkeypatch):
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert default_device().type == expected


def test_autocast_reaches_the_network_and_no_further():
    seen = []

    class Spy(Regression):
        def forward(self, x, y, *, generator=None):
            seen.append(self.linear(x).dtype)
            return super().forward(x, y, generator=generator)

    def loss(answer):
        seen.append(torch.is_autocast_enabled("cpu"))
        return penalized(answer)

    half, _ = trained(model=Spy(), loss=loss, run=Run("cpu", torch.bfloat16, progress=False))
    assert set(seen) == {torch.bfloat16, False}
    full, _ = trained(model=Regression())
    assert not torch.equal(weights(half), weights(full))
    torch.testing.assert_close(weights(half), weights(full), atol=0.1, rtol=0)
    assert half.linear.weight.dtype == torch.float32


def test_an_outer_autocast_does_not_leak_in():
    data = points()
    expected, _ = trained(data, Regression())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model, _ = trained(data, Regression())
    assert torch.equal(weights(model), weights(expected))


def test_compile_runs_the_compiled_model(monkeypatch):
    # The eager backend traces without a C++ compiler, in a second instead of a minute.
    from functools import partial

    calls = []
    compile_model = partial(torch.compile, backend="eager")
    monkeypatch.setattr(
        torch, "compile", lambda m, **how: calls.append(m) or compile_model(m, **how)
    )
    expected, curves = trained(model=Regression())
    model, history = trained(model=Regression(), run=Run("cpu", compile=True, progress=False))
    assert calls == [model]
    torch.testing.assert_close(weights(model), weights(expected))
    assert history.train["loss"] == pytest.approx(curves.train["loss"])


# --- progress ---


def test_silent_unless_somebody_watches(capfd):
    trained(run=Run(device="cpu"))
    assert capfd.readouterr() == ("", "")


def test_the_bar_of_a_resumed_training_starts_where_it_stopped(monkeypatch):
    monkeypatch.setattr(_bar, "somebody_watches", lambda: True)
    with _bar.epoch_bar(3, 10, True) as bar:
        assert (bar.n, bar.total) == (3, 10)


def test_a_terminal_gets_a_bar_with_the_loss(monkeypatch, capsys):
    monkeypatch.setattr(_bar, "somebody_watches", lambda: True)
    _, history = trained(run=Run(device="cpu"))
    out, err = capsys.readouterr()
    assert "4/4" in out
    assert f"loss {history.train['loss'][-1]:.5g}" in out
    assert err == ""
    trained(run=CPU)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("answers", "shown"), [(True, True), (False, False)])
def test_a_live_notebook_is_watched_and_an_executed_one_is_not(monkeypatch, answers, shown):
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=answers))
    monkeypatch.setattr(shell_module, "running_shell", lambda: shell)
    assert shell_module.somebody_watches() is shown


# --- bad input ---


class NoKeyword(Constant):
    def forward(self, x):
        return x * self.weight


class Returns(Constant):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x, *, generator=None):
        return self.answer(x, self.weight)


class Named(NamedTuple):
    loss: torch.Tensor


X = torch.arange(6.0)
GOOD = Constant()


def bad(model=GOOD, data=X, **settings):
    return model, data, settings


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (bad(data=torch.zeros(0, 3)), ValueError, r"`data` holds no examples \(shapes: \(0, 3\)\)"),
        (bad(data=()), ValueError, r"`data` holds no examples \(shapes: none\)"),
        (bad(data=torch.tensor(1.0)), ValueError, r"The first axis of each tensor counts"),
        (bad(data=(X, X[1:])), ValueError, r"`data` differ in length: \(6,\), \(5,\)"),
        (bad(data=[1.0, 2.0]), TypeError, r"`data` must be a torch.Tensor .* holds a float"),
        (bad(data=X.numpy()), TypeError, r"it is or holds a ndarray.*torch.as_tensor\(array\)"),
        (bad(data=X.log()), ValueError, r"`data` holds 1 values that are NaN or infinite, of 6"),
        (
            bad(Regression(), (torch.ones(6, 3), X / 0)),
            ValueError,
            r"`data\[1\]` holds 6 values that are NaN or inf",
        ),
        (bad(heldout=X.log()), ValueError, r"`heldout` holds 1 values that are NaN"),
        (bad(heldout=X[:0]), ValueError, r"`heldout` holds no examples"),
        (bad(heldout=X[:, None]), ValueError, r"`heldout` must be built like `data`.*\(6, 1\)"),
        (bad(heldout=X.double()), ValueError, r"\(float32\), `heldout` has \(6,\) \(float64\)"),
        (bad(heldout=(X, X)), ValueError, r"Only the number of examples may differ"),
        (bad(epochs=0), ValueError, r"`epochs` must be at least 1, but it is 0"),
        (bad(epochs=1.5), TypeError, r"`epochs` must be a whole number, but it is 1.5"),
        (bad(batch_size=0), ValueError, r"`batch_size` must be at least 1, but it is 0"),
        (bad(batch_size=True), TypeError, r"`batch_size` must be a whole number, but it is True"),
        (bad(learning_rate=-1e-3), ValueError, r"`learning_rate` must be positive and finite"),
        (bad(learning_rate=math.inf), ValueError, r"`learning_rate` must be positive and finite"),
        (bad(learning_rate="fast"), TypeError, r"`learning_rate` must be a number, but it is a"),
        (bad(seed=0.5), TypeError, r"A seed must be a whole number, but it is 0.5 \(float\)"),
        (bad(seed=None), TypeError, r"A seed must be a whole number, but it is None"),
        (
            bad(lambda x: x),
            TypeError,
            r"`model` must be a torch.nn.Module, but it is a function. Pass an in",
        ),
        (bad(loss=3.0), TypeError, r"`loss` must be a function, but it is 3.0"),
        (bad(nn.ReLU()), ValueError, r"`model` has no parameters to train.*requires_grad_\(True"),
        (bad(NoKeyword()), TypeError, r"NoKeyword.forward\(x\) does not take that: got an unexp"),
        (bad(data=(X, X)), TypeError, r"the 2 tensor\(s\) of `data` and generator=.*too many pos"),
        (
            bad(loss=lambda v: v.mean()),
            ValueError,
            r"The loss has shape \(\), but \(6,\), one",
        ),
        (bad(loss=lambda v: v[:3]), ValueError, r"The loss has shape \(3,\), but \(6,\), one"),
        (bad(loss=lambda v: v[:, None]), ValueError, r"has shape \(6, 1\).*Sum over the event"),
        (bad(loss=lambda v: 1.0), TypeError, r"must be a torch.Tensor, .* a float. Compute it"),
        (bad(loss=lambda v: v.detach()), ValueError, r"does not depend on the weights.*detach\(\)"),
        (bad(Returns(lambda x, w: {"loss": x * w})), TypeError, r"but it returned a dict.*NamedT"),
        (bad(Returns(lambda x, w: (x * w, w))), TypeError, r"but it returned a tuple"),
        (
            bad(Returns(lambda x, w: Answer(x * w, x))),
            TypeError,
            r"is of type Answer, and `loss` does not",
        ),
        (
            bad(Returns(lambda x, w: Answer(x * w, w)), loss=error),
            ValueError,
            r"The field `size` of the model's answer has shape \(\)",
        ),
        (
            bad(Returns(lambda x, w: Named(x * w)), loss=lambda answer: 2 * answer.loss),
            ValueError,
            r"field `loss`.*Rename the field: `loss` is the name of the training loss",
        ),
        (bad(run=Run(device="gpu")), ValueError, r"`device` is 'gpu', which this machine cannot"),
        (bad(run=Run(device="cuda:77")), ValueError, r"'cuda:77', which .*Leave it out to take"),
    ],
)
def test_bad_input_gets_a_message(arguments, kind, message):
    model, data, settings = arguments
    with pytest.raises(kind, match=message):
        plain_fit(model, data, **{"run": CPU, **settings})
    assert GOOD.weight.item() == 0
    assert GOOD.training


def test_a_field_may_be_the_loss_itself():
    model = Returns(lambda x, w: Named(x + 0 * w))
    history = fit(model, X, loss=lambda answer: answer.loss, epochs=1, run=CPU)
    assert history.train == {"loss": [2.5]}


@pytest.mark.parametrize(
    ("name", "model", "data"),
    [("data", Regression(), points(dtype=torch.float64)), ("model", Regression().double(), X)],
)
def test_float64_on_mps_gets_a_message(name, model, data):
    data = data if isinstance(data, tuple) else (data, data)
    mps = torch.device("mps")
    message = rf"`{name}` holds float64, .* MPS has no float64.*\.float\(\), or .*device='cpu'"
    with pytest.raises(TypeError, match=message):
        require.check_float64(model, data, mps)
    require.check_float64(model, data, torch.device("cpu"))
    require.check_float64(Regression(), (X, X.int()), mps)


def test_bad_precision_gets_a_message():
    with pytest.raises(ValueError, match=r"`autocast` must be None or torch.bfloat16"):
        Run(autocast=torch.float16)


def test_a_bad_key_gets_a_message():
    with pytest.raises(TypeError, match=r"must be a whole number, but it is 1.5 \(float\)"):
        inspect.unwrap(generator_for)("cpu", 1.5)


def test_lists_of_tensors_are_welcome():
    model = Regression()
    plain_fit(model, list(points()), **SETTINGS)
    expected, _ = trained(model=Regression())
    assert torch.equal(weights(model), weights(expected))


def test_a_last_batch_of_one_under_batch_norm_gets_a_message():
    with pytest.raises(ValueError, match=r"single example, and batch norm needs two.*batch_size"):
        trained(data=points(9))


def test_a_device_in_place_of_a_run_gets_a_message():
    with pytest.raises(TypeError, match=r"`run` must be a Run.*Pass run=Run\(device='cpu'\)"):
        plain_fit(Constant(), torch.ones(3), run="cpu")
