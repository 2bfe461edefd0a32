// The tab of photos: pictures in, each with its faces drawn in and a card per face out.

import { cardOf } from "./cards.js";
import { byId, make, save, tell } from "./dom.js";
import { drawFaces, drawPicture } from "./draw.js";
import { csvOf } from "./table.js";
import { dropzone } from "./tabs.js";

const LONGEST_SIDE = 2000; // of the picture that is shown

// `read` takes a file and gives the answer for it: { status, reason, width, height, faces }.
export function photoTab(read, colors) {
  const results = byId("photo-results"), status = byId("photo-status");
  let rows = [], waiting = Promise.resolve();

  async function add(file) {
    tell(status, `Reading ${file.name} …`);
    const picture = createImageBitmap(file).catch(() => null);
    try {
      const image = await read(file);
      const shown = await picture;
      const [element, draw] = resultOf(file, image, shown, colors());
      results.append(element);
      draw();
      rows = rows.concat(image.faces);
      byId("photo").classList.add("used");
      byId("photo-actions").hidden = false;
      byId("photo-table").hidden = !rows.length;
      const faces = image.faces.length;
      tell(status, faces ? `${faces} ${faces === 1 ? "face" : "faces"} in ${file.name}.` : `No face in ${file.name}.`);
    } catch (error) {
      tell(status, `${file.name}: ${error.message}`, true);
    }
  }

  const addAll = (files) => { for (const file of files) waiting = waiting.then(() => add(file)); };
  dropzone(byId("photo-drop"), byId("photo-file"), addAll);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length && !byId("photo").hidden) addAll(files);
  });
  byId("photo-table").addEventListener("click", () => save(csvOf(rows), "faces.csv"));
  byId("photo-clear").addEventListener("click", () => {
    results.replaceChildren();
    rows = [];
    byId("photo").classList.remove("used");
    byId("photo-actions").hidden = true;
    tell(status, "");
    byId("photo-file").focus();
  });
}

function resultOf(file, image, picture, colors) {
  const cards = image.faces.map((row, index) => cardOf(row, colors, image.faces.length > 1 ? `face ${index + 1}` : "the only face"));
  const canvas = make("canvas", { role: "img", "aria-label": `${file.name} with a frame around each of ${image.faces.length} faces` });
  const caption = make("p", { class: "caption" }, make("b", {}, file.name));
  const stage = make("div", { class: "stage" }, canvas);
  let draw = () => {};
  if (picture) {
    draw = () => {
      const scale = Math.min(1, LONGEST_SIDE / Math.max(image.width, image.height));
      drawPicture(canvas, picture, Math.round(image.width * scale), Math.round(image.height * scale));
      drawFaces(canvas, image.faces, colors, { scale });
    };
    const name = `${file.name.replace(/\.[^.]*$/, "")}.annotated.png`;
    caption.append(make("button", { class: "link", type: "button", onclick: () => canvas.toBlob((blob) => save(blob, name)) }, "Save the picture"));
  } else stage.replaceChildren(make("p", { class: "none" }, "Your browser cannot show this format; the server has read it."));
  const side = cards.length ? cards : make("p", { class: "none" }, `${image.reason ?? "no face"}.`);
  return [make("div", { class: "result" }, caption, stage, make("div", { class: "faces" }, side)), draw];
}
