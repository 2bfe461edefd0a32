"""Is A better than B? Paired differences, seeds, an exact test and its correction."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.statistics.bootstrap import LEVEL, MOST_UNDEFINED, Bootstrap, Interval, intervals

Key = TypeVar("Key", bound=Hashable)

FEWEST_SEEDS = 2
NOTHING_SHOWN = "no difference shown"
ONE_SEED = "one seed: its luck is not in the interval"


def paired_differences(
    a: Bootstrap[Key], b: Bootstrap[Key], *, level: float = LEVEL
) -> dict[Key, Interval]:
    """``a - b`` of every statistic that both have, with percentile intervals.

    Both are :func:`~mien.statistics.bootstrap.bootstrap` draws of the same rows with the same
    seed (``ValueError``), so a draw takes the same faces for both and what they share cancels:
    the interval of a difference is narrower than the two intervals suggest.

    >>> from mien.statistics.bootstrap import bootstrap
    >>> a, b = np.array([1.0, 1, 1, 0]), np.array([1.0, 0, 0, 0])
    >>> first = bootstrap(lambda weights: {"accuracy": weights @ a / weights.sum(1)}, 4)
    >>> other = bootstrap(lambda weights: {"accuracy": weights @ b / weights.sum(1)}, 4)
    >>> paired_differences(first, other)["accuracy"]
    Interval(value=0.5, low=0.0, high=1.0, reason='')
    """
    return intervals(combined([a], [b]), level=level)


def combined(
    plus: Sequence[Bootstrap[Key]], minus: Sequence[Bootstrap[Key]] = ()
) -> Bootstrap[Key]:
    """The mean of some models' draws, less the mean of others', for the statistics all have.

    ``ValueError`` where they are not draws of the same rows with the same seed.
    """
    parts = [*plus, *minus]
    first = parts[0]
    if other := next((part for part in parts if part.design != first.design), None):
        raise ValueError(
            f"expected bootstraps of one design, got {first.design} and {other.design}"
        )
    shared = [name for name in first.values if all(name in part.values for part in parts)]
    signs = np.repeat([1 / len(plus), -1 / max(1, len(minus))], [len(plus), len(minus)])

    def mix(arrays: Sequence[Any]) -> FloatArray:
        with np.errstate(invalid="ignore"):  # infinity less infinity is undefined, and NaN
            mixed: FloatArray = (signs * np.stack(arrays, -1)).sum(-1)
        return mixed

    return Bootstrap(
        values={name: float(mix([part.values[name] for part in parts])) for name in shared},
        drawn={name: mix([part.drawn[name] for part in parts]) for name in shared},
        design=first.design,
    )


class RunDifference(NamedTuple):
    """A difference in a metric between runs: over rows, and over seeds where several pair up."""

    over_rows: Interval
    over_seeds: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """The interval over rows, and under ``over_seeds`` the other one or None."""
        seeds = None if self.over_seeds is None else self.over_seeds.as_dict()
        return self.over_rows.as_dict() | {"over_seeds": seeds}


def run_differences(
    a: Sequence[Bootstrap[Key]],
    b: Sequence[Bootstrap[Key]],
    *,
    paired: bool,
    level: float = LEVEL,
) -> dict[Key, RunDifference]:
    """The mean of ``a``'s runs less that of ``b``'s, for every statistic that all have.

    Where runs are ``paired`` in order and there are at least two pairs, the differences pair by
    pair also give an interval over seeds.
    """
    differences = {}
    for name, over_rows in intervals(combined(a, b), level=level).items():
        over_seeds = None
        if paired and len(a) >= FEWEST_SEEDS:
            first, second = ([run.values[name] for run in side] for side in (a, b))
            if np.isfinite([first, second]).all():
                over_seeds = seed_differences(first, second, level=level)
        differences[name] = RunDifference(over_rows, over_seeds)
    return differences


def crossed_run_differences(
    a: Sequence[Bootstrap[Key]], b: Sequence[Bootstrap[Key]], *, level: float = LEVEL
) -> dict[Key, Interval]:
    """The mean of ``a - b`` over runs paired in order, for other seeds *and* other rows.

    For one pair a percentile interval over rows, with the reason that its luck is left out. For
    several as :func:`crossed_differences`: the squared error is the variance of the seeds'
    differences over S plus the bootstrap variance over rows of their mean.
    """
    joint = combined(a, b)
    over_rows = intervals(joint, level=level)
    if len(a) == 1:
        return {
            name: Interval(entry.value, entry.low, entry.high, entry.reason or ONE_SEED)
            for name, entry in over_rows.items()
        }
    crossed = {}
    for name, entry in over_rows.items():
        drawn = joint.drawn[name][np.isfinite(joint.drawn[name])]
        if entry.value is None or drawn.size < (1 - MOST_UNDEFINED) * joint.drawn[name].size:
            crossed[name] = entry
            continue
        by_seed = np.array(
            [one.values[name] - two.values[name] for one, two in zip(a, b, strict=True)]
        )
        parts = [(float(by_seed.var(ddof=1)) / len(by_seed), len(by_seed) - 1)]
        reason = ""
        if drawn.size > 1:
            parts.append((float(drawn.var(ddof=1)), joint.design.units - 1))
        else:
            reason = f"there is one {joint.design.unit}: others are not in the interval"
        crossed[name] = crossed_interval(entry.value, parts, level=level, reason=reason)
    return crossed


def seed_differences(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Interval:
    """Mean of ``a - b`` over runs that were paired by their seed, with a t interval.

    ``a`` and ``b`` hold one finite value per seed, in the same order of seeds, else ``ValueError``.
    The interval is ``mean +- t * s / sqrt(n)`` with s over n - 1 degrees of freedom. It answers
    "what if other seeds had been drawn?" for these faces; one seed gives none, and a reason.

    >>> seed_differences([0.80, 0.82, 0.81], [0.79, 0.80, 0.78]).value  # (1 + 2 + 3) / 3 points
    0.02
    """
    from scipy.stats import t

    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(
            f"expected two equally long rows of values, got {first.shape} and {second.shape}"
        )
    differences = first - second
    if not np.isfinite(differences).all() or not 0 < level < 1:
        raise ValueError(f"expected finite values and a level in (0, 1), got {a}, {b}, {level}")
    # Rounded to the digits of the input: 0.02, not 0.020000000000000018.
    mean = round(float(differences.mean()), 12)
    if differences.size < FEWEST_SEEDS:
        return Interval(mean, reason=ONE_SEED)
    error = float(differences.std(ddof=1)) / np.sqrt(differences.size)
    if error < 1e-12:
        return Interval(mean, mean, mean, "the same with every seed; more seeds might differ")
    half = float(t.ppf((1 + level) / 2, differences.size - 1)) * error
    return Interval(mean, mean - half, mean + half)


def crossed_differences(a: FloatArray, b: FloatArray, level: float = LEVEL) -> Interval:
    """Mean of ``a - b`` with an interval for other seeds *and* other faces.

    ``a`` and ``b`` are ``(S, N)``: what each of S paired seeds gives each of N rows (1 for a right
    answer); the mean of several models works as well. Seeds and rows are crossed random effects:
    the squared error is the variance of the seeds' means over S plus that of the rows' means over
    N, which counts what belongs to a seed and a row together in both and so errs to the wide side;
    degrees of freedom by Welch and Satterthwaite. One seed leaves its own luck out, and a reason.

    >>> a, b = np.array([[1.0, 1, 0, 1], [1, 1, 1, 1]]), np.array([[1.0, 0, 0, 1], [1, 0, 1, 0]])
    >>> crossed_differences(a, b).value  # (1/4 + 2/4) / 2
    0.375
    """
    if a.ndim != 2 or a.shape != b.shape or 0 in a.shape:
        raise ValueError(f"expected two arrays (seeds, rows), got {a.shape} and {b.shape}")
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if not np.isfinite(differences).all() or not 0 < level < 1:
        raise ValueError(f"expected finite values and a level in (0, 1), got {level}")
    seeds, rows = differences.shape
    mean = round(float(differences.mean()), 12)
    parts = [
        (float(differences.mean(axis).var(ddof=1)) / count, count - 1)
        for axis, count in ((1, seeds), (0, rows))
        if count > 1
    ]
    reason = "" if seeds > 1 else ONE_SEED
    return crossed_interval(mean, parts, level=level, reason=reason)


def crossed_interval(
    mean: float, parts: Sequence[tuple[float, int]], *, level: float = LEVEL, reason: str = ""
) -> Interval:
    """The t interval around a mean whose squared error is the sum of some parts.

    Each part is a squared error and its degrees of freedom; together they have as many as Welch
    and Satterthwaite give.
    """
    from scipy.stats import t

    squared = sum(part for part, _ in parts)
    if squared < 1e-24:
        return Interval(mean, mean, mean, "the same with every seed and row; more might differ")
    freedom = squared**2 / sum(part**2 / count for part, count in parts)
    half = float(t.ppf((1 + level) / 2, freedom)) * float(np.sqrt(squared))
    return Interval(mean, mean - half, mean + half, reason)


def seed_test(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The two-sided p of the paired t-test that :func:`seed_differences` is the interval of.

    None for one seed, and for differences that are all the same and not 0: on few faces seeds
    can agree by chance, which is no proof. All 0 gives 1.
    """
    from scipy.stats import ttest_1samp

    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if differences.size < FEWEST_SEEDS:
        return None
    if float(differences.std()) < 1e-12:
        return 1.0 if abs(float(differences.mean())) < 1e-12 else None
    return float(ttest_1samp(differences, 0.0).pvalue)


