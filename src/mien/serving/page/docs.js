// The OpenAPI document as a page, without anybody else's scripts.

import { byId, make } from "./dom.js";

const api = await (await fetch("openapi.json")).json();
byId("about").textContent = api.info.description.trim();

for (const [path, operations] of Object.entries(api.paths)) {
  for (const [verb, operation] of Object.entries(operations)) byId("main").append(sectionOf(path, verb, operation));
}

function sectionOf(path, verb, operation) {
  return make("section", {},
    make("h2", {}, make("span", { class: "verb" }, verb.toUpperCase()), path),
    operation.description.split("\n\n").map((text) => make("p", {}, text)),
    tableOf("Parameters", (operation.parameters ?? []).map((each) => [each.name, [each.description, kindOf(each.schema)].filter(Boolean).join(" ")])),
    tableOf("Body", Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) => [type, schema.properties ? `files in the field ${Object.keys(schema.properties).join(", ")}` : "the file itself"])),
    exampleOf(path, verb, operation),
    tableOf("Answers", Object.entries(operation.responses).map(([status, response]) => [status, [response.description.replace("Successful Response", "Done."), ...Object.values(response.content ?? {}).map(({ schema }) => fieldsOf(schema))].filter(Boolean).join(" ")])));
}

function tableOf(title, rows) {
  return rows.length ? [make("h3", {}, title), make("table", {}, rows.map(([name, text]) => make("tr", {}, make("td", {}, name), make("td", {}, text))))] : [];
}

function kindOf(schema) {
  const kind = schema.enum ? schema.enum.join(", ") : schema.type;
  return `(${kind}${schema.default === undefined ? "" : `; default ${schema.default}`})`;
}

function fieldsOf(schema) {
  const name = schema?.$ref?.split("/").pop();
  if (!name || name === "ProblemAnswer") return "";
  return `Fields: ${Object.keys(api.components.schemas[name].properties).join(", ")}.`;
}

function exampleOf(path, verb, operation) {
  const url = `${location.origin}${path.replace("{identity}", "ID")}`;
  const field = Object.keys(operation.requestBody?.content?.["multipart/form-data"]?.schema?.properties ?? {})[0];
  const file = { image: "photo.jpg", video: "interview.mp4" }[field];
  const token = operation.security ? ' -H "Authorization: Bearer $MIEN_TOKEN"' : "";
  return make("pre", {}, make("code", {}, `curl${token}${field ? ` -F ${field}=@${file}` : verb === "get" ? "" : ` -X ${verb.toUpperCase()}`} ${url}`));
}
