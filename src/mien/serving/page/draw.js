// Faces drawn into a picture: a frame in the expression's color and its name.

import { percent, titleOf, toneOf } from "./cards.js";

export function drawPicture(canvas, picture, width, height) {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
}

// Boxes are in pixels of the picture; the canvas shows `scale` pixels for each of them.
export function drawFaces(canvas, rows, colors, { scale = 1, names = (row) => row.face + 1 } = {}) {
  const context = canvas.getContext("2d");
  const unit = textHeight(canvas, rows, scale);
  for (const row of rows) {
    if (!row.box) continue;
    const tone = toneOf(row, colors);
    const [left, top, width, height] = ["left", "top", "width", "height"].map((side) => row.box[side] * scale);
    const line = 0.17 * unit;
    context.setLineDash(row.status === "ok" ? [] : [0.9 * unit, 0.6 * unit]);
    for (const [color, stroke] of [["rgb(0 0 0 / .45)", 2.2 * line], [tone, line]]) {
      context.strokeStyle = color;
      context.lineWidth = stroke;
      context.beginPath();
      context.roundRect(left, top, width, height, 0.7 * unit);
      context.stroke();
    }
    context.setLineDash([]);
    drawTag(context, canvas, row, { left, top, bottom: top + height, unit, tone, number: rows.length > 1 ? names(row) : null });
  }
}

function drawTag(context, canvas, row, { left, top, bottom, unit, tone, number }) {
  const share = row.status === "ok" && row.confidence ? ` ${percent(row.confidence)}` : "";
  const text = `${number === null ? "" : `${number}  `}${row.status === "ok" ? titleOf(row) : row.status}${share}`;
  context.font = `600 ${unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width + 1.3 * unit, height = 1.6 * unit;
  const x = Math.max(0, Math.min(left, canvas.width - width));
  const above = top - height - 0.35 * unit;
  const y = above >= 0 ? above : Math.min(bottom + 0.35 * unit, canvas.height - height);
  context.fillStyle = "rgb(18 21 27 / .86)";
  context.beginPath();
  context.roundRect(x, y, width, height, 0.4 * unit);
  context.fill();
  context.fillStyle = tone;
  context.fillRect(x + 0.3 * unit, y + 0.35 * unit, 0.17 * unit, height - 0.7 * unit);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + 0.75 * unit, y + height / 2 + 0.04 * unit);
}

function textHeight(canvas, rows, scale) {
  const short = Math.min(canvas.width, canvas.height);
  const heights = rows.filter((row) => row.box).map((row) => row.box.height * scale).sort((a, b) => a - b);
  const face = heights[Math.floor(heights.length / 2)] ?? short / 4;
  // At least what can be read where the canvas is shown smaller than it is.
  const least = 12.5 * Math.max(1, canvas.width / (canvas.clientWidth || canvas.width));
  return Math.max(Math.min(Math.max(face * 0.115, short / 42), short / 26), least);
}
