// Requests to the service this page came from.

let token = "";

export const counted = { sent: 0 };

// The token stays in this variable: in no storage, in no address, in no curl line.
export function useToken(value) {
  token = value;
}

// Any answer is an answer; only silence throws.
export async function send(method, path, body, { seconds = 30 } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token && method !== "GET") headers.Authorization = `Bearer ${token}`;
  counted.sent += 1;
  const started = performance.now();
  const response = await fetch(path, {
    method, headers, body, signal: AbortSignal.timeout(seconds * 1000),
  });
  const text = await response.text();
  return { response, text, milliseconds: performance.now() - started };
}

// The JSON at `path`; an error answer throws what its problem document says.
export async function read(path, { also = [] } = {}) {
  const { response, text } = await send("GET", path, undefined, { seconds: 12 });
  if (response.ok || also.includes(response.status)) return JSON.parse(text);
  throw new Refused(response.status, problem(text));
}

export class Refused extends Error {
  constructor(status, detail) {
    super(`${status}: ${detail}`);
    this.status = status;
  }
}

export function problem(text) {
  try {
    const { title, detail } = JSON.parse(text);
    return detail || title || "no reason given";
  } catch {
    return "no reason given";
  }
}
