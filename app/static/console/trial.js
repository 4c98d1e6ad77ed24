// The try-it panel: a request, the same as a curl line, and the answer.

const $ = (id) => document.getElementById(id);
const LONGEST = 20_000;

const CACHE = "/api/v1/cache/{}";
const ITEM = "/api/v1/items/{}";
const ENTRY = '{"hello": "world"}';
const REQUESTS = {
  Cache: [
    ["Store a value for a minute", "PUT", `${CACHE}?ttl=60`, ENTRY],
    ["Read it", "GET", CACHE],
    ["Delete it", "DELETE", CACHE],
    ["How the cache does", "GET", "/api/v1/cache"],
  ],
  Items: [
    ["List items", "GET", "/api/v1/items?limit=5"],
    ["Create an item", "POST", "/api/v1/items", '{"name": "Tea", "quantity": 2}'],
    ["Read an item", "GET", ITEM],
    ["Change an item", "PATCH", ITEM, '{"quantity": 3}'],
    ["Delete an item", "DELETE", ITEM],
  ],
};
const ALL = Object.values(REQUESTS).flat();
const names = { [CACHE]: "greeting", [ITEM]: "" };

export function start(api, format, { tokens }) {
  for (const [group, requests] of Object.entries(REQUESTS)) {
    const element = document.createElement("optgroup");
    element.label = group;
    element.append(...requests.map(([label, method, path]) => (
      new Option(`${label} – ${method} ${path.replace("{}", "…")}`, path + method)
    )));
    $("request").append(element);
  }
  const showCurl = () => { $("curl").textContent = curl(tokens); };
  // Choosing is an `input` too, but one that comes before the fields are those of the choice.
  $("request").addEventListener("change", () => { choose(); showCurl(); });
  $("try").addEventListener("input", showCurl);
  $("try").addEventListener("submit", (event) => {
    event.preventDefault();
    answer(api, format);
  });
  $("copy").addEventListener("click", copy);
  $("name").addEventListener("input", () => {
    names[resource(chosen()[2])] = $("name").value.trim();
  });
  choose();
  showCurl();
}

const chosen = () => ALL[$("request").selectedIndex];
const resource = (path) => path.split("?")[0];

function choose() {
  const [, , path, body] = chosen();
  const kind = resource(path);
  $("name-field").hidden = !path.includes("{}");
  $("name-field").querySelector("label").textContent = kind === CACHE ? "Key" : "Item ID";
  $("name").required = path.includes("{}");
  $("name").value = names[kind] ?? "";
  $("body-field").hidden = body === undefined;
  $("body").value = body ?? "";
}

function composed() {
  const [, method, path, body] = chosen();
  const named = path.replace("{}", encodeURIComponent($("name").value.trim()));
  return { method, path: named, body: body === undefined ? undefined : $("body").value };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(tokens) {
  const { method, path, body } = composed();
  const parts = ["curl -i"];
  if (method !== "GET") parts.push(`-X ${method}`);
  if (tokens && method !== "GET") parts.push('-H "Authorization: Bearer $API_TOKEN"');
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(body)}`);
  return [...parts, quoted(location.origin + path)].join(" ");
}

async function answer(api, format) {
  const { method, path, body } = composed();
  $("answer-status").textContent = "Waiting…";
  try {
    const { response, text, milliseconds } = await api.send(method, path, body);
    remember(path, response, text);
    status(response, format.milliseconds(milliseconds));
    headers(response.headers);
    $("answer-body").textContent = pretty(text).slice(0, LONGEST);
    $("answer-body").hidden = text === "";
  } catch (error) {
    $("answer-status").textContent = `No answer: ${error.message}`;
    $("answer-headers").hidden = true;
    $("answer-body").hidden = true;
  }
}

// The item just created is the one to read next.
function remember(path, response, text) {
  if (response.status === 201 && path === "/api/v1/items") names[ITEM] = JSON.parse(text).id;
}

function status(response, time) {
  const chips = [
    [`${response.status} ${response.statusText}`.trim(), response.ok ? "good" : "bad"],
    [time, ""],
  ];
  for (const name of ["X-Cache", "X-Cache-TTL"]) {
    if (response.headers.has(name)) chips.push([`${name}: ${response.headers.get(name)}`, ""]);
  }
  $("answer-status").replaceChildren(...chips.flatMap(([text, kind]) => {
    const chip = document.createElement("span");
    chip.className = `chip ${kind}`;
    chip.textContent = text;
    return [chip, " "];
  }));
}

function headers(all) {
  const rows = [...all].map(([name, value]) => {
    const row = document.createElement("div");
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    meaning.textContent = value;
    row.append(term, meaning);
    return row;
  });
  $("answer-headers").querySelector("dl").replaceChildren(...rows);
  $("answer-headers").hidden = false;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function copy() {
  // Only where the browser allows it: over HTTPS or on this machine.
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("curl"));
    $("copy").textContent = "Selected";
  }
  setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
}
