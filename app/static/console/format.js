// Numbers for people.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// Between a number and its unit: no line may end there.
const GAP = "\u00a0";

export const count = (value) => plain.format(value);

export function rate(value) {
  return `${value >= 100 ? plain.format(value) : value.toFixed(1).replace(/\.0$/, "")}${GAP}/s`;
}

export function percent(ratio) {
  const value = ratio * 100;
  return `${value.toFixed(value > 0 && value < 10 ? 2 : 1).replace(/\.0+$/, "")}${GAP}%`;
}

export function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)}${GAP}s`;
  return `${value.toFixed(value < 10 ? 1 : 0).replace(/\.0$/, "")}${GAP}ms`;
}

// The two largest units that say something; the same as `duration` in routes/root.py.
export function duration(seconds) {
  let left = Math.floor(seconds);
  const parts = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const amount = Math.floor(left / length);
    left %= length;
    if (amount || (unit === "s" && !parts.length)) parts.push(`${amount} ${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