@dataclass(frozen=True)
class McNemar:
    """Rows that only ``a`` has right, rows that only ``b`` has right, and the two-sided p."""

    only_a: int
    only_b: int
    p: float


def mcnemar(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test of two accuracies on the same ``(N,)`` rows.

    Rows that both have right or both wrong say nothing; of the others, equal models have half
    each (McNemar 1947; the exact binomial form). Takes rows for independent: where several show
    one person, p is too small. Without any such row p is 1.

    >>> mcnemar(np.array([True] * 6 + [False]), np.array([False] * 6 + [True]))
    McNemar(only_a=6, only_b=1, p=0.125)
    """
    from scipy.stats import binomtest

    kinds = a_right.dtype.kind + b_right.dtype.kind
    if a_right.shape != b_right.shape or a_right.ndim != 1 or kinds != "bb":
        raise ValueError(
            f"expected two boolean rows of one length, got {a_right.dtype} {a_right.shape} and "
            f"{b_right.dtype} {b_right.shape}"
        )
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    discordant = only_a + only_b
    p = float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_a, only_b, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): p values that can be held against one level together.

    The smallest of m is multiplied by m, the next by m - 1, and so on; each is at least as large
    as the one before, and at most 1. The order of the input is kept.

    >>> holm([0.02, 0.01, 0.5])
    [0.04, 0.03, 0.5]
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"expected p values in [0, 1], got {list(p_values)}")
    order = np.argsort(values, kind="stable")
    raised = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return [float(value) for value in adjusted]


def verdict_of_interval(difference: Interval, *, greater_is_better: bool) -> str:
    """``"better"``, ``"worse"`` or ``"no difference shown"``, by whether the interval holds 0."""
    if difference.low is None or difference.high is None:
        return NOTHING_SHOWN
    low, high = difference.low, difference.high
    if not greater_is_better:
        low, high = -high, -low
    return "better" if low > 0 else "worse" if high < 0 else NOTHING_SHOWN


def verdict(evidence: Sequence[Interval], p: float | None, *, level: float = LEVEL) -> str:
    """``"better"``, ``"worse"`` or ``"no difference shown"`` for differences whose plus is better.

    A difference is shown when every interval lies on one side of 0, all on the same, and the
    (adjusted) p is below ``1 - level``. What has no interval or no p shows nothing.
    """
    if p is None or not evidence or p + level >= 1:
        return NOTHING_SHOWN
    if all(entry.low is not None and entry.low > 0 for entry in evidence):
        return "better"
    if all(entry.high is not None and entry.high < 0 for entry in evidence):
        return "worse"
    return NOTHING_SHOWN
