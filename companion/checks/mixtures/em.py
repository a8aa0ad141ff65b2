"""Checks of the two halves of EM: responsibilities, and the step that uses them."""

import torch
from torch import Tensor

from companion.checks.authoring import (
    FunctionTask,
    Hints,
    NotYet,
    as_tensor,
    call,
    compare,
    exercise,
    is_blank,
    uniform,
)
from companion.checks.mixtures import _oracle


def _responsibilities(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    each = _oracle.per_dimension(z, mean, (log_var / 2).exp())
    return _oracle.component_axis_last(logits, each).softmax(1)


def _responsibility_slips(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Hints:
    each = _oracle.per_dimension(z, mean, (log_var / 2).exp())
    log_w, parts = logits.log_softmax(0), each.sum(-1)
    joint = log_w + parts
    right = joint.softmax(1)
    square = (z[:, None] - mean) ** 2
    one_hot = torch.zeros_like(joint).scatter(1, joint.argmax(1, keepdim=True), 1.0)
    return {
        "You left out the weights: a component that is rare to begin with is less likely for "
        "every code.": parts.softmax(1),
        "Your numbers sum to one over the batch. Each code's responsibilities sum to one over "
        "the components.": joint.softmax(0),
        "Your numbers sum to one over the whole table. Each row has to sum to one by "
        "itself.": joint.flatten().softmax(0).reshape(joint.shape),
        "These are the logarithms of the responsibilities.": joint.log_softmax(1),
        "These are the joint densities. Divide each by the sum over the components.": joint.exp(),
        "These are the logarithms of the joint densities. The softmax over the components makes "
        "probabilities of them.": joint,
        "You took the softmax of the densities. It exponentiates: give it the log-densities.": [
            joint.exp().softmax(1),
            parts.exp().softmax(1),
        ],
        "You decided for one component. A responsibility is a probability, and the softmax is "
        "soft.": one_hot,
        "You return one table for each dimension. Sum the log-densities over the dimensions "
        "before you normalize.": [
            (log_w[:, None] + each).softmax(1), each.softmax(1),
        ],
        "You normalized in each dimension by itself and put the results together. One component "
        "made all dimensions of a code: sum the log-densities first.": [
            (log_w[:, None] + each).softmax(1).mean(-1),
            (log_w[:, None] + each).softmax(1).prod(-1),
        ],
        "You added the log-weight in every dimension. It counts once for each component.": (
            (log_w[:, None] + each).sum(-1).softmax(1)
        ),
        "You averaged over the latent dimensions. Independent dimensions add.": (
            log_w + each.mean(-1)
        ).softmax(1),
        "Components are the last axis: return shape (B, K).": right.T,
        "You added the weights. Their logarithms are to be added.": (
            log_w.exp() + parts
        ).softmax(1),
        "You used the logits as if they were the weights. The weights are "
        "`softmax(logits)`.": (logits.log() + parts).softmax(1),
        "You multiplied the log-density by the weight. A weight multiplies the density, so its "
        "logarithm adds to the log-density.": (log_w.exp() * parts).softmax(1),
        "You used `exp(log_var)` as the standard deviation. It is the variance.": [
            (log_w - log_var.sum(-1) - 0.5 * (square / (2 * log_var).exp()).sum(-1)).softmax(1),
            (log_w - 0.5 * (log_var + square / (2 * log_var).exp()).sum(-1)).softmax(1),
        ],
        "The one half of the Gaussian's exponent is missing.": [
            (log_w - (log_var + square / log_var.exp()).sum(-1)).softmax(1),
            (log_w - (0.5 * log_var + square / log_var.exp()).sum(-1)).softmax(1),
        ],
        "The weights come before the normalization; your rows don't sum to one.": (
            log_w.exp() * parts.softmax(1)
        ),
        "You left out the term with `log_var`. It does not cancel: each component has its own "
        "variance.": (log_w - 0.5 * (square / log_var.exp()).sum(-1)).softmax(1),
        "You compared distances only. Variances count too.": [
            (-square.sum(-1)).softmax(1),
            (-0.5 * square.sum(-1)).softmax(1),
            (log_w - 0.5 * square.sum(-1)).softmax(1),
        ],
        "Only the squared distance is divided by the variance. Is a parenthesis misplaced?": (
            log_w - 0.5 * ((log_var + square) / log_var.exp()).sum(-1)
        ).softmax(1),
    }  # fmt: skip


def _judge_outlier(answer: object) -> None:
    """Judge a code whose joint densities are all zero in floating point."""
    arguments = {
        "z": torch.tensor([[0.0, 100.0], [0.5, 0.0]]),
        "logits": torch.tensor([0.5, -0.5, 0.0]),
        "mean": torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, -1.0]]),
        "log_var": torch.zeros(3, 2),
    }
    expected = _responsibilities(**_oracle.doubled(arguments))
    result = as_tensor(call(answer, **arguments))
    if result.shape == expected.shape:
        first = result[0].double()
        if not torch.isfinite(first).all() or (first.sum() - 1).abs() > 0.1:
            raise NotYet(
                "Right where the density is moderate. But for the code (0, 100), far from every "
                f"component, your row is {[round(value, 4) for value in first.tolist()]}: all the "
                "joint densities are 0 in floating point. Stay with logarithms, and normalize with "
                "`softmax` or by subtracting the logsumexp. Adding a small number does not help."
            )
        if (first - expected[0]).abs().max() > 5e-3:
            raise NotYet(
                "For the code (0, 100) all joint densities are 0 in floating point, and a clamp "
                "makes them all equal. Stay with logarithms."
            )
    compare(result, expected, setting="For a code far from every component, ", atol=5e-3)


