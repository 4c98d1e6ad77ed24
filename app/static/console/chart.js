// A small line chart of the last minutes, drawn as SVG into a figure of the page.

// How far back it reaches, in minutes: as little as shows all there is.
const SPANS = [1, 2, 4];
// Points further apart than this are not joined: nothing is known of the time between them.
const GAP = 9_000;
const KEPT = SPANS.at(-1) * 60_000 + GAP;
const WIDTH = 240;
const HEIGHT = 72;

export class Chart {
  // `format` writes a value; `most` is the top of the scale at least, and at all if `fixed`.
  constructor(id, { lines = 1, format, most, fixed = false }) {
    this.figure = document.getElementById(id);
    this.svg = this.figure.querySelector("svg");
    Object.assign(this, { format, most, fixed, points: [] });
    this.title = this.svg.getAttribute("aria-label");
    this.area = lines === 1 ? this.add("path", "area") : null;
    this.lines = Array.from({ length: lines }, (_, i) => this.add("path", `line line-${i}`));
    this.cursor = this.add("path", "cursor");
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.read("", ""));
  }

  add(name, kind) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    element.setAttribute("class", kind);
    return this.svg.appendChild(element);
  }

  say(part, text) {
    this.figure.querySelector(`.${part}`).textContent = text;
  }

  // One value per line; null where there is none.
  push(values, value, detail) {
    const at = Date.now();
    this.points.push({ at, values });
    this.points = this.points.filter((point) => point.at > at - KEPT);
    this.say("value", value);
    this.say("detail", detail);
    this.svg.setAttribute("aria-label", `${this.title}; now ${value}`);
    this.draw();
  }

  draw() {
    this.now = Date.now();
    const age = (this.now - (this.points[0]?.at ?? this.now)) / 60_000;
    const minutes = SPANS.find((span) => span >= age) ?? SPANS.at(-1);
    this.span = minutes * 60_000;
    this.say("since", `${minutes} min ago`);
    const known = this.points.flatMap(({ values }) => values);
    this.top = this.fixed ? this.most : round(Math.max(this.most, ...known.map((v) => v * 1.05)));
    this.say("top", this.format(this.top));
    this.lines.forEach((path, line) => {
      const runs = this.runs(line);
      // A point alone would be invisible without a length.
      path.setAttribute("d", runs.map((run) => `M${run.join("L")}h0.01`).join(""));
      const areas = runs.map((run) => `M${run.join("L")}V${HEIGHT}H${run[0].split(" ")[0]}Z`);
      this.area?.setAttribute("d", areas.join(""));
    });
  }

  // A line's stretches without a gap, each a list of coordinates.
  runs(line) {
    const runs = [];
    let before = -Infinity;
    for (const { at, values } of this.points.filter((point) => point.values[line] !== null)) {
      if (at - before > GAP) runs.push([]);
      const y = HEIGHT - 1 - (Math.min(values[line], this.top) / this.top) * (HEIGHT - 3);
      runs.at(-1).push(`${this.x(at)} ${y.toFixed(1)}`);
      before = at;
    }
    return runs;
  }

  x(at) {
    return ((1 - (this.now - at) / this.span) * WIDTH).toFixed(1);
  }

  point({ clientX }) {
    if (!this.points.length) return;
    const { left, width } = this.svg.getBoundingClientRect();
    const at = this.now - (1 - (clientX - left) / width) * this.span;
    const distance = (point) => Math.abs(point.at - at);
    const nearest = this.points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    const time = new Date(nearest.at).toLocaleTimeString("en-GB");
    const values = nearest.values.map((v) => (v === null ? "–" : this.format(v)));
    this.read(`M${this.x(nearest.at)} 0V${HEIGHT}`, `${time}  ${values.join(" · ")}`);
  }

  read(cursor, text) {
    this.cursor.setAttribute("d", cursor);
    this.say("readout", text);
  }
}

// The next of 1, 2, 5, 10, 20, …, so that the scale does not twitch.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}
