// A card for each device.

import { byId, bytes, h, percent, say, short, timeText, times } from "./elements.js";
import { heard } from "./heard.js";
import { drawSpark, makeSpark } from "./spark.js";

const states = {
  closed: ["good", "breaker closed"],
  half_open: ["warn", "breaker half open"],
  open: ["bad", "breaker open"],
};

let cards = [];

function fact(title) {
  const value = h("span");
  const more = h("span", { class: "more" });
  return { value, more, element: h("div", {}, h("dt", {}, title), h("dd", {}, value, more)) };
}

function chip() {
  const text = h("span");
  return { text, element: h("span", { class: "chip" }, h("span", { class: "mark", "aria-hidden": "true" }), text) };
}

function makeCard(device, d) {
  const card = { d, state: chip(), success: fact("success rate"), speedup: fact("speedup"), run: fact("a batch takes"),
    trouble: fact("fallbacks"), resident: fact("datasets"), restarts: fact("restarts"), spark: makeSpark(d === 0 ? "cpu" : "") };
  card.used = h("b");
  card.meter = h("meter", { min: 0, max: 1, "aria-label": `memory used on ${device.name}` });
  const facts = d === 0 ? [card.success, card.run, card.restarts]
    : [card.success, card.speedup, card.run, card.trouble, card.resident, card.restarts];
  card.element = h("article", { class: `panel device ${d === 0 ? "cpu" : ""}`, "aria-label": device.name, "data-device": device.name },
    h("header", {}, h("h3", {}, device.name), card.state.element, h("p", { class: "model", title: device.model }, device.model)),
    h("dl", { class: "facts" }, ...facts.map((each) => each.element)),
    h("p", { class: "bar-name" }, "memory", card.used), card.meter,
    h("p", { class: "bar-name" }, "batches a second, last two minutes"), card.spark);
  return card;
}

const noGpu = () => h("div", { class: "panel nothing" }, h("h3", {}, "No GPU"),
  h("p", { class: "empty" }, "The CPU answers everything. Engram finds NVIDIA GPUs by itself where gpu.enabled is true; to see how one is driven, and how one fails, start with a simulated one:"),
  h("p", {}, h("code", {}, "engram start --gpu.devices sim:h100")));

export function buildDevices() {
  cards = heard.now.devices.map(makeCard);
  byId("devices").replaceChildren(...cards.map((card) => card.element), ...(cards.length === 1 ? [noGpu()] : []));
}

/** Returns the operation that the GPU is fastest at, as [ratio, name]. */
function bestSpeedup(device) {
  const known = device.speedup.map((ratio, o) => [ratio, heard.hello.operations[o]]).filter(([ratio]) => ratio > 0);
  return known.sort((a, b) => b[0] - a[0]);
}

function troubles(device) {
  const words = [];
  if (device.ooms) words.push(`${short(device.ooms)} out of memory`);
  if (device.hedged) words.push(`${short(device.hedged)} late`);
  if (device.wrong_answers) words.push(`${short(device.wrong_answers)} wrong`);
  return words.join(", ") || `of ${short(device.launches)} launches`;
}

function showFact(shown, value, more = "") {
  say(shown.value, value);
  say(shown.more, more);
}

function showState(card, device) {
  const [kind, words] = card.d === 0 ? [device.available ? "good" : "warn", device.available ? "available" : "worker is down"]
    : device.breaker === "closed" && !device.available ? ["warn", "worker is down"] : states[device.breaker];
  const isHeld = device.breaker_override !== "automatic";
  card.state.element.className = `chip ${isHeld && kind === "good" ? "warn" : kind}`;
  say(card.state.text, isHeld ? `${words}, held ${device.breaker_override} by hand` : words);
}

export function showDevices() {
  for (const card of cards) {
    const device = heard.now.devices[card.d];
    showState(card, device);
    const least = card.d === 0 ? "" : `at least ${percent(heard.hello.options.gpu_success_rate_threshold)}`;
    showFact(card.success, percent(device.success_rate), least);
    const speedups = bestSpeedup(device);
    showFact(card.speedup, speedups.length ? `${times(speedups[0][0])} ×` : "–",
      speedups.length ? speedups.map(([ratio, name]) => `${name} ${times(ratio)}`).join(", ") : "not known yet");
    showFact(card.run, device.runs ? timeText(device.run_seconds / device.runs) : "–", device.runs ? `mean of ${short(device.runs)}` : "none yet");
    showFact(card.trouble, short(device.fallbacks), troubles(device));
    showFact(card.resident, short(device.resident), device.resident === 1 ? "is resident" : "are resident");
    showFact(card.restarts, short(device.restarts), device.processes.length ? device.processes.join(", ") : "of its worker");
    say(card.used, `${bytes(device.memory_used_bytes)} of ${bytes(device.memory_budget_bytes)}`);
    card.meter.value = device.memory_budget_bytes ? device.memory_used_bytes / device.memory_budget_bytes : 0;
    card.meter.textContent = percent(card.meter.value);
    drawSpark(card.spark, (sample) => sample.runs[card.d] ?? 0);
  }
}