FunctionTask(
    "mixtures.responsibilities",
    number="4.3",
    title="Responsibilities",
    answer="responsibilities",
    reference=_responsibilities,
    slips=_responsibility_slips,
    cases=_oracle.cases(60, 70, atol=2e-5),
    further=[_judge_outlier],
    praise="They sum to one for every code, and they stay right for a code far from everything.",
)


def _m_step(z: Tensor, responsibilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maximizer of the expected log-joint, from weighted residuals."""
    share = responsibilities / responsibilities.sum(0)
    mean = torch.einsum("nk,nd->kd", share, z)
    var = torch.einsum("nk,nkd->kd", share, (z[:, None] - mean) ** 2)
    return responsibilities.mean(0), mean, var


def _m_step_slips(
    z: Tensor, responsibilities: Tensor, old_weights: Tensor, old_mean: Tensor
) -> tuple[Hints, Hints, Hints]:
    """Return the wrong weights, means and variances that we know of."""
    n, (weights, mean, var) = len(z), _m_step(z, responsibilities)
    counts = responsibilities.sum(0)[:, None]
    hard = torch.zeros_like(responsibilities).scatter(
        1, responsibilities.argmax(1, keepdim=True), 1.0
    )
    hard_weights, hard_mean, hard_var = _m_step(z, hard)
    squares = torch.einsum("nk,nkd->kd", responsibilities, (z[:, None] - mean) ** 2)
    old_squares = torch.einsum("nk,nkd->kd", responsibilities, (z[:, None] - old_mean) ** 2)
    raw_squares = responsibilities.T @ z**2
    k = len(weights)
    decided = (
        "You assigned each code to its most likely component, as k-means does. EM counts each "
        "code in every component, in proportion to its responsibility."
    )
    return (
        {
            "Your weights are the old ones. A component's new weight is its share of the codes: "
            "N_k / N.": old_weights,
            "Your weights are N_k, the number of codes that each component answers for. Divide "
            "by N.": weights * n,
            "The responsibilities contain the old weights already. Average the responsibilities "
            "alone.": [
                (responsibilities * old_weights).mean(0),
                (responsibilities * old_weights).sum(0) / (responsibilities * old_weights).sum(),
            ],
            "You divided N_k by K. Divide by N.": weights * n / k,
            "Your weights are all the same. A component's new weight is N_k / N.": (
                torch.full_like(weights, 1 / k)
            ),
            "You averaged the responsibilities over the components. For the weights, average "
            "them over the codes: one number for each component.": responsibilities.mean(1),
            "Your weights pass through a softmax, but N_k / N sums to one already.": [
                weights.softmax(0), (weights * n).softmax(0),
            ],
            decided: hard_weights,
        },
        {
            "Your means are divided by N. Each component answers for N_k codes: divide by "
            "N_k.": mean * counts / n,
            "Your means are sums. Divide by N_k.": mean * counts,
            "Your means are the old ones.": old_mean,
            "Each of your means is the mean of all codes. Weight every code by its "
            "responsibility.": z.mean(0).expand(k, -1),
            "Your means have the axes (D, K). Return (K, D).": mean.T,
            decided: hard_mean,
        },
        {
            "Your variances are taken around the old means. Once the means have moved, take them "
            "around the new ones.": [old_squares / counts, old_squares / n],
            "Subtract the square of the *new* mean.": raw_squares / counts - old_mean**2,
            "Each code counts with its responsibility in the variance too.": [
                ((z[:, None] - mean) ** 2).mean(0), ((z[:, None] - mean) ** 2).sum(0),
                ((z[:, None] - mean) ** 2).sum(0) / counts,
            ],
            "Your variances are divided by N. Divide by N_k.": squares / n,
            "Your variances are sums of squares. Divide by N_k.": squares,
            "These are standard deviations. Return variances.": var.sqrt(),
            "These are the logarithms of the variances. Return the variances.": var.log(),
            "These are mean squares: you did not subtract the mean.": [
                raw_squares / counts, raw_squares / n,
            ],
            "You divided by N_k - 1. EM maximizes the likelihood, and that divides by "
            "N_k.": squares / (counts - 1),
            "Your variances are taken around the mean of all codes. Each component has its "
            "own.": [torch.einsum("nk,nd->kd", responsibilities, (z - z.mean(0)) ** 2) / counts],
            "Each of your variances is the variance of all codes.": [
                z.var(0).expand(k, -1), z.var(0, correction=0).expand(k, -1),
            ],
            "One number for each component would be a sphere. Here each dimension has its own "
            "variance: return (K, D).": [var.mean(1), var.sum(1)],
            "These are full covariance matrices. Here the components are diagonal: return the "
            "variances, (K, D).": torch.einsum(
                "nk,nkd,nke->kde",
                responsibilities / responsibilities.sum(0),
                z[:, None] - mean,
                z[:, None] - mean,
            ),
            "You squared the responsibilities, or the weighted residual. A code counts r times, "
            "not r² times.": torch.einsum(
                "nk,nkd->kd", responsibilities**2, (z[:, None] - mean) ** 2
            )
            / counts,
            decided: hard_var,
        },
    )  # fmt: skip


@exercise("mixtures.m_step", number="4.4", answer="maximize", title="The second half of EM")
def m_step(answer: object) -> str:
    """Judge `maximize(z, responsibilities, old_weights, old_mean)`: (weights, mean, var)."""
    for index, (n, k, dim) in enumerate([(9, 3, 2), (7, 2, 1), (6, 1, 3), (12, 4, 4)]):
        z = uniform(-2, 3, n, dim, seed=80 + index)
        r = uniform(-3, 3, n, k, seed=90 + index).softmax(1)
        old_weights = uniform(-1, 1, k, seed=100 + index).softmax(0)
        old_mean = uniform(-2, 3, k, dim, seed=110 + index)
        arguments = {
            "z": z,
            "responsibilities": r,
            "old_weights": old_weights,
            "old_mean": old_mean,
        }
        result = call(answer, **arguments)
        setting = f"With N = {n}, K = {k} and D = {dim}, "
        _judge_parts(result, {name: value.double() for name, value in arguments.items()}, setting)
    _judge_narrow(answer)
    return "Such a step never lowers the log-likelihood, which makes a good test of any EM code."


def _judge_narrow(answer: object) -> None:
    """Judge codes that lie close together: a floor under the variances shows."""
    z = 0.03 * uniform(-1, 1, 8, 2, seed=84)
    r = uniform(-2, 2, 8, 2, seed=94).softmax(1)
    result = call(
        answer,
        z=z,
        responsibilities=r,
        old_weights=torch.tensor([0.5, 0.5]),
        old_mean=torch.zeros(2, 2),
    )
    right = _m_step(z.double(), r.double())[2]
    remark = (
        "These codes lie close together. Is there a floor under the variances, or a small number "
        "added to them?"
    )
    compare(
        result[2],  # type: ignore[index]  # three parts, as judged before
        right,
        what="Your `var`",
        setting="For codes that differ by 0.03, ",
        atol=2e-5,
        remark=remark,
    )


def _judge_parts(result: object, arguments: dict[str, Tensor], setting: str) -> None:
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise NotYet("Return three tensors, in this order: `return weights, mean, var`.")
    wanted = _m_step(arguments["z"], arguments["responsibilities"])
    slips = _m_step_slips(**arguments)
    names = "Your `weights`", "Your `mean`", "Your `var`"
    for name, part, right, hints in zip(names, result, wanted, slips, strict=True):
        if is_blank(part):
            raise NotYet(f"{name} is still the placeholder `...`.")
        compare(part, right, hints, what=name, setting=setting, atol=2e-5)
