// Numbers for people. No line may end between a number and its unit.

function writer(options, unit = "") {
  const { format } = new Intl.NumberFormat("en", options);
  return (value) => `${format(value)}${unit}`.replace(" ", "\u00a0");
}

export const count = writer({ maximumFractionDigits: 0 });
export const rate = writer({ maximumFractionDigits: 1 }, " /s");
export const percent = writer({ style: "percent", maximumFractionDigits: 2 });
export const milliseconds = writer({
  style: "unit", unit: "millisecond",
  maximumFractionDigits: 0, maximumSignificantDigits: 2, roundingPriority: "morePrecision",
});

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
