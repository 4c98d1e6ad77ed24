// A small line chart of the last minutes, drawn as SVG into a figure of the page.

// How far back it reaches, in minutes: as little as shows all there is.
const SPANS = [1, 2, 4];
const KEPT = 240_000;
// Points further apart than this are not joined: nothing is known of the time between them.
const GAP = 9_000;
const WIDTH = 240;
const HEIGHT = 72;
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  // `format` writes a value; `most` is the top of the scale at least, and at all if `fixed`.
  constructor(id, { lines = 1, format, most, fixed = false }) {
    this.figure = document.getElementById(id);
    this.svg = this.figure.querySelector("svg");
    Object.assign(this, { lines, format, most, fixed, points: [] });
    this.title = this.svg.getAttribute("aria-label");
    this.areas = lines === 1 ? [this.add("path", "area")] : [];
    this.paths = Array.from({ length: lines }, (_, i) => this.add("path", `line line-${i}`));
    this.cursor = this.add("line", "cursor");
    this.svg.addEventListener("pointermove", (event) => this.show(event));
    this.svg.addEventListener("pointerleave", () => this.hide());
    this.hide();
  }

  add(name, kind) {
    const element = document.createElementNS(SVG, name);
    element.setAttribute("class", kind);
    return this.svg.appendChild(element);
  }

  // One value per line; null where there is none.
  push(values, { value, detail }, at = Date.now()) {
    this.points.push({ at, values });
    this.points = this.points.filter((point) => point.at > at - KEPT - GAP);
    this.say(value, detail);
    this.draw(at);
  }

  say(value, detail) {
    this.figure.querySelector(".value").textContent = value;
    this.figure.querySelector(".detail").textContent = detail;
    this.svg.setAttribute("aria-label", `${this.title}; now ${value}`);
  }

  draw(now) {
    this.now = now;
    const age = (now - (this.points[0]?.at ?? now)) / 60_000;
    const minutes = SPANS.find((span) => span >= age) ?? SPANS.at(-1);
    this.span = minutes * 60_000;
    this.figure.querySelector(".since").textContent = `${minutes} min ago`;
    const known = this.points.flatMap((point) => point.values).filter((v) => v !== null);
    this.top = this.fixed ? this.most : round(Math.max(this.most, ...known.map((v) => v * 1.05)));
    this.figure.querySelector(".top").textContent = this.format(this.top);
    this.paths.forEach((path, line) => path.setAttribute("d", this.path(line, false)));
    this.areas.forEach((path, line) => path.setAttribute("d", this.path(line, true)));
  }

  path(line, closed) {
    return this.runs(line).map((run) => {
      const steps = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
      // A point alone would be invisible without a length.
      const drawn = `M${steps.join("L")}${run.length === 1 ? "h0.01" : ""}`;
      return closed ? `${drawn}V${HEIGHT}H${run[0][0].toFixed(1)}Z` : drawn;
    }).join("");
  }

  // Stretches without a gap.
  runs(line) {
    const runs = [];
    let before = null;
    for (const point of this.points) {
      if (point.values[line] === null) {
        before = null;
        continue;
      }
      if (before === null || point.at - before > GAP) runs.push([]);
      runs.at(-1).push([this.x(point.at), this.y(point.values[line])]);
      before = point.at;
    }
    return runs;
  }

  x(at) {
    return (1 - (this.now - at) / this.span) * WIDTH;
  }

  y(value) {
    return HEIGHT - 1 - (Math.min(value, this.top) / this.top) * (HEIGHT - 3);
  }

  show(event) {
    if (!this.points.length) return;
    const box = this.svg.getBoundingClientRect();
    const at = this.now - (1 - (event.clientX - box.left) / box.width) * this.span;
    const distance = (point) => Math.abs(point.at - at);
    const nearest = this.points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    const x = this.x(nearest.at).toFixed(1);
    Object.entries({ x1: x, x2: x, y1: 0, y2: HEIGHT }).forEach(([name, value]) => {
      this.cursor.setAttribute(name, value);
    });
    this.cursor.removeAttribute("display");
    const time = new Date(nearest.at).toLocaleTimeString("en-GB");
    const values = nearest.values.map((v) => (v === null ? "–" : this.format(v)));
    this.figure.querySelector(".readout").textContent = `${time}  ${values.join(" · ")}`;
  }

  hide() {
    this.cursor.setAttribute("display", "none");
    this.figure.querySelector(".readout").textContent = "";
  }
}

// The next of 1, 2, 5, 10, 20, …, so that the scale does not twitch.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}
