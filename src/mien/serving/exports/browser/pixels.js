// Pictures of four bytes a pixel: shrunk by area, and read between their pixels as OpenCV does.

export function shrunk({ data, width, height }, wide, tall) {
  const rows = along(data, width, height, wide, 4, width * 4);
  const columns = along(rows, height, wide, tall, wide * 4, 4);
  return { data: Uint8ClampedArray.from(columns, Math.round), width: wide, height: tall };
}

// Means along one side of `count` pixels, which become `fewer`; `step` is from one to the next.
function along(data, count, lines, fewer, step, stride) {
  const out = new Float32Array(fewer * lines * 4), ratio = count / fewer;
  const outStep = step === 4 ? 4 : step, outStride = step === 4 ? fewer * 4 : stride;
  for (let index = 0; index < fewer; index++) {
    const from = index * ratio, to = Math.min(count, from + ratio);
    for (let at = Math.floor(from); at < to; at++) {
      const weight = (Math.min(at + 1, to) - Math.max(at, from)) / ratio;
      for (let line = 0; line < lines; line++) {
        const source = at * step + line * stride, target = index * outStep + line * outStride;
        for (let c = 0; c < 3; c++) out[target + c] += weight * data[source + c];
      }
    }
  }
  return out;
}

export function sampled({ data, width, height }, x, y, cubic, out, offset) {
  const x0 = Math.floor(x), y0 = Math.floor(y);
  const [across, down] = [x - x0, y - y0].map(cubic ? cubicWeights : (t) => [1 - t, t]);
  const first = cubic ? -1 : 0;
  const sum = [0, 0, 0];
  for (let j = 0; j < down.length; j++) {
    const row = Math.max(0, Math.min(y0 + first + j, height - 1)) * width;
    for (let i = 0; i < across.length; i++) {
      const at = (row + Math.max(0, Math.min(x0 + first + i, width - 1))) * 4, weight = across[i] * down[j];
      for (let c = 0; c < 3; c++) sum[c] += weight * data[at + c];
    }
  }
  for (let c = 0; c < 3; c++) out[offset + c] = Math.round(sum[c]);
}

// Beyond the picture its edge is repeated. The weights are those of OpenCV's cubic interpolation.
function cubicWeights(t) {
  const a = -0.75, near = (d) => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
  const [second, third] = [near(t), near(1 - t)];
  return [far, second, third, 1 - far - second - third];
}
