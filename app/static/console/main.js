// The console. The page works without it as a plain status page; this is the one place that
// knows all parts. They are imported by the version in this file's own address, so that a
// browser never mixes files of two versions.
const version = new URL(import.meta.url).search;
const part = (name) => import(`./${name}.js${version}`);

const [api, format, { Chart }, live, trial, drill, traffic] = await Promise.all(
  ["api", "format", "chart", "live", "trial", "drill", "traffic"].map(part),
);

const console_ = document.getElementById("console");
console_.hidden = false;
document.getElementById("plain").hidden = true;
document.getElementById("token")?.addEventListener("input", (event) => {
  api.useToken(event.target.value.trim());
});

trial.start(api, format, { tokens: console_.dataset.tokens === "true" });
if (document.getElementById("fault")) {
  drill.start(api, format);
  traffic.start(api);
}
live.start(api, format, Chart);
