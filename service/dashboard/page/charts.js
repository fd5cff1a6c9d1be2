// What the last minutes looked like. Chart.js draws; what it draws is said in words beside it.

/* global Chart */
import { byId, h, percent, rate, say, short, timeText } from "./elements.js";
import { answersOf, heard, itemsPerBatch, recently, shareOf, since } from "./heard.js";

const reasons = {
  gpu: "a GPU was expected to be the fastest",
  forced_cpu: "gpu.force_cpu_mode is on",
  no_gpu: "there is no GPU, or gpu.enabled is false",
  not_resident: "the dataset is not in the GPU’s memory",
  gpu_disabled: "the GPU’s breaker is not closed",
  below_min_batch: "fewer items than gpu.gpu_min_batch_size",
  below_speedup: "the GPU was not predicted to be enough faster",
  vram_budget: "the batch does not fit the GPU’s memory budget",
  gpu_busy: "the CPU was predicted to finish first",
};
const deviceColours = ["cpu", "gpu0", "gpu1", "gpu2", "gpu3"];
const colourOf = (device) => deviceColours[device === 0 ? 0 : 1 + ((device - 1) % 4)];

/** Returns the colour that a variable of the style sheet has in the theme shown. */
function colour(name, alpha = 1) {
  const probe = h("i");
  document.body.append(probe);
  probe.style.color = `var(--${name})`;
  const parts = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3);
  probe.remove();
  return `rgba(${parts.join(", ")}, ${alpha})`;
}

// -- what all charts share --------------------------------------------------------------------------

let shownSeconds = 900;
let charts = {};

function timeAxis() {
  return {
    type: "linear", min: -shownSeconds, max: 0, grid: { color: colour("grid"), borderColor: colour("line"), drawTicks: false },
    ticks: { color: colour("muted"), stepSize: shownSeconds / (innerWidth < 600 ? 3 : 5), maxRotation: 0, padding: 6,
      callback: (x) => (x === 0 ? "now" : (x % 60 === 0 ? `${x / 60} min` : `${x} s`).replace("-", "−")) },
  };
}

function valueAxis(callback, more = {}) {
  return {
    beginAtZero: true, grid: { color: colour("grid"), borderColor: "transparent", drawTicks: false },
    ticks: { color: colour("muted"), padding: 6, maxTicksLimit: 6, precision: 0, callback }, ...more,
  };
}

function options(x, y, label) {
  return {
    animation: false, maintainAspectRatio: false, normalized: true, parsing: false, events: ["mousemove", "mouseout", "touchstart"],
    interaction: { mode: "index", intersect: false }, layout: { padding: { right: 4 } },
    elements: { point: { radius: 0, hitRadius: 6 }, line: { borderWidth: 1.75, tension: 0 } },
    plugins: { legend: { display: false }, tooltip: { animation: false, callbacks: { label } } }, scales: { x, y },
  };
}

const secondsAgo = (items) => (items.length ? (items[0].parsed.x === 0 ? "now" : `${Math.round(-items[0].parsed.x)} s ago`) : "");

function overTime(id, datasets, y, label) {
  const made = new Chart(byId(id), { type: "line", data: { datasets }, options: options(timeAxis(), y, label) });
  made.options.plugins.tooltip.callbacks.title = secondsAgo;
  return made;
}

const line = (label, name, more = {}) => ({ label, data: [], borderColor: colour(name), backgroundColor: colour(name), spanGaps: false, ...more });
const areas = (named) => named.map(([label, name], i) =>
  line(label, name, { fill: i === 0 ? "origin" : "-1", backgroundColor: colour(name, 0.25), borderWidth: 1.25 }));

/** A gap in the samples (nobody looked, or the server was gone) is a gap in the line. */
function points(samples, pick) {
  const out = [];
  let before = null;
  for (const sample of samples) {
    if (before != null && sample.at - before > 5) out.push({ x: before + 0.1 - heard.now.at, y: NaN });
    out.push({ x: Math.min(0, sample.at - heard.now.at), y: pick(sample) ?? NaN });
    before = sample.at;
  }
  return out;
}

