// The try-it panel: a request, the same as a curl line, and the answer.
const version = new URL(import.meta.url).search;
const { $, filled, send } = await import(`./page.js${version}`);
const { milliseconds } = await import(`./format.js${version}`);

const LONGEST = 20_000;
const CACHE = "/api/v1/cache/{}";
const ITEM = "/api/v1/items/{}";
// What was last in the field for the key or the ID, by the resource it is part of.
const names = { [CACHE]: "greeting", [ITEM]: "" };

// Choosing is an `input` too, but one that comes before the fields are those of the choice.
$("request").addEventListener("change", choose);
$("try").addEventListener("input", showCurl);
$("name").addEventListener("input", () => { names[composed().resource] = $("name").value.trim(); });
$("try").addEventListener("submit", (event) => {
  event.preventDefault();
  answer();
});
$("copy").addEventListener("click", copy);
choose();

// The request in the form; its option says `METHOD path`, and which body it begins with.
function composed() {
  const option = $("request").selectedOptions[0];
  const [method, template] = option.value.split(" ");
  const path = template.replace("{}", encodeURIComponent($("name").value.trim()));
  const body = "body" in option.dataset ? $("body").value : undefined;
  return { option, method, path, body, resource: template.split("?")[0] };
}

function choose() {
  const { option, body, resource } = composed();
  $("name-field").hidden = !(resource in names);
  $("name-label").textContent = resource === CACHE ? "Key" : "Item ID";
  $("name").required = resource in names;
  $("name").value = names[resource] ?? "";
  $("body-field").hidden = body === undefined;
  $("body").value = option.dataset.body ?? "";
  showCurl();
}

function showCurl() {
  const { method, path, body } = composed();
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl -i"];
  if (method !== "GET") parts.push(`-X ${method}`);
  if ($("token") && method !== "GET") parts.push('-H "Authorization: Bearer $API_TOKEN"');
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(body)}`);
  $("curl").textContent = [...parts, quoted(location.origin + path)].join(" ");
}

async function answer() {
  const { method, path, body } = composed();
  $("answer-status").textContent = "Waiting…";
  let received = null;
  try {
    received = await send(method, path, body);
    show(received);
  } catch (error) {
    $("answer-status").textContent = `No answer: ${error.message}`;
  }
  $("answer-headers").hidden = !received;
  $("answer-body").hidden = !received?.text;
  // The item just created is the one to read next.
  if (received?.response.status === 201 && path === "/api/v1/items") {
    names[ITEM] = JSON.parse(received.text).id;
  }
}

function show({ response, text, milliseconds: time }) {
  const cached = ["X-Cache", "X-Cache-TTL"].filter((name) => response.headers.has(name));
  const code = filled("chip", `${response.status} ${response.statusText}`.trim());
  code.firstElementChild.classList.add(response.ok ? "good" : "bad");
  const others = [milliseconds(time), ...cached.map((name) => `${name}: ${response.headers.get(name)}`)];
  $("answer-status").replaceChildren(code, ...others.map((chip) => filled("chip", chip)));
  // Without a traceparent, the ID of a request's trace is that of the request.
  for (const link of document.querySelectorAll("#answer-links a")) {
    link.href = link.dataset.address.replace("TRACE_ID", response.headers.get("X-Request-ID"));
    link.parentElement.hidden = false;
  }
  const rows = [...response.headers].map((header) => filled("header", ...header));
  $("answer-headers").querySelector("dl").replaceChildren(...rows);
  $("answer-body").textContent = pretty(text).slice(0, LONGEST);
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
