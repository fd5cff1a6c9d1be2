// Elements, and numbers with their units.

export const byId = (id) => document.getElementById(id);

/** Makes an element; text is always text, so that no label can become markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Writes only what has changed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// -- numbers with units -----------------------------------------------------------------------------

export function short(number) {
  const size = Math.abs(number);
  if (size >= 1e9) return (number / 1e9).toFixed(1) + "G";
  if (size >= 1e6) return (number / 1e6).toFixed(size >= 1e7 ? 1 : 2) + "M";
  if (size >= 1e5) return (number / 1e3).toFixed(0) + "k";
  if (size >= 1e4) return (number / 1e3).toFixed(1) + "k";
  if (size >= 100 || Number.isInteger(number)) return Math.round(number).toLocaleString("en");
  return size >= 10 ? number.toFixed(1) : number.toFixed(2);
}

export const rate = (number) => (number === 0 ? "0" : number < 10 ? number.toFixed(1) : short(Math.round(number)));

export const times = (ratio) => (ratio < 9.95 ? ratio.toFixed(1) : short(Math.round(ratio)));

/** Returns [number, unit] of a time in seconds. */
export function time(seconds) {
  if (seconds == null) return ["–", ""];
  if (seconds < 1e-3) return [(seconds * 1e6).toFixed(0), "µs"];
  if (seconds < 0.9995) return [(seconds * 1e3).toPrecision(3).replace(/\.?0+$/, (zeros) => (zeros[0] === "." ? "" : zeros)), "ms"];
  return [seconds < 99.95 ? seconds.toPrecision(3) : seconds.toFixed(0), "s"];
}
export const timeText = (seconds) => time(seconds).join(" ").trim();

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    ++unit;
  }
  return `${unit === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

export const percent = (share) => (share >= 0.9995 || share === 0 ? `${Math.round(share * 100)}` : (share * 100).toFixed(1)) + " %";

export function ago(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

export const withUnit = (element, [number, unit]) => {
  if (element.dataset.shown === number + unit) return;
  element.dataset.shown = number + unit;
  element.replaceChildren(number, h("span", { class: "unit" }, unit));
};
