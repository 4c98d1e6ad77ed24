// How the service does, asked for every two seconds while anybody looks.
const version = new URL(import.meta.url).search;
const { $, filled, read } = await import(`./page.js${version}`);
const format = await import(`./format.js${version}`);
const { Chart } = await import(`./chart.js${version}`);

const PERIOD = 2000;
const charts = {
  requests: new Chart("requests", { format: format.rate, most: 1 }),
  errors: new Chart("errors", { format: format.percent, most: 0.01 }),
  latency: new Chart("latency", { lines: 3, format: format.milliseconds, most: 5 }),
  cache: new Chart("cache", { format: format.percent, most: 1, fixed: true }),
  users: new Chart("users", { format: format.count, most: 1 }),
};
let paused = false;
// The totals that were read last: { at, requests, errors }.
let before = null;

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").classList.toggle("on", paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
});
run();

async function run() {
  for (let round = 0; ; round += 1) {
    if (!paused && !document.hidden) {
      const requests = round % 2 ? [statistics()] : [statistics(), state(), information()];
      const failed = (await Promise.allSettled(requests)).find(({ reason }) => reason);
      say("notice", failed ? trouble(failed.reason) : "");
    }
    await new Promise((done) => { setTimeout(done, PERIOD); });
  }
}

// Writing only what has changed keeps screen readers quiet.
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function trouble({ cause, message }) {
  return cause
    ? `The service answered ${message}`
    : "The service does not answer; trying again every 2 seconds.";
}

async function statistics() {
  const stats = await read("/api/v1/stats").catch((error) => {
    Object.values(charts).forEach((chart) => chart.draw());
    throw error;
  });
  const now = { at: performance.now(), ...stats.total };
  const requests = before ? now.requests - before.requests : -1;
  const known = requests >= 0; // below zero: the store was emptied meanwhile
  const errors = known && requests ? Math.max(0, now.errors - before.errors) / requests : null;
  draw(stats, known ? requests / ((now.at - before.at) / 1000) : null, errors);
  before = now;
}

function draw(stats, rate, errors) {
  const { count, percent, milliseconds } = format;
  const or = (value, write) => (value === null ? "–" : write(value));
  const { cache, users, total, latency_ms: { p50, p95, p99 } } = stats;
  charts.requests.push([rate], or(rate, format.rate), `${count(total.requests)} in all`);
  charts.errors.push(
    [errors], or(errors, percent),
    `${count(stats.errors)} of ${count(stats.requests)} in five minutes`,
  );
  charts.latency.push(
    [p50, p95, p99], [p50, p95, p99].map((v) => or(v, milliseconds)).join(" · "),
    "p50 · p95 · p99 of five minutes",
  );
  charts.cache.push(
    [cache.ratio], or(cache.ratio, percent),
    `${count(cache.hits)} hits, ${count(cache.misses)} misses in five minutes`,
  );
  charts.users.push(
    [users["5m"]], count(users["5m"]),
    `in five minutes; ${count(users["1h"])} in an hour, ${count(users["24h"])} in a day`,
  );
  const busiest = stats.endpoints.sort((a, b) => b.requests - a.requests).slice(0, 5);
  $("endpoints").replaceChildren(...busiest.map((one) => {
    const slowest = or(one.latency_ms.p95, milliseconds);
    return filled("endpoint", one.route, count(one.requests), count(one.errors), slowest);
  }));
}

async function state() {
  const [health, ready] = await Promise.all([
    read("/health", 503), read("/health/ready", 503),
  ]);
  mark($("status"), health.status);
  const readiness = { status: ready.status === "ready" ? "ready" : "not ready" };
  const checks = Object.entries({ ...health.checks, readiness });
  $("checks").replaceChildren(...checks.map(([name, { status, latency_ms: latency }]) => {
    const known = typeof latency === "number";
    const item = filled("check", name, status, known ? format.milliseconds(latency) : "");
    mark(item.children[1], status);
    return item;
  }));
}

function mark(element, status) {
  element.textContent = status;
  element.className = `state ${status.replace(" ", "-")}`;
}

async function information() {
  const { commit, uptime_seconds: uptime, ...found } = await read("/api/v1/info");
  for (const name of ["version", "environment", "instance"]) say(name, found[name]);
  say("commit", commit.slice(0, 12));
  say("uptime", format.duration(uptime));
}
