// The tiles at the top, and the actors on a request's way.

import { ago, byId, h, percent, rate, say, short, svg, time, timeText, withUnit } from "./elements.js";
import { answersOf, heard, itemsPerBatch, recentLatency, recently, runsOf, shareOf, since } from "./heard.js";
import { drawSpark, makeSpark } from "./spark.js";

const itemsShown = () => {
  const items = itemsPerBatch(since(15));
  return items == null ? "–" : short(items);
};
const isGpu = (device) => device > 0;

const tiles = [
  {
    name: "Answers",
    figure: () => [rate(recently(answersOf)), "/s"],
    more: () => `${short(heard.now.totals.answered)} since start`,
    pick: answersOf,
  },
  {
    name: "Latency, p99",
    figure: () => time(recentLatency(2)),
    more: () => `p50 ${timeText(recentLatency(0))}`,
    pick: (sample) => sample.latency.at(-1)[2],
  },
  {
    name: "In flight",
    figure: () => [short(heard.now.in_flight), ""],
    more: () => `of ${short(heard.hello.options.max_in_flight)} at most`,
    pick: (sample) => sample.in_flight,
  },
  {
    name: "Items a batch",
    figure: () => [itemsShown(), ""],
    more: () => `closes at ${heard.hello.options.target_batch_size}, or after ${heard.hello.options.max_wait_ms} ms`,
    pick: (sample) => itemsPerBatch([sample]),
  },
  {
    name: "Batches on GPUs",
    figure: () => {
      const share = shareOf(since(15), isGpu);
      return share == null ? ["–", ""] : percent(share).split(" ");
    },
    more: () => (heard.now.devices.length > 1 ? "of the last 15 s" : "there is no GPU"),
    pick: (sample) => shareOf([sample], isGpu),
  },
];

export function buildTiles() {
  byId("tiles").replaceChildren(...tiles.map((tile) => {
    tile.value = h("p", { class: "value" });
    tile.below = h("p", { class: "more" });
    tile.spark = makeSpark();
    return h("div", { class: "tile" }, h("p", { class: "name" }, tile.name), tile.value, tile.below, tile.spark);
  }));
}

export function showTiles() {
  for (const tile of tiles) {
    withUnit(tile.value, tile.figure());
    say(tile.below, tile.more());
    drawSpark(tile.spark, tile.pick);
  }
}

// -- the actors -------------------------------------------------------------------------------------

let boxes = [];

/** `figure` returns [number, unit], `line` a few words, `note` [severity, words] or nothing. */
function makeBox(name, title, { kind = "", colour = "", ...box }) {
  box.name = name;
  box.value = h("p", { class: "value" });
  box.words = h("p", { class: "line" });
  box.remark = h("p", { class: "note", hidden: true });
  box.spark = box.pick ? makeSpark(colour) : null;
  box.element = h("li", { class: `actor ${kind}`, "data-actor": name },
    h("p", { class: "name" }, title), box.value, box.words, box.remark, box.spark);
  boxes.push(box);
  return box.element;
}

function queueOf(name) {
  const actor = heard.now.actors.find((each) => each.name === name);
  return actor ? `queue ${short(actor.queue_depth)} · restarts ${short(actor.restarts)}` : "";
}

function workerNote(device) {
  if (device.breaker === "open") return ["bad", "■ breaker open"];
  if (device.breaker === "half_open") return ["warn", "◐ half open: proving itself"];
  return device.available ? null : ["warn", "◐ its worker is down"];
}

function breakersInWords() {
  const gpus = heard.now.devices.slice(1);
  if (!gpus.length) return "no GPU, no breaker";
  const others = gpus.filter((gpu) => gpu.breaker !== "closed");
  if (!others.length) return "every breaker is closed";
  return others.map((gpu) => `${gpu.name} is ${gpu.breaker.replace("_", " ")}`).join(", ");
}

function lastRestart() {
  const restart = heard.events.findLast((event) => event.kind === "restart");
  return restart ? `last: ${restart.subject}, ${ago(heard.now.at - restart.at)}` : "starts every actor, and again what dies";
}

const worker = (device, d) => makeBox(`${device.name}_worker`, d === 0 ? "CPU worker" : `GPU worker · ${device.name}`, {
  colour: d === 0 ? "cpu" : "",
  figure: () => [rate(recently((sample) => sample.runs[d] ?? 0)), "batches/s"],
  line: () => queueOf(`${device.name}_worker`),
  note: () => workerNote(heard.now.devices[d]),
  pick: (sample) => sample.runs[d] ?? 0,
});

