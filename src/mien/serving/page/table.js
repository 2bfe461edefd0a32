// Rows as CSV, with the columns and cells that `mien predict --out` writes.

export function csvOf(rows) {
  const columns = Object.keys(rows[0] ?? {}).filter((name) => name !== "neighbors");
  const lines = [columns, ...rows.map((row) => columns.map((name) => cell(name, row[name])))];
  return new Blob([lines.map((line) => line.map(quoted).join(",") + "\r\n").join("")], { type: "text/csv" });
}

function cell(name, value) {
  if (value === null || value === undefined) return "";
  if (name === "box") return Object.values(value).map((side) => side.toFixed(1)).join(" ");
  if (typeof value === "object") return JSON.stringify(value);
  return typeof value === "string" ? harmless(value, name === "source") : String(value);
}

// A spreadsheet must not run a text as a formula.
const harmless = (text, isPath) => (/^[=+\-@\t\r]/.test(text) ? (isPath ? "./" : "'") + text : text);

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
