// Model terms and cards, as the page tells them.

import { make } from "./dom.js";
import { markdown } from "./markdown.js";

export function aboutModel(model) {
  return make("details", { open: false },
    make("summary", {}, "The model ", make("b", {}, model.name), " and its terms"),
    make("p", { class: "terms" }, model.license_terms || "It states no license terms."),
    make("p", { class: "terms" }, "May it be used commercially? ", make("b", {}, model.commercial_use), "."),
    model.card ? markdown(model.card) : null);
}

export function headline(models) {
  return models.map((model) => make("span", {}, "model ", make("b", {}, model.name), `: ${Object.keys(model.heads).join(", ").replaceAll("_", " ")} `));
}
