// The tab of videos: hand one in, wait, see persons over time, fetch the tables.

import { ask } from "./api.js";
import { cardOf } from "./cards.js";
import { byId, make, save, tell } from "./dom.js";
import { drawFaces } from "./draw.js";
import { timelineOf } from "./timeline.js";
import { dropzone } from "./tabs.js";

export function videoTab(colors) {
  const status = byId("video-status"), player = byId("video-player"), overlay = byId("video-overlay");
  let job = null, aborter = null, frames = [], plots = [];

  async function read(file) {
    await drop();
    byId("video-result").hidden = true;
    byId("video-running").hidden = false;
    byId("video-progress").removeAttribute("value");
    tell(status, `Sending ${file.name} …`);
    aborter = new AbortController();
    try {
      const form = new FormData();
      form.append("video", file, file.name);
      let answer = await (await ask("v1/videos", { method: "POST", body: form, signal: aborter.signal })).json();
      job = answer.id;
      while (["waiting", "running"].includes(answer.state)) {
        tell(status, answer.state === "waiting" ? "Waiting for other videos …" : `Reading ${file.name}: ${answer.read_seconds.toFixed(0)}${answer.total_seconds ? ` of ${answer.total_seconds.toFixed(0)}` : ""} seconds …`);
        if (answer.total_seconds) byId("video-progress").value = answer.read_seconds / answer.total_seconds;
        await new Promise((resolve) => setTimeout(resolve, 400));
        answer = await (await ask(`v1/videos/${job}`, { signal: aborter.signal })).json();
      }
      if (answer.state !== "done") throw new Error(answer.reason ?? `the video is ${answer.state}`);
      await show(file, answer);
    } catch (error) {
      if (error.name !== "AbortError") tell(status, `${file.name}: ${error.message}`, true);
    } finally {
      byId("video-running").hidden = true;
    }
  }

  async function show(file, answer) {
    const table = answer.tables.find((each) => each.includes("rows=frames&format=jsonl"));
    frames = table ? framesOf(await (await ask(table.slice(1))).text()) : [];
    player.src = URL.createObjectURL(file);
    const seconds = Math.max(answer.total_seconds ?? 0, ...answer.persons.map((person) => person.summary.end ?? 0));
    const seek = (time) => { player.currentTime = time; };
    const width = Math.min(720, byId("video").clientWidth);
    const persons = answer.persons.filter((person) => person.summary.track !== null);
    byId("video-persons").replaceChildren(...persons.map(({ summary, timeline }) => make("section", { class: "person", "aria-label": `person ${summary.track}` },
      timelineOf(timeline, seconds, colors(), seek, width),
      cardOf(summary, colors(), `person ${summary.track}, ${summary.start.toFixed(1)} to ${summary.end.toFixed(1)} s, usable for ${summary.usable_seconds.toFixed(1)} s`))));
    plots = [...byId("video-persons").querySelectorAll("[data-plot]")];
    byId("video-tables").replaceChildren(...answer.tables.filter((each) => !each.includes("jsonl")).map((each) => {
      const [, rows, format] = /rows=(\w+)&format=(\w+)/.exec(each);
      const name = { summary: "Table by person", frames: "Table by frame", clips: "Table by clip" }[rows];
      return make("button", { class: "quiet", type: "button", onclick: async () => save(await (await ask(each.slice(1))).blob(), `${rows}.${format}`) }, `${name} (${format === "csv" ? "CSV" : "Parquet"})`);
    }));
    byId("video").classList.add("used");
    byId("video-result").hidden = false;
    tell(status, persons.length ? `${persons.length} ${persons.length === 1 ? "person" : "persons"} in ${file.name}.${answer.reason ? ` ${answer.reason}` : ""}` : `${file.name}: ${answer.reason ?? "no face"}`);
    draw();
  }

  function draw() {
    overlay.width = player.clientWidth * devicePixelRatio;
    overlay.height = player.clientHeight * devicePixelRatio;
    const time = player.currentTime;
    for (const plot of plots) plot.show(time);
    if (!player.videoWidth) return;
    // The frames that were read hold until the next one.
    let low = 0, high = frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (frames[middle].time <= time + 1e-3) low = middle + 1;
      else high = middle;
    }
    const frame = frames[low - 1];
    if (frame) drawFaces(overlay, frame.rows, colors(), { scale: overlay.width / player.videoWidth, names: (row) => row.track });
  }

  async function drop() {
    aborter?.abort();
    const id = job;
    job = null;
    if (id) await ask(`v1/videos/${id}`, { method: "DELETE" }).catch(() => null);
  }

  const loop = () => {
    draw();
    if (!player.paused && !player.ended) requestAnimationFrame(loop);
  };
  player.addEventListener("play", loop);
  for (const kind of ["seeked", "loadeddata", "pause"]) player.addEventListener(kind, draw);
  addEventListener("resize", () => byId("video-result").hidden || draw());
  byId("video-cancel").addEventListener("click", async () => {
    await drop();
    tell(status, "Cancelled.");
  });
  // A page that is closed leaves nothing behind.
  addEventListener("pagehide", () => {
    if (!job) return;
    const token = sessionStorage.getItem("token");
    fetch(`v1/videos/${job}`, { method: "DELETE", keepalive: true, headers: token ? { authorization: `Bearer ${token}` } : {} });
  });
  dropzone(byId("video-drop"), byId("video-file"), ([file]) => read(file));
  return () => player.pause();
}

function framesOf(text) {
  const frames = [];
  for (const line of text.split("\n")) {
    if (!line) continue;
    const row = JSON.parse(line);
    if (row.frame === null) continue;
    if (frames.at(-1)?.frame !== row.frame) frames.push({ frame: row.frame, time: row.time, rows: [] });
    if (row.box) frames.at(-1).rows.push(row);
  }
  return frames;
}