function showEmpty(id, words) {
  const note = byId(id).parentElement.querySelector(".empty");
  note.hidden = !words;
  if (words) say(note, words);
}

const nothingYet = "No request in this time.";
const whatToDo = `${nothingYet} Ask something with the boxes below, or over HTTP or gRPC.`;

// -- the charts --------------------------------------------------------------------------------------

/** Labels 1, 2 and 5 of each decade. */
function decades(seconds) {
  const first = Number(seconds.toExponential(3).split("e")[0]);
  return [1, 2, 5].includes(first) ? timeText(seconds) : "";
}

function latencyAxis() {
  const axis = valueAxis(decades, { type: "logarithmic", beginAtZero: false });
  return { ...axis, ticks: { ...axis.ticks, maxTicksLimit: 40, autoSkip: false } };
}

function makeCharts() {
  const perSecond = ({ dataset, parsed }) => `${dataset.label}: ${rate(parsed.y)}/s`;
  const stacked = () => valueAxis((value) => short(value), { stacked: true, suggestedMax: 1 });
  const devices = heard.now.devices;
  charts = {
    answers: overTime("answers-chart", areas([["results", "ok"], ["refused", "refused"], ["failed", "failed"]]), stacked(), perSecond),
    latency: overTime("latency-chart", [line("p50", "p50"), line("p90", "p90", { borderDash: [6, 3] }), line("p99", "p99", { borderDash: [2, 2] })],
      latencyAxis(), ({ dataset, parsed }) => `${dataset.label}: ${timeText(parsed.y)}`),
    share: overTime("share-chart", areas(devices.map((device, d) => [device.name, colourOf(d)])), stacked(), perSecond),
    sizes: new Chart(byId("sizes-chart"), {
      type: "bar", data: { labels: [], datasets: [{ data: [], backgroundColor: colour("ok", 0.85), borderRadius: 3, categoryPercentage: 0.95, barPercentage: 0.9 }] },
      options: { ...options({ grid: { display: false, borderColor: colour("line") }, ticks: { color: colour("muted"), maxRotation: 0, autoSkipPadding: 10 } },
        valueAxis((value) => short(value), { suggestedMax: 1 }), ({ parsed }) => `${short(parsed.y)} batches`), parsing: true },
    }),
  };
  charts.sizes.options.plugins.tooltip.callbacks.title = (items) => (items.length ? `${items[0].label} items` : "");
}

const latencyPlace = () => Number(byId("latency-of").value);

function showAnswers(samples) {
  const { answers } = charts;
  ["ok", "refused", "failed"].forEach((kind, i) => (answers.data.datasets[i].data = points(samples, (sample) => sample[kind])));
  showEmpty("answers-chart", samples.some((sample) => answersOf(sample) > 0) ? "" : whatToDo);
  const bad = recently((sample) => sample.refused + sample.failed);
  say(byId("answers-say"), `now ${rate(recently((sample) => sample.ok))} results/s${bad ? `, ${rate(bad)} errors/s` : ""}`);
}

function showLatency(samples) {
  const at = latencyPlace();
  [0, 1, 2].forEach((p) => (charts.latency.data.datasets[p].data = points(samples, (sample) => sample.latency[at][p])));
  showEmpty("latency-chart", samples.some((sample) => sample.latency[at].length) ? "" : nothingYet);
  const last = samples.findLast((sample) => sample.latency[at].length)?.latency[at];
  say(byId("latency-say"), last ? `p50 ${timeText(last[0])} · p90 ${timeText(last[1])} · p99 ${timeText(last[2])}` : "");
}

function sizeName(bucket, bounds) {
  if (bucket >= bounds.length) return `> ${short(bounds.at(-1))}`;
  const low = bucket === 0 ? 1 : bounds[bucket - 1] + 1;
  return low === bounds[bucket] ? `${low}` : `${low < 1e4 ? low : short(low)}–${bounds[bucket] < 1e4 ? bounds[bucket] : short(bounds[bucket])}`;
}

