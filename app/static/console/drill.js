// Faults on demand: start one, watch it run out, end it.

const $ = (id) => document.getElementById(id);
const ADDRESS = "/api/v1/demo/faults";

// When the fault in force ends, on the clock of performance.now(); 0 when there is none.
let ends = 0;

export function start(api, format) {
  $("fault").addEventListener("submit", (event) => {
    event.preventDefault();
    const fault = {
      error_rate: Number($("error-rate").value) / 100,
      latency_ms: Number($("latency-ms").value),
      route: $("fault-route").value,
      duration_seconds: Number($("duration").value),
    };
    act(api, format, "POST", JSON.stringify(fault), "The drill has started.");
  });
  $("fault-end").addEventListener("click", () => {
    act(api, format, "DELETE", undefined, "The drill has ended.");
  });
  setInterval(() => tick(format), 250);
  setInterval(() => { if (!document.hidden) refresh(api, format); }, 4000);
  refresh(api, format);
}

async function act(api, format, method, body, done) {
  try {
    const { response, text } = await api.send(method, ADDRESS, body);
    $("fault-said").textContent = response.ok ? done : api.problem(text);
    if (response.ok) await refresh(api, format);
  } catch {
    $("fault-said").textContent = "The service does not answer.";
  }
}

async function refresh(api, format) {
  const asked = performance.now();
  let state;
  try {
    state = await api.read(ADDRESS);
  } catch {
    return; // the live part says what is wrong
  }
  if (!state.active) return over();
  const left = state.remaining_seconds * 1000;
  if (!ends) $("fault-progress").max = left;
  $("fault-progress").max = Math.max($("fault-progress").max, left);
  ends = asked + left;
  $("fault-what").textContent = described(format, state);
  $("fault-running").hidden = false;
  tick(format);
}

function described(format, { error_rate: errors, latency_ms: latency, route }) {
  const parts = [];
  if (errors) parts.push(`${format.percent(errors)} errors`);
  if (latency) parts.push(`${format.milliseconds(latency)} more latency`);
  return `${parts.join(" and ") || "Nothing added"} on ${route}`;
}

function tick(format) {
  if (!ends) return;
  const left = ends - performance.now();
  if (left <= 0) {
    over();
    $("fault-said").textContent = "The drill has ended.";
    return;
  }
  $("fault-left").textContent = `${format.clock(left / 1000)} left`;
  $("fault-progress").value = left;
}

function over() {
  ends = 0;
  $("fault-running").hidden = true;
}
