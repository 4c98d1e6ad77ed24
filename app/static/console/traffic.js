// Something to see: some requests a second for a minute, from this browser.

const SECONDS = 60;
const PER_SECOND = 8;
const PATHS = [
  "/api/v1/items?limit=5", "/api/v1/items?limit=5", "/api/v1/info", "/api/v1/items?limit=5",
  "/api/v1/demo/delay/0.02", "/api/v1/items?limit=5", "/api/v1/session", "/api/v1/items?limit=10",
];

export function start(api) {
  const button = document.getElementById("traffic");
  let timer = null;
  let number = 0;

  function stop() {
    clearInterval(timer);
    timer = null;
    button.classList.remove("on");
    button.textContent = "Send traffic";
  }

  function one() {
    if (number >= SECONDS * PER_SECOND || document.hidden) return stop();
    // What comes of it is in the charts.
    api.send("GET", PATHS[number % PATHS.length]).catch(() => {});
    number += 1;
    const left = Math.ceil(SECONDS - number / PER_SECOND);
    button.textContent = `Stop traffic (${left} s left)`;
    return undefined;
  }

  button.addEventListener("click", () => {
    if (timer) {
      stop();
      return;
    }
    number = 0;
    button.classList.add("on");
    timer = setInterval(one, 1000 / PER_SECOND);
    one();
  });
}
