// What one person of a video shows over time: shares as a stacked area, valence and arousal as lines.

import { make, svg } from "./dom.js";

const LEFT = 34, RIGHT = 8, TOP = 6, BOTTOM = 20;

export function timelineOf(line, seconds, colors, seek, width) {
  const plots = [];
  if (line.probabilities) plots.push(figure("Probabilities over time", width, 150, seconds, seek, (x, y) => areas(line, x, y, colors), [[0, "0 %"], [1, "100 %"]], [0, 1], legend(Object.keys(line.probabilities), colors)));
  if (line.valence) plots.push(figure("Valence and arousal over time", width, 120, seconds, seek, (x, y) => [["valence", "#3fa4dc"], ["arousal", "#d99100"]].map(([name, color]) => path(line, line[name], x, y, color)), [[-1, "\u22121"], [0, "0"], [1, "+1"]], [-1, 1], legend(["valence", "arousal"], { valence: "#3fa4dc", arousal: "#d99100" })));
  return make("div", {}, plots);
}

function figure(title, width, height, seconds, seek, draw, ticks, [low, high], key) {
  const x = (time) => LEFT + (width - LEFT - RIGHT) * time / (seconds || 1);
  const y = (value) => TOP + (height - TOP - BOTTOM) * (high - value) / (high - low);
  const now = svg("line", { class: "now", y1: TOP, y2: height - BOTTOM, x1: x(0), x2: x(0) });
  const plot = svg("svg", { class: "line", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    ticks.map(([value, text]) => [svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }), svg("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, text.replace(" %", ""))]),
    draw(x, y),
    times(seconds, width / 80).map((time) => svg("text", { x: x(time), y: height - 5, "text-anchor": "middle" }, `${time} s`)), now);
  plot.addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    seek(Math.max(0, Math.min(seconds, (at - LEFT) * seconds / (width - LEFT - RIGHT))));
  });
  const element = make("figure", {}, make("figcaption", {}, title), plot, key);
  element.dataset.plot = "";
  element.show = (time) => { now.setAttribute("x1", x(time)); now.setAttribute("x2", x(time)); };
  return element;
}

function areas(line, x, y, colors) {
  const names = Object.keys(line.probabilities);
  return runs(line).map(([first, last]) => {
    let below = new Array(last - first).fill(0);
    return names.map((name) => {
      const above = below.map((value, index) => value + line.probabilities[name][first + index]);
      const edge = (values) => values.flatMap((value, index) => [[x(line.start[first + index]), y(value)], [x(line.end[first + index]), y(value)]]);
      const outline = [...edge(above), ...edge(below).reverse()];
      below = above;
      return svg("path", { class: "area", d: `M${points(outline)}Z`, fill: colors[name] ?? "#888" }, svg("title", {}, name));
    });
  });
}

const path = (line, values, x, y, color) => runs(line).map(([first, last]) =>
  svg("path", { d: `M${points(values.slice(first, last).map((value, index) => [x((line.start[first + index] + line.end[first + index]) / 2), y(value)]))}`, fill: "none", stroke: color, "stroke-width": 2, "stroke-linejoin": "round" }));

const points = (list) => list.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join("L");

// Steps that follow each other without a gap.
function runs(line) {
  const parts = [];
  let first = 0;
  for (let index = 1; index <= line.start.length; index++) {
    if (index === line.start.length || line.start[index] > line.end[index - 1] + 1e-3) {
      parts.push([first, index]);
      first = index;
    }
  }
  return parts.filter(([from, to]) => to > from);
}

function times(seconds, most) {
  const step = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => seconds / each <= most) ?? 1200;
  return Array.from({ length: Math.floor(seconds / step + 1e-6) + 1 }, (_, index) => index * step).filter((time) => time <= seconds * 0.97);
}

const legend = (names, colors) => make("ul", { class: "legend" }, names.map((name) =>
  make("li", {}, svg("svg", { viewBox: "0 0 8 8", "aria-hidden": "true" }, svg("rect", { width: 8, height: 8, rx: 2, fill: colors[name] ?? "#888" })), name)));
