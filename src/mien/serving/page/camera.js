// The tab of the camera: one frame after the other is read, never more than one at a time.

import { cardOf } from "./cards.js";
import { byId, save, tell } from "./dom.js";
import { drawFaces, drawPicture } from "./draw.js";
import { csvOf } from "./table.js";

const LONGEST_SIDE = 640, MOST_ROWS = 100000, LEAST_MS = 40;

// `read` takes a canvas with a frame and gives the answer for it.
export function cameraTab(read, colors) {
  const stream = byId("camera-stream"), start = byId("camera-start"), status = byId("camera-status");
  const frame = document.createElement("canvas");
  let running = false, rows = [];

  async function turnOn() {
    if (!navigator.mediaDevices?.getUserMedia) {
      tell(status, "The browser gives no camera to this page; open it as localhost or over https.", true);
      return;
    }
    try {
      stream.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch (error) {
      tell(status, `The camera cannot be used (${error.message}).`, true);
      return;
    }
    await stream.play();
    running = true;
    rows = [];
    start.textContent = "Turn the camera off";
    byId("camera-result").hidden = false;
    byId("camera-table").hidden = true;
    const began = performance.now();
    let shown = began;
    while (running) {
      const from = performance.now();
      try {
        await step((from - began) / 1000);
        const now = performance.now();
        tell(status, `${(1000 / (now - shown)).toFixed(1)} frames a second`);
        shown = now;
      } catch (error) {
        tell(status, error.message, true);
        await pause(1000 * (error.wait || 2));
      }
      await pause(Math.max(0, LEAST_MS - (performance.now() - from)));
    }
  }

  async function step(time) {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(stream.videoWidth, stream.videoHeight, 1));
    drawPicture(frame, stream, Math.round(stream.videoWidth * scale), Math.round(stream.videoHeight * scale));
    const image = await read(frame);
    if (!running) return;
    const picture = byId("camera-picture");
    drawPicture(picture, frame, frame.width, frame.height);
    drawFaces(picture, image.faces, colors());
    byId("camera-faces").replaceChildren(...image.faces.map((row, index) => cardOf(row, colors(), `face ${index + 1}`)));
    rows.push(...image.faces.map((row) => ({ ...row, source: "camera", time: Number(time.toFixed(3)) })));
    rows = rows.slice(-MOST_ROWS);
  }

  function turnOff() {
    if (!running) return;
    running = false;
    for (const track of stream.srcObject?.getTracks() ?? []) track.stop();
    stream.srcObject = null;
    start.textContent = "Turn the camera on";
    byId("camera-table").hidden = !rows.length;
    tell(status, "The camera is off.");
  }

  start.addEventListener("click", () => (running ? turnOff() : turnOn()));
  byId("camera-table").addEventListener("click", () => save(csvOf(rows), "camera.csv"));
  return turnOff;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
