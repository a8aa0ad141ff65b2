"""Checks of the two halves of EM: responsibilities, and the step that uses them."""

from itertools import permutations

import torch
from torch import Tensor

from companion.checks._gaussians import wrong_terms
from companion.checks.authoring import (
    Case,
    FunctionTask,
    NotYet,
    Slips,
    as_tensor,
    call,
    compare,
    several,
    uniform,
)
from companion.checks.mixtures import _oracle


def _responsibilities(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    each = _oracle.per_dimension(z, mean, (log_var / 2).exp())
    return _oracle.component_axis_last(logits, each).softmax(1)


def _responsibility_slips(z: Tensor, logits: Tensor, mean: Tensor, log_var: Tensor) -> Slips:
    each = _oracle.per_dimension(z, mean, (log_var / 2).exp())
    log_w, parts = logits.log_softmax(0), each.sum(-1)
    joint = log_w + parts
    right = joint.softmax(1)
    square = (z[:, None] - mean) ** 2
    one_hot = torch.zeros_like(joint).scatter(1, joint.argmax(1, keepdim=True), 1.0)
    joints = _oracle.wrong_joints(logits, each)
    return {hint: [wrong.softmax(1) for wrong in given] for hint, given in joints.items()} | {
        "The sign is wrong: the likelier component has the larger share.": (-joint).softmax(1),
        "You divided the logarithms. Divide the densities.": joint / joint.sum(1, keepdim=True),
        "You divided by the largest joint density. Divide by the sum of them all.": (
            joint - joint.amax(1, keepdim=True)
        ).exp(),
        "There is a softmax too many: your rows sum to one before it.": right.softmax(1),
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
        "Components are the last axis: return shape (B, K).": right.T,
        "The weights come before the normalization; your rows don't sum to one.": (
            log_w.exp() * parts.softmax(1)
        ),
        "You compared distances only. Variances count too.": [
            (-square.sum(-1)).softmax(1),
            (-0.5 * square.sum(-1)).softmax(1),
            (-square.sum(-1).sqrt()).softmax(1),
            (log_w - 0.5 * square.sum(-1)).softmax(1),
        ],
        **{
            hint: [(log_w + terms.sum(-1)).softmax(1) for terms in wrong]
            for hint, wrong in wrong_terms(z[:, None] - mean, log_var, constant=False).items()
        },
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


_PARTS = ("Your `weights`", "Your `mean`", "Your `var`")


def _maximize(z: Tensor, responsibilities: Tensor, **old: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maximizer of the expected log-joint, from weighted residuals."""
    share = responsibilities / responsibilities.sum(0)
    mean = torch.einsum("nk,nd->kd", share, z)
    var = torch.einsum("nk,nkd->kd", share, (z[:, None] - mean) ** 2)
    return responsibilities.mean(0), mean, var


def _weight_slips(responsibilities: Tensor, old_weights: Tensor) -> Slips:
    weights, n, k = responsibilities.mean(0), *responsibilities.shape
    joint = responsibilities * old_weights
    return {
        "Your weights are the old ones. A component's new weight is its share of the codes.": (
            old_weights
        ),
        "Your weights sum to N: each is the number of codes that a component answers for, not its "
        "share of them.": weights * n,
        "The responsibilities contain the old weights already. Average the responsibilities "
        "alone.": [joint.mean(0), joint.sum(0) / joint.sum()],
        "You divided by the number of components. A share is one of the codes.": weights * n / k,
        "Your weights are all the same, whatever the responsibilities are. A component's new "
        "weight is its share of the codes.": torch.full_like(weights, 1 / k),
        "You averaged the responsibilities over the components. For the weights, average "
        "them over the codes: one number for each component.": responsibilities.mean(1),
        "These are the logarithms of the weights.": weights.log(),
        "Your weights pass through a softmax, but shares sum to one already.": [
            weights.softmax(0),
            (weights * n).softmax(0),
        ],
    }


def _mean_slips(
    z: Tensor, responsibilities: Tensor, old_weights: Tensor, old_mean: Tensor
) -> Slips:
    mean, counts = _maximize(z, responsibilities)[1], responsibilities.sum(0)[:, None]
    return {
        "Your means are divided by N, as if every component had all the codes. It answers for N_k "
        "of them.": mean * counts / len(z),
        "You divided by a weight, a share. Divide by N_k, the number of codes.": [
            mean * len(z),
            mean * counts / old_weights[:, None],
        ],
        "You added the old means.": [old_mean + mean],
        "You took one code for each mean, that of the largest responsibility.": z[
            responsibilities.argmax(0)
        ],
        "Your means are sums, not averages.": mean * counts,
        "Your means are the old ones.": old_mean,
        "Each of your means is the mean of all codes. Weight every code by its "
        "responsibility.": z.mean(0).expand_as(mean),
        "Your means have the axes (D, K). Return (K, D).": mean.T,
    }


def _var_slips(z: Tensor, responsibilities: Tensor, old_mean: Tensor) -> Slips:
    n, (_, mean, var) = len(z), _maximize(z, responsibilities)
    counts, residual = responsibilities.sum(0)[:, None], z[:, None] - mean
    raw = responsibilities.T @ z**2

    def total(weights: Tensor, center: Tensor = mean) -> Tensor:
        return torch.einsum("nk,nkd->kd", weights, (z[:, None] - center) ** 2)

    squares, old_squares = total(responsibilities), total(responsibilities, old_mean)
    return {
        "Your variances are taken around the old means. Once the means have moved, take them "
        "around the new ones.": [old_squares / counts, old_squares / n],
        "Subtract the square of the *new* mean.": raw / counts - old_mean**2,
        "Each code counts with its responsibility in the variance too.": [
            (residual**2).mean(0),
            (residual**2).sum(0),
            (residual**2).sum(0) / counts,
        ],
        "Your variances are divided by N, as if every component had all the codes. It answers for "
        "N_k of them.": squares / n,
        "You divided by a weight, a share. Divide by N_k, the number of codes.": var * n,
        "The deviations enter squared, one by one: you took their size.": (
            torch.einsum("nk,nkd->kd", responsibilities, residual.abs()) / counts
        ),
        "You squared the average deviation, which is 0. Square first, then average.": 0 * var,
        "From the mean square the *square* of the mean is subtracted.": raw / counts - mean,
        "All your components share one variance. Each has its own.": [
            var.mean(0).expand_as(var),
            (squares.sum(0) / n).expand_as(var),
        ],
        "Your variances are sums of squares, not averages.": squares,
        "These are standard deviations. Return variances.": var.sqrt(),
        "These are the logarithms of the variances. Return the variances.": var.log(),
        "These are mean squares: you did not subtract the mean.": [raw / counts, raw / n],
        "You divided by N_k - 1. EM maximizes the likelihood, and its variance has no such "
        "correction.": squares / (counts - 1),
        "Your variances are taken around the mean of all codes. Each component has its own.": (
            total(responsibilities, z.mean(0)) / counts
        ),
        "Each of your variances is the variance of all codes.": [
            z.var(0).expand_as(var),
            z.var(0, correction=0).expand_as(var),
        ],
        "One number for each component would be a sphere. Here each dimension has its own "
        "variance: return (K, D).": [var.mean(1), var.sum(1)],
        "These are full covariance matrices. Here the components are diagonal: return the "
        "variances, (K, D).": torch.einsum(
            "nk,nkd,nke->kde", responsibilities / responsibilities.sum(0), residual, residual
        ),
        "You squared the responsibilities, or the weighted residual. A code counts r times, "
        "not r² times.": total(responsibilities**2) / counts,
    }


def _whole_slips(z: Tensor, responsibilities: Tensor, old_weights: Tensor) -> dict[str, list]:
    """Return what comes out when the responsibilities themselves are misread."""
    weights, mean, var = _maximize(z, responsibilities)
    joint = responsibilities * old_weights
    largest = responsibilities.argmax(1, keepdim=True)
    hard = torch.zeros_like(responsibilities).scatter(1, largest, 1.0)
    readings = {
        "You assigned each code to its most likely component, as k-means does. EM counts each "
        "code in every component, in proportion to its responsibility.": [hard],
        "You weighted with the logarithms of the responsibilities. A code counts in a component "
        "as often as the probability says.": [responsibilities.log()],
        "You took the responsibilities for logarithms. They are probabilities already.": [
            responsibilities.exp(),
            responsibilities.softmax(1),
        ],
        "The responsibilities contain the old weights already; yours count twice.": [
            joint / joint.sum(1, keepdim=True)
        ],
        "You normalized the responsibilities over the codes. Each code's sum to one over the "
        "components; over the codes they sum to N_k, which the weights need.": [
            responsibilities.softmax(0)
        ],
    }
    found = {hint: [_maximize(z, each) for each in wrong] for hint, wrong in readings.items()}
    over_codes = list(found)[-1]
    n = len(z)
    found[over_codes] += [
        (torch.full_like(weights, value), mean, var / scale)
        for value in (1 / n, 1.0)
        for scale in (1, n)
    ]
    return found


def _m_step_slips(
    z: Tensor, responsibilities: Tensor, old_weights: Tensor, old_mean: Tensor
) -> Slips:
    found = _whole_slips(z, responsibilities, old_weights)
    for hint, wholes in list(found.items())[:3]:  # one part alone may be wrong so
        parts = [[part if i == at else None for i, part in enumerate(whole)]
                 for whole in wholes for at in range(3)]  # fmt: skip
        found[hint] = wholes + [tuple(part) for part in parts]
    tables = [
        _weight_slips(responsibilities, old_weights),
        _mean_slips(z, responsibilities, old_weights, old_mean),
        _var_slips(z, responsibilities, old_mean),
    ]
    for at, table in enumerate(tables):
        for hint, given in table.items():
            wrongs = given if isinstance(given, list) else [given]
            found.setdefault(hint, []).extend(
                tuple(wrong if i == at else None for i in range(3)) for wrong in wrongs
            )
    orders = list(permutations(_maximize(z, responsibilities)))[1:]
    return {**found, "The three are in the wrong order: weights, means, variances.": orders}


def _three(result: object) -> tuple[Tensor, ...]:
    several(result, _PARTS)
    return tuple(
        as_tensor(part, name)
        for part, name in zip(result, _PARTS, strict=True)  # type: ignore[call-overload]
    )


def _m_step_case(index: int, n: int, k: int, dim: int, scale: float = 1.0) -> Case:
    close = "These codes lie close together. Is there a floor under the variances, or a small "
    close += "number added to them?"
    return Case(
        f"With N = {n}, K = {k} and D = {dim}, ",
        {
            "z": scale * uniform(-2, 3, n, dim, seed=80 + index),
            "responsibilities": uniform(-3, 3, n, k, seed=90 + index).softmax(1),
            "old_weights": uniform(-1, 1, k, seed=100 + index).softmax(0),
            "old_mean": uniform(-2, 3, k, dim, seed=110 + index),
        },
        atol=2e-5,
        remark=close if scale < 1 else "",
    )


FunctionTask(
    "mixtures.m_step",
    number="4.4",
    title="The second half of EM",
    answer="maximize",
    parts=_PARTS,
    read=_three,
    reference=_maximize,
    slips=_m_step_slips,
    cases=[
        _m_step_case(0, 9, 3, 2),
        _m_step_case(1, 7, 2, 1),
        _m_step_case(2, 6, 1, 3),
        _m_step_case(3, 12, 4, 4),
        _m_step_case(4, 8, 2, 2, scale=0.012),
    ],
    praise="Such a step never lowers the log-likelihood, which makes a good test of any EM code.",
)
