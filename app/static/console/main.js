// The console; without it the page is a plain status page. Its parts are imported by the version
// in this file's own address, so that a browser never mixes files of two versions.
const version = new URL(import.meta.url).search;
const parts = ["live", "trial", ...(document.getElementById("fault") ? ["drill"] : [])];

await Promise.all(parts.map((name) => import(`./${name}.js${version}`)));
document.getElementById("console").hidden = false;
document.getElementById("plain").hidden = true;
