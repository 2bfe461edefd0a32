"""Each loss as loops over Python floats, written from its equation; shares nothing with mien."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import torch

Rows = list[list[float]]


def rows_of(tensor: torch.Tensor) -> list:
    return tensor.detach().double().tolist()


def unit(row: list[float]) -> list[float]:
    norm = math.sqrt(sum(v * v for v in row))
    return [0.0 for _ in row] if norm < 1e-12 else [v / norm for v in row]


def squared(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def triplets(labels: list[int]) -> dict[int, tuple[list[int], list[int]]]:
    """Positives and negatives of each anchor that has both."""
    found = {}
    for a, label in enumerate(labels):
        positives = [i for i, other in enumerate(labels) if other == label and i != a]
        negatives = [i for i, other in enumerate(labels) if other != label]
        if positives and negatives:
            found[a] = (positives, negatives)
    return found


def triplet(rows: Rows, labels: list[int], threshold: float, mining: str) -> float:
    z = [unit(row) for row in rows]
    values = []
    for a, (positives, negatives) in triplets(labels).items():
        if mining == "hard":
            far = max(squared(z[a], z[p]) for p in positives)
            near = min(squared(z[a], z[n]) for n in negatives)
            values.append(max(0.0, far - near + threshold))
        else:
            hinges = [
                squared(z[a], z[p]) - squared(z[a], z[n]) + threshold
                for p in positives
                for n in negatives
            ]
            values += [hinge for hinge in hinges if hinge > 0]
    return mean(values)


def dual(rows: Rows, labels: list[int], threshold: float, mining: str) -> tuple[float, float]:
    """Lowest and highest value that equally hard partners allow; one value when there are none."""
    z = [unit(row) for row in rows]
    lows, highs, first, second = [], [], [], []
    for a, (positives, negatives) in triplets(labels).items():
        far = {p: squared(z[a], z[p]) for p in positives}
        near = {n: squared(z[a], z[n]) for n in negatives}
        if mining == "hard":
            choices = [
                max(0.0, far[p] - near[n] + threshold)
                + max(0.0, far[p] - squared(z[p], z[n]) + threshold)
                for p in positives
                for n in negatives
                if far[p] > max(far.values()) - 1e-12 and near[n] < min(near.values()) + 1e-12
            ]
            lows.append(min(choices))
            highs.append(max(choices))
        else:
            first += [far[p] - near[n] + threshold for p in positives for n in negatives]
            second += [
                far[p] - squared(z[p], z[n]) + threshold for p in positives for n in negatives
            ]
    if mining == "hard":
        return mean(lows), mean(highs)
    total = mean([v for v in first if v > 0]) + mean([v for v in second if v > 0])
    return total, total


def multi_threshold(
    rows: Rows, labels: list[int], thresholds: list[float], mining: str, *, both: bool
) -> tuple[float, float]:
    width = len(rows[0]) // len(thresholds) if rows else 0
    lows, highs = [], []
    for i, threshold in enumerate(thresholds):
        part = [row[i * width : (i + 1) * width] for row in rows]
        if both:
            low, high = dual(part, labels, threshold, mining)
        else:
            low = high = triplet(part, labels, threshold, mining)
        lows.append(low)
        highs.append(high)
    return mean(lows), mean(highs)


def expression_metric(rows: Rows, labels: list[int], margin: float, beta: float) -> float:
    z = [unit(row) for row in rows]
    pairs = list(combinations(range(len(z)), 2))
    pull = [squared(z[i], z[j]) for i, j in pairs if labels[i] == labels[j]]
    push = [max(0.0, margin - squared(z[i], z[j])) for i, j in pairs if labels[i] != labels[j]]
    return mean(pull) + beta * mean(push)


def expression_center(rows: Rows, labels: list[int], margin: float, beta: float) -> float:
    z = [unit(row) for row in rows]
    centers = {}
    for label in set(labels):
        members = [row for row, other in zip(z, labels, strict=True) if other == label]
        centers[label] = [mean(list(column)) for column in zip(*members, strict=True)]
    pull = mean([squared(row, centers[label]) for row, label in zip(z, labels, strict=True)])
    push = [max(0.0, margin - squared(centers[a], centers[b])) for a, b in combinations(centers, 2)]
    return pull + beta * mean(push)


def attended(row: list[float], center: list[float], weights: list[float]) -> float:
    return 0.5 * sum(w * (f - c) ** 2 for w, f, c in zip(weights, row, center, strict=True))


def center(rows: Rows, labels: list[int], centers: Rows, attention: Rows) -> float:
    return mean(
        [
            attended(row, centers[label], weights)
            for row, label, weights in zip(rows, labels, attention, strict=True)
        ]
    )


def negative_center(
    row: list[float],
    label: int,
    centers: Rows,
    negatives: str,
    logits: list[float],
    weights: list[float],
    ratio: float,
) -> list[float]:
    others = [k for k in range(len(centers)) if k != label]
    nearest = min(others, key=lambda k: attended(row, centers[k], weights))
    synthesized = [min((abs(f - centers[k][d]), k) for k in others) for d, f in enumerate(row)]
    values = [centers[k][d] for d, (_, k) in enumerate(synthesized)]
    if negatives == "nearest":
        return centers[nearest]
    if negatives == "prediction-based":
        return centers[max(others, key=lambda k: logits[k])]
    if negatives == "fully-synthesized":
        return values
    ranked = sorted(range(len(row)), key=lambda d: -weights[d])
    chosen = set(ranked[: round(ratio * len(row))])
    return [values[d] if d in chosen else centers[nearest][d] for d in range(len(row))]


def triplet_center(
    rows: Rows,
    labels: list[int],
    centers: Rows,
    margin: float,
    negatives: str,
    logits: Rows,
    attention: Rows,
    ratio: float,
) -> float:
    values = []
    for row, label, scores, weights in zip(rows, labels, logits, attention, strict=True):
        other = negative_center(row, label, centers, negatives, scores, weights, ratio)
        own = attended(row, centers[label], weights)
        values.append(max(0.0, own - attended(row, other, weights) + margin))
    return mean(values)


def similarities(rows: Rows) -> dict[tuple[int, int], float]:
    z = [unit(row) for row in rows]
    return {
        (i, j): sum(a * b for a, b in zip(z[i], z[j], strict=True))
        for i, j in combinations(range(len(z)), 2)
    }


def histogram(values: list[float], weights: list[float], bins: int) -> list[float]:
    step = 2 / (bins - 1)
    nodes = [-1 + r * step for r in range(bins)]
    total = sum(weights)
    return [
        sum(w * max(0.0, 1 - abs(s - t) / step) for s, w in zip(values, weights, strict=True))
        / total
        for t in nodes
    ]


def later(like: list[float], unlike: list[float]) -> float:
    return sum(unlike[r] * sum(like[: r + 1]) for r in range(len(like)))


def weighted_histogram(rows: Rows, likeness: dict[tuple[int, int], float], bins: int) -> float:
    found = similarities(rows)
    values = list(found.values())
    like = [likeness[pair] for pair in found]
    unlike = [1 - weight for weight in like]
    if sum(like) <= 0 or sum(unlike) <= 0:
        return 0.0
    return later(histogram(values, like, bins), histogram(values, unlike, bins))


def binary_histogram(rows: Rows, labels: list[int], bins: int) -> float:
    pairs = combinations(range(len(rows)), 2)
    same = {(i, j): float(labels[i] == labels[j]) for i, j in pairs}
    return weighted_histogram(rows, same, bins)


def label_aware_histogram(rows: Rows, scores: list[float], bins: int, bandwidth: float) -> float:
    pairs = combinations(range(len(rows)), 2)
    like = {
        (i, j): math.exp(-((scores[i] - scores[j]) ** 2) / (2 * bandwidth**2)) for i, j in pairs
    }
    return weighted_histogram(rows, like, bins)


def ordinal_histogram(rows: Rows, scores: list[float], edges: list[float], bins: int) -> float:
    found = similarities(rows)
    gaps = {(i, j): abs(scores[i] - scores[j]) for i, j in found}
    groups = []
    for low, high in pairwise(edges):
        members = [pair for pair in found if low <= gaps[pair] < high]
        if members:
            values = [found[pair] for pair in members]
            gap = mean([gaps[pair] for pair in members])
            groups.append((gap, histogram(values, [1.0] * len(values), bins)))
    total = weight = 0.0
    for (near_gap, near), (far_gap, far) in combinations(groups, 2):
        total += (far_gap - near_gap) * later(near, far)
        weight += far_gap - near_gap
    return total / weight if weight else 0.0


def label_distribution(scores: list[float], levels: int, deviation: float) -> Rows:
    result = []
    for score in scores:
        bell = [math.exp(-((k - score) ** 2) / (2 * deviation**2)) for k in range(levels)]
        result.append([value / sum(bell) for value in bell])
    return result


def label_distribution_divergence(logits: Rows, distribution: Rows) -> float:
    values = []
    for scores, target in zip(logits, distribution, strict=True):
        top = max(scores)
        log_total = top + math.log(sum(math.exp(s - top) for s in scores))
        terms = [
            q * (math.log(q) - (s - log_total))
            for s, q in zip(scores, target, strict=True)
            if q > 0
        ]
        values.append(sum(terms))
    return mean(values)


def concordance(prediction: list[float], target: list[float]) -> float:
    x, y = mean(prediction), mean(target)
    covariance = mean([(a - x) * (b - y) for a, b in zip(prediction, target, strict=True)])
    spread = mean([(a - x) ** 2 for a in prediction]) + mean([(b - y) ** 2 for b in target])
    bottom = spread + (x - y) ** 2
    return 1.0 if bottom < 1e-28 else 1 - 2 * covariance / bottom
