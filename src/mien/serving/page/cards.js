// The card of one face or person: what the heads say, as in mien's drawings.

import { make, svg } from "./dom.js";

const MOST_BARS = 8;

export const GRAY = "#9aa1ab";

// Rounded to 100 % a probability would claim a certainty that the model never has.
export const percent = (share) => (share >= 0.995 && share < 1 ? ">99 %" : `${Math.round(100 * share)} %`);

const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);

export const toneOf = (row, colors) => (row.status === "ok" && colors[row.expression]) || (row.status === "ok" ? "#ffffff" : GRAY);

export function titleOf(row) {
  if (row.expression) return row.expression;
  if (row.severity !== null && row.severity !== undefined) return `${row.severity.toFixed(1)} points`;
  return row.status === "ok" ? "face" : row.status;
}

export function cardOf(row, colors, which) {
  const title = row.status === "ok" ? titleOf(row) : row.status;
  const value = row.status === "ok" && row.confidence ? percent(row.confidence) : "";
  const card = make("article", { class: "card" },
    make("h3", {}, make("span", { class: "name" }, title), make("span", {}, value)),
    make("p", { class: "which" }, which));
  card.style.setProperty("--tone", toneOf(row, colors));
  if (row.reason) card.append(make("p", { class: "why" }, row.reason));
  if (row.probabilities) card.append(barsOf(row.probabilities, colors, true, percent));
  if (row.valence !== null && row.valence !== undefined) card.append(affectOf(row, colors));
  if (row.severity !== null && row.severity !== undefined) card.append(severityOf(row));
  for (const [name, shares] of otherShares(row)) {
    const many = Object.keys(shares).length > MOST_BARS;
    // Intensities are no shares of anything.
    const text = (share) => share.toFixed(2);
    card.append(make("h4", {}, `${name}, ${many ? "the strongest, " : ""}0 to 1`), barsOf(shares, colors, many, text));
  }
  if (row.neighbors?.length) card.append(make("h4", {}, "Nearest faces of the index"), neighborsOf(row.neighbors));
  return card;
}

// What the model takes for alike, with the labels of these faces.
function neighborsOf(neighbors) {
  return make("ol", { class: "neighbors" }, neighbors.map((face) =>
    make("li", { title: face.similarity.toFixed(3) },
      face.picture ? make("img", { src: face.picture, alt: "" }) : make("span", { class: "gone" }, "no picture"),
      make("span", {}, face.label ?? "no label"))));
}

function otherShares(row) {
  return Object.entries(row)
    .filter(([name, value]) => value && typeof value === "object" && !["box", "probabilities", "neighbors"].includes(name))
    .filter(([, value]) => Object.values(value).every((share) => typeof share === "number" && share >= 0 && share <= 1))
    .map(([name, value]) => [name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase()), value]);
}

function barsOf(shares, colors, ranked, text) {
  const entries = Object.entries(shares);
  if (ranked) entries.sort((a, b) => b[1] - a[1]);
  return make("ul", { class: "bars" }, entries.slice(0, MOST_BARS).map(([name, share]) =>
    make("li", {}, make("span", {}, label(name)),
      svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: (100 * share).toFixed(2), height: 8, fill: colors[name] ?? "#7db4de" })),
      make("span", { class: "share" }, text(share)))));
}

const label = (name) => (/^au\d\d$/.test(name) ? name.toUpperCase() : name);

function affectOf(row, colors) {
  const x = 50 + 44 * row.valence, y = 50 - 44 * row.arousal;
  return make("div", { class: "affect" },
    svg("svg", { viewBox: "0 0 100 100", role: "img", "aria-label": `Valence ${signed(row.valence)}, arousal ${signed(row.arousal)}` },
      svg("circle", { cx: 50, cy: 50, r: 44, fill: "#ffffff10", stroke: "#ffffff66", "stroke-width": 1.2 }),
      svg("path", { d: "M6 50H94M50 6V94", stroke: "#ffffff44", "stroke-width": 1.2 }),
      svg("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 5.5, fill: toneOf(row, colors), stroke: "#000a", "stroke-width": 2 })),
    make("dl", {}, make("dt", {}, "valence"), make("dd", {}, signed(row.valence)), make("dt", {}, "arousal"), make("dd", {}, signed(row.arousal))));
}

function severityOf(row) {
  const known = row.severity_low !== null && row.severity_low !== undefined;
  const interval = known ? ` (${row.severity_low.toFixed(1)} to ${row.severity_high.toFixed(1)})` : "";
  return make("div", {}, make("p", {}, `severity ${row.severity.toFixed(1)}${interval}${row.band ? `, ${row.band}` : ""}`),
    row.use ? make("p", { class: "use" }, row.use) : null);
}
