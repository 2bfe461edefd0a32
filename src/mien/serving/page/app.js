// The page of a server: what is chosen here is read there.

import { ask } from "./api.js";
import { cameraTab } from "./camera.js";
import { byId, tell } from "./dom.js";
import { aboutModel, headline } from "./models.js";
import { photoTab } from "./photo.js";
import { tabs } from "./tabs.js";
import { videoTab } from "./video.js";

let colorsOfModels = {};
const colors = () => colorsOfModels;

async function readFile(file) {
  const form = new FormData();
  form.append("image", file, file.name);
  const answer = await (await ask("v1/predict?neighbors=true", { method: "POST", body: form })).json();
  return answer.images[0];
}

async function readFrame(canvas) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  const answer = await (await ask("v1/predict", { method: "POST", body: blob, headers: { "content-type": "image/jpeg" } })).json();
  return answer.images[0];
}

async function describe() {
  try {
    const server = await (await ask("v1/model")).json();
    colorsOfModels = Object.assign({}, ...server.models.map((model) => model.colors));
    byId("model").replaceChildren(...headline(server.models));
    byId("about-models").replaceChildren(...server.models.map(aboutModel));
    byId("about-expiry").textContent = `after ${Math.round(server.limits.result_seconds / 60)} minutes`;
  } catch (error) {
    tell(byId("photo-status"), error.message, true);
  }
}

const leave = { camera: cameraTab(readFrame, colors), video: videoTab(colors) };
photoTab(readFile, colors);
tabs(document.querySelector("[role=tablist]"), (id) => leave[id]?.());
describe();
