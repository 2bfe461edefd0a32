"""What the constructors of pytorch-metric-learning's losses need, for 4 classes and width 8."""

from __future__ import annotations

from typing import Any

CLASSIFIER = {"num_classes": 4, "embedding_size": 8}
NEEDED: dict[str, dict[str, Any]] = {
    "ArcFaceLoss": CLASSIFIER,
    "CosFaceLoss": CLASSIFIER,
    "LargeMarginSoftmaxLoss": CLASSIFIER,
    "NormalizedSoftmaxLoss": CLASSIFIER,
    "P2SGradLoss": {"descriptors_dim": 8, "num_classes": 4},
    "ProxyAnchorLoss": CLASSIFIER,
    "ProxyNCALoss": CLASSIFIER,
    "RankedListLoss": {"margin": 0.4, "Tn": 1},
    "SoftTripleLoss": CLASSIFIER,
    "SphereFaceLoss": CLASSIFIER,
    "SubCenterArcFaceLoss": CLASSIFIER,
}
