"""Backbones from timm: an image batch in, a feature map out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.errors import MienError
from mien.models import find_model, is_model, shipped_models
from mien.networks.exported import backbone_state, read_onnx
from mien.networks.mobilefacenet import MobileFaceNet  # timm knows it once it is imported


def create_backbone(
    name: str,
    *,
    weights: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    image_size: int | None = None,
) -> nn.Module:
    """A timm backbone without pooling and classifier, convolutional or a transformer.

    What it returns for ``(B, 3, S, S)`` differs from backbone to backbone; :func:`feature_map`
    makes it a map ``(B, C, H, W)``.

    Parameters
    ----------
    name
        A model name of timm, or ``mobilefacenet`` (:mod:`mien.networks.mobilefacenet`); an unknown
        one raises :class:`MienError` with the closest names.
    weights
        None for random weights, ``"hub"`` for timm's pretrained ones (downloaded), the name of a
        shipped model or an ``.onnx`` file that ``mien export`` wrote, or a ``.safetensors`` file
        in timm's keys, or a run's ``model.safetensors``. Of a whole network the backbone is
        taken. A classifier in the file is ignored; any other missing or surplus tensor is an
        error.
    arguments
        Passed on to ``timm.create_model``, e.g. ``{"drop_path_rate": 0.1}``.
    image_size
        Side of the images in pixels: transformers that are built for one size are built for this.
    """
    if not timm.is_model(name):
        close = timm.list_models(f"*{name.rstrip('0123456789_')}*")[:5] or timm.list_models()[:5]
        raise MienError(
            f"expected a backbone that timm knows (such as {', '.join(close)}), got {name!r}"
        )
    options = dict(arguments or {})
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if image_size is not None and config is not None and config.fixed_input_size:
        options.setdefault("img_size", image_size)
    try:
        backbone: nn.Module = timm.create_model(
            name, num_classes=0, global_pool="", pretrained=weights == "hub", **options
        )
    # Arguments reach code of all kinds, which has errors of all kinds for wrong ones.
    except Exception as error:
        if not arguments:
            raise
        raise MienError(
            f"backbone {name!r} does not take these arguments: {' '.join(str(error).split())}; "
            "correct backbone.arguments in the recipe"
        ) from None
    if weights is not None and weights != "hub":
        _load_weights(backbone, weights)
    return backbone


def feature_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """The last map ``(B, C, H, W)`` of a timm backbone for ``(B, 3, S, S)``.

    Tokens ``(B, N, C)`` of a transformer become the square map that they were cut from, without
    class and register tokens (ours: what stands above pools places); maps with channels last are
    turned.
    """
    features: Tensor = backbone(images)
    if features.ndim == 3:
        tokens = features[:, getattr(backbone, "num_prefix_tokens", 0) :]
        side = math.isqrt(tokens.shape[1])
        if side * side == tokens.shape[1]:
            return tokens.mT.reshape(tokens.shape[0], -1, side, side)
    elif features.ndim == 4:
        last = str(getattr(backbone, "output_fmt", "")).endswith("NHWC")
        return features.permute(0, 3, 1, 2) if last else features
    raise MienError(
        "expected a backbone that gives a feature map (B, C, H, W) or the tokens of a square one, "
        f"got shape {tuple(features.shape)}; choose another one"
    )


def feature_width(backbone: nn.Module) -> int:
    """Channels of the map that a timm backbone returns; some widen it behind `num_features`."""
    width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(width)


def _load_weights(backbone: nn.Module, weights: str) -> None:
    if is_model(weights):
        model = read_onnx(find_model(weights))
        backbone.load_state_dict(backbone_state(model, backbone, weights))
        return
    path = Path(weights)
    if path.suffix != ".safetensors" or not path.is_file():
        raise MienError(
            f"expected backbone.weights to be 'hub', a shipped model ({', '.join(shipped_models())}"
            f") or an existing .onnx or .safetensors file, got {weights}"
        )
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise MienError(f"expected a safetensors file, got {path}: {error}") from None
    prefix = "backbone."  # of a run's network
    if any(key.startswith(prefix) for key in state):
        state = {
            key.removeprefix(prefix): tensor
            for key, tensor in state.items()
            if key.startswith(prefix)
        }
    if isinstance(backbone, MobileFaceNet):
        state = backbone.fitted_state(state)
    wanted = backbone.state_dict()
    heads = ("classifier.", "head.", "fc.")
    surplus = [key for key in state if key not in wanted and not key.startswith(heads)]
    wrong = [
        key
        for key, tensor in wanted.items()
        if key not in state or state[key].shape != tensor.shape
    ]
    if surplus or wrong:
        raise MienError(
            f"the weights in {path} do not fit the backbone: "
            f"{len(wrong)} tensors missing or of another shape, {len(surplus)} unknown "
            f"(first: {(wrong + surplus)[0]})"
        )
    backbone.load_state_dict({key: state[key] for key in wanted})


@torch.no_grad()
def restore_batch_norm(backbone: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give folded-in batch norms the statistics of real data without changing the function.

    Converted networks often come with batch norm folded into the convolutions: their norms are
    the identity (mean 0, variance 1). Fine-tuning such norms in training mode would change the
    network at the first step. This sets each norm's running statistics to those of ``batches``
    (``(B, 3, S, S)`` each) and its scale and shift so that, in evaluation mode, the output stays
    what it was.
    """
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    moments: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def record(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        moments[norm].append((values.mean((0, 2, 3)), values.square().mean((0, 2, 3))))

    hooks = [norm.register_forward_pre_hook(record) for norm in norms]
    training = backbone.training
    backbone.eval()
    for batch in batches:
        backbone(batch)
    backbone.train(training)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        seen = moments[norm]
        if not seen or norm.running_mean is None or norm.running_var is None:
            continue
        mean = torch.stack([first for first, _ in seen]).mean(0)
        variance = torch.stack([second for _, second in seen]).mean(0) - mean.square()
        variance = variance.clamp_min(1e-4)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(scale * (norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(shift + norm.running_mean * scale)
