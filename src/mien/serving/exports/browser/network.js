// The model in onnxruntime-web: the bytes of a crop in, what the heads say out.

import * as ort from "./ort/ort.wasm.min.mjs";

export async function loadNetwork(model) {
  ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
  ort.env.wasm.numThreads = 1; // more need headers that a plain server of files does not send
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  const names = session.outputNames.filter((name) => name in model.heads);
  return async (crop) => {
    const { size } = model.preprocessing;
    const input = new ort.Tensor("float32", tensorOf(crop, model.preprocessing), [1, 3, size, size]);
    const outputs = await session.run({ input }, names);
    let doubt = "";
    const fields = {};
    for (const [name, head] of Object.entries(model.heads)) {
      const [more, reason] = READERS[name](head, outputs[name].data);
      Object.assign(fields, more);
      doubt ||= reason ?? "";
    }
    return { ...fields, doubt };
  };
}

// Planes of color, each value (v / 255 - mean) / std.
function tensorOf(crop, { color, mean, std }) {
  const pixels = crop.length / 3, tensor = new Float32Array(crop.length);
  for (let index = 0; index < pixels; index++) {
    let values = crop.subarray(3 * index, 3 * index + 3);
    if (color === "gray") values = new Array(3).fill(Math.round(0.299 * values[0] + 0.587 * values[1] + 0.114 * values[2]));
    if (color === "bgr") values = [values[2], values[1], values[0]];
    for (let c = 0; c < 3; c++) tensor[c * pixels + index] = (values[c] / 255 - mean[c]) / std[c];
  }
  return tensor;
}

const READERS = {
  expression(head, shares) {
    const names = head.label_space.names, top = shares.indexOf(Math.max(...shares));
    const least = head.abstain_below ?? 0;
    const doubt = shares[top] < least ? `confidence is ${shares[top].toFixed(3)}; the model answers from ${least.toFixed(3)}` : "";
    return [{ expression: names[top], confidence: shares[top], probabilities: Object.fromEntries(names.map((name, index) => [name, shares[index]])) }, doubt];
  },
  valence_arousal: (head, [valence, arousal]) => [{ valence, arousal }],
  action_units: (head, shares) => [{ action_units: Object.fromEntries(head.units.map((unit, index) => [unit, shares[index]])) }],
};
