// A line chart of the last minutes, drawn as SVG into a figure of the page.

const SPAN = 120_000;
// Points further apart than this are not joined: nothing is known of the time between them.
const GAP = 9_000;
const WIDTH = 240;
const HEIGHT = 72;

export class Chart {
  // `format` writes a value; `most` is the top of the scale at least, and at all if `fixed`.
  constructor(id, { lines = 1, format, most, fixed = false }) {
    this.figure = document.getElementById(id);
    this.svg = this.figure.querySelector("svg");
    Object.assign(this, { format, most, fixed, points: [] });
    this.title = this.svg.getAttribute("aria-label");
    this.lines = Array.from({ length: lines }, (_, i) => this.add(`line line-${i}`));
    this.cursor = this.add("cursor");
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.read("", ""));
  }

  add(kind) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", kind);
    return this.svg.appendChild(path);
  }

  say(part, text) {
    this.figure.querySelector(`.${part}`).textContent = text;
  }

  // One value per line; null where there is none.
  push(values, value, detail) {
    const at = Date.now();
    this.points = [...this.points.filter((point) => point.at > at - SPAN - GAP), { at, values }];
    this.say("value", value);
    this.say("detail", detail);
    this.svg.setAttribute("aria-label", `${this.title}; now ${value}`);
    this.draw();
  }

  draw() {
    this.now = Date.now();
    const known = this.points.flatMap(({ values }) => values);
    this.top = this.fixed ? this.most : round(Math.max(this.most, ...known.map((v) => v * 1.05)));
    this.say("top", this.format(this.top));
    this.lines.forEach((path, line) => {
      let before = -Infinity;
      const drawn = this.points.filter(({ values }) => values[line] !== null).map((point) => {
        const y = HEIGHT - 1 - (Math.min(point.values[line], this.top) / this.top) * (HEIGHT - 3);
        const step = point.at - before > GAP ? "M" : "L";
        before = point.at;
        // A point alone would be invisible without a length.
        return `${step}${this.x(point.at)} ${y.toFixed(1)}h0.01`;
      });
      path.setAttribute("d", drawn.join(""));
    });
  }

  x(at) {
    return ((1 - (this.now - at) / SPAN) * WIDTH).toFixed(1);
  }

  point({ clientX }) {
    if (!this.points.length) return;
    const { left, width } = this.svg.getBoundingClientRect();
    const at = this.now - (1 - (clientX - left) / width) * SPAN;
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
