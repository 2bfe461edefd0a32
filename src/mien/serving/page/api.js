// Requests to the server that this page came from, with its token, and problems as sentences.

export class Problem extends Error {
  constructor(status, detail, wait) {
    super(sentence(detail));
    this.status = status;
    this.wait = wait;
  }
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the server cannot be reached; is it still running?");
  }
  if (response.status === 401 && (await askForToken())) return ask(path, options);
  if (response.ok) return response;
  let detail = `the server has answered ${response.status}`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch { /* not from this server */ }
  throw new Problem(response.status, detail, Number(response.headers.get("retry-after")) || 0);
}

let asking = null;

function askForToken() {
  const dialog = document.getElementById("token");
  if (!dialog) return false;
  asking ??= new Promise((resolve) => {
    const field = document.getElementById("token-value");
    field.value = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      sessionStorage.setItem("token", field.value);
      resolve(dialog.returnValue === "ok" && field.value !== "");
    }, { once: true });
  });
  return asking;
}
