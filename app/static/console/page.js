// Requests to the service this page came from, and elements of the page.

export const $ = (id) => document.getElementById(id);

// A copy of a template's element with these texts in its children.
export function filled(template, ...texts) {
  const element = $(template).content.firstElementChild.cloneNode(true);
  texts.forEach((text, i) => { element.children[i].textContent = text; });
  return element;
}

// The token stays in its field: in no storage, in no address, in no curl line.
export async function send(method, path, body, seconds = 30) {
  const headers = {};
  const token = $("token")?.value.trim();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token && method !== "GET") headers.Authorization = `Bearer ${token}`;
  const started = performance.now();
  const response = await fetch(path, {
    method, headers, body, signal: AbortSignal.timeout(seconds * 1000),
  });
  const text = await response.text();
  return { response, text, milliseconds: performance.now() - started };
}

// The JSON at `path`; an error answer throws what its problem document says, with the status as cause.
export async function read(path, ...alsoGood) {
  const { response: { ok, status }, text } = await send("GET", path, undefined, 12);
  if (ok || alsoGood.includes(status)) return JSON.parse(text);
  throw new Error(`${status}: ${problem(text)}`, { cause: status });
}

export function problem(text) {
  try {
    const { title, detail } = JSON.parse(text);
    return detail || title || "no reason given";
  } catch {
    return "no reason given";
  }
}
