// The page without a server: faces are found, cut out and read in the browser.

import { cameraTab } from "./camera.js";
import { byId, tell } from "./dom.js";
import { findFaces } from "./faces.js";
import { aboutModel, headline } from "./models.js";
import { loadNetwork } from "./network.js";
import { photoTab } from "./photo.js";
import { tabs } from "./tabs.js";

const model = await (await fetch("model.json")).json();
const colors = () => model.colors;
byId("model").replaceChildren(...headline([model]));
byId("about-models").replaceChildren(aboutModel(model));

// Loaded once, when the first picture comes.
let loading = null;
const ready = () => (loading ??= Promise.all([findFaces(model), loadNetwork(model)]));

async function read(picture, source, thorough) {
  const [find, network] = await ready();
  const { width, height } = picture;
  const faces = find(picture, { thorough });
  const rows = [];
  for (const [index, face] of faces.entries()) {
    const fields = await network(face.crop);
    const reason = face.doubt || fields.doubt;
    delete fields.doubt;
    rows.push({
      source, frame: null, time: null, track: null, face: index, box: face.box, status: reason ? "abstained" : "ok",
      reason: reason || null, alignment: "similarity", yaw: null, pitch: null, roll: null, model: model.name, ...fields,
    });
  }
  return { source, width, height, faces: rows, status: rows.length ? "ok" : "no-face", reason: rows.length ? null : `no face found in ${width} x ${height} pixels` };
}

async function readFile(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error("Expected a picture that this browser can show, got another file.");
  }
  return read(picture, file.name, true);
}

photoTab(readFile, colors);
const turnOff = cameraTab((canvas) => read(canvas, "camera", false), colors);
tabs(document.querySelector("[role=tablist]"), (id) => id === "camera" && turnOff());
ready().catch((error) => tell(byId("photo-status"), `The model cannot be loaded (${error.message}).`, true));
