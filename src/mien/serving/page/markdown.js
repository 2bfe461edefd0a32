// The few things that a model's card is written with: headings, paragraphs, lists, tables.

import { make } from "./dom.js";

export function markdown(text) {
  const out = make("div", { class: "md" });
  for (const block of text.split(/\n\s*\n/)) {
    const lines = block.trim().split("\n");
    if (!lines[0]) continue;
    const heading = /^#{1,6} (.*)/.exec(lines[0]);
    if (heading) {
      out.append(make("h3", {}, heading[1]));
      lines.shift();
    }
    if (!lines.length) continue;
    if (lines[0].startsWith("|")) {
      const rows = lines.filter((line) => line.startsWith("|") && !/^[|\s:-]+$/.test(line));
      out.append(make("div", { class: "wide" }, make("table", {}, rows.map((row) =>
        make("tr", {}, row.replace(/^\||\|$/g, "").split("|").map((each) => make("td", {}, inline(each))))))));
    } else if (/^[-*] /.test(lines[0])) {
      const items = lines.join("\n").split(/\n(?=[-*] )/).map((item) => item.slice(2).replace(/\s*\n\s*/g, " "));
      out.append(make("ul", {}, items.map((item) => make("li", {}, inline(item)))));
    } else out.append(make("p", {}, inline(lines.join(" "))));
  }
  return out;
}

const inline = (text) => text.trim().split(/(`[^`]+`)/).map((part) => (/^`.*`$/.test(part) ? make("code", {}, part.slice(1, -1)) : part.replaceAll("**", "")));
