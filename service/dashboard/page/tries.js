// The search box and the spread box.

import { byId, h, percent, say, timeText } from "./elements.js";
import { ask, post } from "./server.js";

let datasets = [];

const isVectors = (data) => data.kind === "vectors";
const nothing = "None is loaded";

function fill(select, found) {
  const before = select.value;
  select.replaceChildren(...found.map((data) => h("option", { value: data.name }, `${data.name} · ${(data.rows ?? data.nodes).toLocaleString("en")} ${isVectors(data) ? "rows" : "nodes"}`)));
  if (!found.length) select.append(h("option", { value: "" }, nothing));
  if (found.some((data) => data.name === before)) select.value = before;
}

const chosen = (id) => datasets.find((data) => data.name === byId(id).value);

function suitForm(form, data) {
  for (const field of form.elements) field.disabled = !data;
  const outcome = form.querySelector(".outcome");
  if (!data)
    outcome.replaceChildren(h("p", { class: "empty", "data-none": true }, "No dataset of this kind is loaded. WordNet comes with the demo: ",
      h("code", {}, "engram dataset import wordnet"), ", then start Engram again."));
  else if (outcome.querySelector("[data-none]")) outcome.replaceChildren();
}

function suitSearch() {
  const data = chosen("search-in");
  suitForm(byId("search-form"), data);
  if (!data) return;
  say(byId("search-what"), data.takes_text ? "Words" : `A vector: ${data.dim} numbers, separated by commas`);
  byId("search-text").placeholder = data.takes_text ? "guide dog" : Array.from({ length: Math.min(data.dim, 4) }, (_, i) => (i === 0 ? "1" : "0")).join(", ") + (data.dim > 4 ? ", …" : "");
}

function suitSpread() {
  const data = chosen("spread-in");
  suitForm(byId("spread-form"), data);
  if (!data) return;
  say(byId("spread-what"), `Seeds: ${data.labels ? "labels" : "node numbers"}, separated by commas; “= 0.5” gives one an amount`);
  byId("spread-text").placeholder = data.labels ? "dog, cat = 0.5" : "0, 1 = 0.5";
}

/** Asks again what there is; on a start, and when a dataset came or went. */
export async function loadDatasets() {
  try {
    ({ datasets } = await (await ask("/v1/datasets")).json());
  } catch {
    return; // the stream says what is wrong, and asks again
  }
  fill(byId("search-in"), datasets.filter(isVectors));
  fill(byId("spread-in"), datasets.filter((data) => !isVectors(data)));
  suitSearch();
  suitSpread();
}

byId("search-in").addEventListener("change", suitSearch);
byId("spread-in").addEventListener("change", suitSpread);

// -- what was answered -------------------------------------------------------------------------------

function hitList(hits, scoreOf) {
  const top = Math.max(...hits.map(scoreOf), 1e-9);
  return h("ol", { class: "hits" }, ...hits.map((hit, i) => h("li", {},
    h("span", { class: "rank", "aria-hidden": "true" }, `${i + 1}`),
    h("span", { class: "label" }, hit.label ?? `${hit.id !== undefined ? "row" : "node"} ${hit.id ?? hit.node}`),
    h("meter", { min: 0, max: 1, value: Math.max(0, scoreOf(hit) / top), "aria-hidden": "true" }),
    h("span", { class: "score" }, scoreOf(hit).toFixed(4)))));
}

/** Shows where the time of a request went. */
function traceOf(trace) {
  const parts = [["window", trace.window_ms], ["queue", trace.queue_ms], ["transfer", trace.transfer_ms], ["kernel", trace.kernel_ms]];
  parts.push(["other", Math.max(0, trace.total_ms - parts.reduce((all, [, ms]) => all + ms, 0))]);
  const svgSpace = "http://www.w3.org/2000/svg";
  const bar = document.createElementNS(svgSpace, "svg");
  bar.setAttribute("aria-hidden", "true");
  let x = 0;
  for (const [name, ms] of parts) {
    const width = trace.total_ms > 0 ? (ms / trace.total_ms) * 100 : 0;
    const rect = document.createElementNS(svgSpace, "rect");
    for (const [attribute, value] of Object.entries({ x: `${x}%`, width: `${width}%`, height: "100%", class: `part-${name}` })) rect.setAttribute(attribute, value);
    bar.append(rect);
    x += width;
  }
  const items = trace.batch_items === 1 ? "alone in its batch" : `in a batch of ${trace.batch_items} items`;
  return h("div", { class: "trace" },
    h("p", {}, "Request ", h("b", {}, `${trace.request}`), ": answered by ", h("b", {}, trace.device), " in ", h("b", {}, timeText(trace.total_ms / 1000)),
      `, ${items}; reason `, h("b", {}, trace.reason), trace.fell_back ? `; fell back (${trace.cause}, ${trace.attempts} attempts)` : ""),
    h("div", { class: "stack" }, bar),
    h("ul", { class: "parts" }, ...parts.map(([name, ms]) => h("li", {}, h("i", { class: `swatch part-${name}` }),
      `${name} ${timeText(ms / 1000)}${trace.total_ms > 0 ? ` (${percent(ms / trace.total_ms)})` : ""}`))));
}

/** Sends what `form` says and shows what comes back. */
function answer(form, path, bodyOf, scoreOf, headOf) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const outcome = form.querySelector(".outcome");
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const given = await post(path, bodyOf());
      const [first] = given.results;
      outcome.replaceChildren(...(headOf ? [h("p", { class: "sub" }, headOf(first))] : []),
        first.hits.length ? hitList(first.hits, scoreOf) : h("p", { class: "empty" }, "Nothing was found."), traceOf(given.trace));
    } catch (why) {
      outcome.replaceChildren(h("p", { class: "error", role: "alert" }, why.status ? why.message : `The server did not answer: ${why.message}`));
    }
    button.disabled = false;
  });
}

const numbers = (text) => text.split(/[\s,]+/).filter(Boolean).map(Number);

function searchBody() {
  const data = chosen("search-in");
  const text = byId("search-text").value;
  return { collection: data.name, k: Number(byId("search-k").value), ...(data.takes_text ? { text } : { query: numbers(text) }) };
}

function seedOf(text, hasLabels) {
  const [, what, amount] = text.match(/^(.*?)(?:\s*=\s*([\d.]+))?$/);
  const seed = hasLabels && !/^\d+$/.test(what) ? { label: what } : { node: Number(what) };
  return amount ? { ...seed, amount: Number(amount) } : seed;
}

function spreadBody() {
  const data = chosen("spread-in");
  const seeds = byId("spread-text").value.split(",").map((text) => text.trim()).filter(Boolean);
  return { graph: data.name, seeds: seeds.map((text) => seedOf(text, data.labels)), max_hops: Number(byId("spread-hops").value), top: Number(byId("spread-top").value) };
}

answer(byId("search-form"), "/v1/search", searchBody, (hit) => hit.score);
answer(byId("spread-form"), "/v1/spread", spreadBody, (hit) => hit.activation,
  (set) => `Spread for ${set.hops} ${set.hops === 1 ? "hop" : "hops"}.`);
