// How the service does, asked for every two seconds while anybody looks.

const PERIOD = 2000;

const $ = (id) => document.getElementById(id);
const say = (id, text) => {
  // Writing only what has changed keeps screen readers quiet.
  if ($(id).textContent !== text) $(id).textContent = text;
};

export function start(api, format, Chart) {
  const charts = {
    requests: new Chart("requests", { format: format.rate, most: 1 }),
    errors: new Chart("errors", { format: format.percent, most: 0.01 }),
    latency: new Chart("latency", { lines: 3, format: format.milliseconds, most: 5 }),
    cache: new Chart("cache", { format: format.percent, most: 1, fixed: true }),
    users: new Chart("users", { format: format.count, most: 1 }),
  };
  let paused = false;
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").classList.toggle("on", paused);
    $("pause").textContent = paused ? "Go on" : "Pause";
  });
  run(() => !paused && !document.hidden, api, format, charts);
}

async function run(looking, api, format, charts) {
  let before = null;
  for (let round = 0; ; round += 1) {
    const started = performance.now();
    if (looking()) {
      const chores = [statistics(api, format, charts, before)];
      if (round % 2 === 0) chores.push(state(api), information(api, format));
      const [outcome, ...others] = await Promise.allSettled(chores);
      before = outcome.value ?? before;
      say("notice", trouble(outcome, others));
    }
    // The first rate needs two looks: the second comes soon.
    const wait = before?.fresh ? PERIOD / 2 : PERIOD;
    await new Promise((done) => {
      setTimeout(done, Math.max(200, wait - (performance.now() - started)));
    });
  }
}

function trouble(outcome, others) {
  const failed = [outcome, ...others].find((one) => one.status === "rejected");
  if (!failed) return "";
  if (failed.reason.status === undefined) {
    return "The service does not answer; trying again every 2 seconds.";
  }
  return `The service answered ${failed.reason.message}`;
}

async function statistics(api, format, charts, before) {
  const stats = await api.read("/api/v1/stats").catch((error) => {
    for (const chart of Object.values(charts)) chart.draw(Date.now());
    throw error;
  });
  const at = performance.now();
  const seconds = before ? (at - before.at) / 1000 : 0;
  const requests = before ? stats.total.requests - before.requests : -1;
  const known = requests >= 0; // below zero: the store was emptied meanwhile
  const errors = known ? stats.total.errors - before.errors : 0;
  draw(charts, format, stats, {
    rate: known ? requests / seconds : null,
    errors: known && requests > 0 ? Math.max(0, errors) / requests : null,
  });
  endpoints(format, stats.endpoints);
  if (known) {
    const own = (api.counted.sent - before.first.sent) / ((at - before.first.at) / 1000);
    say("own", `Over ${instances(stats)}, every 2 seconds; this page itself asks ${own.toFixed(1)} times a second.`);
  }
  const first = before?.first ?? { at, sent: api.counted.sent };
  return { at, first, fresh: !before, ...stats.total };
}

function instances({ instances: names }) {
  return names.length === 1 ? "one instance" : `${names.length} instances`;
}

function draw(charts, format, stats, { rate, errors }) {
  const or = (value, write) => (value === null ? "–" : write(value));
  const { p50, p95, p99 } = stats.latency_ms;
  charts.requests.push([rate], {
    value: or(rate, format.rate),
    detail: `${format.count(stats.total.requests)} in all`,
  });
  charts.errors.push([errors], {
    value: or(errors, format.percent),
    detail: `${format.count(stats.errors)} of ${format.count(stats.requests)} in five minutes`,
  });
  charts.latency.push([p50, p95, p99], {
    value: [p50, p95, p99].map((v) => or(v, format.milliseconds)).join(" · "),
    detail: "p50 · p95 · p99 of five minutes",
  });
  charts.cache.push([stats.cache.ratio], {
    value: or(stats.cache.ratio, format.percent),
    detail: `${format.count(stats.cache.hits)} hits, ${format.count(stats.cache.misses)} misses in five minutes`,
  });
  charts.users.push([stats.users["5m"]], {
    value: format.count(stats.users["5m"]),
    detail: `in five minutes; ${format.count(stats.users["1h"])} in an hour, ${format.count(stats.users["24h"])} in a day`,
  });
}

function endpoints(format, list) {
  const busiest = [...list].sort((a, b) => b.requests - a.requests).slice(0, 5);
  $("endpoints").replaceChildren(...busiest.map((endpoint) => {
    const row = document.createElement("tr");
    const p95 = endpoint.latency_ms.p95;
    const cells = [
      endpoint.route, format.count(endpoint.requests), format.count(endpoint.errors),
      p95 === null ? "–" : format.milliseconds(p95),
    ];
    row.append(...cells.map((text, column) => cell(text, column === 0 ? "th" : "td")));
    return row;
  }));
}

function cell(text, name) {
  const element = document.createElement(name);
  if (name === "th") element.scope = "row";
  element.textContent = text;
  return element;
}

async function state(api) {
  const [health, ready] = await Promise.all([
    api.read("/health", { also: [503] }), api.read("/health/ready", { also: [503] }),
  ]);
  mark($("status"), health.status);
  const checks = { ...health.checks, readiness: { status: ready.status } };
  if (ready.status !== "ready") checks.readiness.status = "not ready";
  $("checks").replaceChildren(...Object.entries(checks).map(([name, check]) => {
    const item = document.createElement("li");
    const [label, status, latency] = [0, 1, 2].map(() => document.createElement("span"));
    label.textContent = name;
    mark(status, check.status);
    latency.className = "soft";
    if (typeof check.latency_ms === "number") latency.textContent = `${check.latency_ms.toFixed(1)} ms`;
    item.append(label, " ", status, " ", latency);
    return item;
  }));
}

function mark(element, status) {
  element.textContent = status;
  element.className = `state ${status.replace(" ", "-")}`;
}

async function information(api, format) {
  const found = await api.read("/api/v1/info");
  say("version", found.version);
  say("commit", found.commit.slice(0, 12));
  say("environment", found.environment);
  say("instance", found.instance);
  say("uptime", format.duration(found.uptime_seconds));
}