function showSizes(samples) {
  const bounds = heard.hello.item_bounds;
  const counts = new Array(bounds.length + 1).fill(0);
  for (const sample of samples) for (const [bucket, count] of sample.sizes) counts[bucket] += count;
  const last = Math.max(counts.findLastIndex((count) => count > 0), 6);
  const shown = counts.slice(0, last + 1);
  charts.sizes.data.labels = shown.map((_, bucket) => sizeName(bucket, bounds));
  charts.sizes.data.datasets[0].data = shown;
  const items = itemsPerBatch(samples);
  showEmpty("sizes-chart", items == null ? nothingYet : "");
  const most = counts.indexOf(Math.max(...counts));
  say(byId("sizes-say"), items == null ? "" : `about ${short(items)} items each; most often ${sizeName(most, bounds)}`);
}

function showShare(samples) {
  const seconds = (sample, i) => (i > 0 ? Math.max(0.2, sample.at - samples[i - 1].at) : 1);
  const spans = new Map(samples.map((sample, i) => [sample, seconds(sample, i)]));
  charts.share.data.datasets.forEach((dataset, d) => (dataset.data = points(samples, (sample) =>
    sample.routes.filter(([device]) => device === d).reduce((all, [, , count]) => all + count, 0) / spans.get(sample))));
  const share = shareOf(samples, (device) => device > 0);
  showEmpty("share-chart", share == null ? nothingYet : "");
  say(byId("share-say"), share == null ? "" : `${percent(share)} were sent to GPUs`);
}

function showRoutes(samples) {
  const counts = new Map();
  let all = 0;
  for (const sample of samples)
    for (const [device, reason, count] of sample.routes) {
      const key = `${device} ${reason}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
      all += count;
    }
  const rows = [...counts].map(([key, count]) => [...key.split(" ").map(Number), count]).sort((a, b) => b[2] - a[2]);
  byId("routes").replaceChildren(...rows.map(([device, reason, count]) => {
    const name = heard.hello.reasons[reason];
    return h("tr", { class: device === 0 ? "cpu" : "" },
      h("td", {}, h("i", { class: `swatch ${colourOf(device)} before` }), heard.now.devices[device].name),
      h("td", {}, name, h("span", { class: "why" }, reasons[name] ?? "")),
      h("td", { class: "number" }, short(count)), h("td", { class: "number" }, percent(count / all)),
      h("td", { class: "wide" }, h("meter", { min: 0, max: 1, value: count / all, "aria-hidden": "true" })));
  }));
  byId("routes-empty").hidden = rows.length > 0;
  say(byId("routes-empty"), nothingYet);
}

export function showCharts() {
  const samples = since(shownSeconds);
  showAnswers(samples);
  showLatency(samples);
  showSizes(samples);
  showShare(samples);
  showRoutes(samples);
  for (const chart of Object.values(charts)) chart.update("none");
}

export function buildCharts() {
  for (const chart of Object.values(charts)) chart.destroy();
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  const of = byId("latency-of");
  if (!of.options.length)
    of.append(...heard.hello.operations.map((name, o) => h("option", { value: o }, name)),
      h("option", { value: heard.hello.operations.length, selected: true }, "all requests"));
  byId("share-legend").replaceChildren(...heard.now.devices.map((device, d) =>
    h("li", {}, h("i", { class: `swatch ${colourOf(d)}` }), device.name)), h("li", { class: "unit" }, "per second"));
  makeCharts();
}

/** Draws all again, in the colours of the theme shown. */
export function restyleCharts() {
  if (!heard.hello) return;
  buildCharts();
  showCharts();
}

byId("range").addEventListener("change", (event) => {
  shownSeconds = Number(event.target.value);
  restyleCharts();
});
byId("latency-of").addEventListener("change", () => heard.now && showCharts());
