// Numbers for people, and elements that hold text.
export const count = (value) => value === null || value === undefined ? "?" : Math.round(value).toLocaleString("en-US");

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function set(where, text) {
  const element = typeof where === "string" ? document.getElementById(where) : where;
  if (element.textContent !== text) element.textContent = text;
}

export function events(value) {
  if (value === 0 || value >= 10) return value.toFixed(1);
  return value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

export function rate(value) {
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (value >= size) return `${(value / size).toPrecision(3)}${unit}`;
  }
  return value === 0 ? "0" : value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

// Whole percents that never round up to done, nor down to nothing.
export function percent(done, planned) {
  if (!planned || done >= planned) return "100 %";
  const share = 100 * done / planned;
  return done && share < 1 ? "< 1 %" : `${Math.floor(share)} %`;
}

export function inverse(pb) {
  if (pb === null) return "?";
  return pb > 0 && pb < 100 ? `${pb.toFixed(1)} pb⁻¹` : `${(pb / 1000).toFixed(1)} fb⁻¹`;
}

export const sigma = (value) => value === null || value === undefined ? "–" : `${value.toFixed(1)} σ`;

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function bytes(value) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000) return `${unit === "B" ? value : value.toPrecision(3)} ${unit}`;
    value /= 1000;
  }
  return `${value.toPrecision(3)} TB`;
}
