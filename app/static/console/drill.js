// Faults on demand: start one, watch it run out, end it.
const version = new URL(import.meta.url).search;
const { $, send, read, problem } = await import(`./page.js${version}`);
const { percent, milliseconds } = await import(`./format.js${version}`);

const ADDRESS = "/api/v1/demo/faults";

// When the fault in force ends, on the clock of performance.now(); 0 when there is none.
let ends = 0;

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
setInterval(tick, 250);
setInterval(() => { if (!document.hidden) refresh(); }, 4000);
refresh();

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
  const asked = performance.now();
  const state = await read(ADDRESS).catch(() => null);
  if (!state) return; // the live part says what is wrong
  const left = state.active ? state.remaining_seconds * 1000 : 0;
  if (state.active) {
    const parts = [];
    if (state.error_rate) parts.push(`${percent(state.error_rate)} errors`);
    if (state.latency_ms) parts.push(`${milliseconds(state.latency_ms)} more latency`);
    $("fault-what").textContent = `${parts.join(" and ") || "Nothing added"} on ${state.route}`;
    $("fault-progress").max = ends ? Math.max($("fault-progress").max, left) : left;
    ends = asked + left;
  } else if (ends) {
    ends = asked;
  }
  tick();
}

function tick() {
  if (!ends) return;
  const left = Math.max(0, ends - performance.now());
  $("fault-running").hidden = !left;
  $("fault-left").textContent = `${new Date(left + 999).toISOString().slice(14, 19)} left`;
  $("fault-progress").value = left;
  if (left) return;
  ends = 0;
  $("fault-said").textContent = "The drill has ended.";
}
