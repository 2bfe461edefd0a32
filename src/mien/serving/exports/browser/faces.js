// Faces and their aligned crops, as mien cuts them: eyes and mouth moved onto the template.

import { sampled, shrunk } from "./pixels.js";
import { FaceLandmarker, FilesetResolver } from "./vision/vision_bundle.mjs";

const MOST_FACES = 20;
const LEAST_PART = 256; // pixels

export async function findFaces(model) {
  const files = await FilesetResolver.forVisionTasks("vision");
  const landmarker = await FaceLandmarker.createFromOptions(files, {
    baseOptions: { modelAssetPath: "face_landmarker.task", delegate: "CPU" },
    runningMode: "IMAGE",
    numFaces: MOST_FACES,
    outputFacialTransformationMatrixes: true,
  });
  const canvas = document.createElement("canvas"), view = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = (left, top, width, height) => {
    view.width = width;
    view.height = height;
    view.getContext("2d", { willReadFrequently: true }).drawImage(canvas, left, top, width, height, 0, 0, width, height);
    const result = landmarker.detect(view);
    return result.faceLandmarks.map((landmarks, index) => {
      const points = landmarks.map(({ x, y }) => [left + x * width, top + y * height]);
      return { points, box: boxOf(points), matrix: result.facialTransformationMatrixes[index] };
    });
  };
  return (picture, { thorough }) => {
    const { width, height } = picture;
    canvas.width = width;
    canvas.height = height;
    context.drawImage(picture, 0, 0);
    const faces = look(0, 0, width, height);
    // The detector sees 128 x 128 pixels: small faces are looked for in parts of the picture.
    for (const part of thorough ? parts(width, height) : []) {
      faces.push(...look(...part).filter((face) => !faces.some(({ box }) => overlap(box, face.box))));
    }
    return faces.map(({ points, box, matrix }) => ({ box, doubt: doubtOf(box, matrix, model), crop: cut(context, alignment(points, model), model) }))
      .sort((a, b) => b.box.width * b.box.height - a.box.width * a.box.height);
  };
}

// Squares of half the longer side that overlap by half, left to right and down.
function parts(width, height) {
  const side = Math.ceil(Math.max(width, height) / 2);
  if (side < LEAST_PART) return [];
  const starts = (length) => {
    const room = Math.max(0, length - side), count = Math.ceil(2 * room / side);
    return Array.from({ length: count + 1 }, (_, index) => Math.round(room * index / (count || 1)));
  };
  return starts(height).flatMap((top) => starts(width).map((left) => [left, top, Math.min(side, width), Math.min(side, height)]));
}

// Whether two boxes are of one face.
function overlap(a, b) {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return across > 0 && down > 0 && across * down > 0.3 * Math.min(a.width * a.height, b.width * b.height);
}

function boxOf(points) {
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const left = Math.min(...xs), top = Math.min(...ys);
  return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

function doubtOf(box, transformation, { faces }) {
  const side = Math.min(box.width, box.height);
  if (side < faces.min_pixels) return `face is ${Math.floor(side)} pixels ${box.width <= box.height ? "wide" : "high"}; at least ${faces.min_pixels} are needed`;
  if (!transformation) return "";
  const [, , , , , , , , x, , z] = transformation.data; // where the nose points, by columns
  const yaw = Math.abs(Math.atan2(x, z) * 180 / Math.PI);
  return yaw > faces.max_yaw ? `head is turned by ${Math.ceil(yaw)} degrees; at most ${faces.max_yaw} can be read` : "";
}

// The similarity z -> a z + b from pixels of the picture to pixels of the crop, least squares on
// the eyes' centers and the mouth's corners; numbers are complex.
function alignment(points, { faces }) {
  const mean = (indices) => indices.reduce(([x, y], index) => [x + points[index][0] / indices.length, y + points[index][1] / indices.length], [0, 0]);
  const from = [mean(faces.right_eye), mean(faces.left_eye), points[faces.mouth[0]], points[faces.mouth[1]]];
  const center = (list) => [list.reduce((sum, [x]) => sum + x, 0) / list.length, list.reduce((sum, [, y]) => sum + y, 0) / list.length];
  const [fx, fy] = center(from), [tx, ty] = center(faces.template);
  let re = 0, im = 0, norm = 0;
  for (const [index, [x, y]] of from.entries()) {
    const [u, v] = [x - fx, y - fy], [p, q] = [faces.template[index][0] - tx, faces.template[index][1] - ty];
    re += u * p + v * q;
    im += u * q - v * p;
    norm += u * u + v * v;
  }
  const a = [re / norm, im / norm];
  return { a, b: [tx - a[0] * fx + a[1] * fy, ty - a[1] * fx - a[0] * fy] };
}

// RGB bytes of the crop.
function cut(context, { a, b }, { preprocessing: { size, interpolation } }) {
  const { width, height } = context.canvas;
  const norm = a[0] * a[0] + a[1] * a[1], scale = Math.sqrt(norm);
  const back = (x, y) => {
    const u = x - b[0], v = y - b[1];
    return [(a[0] * u + a[1] * v) / norm, (a[0] * v - a[1] * u) / norm];
  };
  const corners = [back(0, 0), back(size, 0), back(0, size), back(size, size)], reach = 4 + 4 / scale;
  const [low, high] = [Math.min, Math.max].map((most) => [0, 1].map((axis) => most(...corners.map((corner) => corner[axis]))));
  const left = clamp(Math.floor(low[0] - reach), width - 1), top = clamp(Math.floor(low[1] - reach), height - 1);
  const wide = Math.max(1, clamp(Math.ceil(high[0] + reach), width) - left), tall = Math.max(1, clamp(Math.ceil(high[1] + reach), height) - top);
  let region = context.getImageData(left, top, wide, tall);
  const density = scale * (interpolation === "area" ? 1 : 2);
  if (density < 1) region = shrunk(region, Math.max(1, Math.round(wide * density)), Math.max(1, Math.round(tall * density)));
  const across = wide / region.width, down = tall / region.height;
  const crop = new Uint8ClampedArray(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [px, py] = back(x + 0.5, y + 0.5);
      sampled(region, (px - left) / across - 0.5, (py - top) / down - 0.5, interpolation === "cubic", crop, (y * size + x) * 3);
    }
  }
  return crop;
}

const clamp = (value, most) => Math.max(0, Math.min(value, most));
