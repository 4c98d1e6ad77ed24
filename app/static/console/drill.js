// Faults on demand: start one, watch it run out, end it.
const version = new URL(import.meta.url).search;
const { $, send, read, problem } = await import(`./page.js${version}`);
const { percent, milliseconds } = await import(`./format.js${version}`);

const ADDRESS = "/api/v1/demo/faults";

let running = false;

$("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  const fault = {
    error_rate: $("error-rate").valueAsNumber / 100,
    latency_ms: $("latency-ms").valueAsNumber,
    route: $("fault-route").value,
    duration_seconds: Number($("duration").value),
  };
  act("POST", JSON.stringify(fault), "The drill has started.");
});
$("fault-end").addEventListener("click", () => act("DELETE", undefined, "The drill has ended."));
watch();

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, running ? 1000 : 4000);
}

async function act(method, body, done) {
  try {
    const { response, text } = await send(method, ADDRESS, body);
    if (response.ok) await refresh();
    $("fault-said").textContent = response.ok ? done : problem(text);
  } catch {
    $("fault-said").textContent = "The service does not answer.";
  }
}

async function refresh() {
  const state = await read(ADDRESS).catch(() => null);
  if (!state) return; // the live part says what is wrong
  if (running && !state.active) $("fault-said").textContent = "The drill has ended.";
  running = state.active;
  $("fault-running").hidden = !running;
  const parts = [];
  if (state.error_rate) parts.push(`${percent(state.error_rate)} errors`);
  if (state.latency_ms) parts.push(`${milliseconds(state.latency_ms)} more latency`);
  $("fault-what").textContent = `${parts.join(" and ") || "Nothing added"} on ${state.route}`;
  const left = new Date(Math.ceil(state.remaining_seconds) * 1000).toISOString();
  $("fault-left").textContent = `${left.slice(14, 19)} left`;
}