export function buildWay() {
  boxes = [];
  const workers = heard.now.devices.map(worker);
  byId("flow").replaceChildren(
    makeBox("ingest", "Ingest", {
      figure: () => [rate(recently((sample) => sample.accepted)), "requests/s"],
      line: () => queueOf("ingest"),
      pick: (sample) => sample.accepted,
    }),
    makeBox("batcher", "Batcher", {
      figure: () => [itemsShown(), "items/batch"],
      line: () => queueOf("batcher"),
      pick: (sample) => itemsPerBatch([sample]),
    }),
    makeBox("router", "Router", {
      figure: () => [rate(recently((sample) => sample.batches)), "batches/s"],
      line: () => queueOf("router"),
      pick: (sample) => sample.batches,
    }),
    h("li", { class: "workers" }, h("ol", { class: "workers", "aria-label": "Workers" }, ...workers)),
    makeBox("answers", "Answers", {
      figure: () => [rate(recently((sample) => sample.ok)), "results/s"],
      line: () => `refused ${rate(recently((sample) => sample.refused))}/s · failed ${rate(recently((sample) => sample.failed))}/s`,
      note: () => (heard.now.totals.lost ? ["bad", `■ ${heard.now.totals.lost} lost: a bug`] : null),
      pick: (sample) => sample.ok,
    }),
    makeBox("supervisor", "Supervisor", {
      kind: "aside",
      figure: () => [short(heard.now.totals.actor_restarts), heard.now.totals.actor_restarts === 1 ? "restart" : "restarts"],
      line: lastRestart,
      note: () => (heard.now.supervised ? null : ["bad", "■ it died: start the process again"]),
    }),
    makeBox("telemetry", "Telemetry", {
      kind: "aside",
      figure: () => [rate(recently(runsOf)), "outcomes/s"],
      line: () => `${queueOf("telemetry")} · ${breakersInWords()}`,
    }));
  watcher.disconnect();
  watcher.observe(byId("way"));
}

export function showWay() {
  for (const box of boxes) {
    withUnit(box.value, box.figure());
    say(box.words, box.line());
    const note = box.note?.();
    if (box.remark.hidden === Boolean(note)) box.remark.hidden = !note;
    if (note) {
      box.remark.className = `note ${note[0]}`;
      say(box.remark, note[1]);
    }
    box.element.classList.toggle("bad", note?.[0] === "bad");
    box.element.classList.toggle("warn", note?.[0] === "warn");
    if (box.spark) drawSpark(box.spark, box.pick);
  }
}

// -- the wires between them ---------------------------------------------------------------------------

const watcher = new ResizeObserver(() => drawWires());

/** Draws a wire from box to box: sideways where they stand side by side, downwards where one is below. */
function wire(from, to, isAside) {
  const whole = byId("way").getBoundingClientRect();
  const a = from.getBoundingClientRect();
  const b = to.getBoundingClientRect();
  const isSideways = b.left >= a.right;
  const [x0, y0] = isSideways ? [a.right, a.top + a.height / 2] : [a.left + a.width / 2, a.bottom];
  const [x1, y1] = isSideways ? [b.left, b.top + b.height / 2] : [isAside ? a.left + a.width / 2 : b.left + b.width / 2, b.top];
  const at = (x, y) => `${(x - whole.left).toFixed(1)} ${(y - whole.top).toFixed(1)}`;
  const bend = (isSideways ? x1 - x0 : y1 - y0) / 2;
  const line = isSideways
    ? `M${at(x0 + 3, y0)}C${at(x0 + bend, y0)} ${at(x1 - bend, y1)} ${at(x1 - 7, y1)}`
    : `M${at(x0, y0 + 3)}C${at(x0, y0 + bend)} ${at(x1, y1 - bend)} ${at(x1, y1 - 7)}`;
  const head = isSideways
    ? `M${at(x1 - 2, y1)}L${at(x1 - 10, y1 - 5)}L${at(x1 - 10, y1 + 5)}Z`
    : `M${at(x1, y1 - 2)}L${at(x1 - 5, y1 - 10)}L${at(x1 + 5, y1 - 10)}Z`;
  const side = isAside ? "aside" : "";
  return [svg("path", { d: line, class: side, "stroke-width": 1.6 }), svg("path", { d: head, class: `head ${side}` })];
}

function drawWires() {
  const box = (name) => boxes.find((each) => each.name === name).element;
  const workers = boxes.filter((each) => each.name.endsWith("_worker")).map((each) => each.element);
  const isColumn = box("batcher").getBoundingClientRect().top >= box("ingest").getBoundingClientRect().bottom;
  const wires = [wire(box("ingest"), box("batcher")), wire(box("batcher"), box("router"))];
  if (isColumn) {
    // One below the other: the column of workers counts as one.
    wires.push(wire(box("router"), workers[0]), wire(workers.at(-1), box("answers")));
  } else {
    for (const each of workers) wires.push(wire(box("router"), each), wire(each, box("answers")));
    wires.push(wire(box("router"), box("telemetry"), true));
  }
  byId("wires").replaceChildren(...wires.flat());
}
