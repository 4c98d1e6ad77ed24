// Something to see: some requests a second for a minute, from this browser.
const { $, send } = await import(`./page.js${new URL(import.meta.url).search}`);

const SECONDS = 60;
const PER_SECOND = 8;
const LIST = "/api/v1/items?limit=5";
const PATHS = [LIST, "/api/v1/info", LIST, "/api/v1/demo/delay/0.02", LIST, "/api/v1/session"];

let timer = 0;
let number = 0;

$("traffic").addEventListener("click", () => {
  if (timer) return stop();
  number = 0;
  timer = setInterval(request, 1000 / PER_SECOND);
  return request();
});

function request() {
  if (number >= SECONDS * PER_SECOND || document.hidden) return stop();
  send("GET", PATHS[number % PATHS.length]).catch(() => {}); // the charts show what comes of it
  number += 1;
  return show(`Stop traffic (${Math.ceil(SECONDS - number / PER_SECOND)} s left)`);
}

function stop() {
  clearInterval(timer);
  timer = 0;
  show("Send traffic");
}

function show(text) {
  $("traffic").textContent = text;
  $("traffic").classList.toggle("on", timer);
}
