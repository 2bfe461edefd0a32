"""The temperature that makes a softmax as confident as it is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mien.metrics.classification import FloatArray, IntArray


def temperature_scale(
    logits: FloatArray,
    targets: IntArray | FloatArray,
    *,
    pool: Callable[[FloatArray], FloatArray] | None = None,
) -> float:
    """The temperature T > 0 for which ``softmax(logits / T)`` has the lowest mean NLL.

    Parameters
    ----------
    logits
        ``(N, C)`` logits or log-probabilities (they give the same softmax); ``-inf`` is allowed.
    targets
        ``(N,)`` classes, or ``(N, C)`` distributions whose rows sum to one.
    pool
        From ``(n, C)`` probabilities of clips to ``(N, C)`` of recordings; the logits are then
        ``(n, C)``, and the NLL is that of the pooled probabilities, not of pooled logits.

    Returns
    -------
    T in [1/50, 50]. Rows that are all right want T -> 0 and get 1/50; where T makes no
    difference (constant logits) it is 1.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or 0 in scores.shape or np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError(f"expected non-empty (N, C) logits below infinity, got {scores.shape}")
    shares = np.asarray(targets)
    shape = scores.shape if pool is None else pool(scores).shape
    if shares.ndim == 1:
        if shares.shape != shape[:1] or shares.min() < 0 or shares.max() >= shape[1]:
            raise ValueError(f"expected {shape[0]} targets in [0, {shape[1]})")
        shares = np.eye(shape[1])[shares]
    if shares.shape != shape or (shares < 0).any() or not np.allclose(shares.sum(1), 1):
        raise ValueError(f"expected target rows of {shape} that sum to one")
    # exp(-104) is 0 in float32: a log-probability of -inf stands for anything below.
    scores = np.where(np.isneginf(scores), scores.max(1, keepdims=True) - 104, scores)

    def loss(log_inverse: float) -> float:
        scaled = scores * np.exp(log_inverse)
        if pool is not None:
            pooled = pool(np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True)))
            return float(-(shares * np.log(np.maximum(pooled, 1e-300))).sum(1).mean())
        return float((logsumexp(scaled, axis=1) - (shares * scaled).sum(1)).mean())

    # Where nothing is pooled it is convex in 1/T, hence with one minimum in log(1/T), where the
    # search is even in scale.
    limit = float(np.log(50))
    inner = float(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)
    # The search never reaches its bounds, and where the loss is 0 it stops anywhere.
    best = min((limit, -limit, inner), key=loss)
    return float(np.exp(-best)) if loss(best) < loss(0.0) - 1e-12 else 1.0
