// What happened, latest first.

import { ago, byId, h, say } from "./elements.js";
import { heard } from "./heard.js";

const marks = { good: "●", warn: "◐", bad: "■", plain: "○" };
let rows = [];

function severity(event) {
  if (event.kind === "breaker") return /-> open/.test(event.detail) ? "bad" : /-> closed/.test(event.detail) ? "good" : "warn";
  if (event.kind === "wrong_answer" || event.kind === "unavailable") return "bad";
  if (event.kind === "restart" || event.kind === "fault") return "warn";
  if (event.kind === "device") return event.detail.startsWith("lost") ? "bad" : event.detail.startsWith("restored") ? "good" : "plain";
  return "plain";
}

function makeRow(event) {
  const kind = severity(event);
  const when = h("time");
  rows.push({ event, when });
  return h("li", {}, when, h("span", { class: `kind ${kind}` }, h("span", { "aria-hidden": "true" }, `${marks[kind]} `), event.kind.replace("_", " ")),
    h("span", { class: "subject" }, event.subject), h("span", { class: "detail" }, event.detail));
}

let shown = -1;

export function showEvents() {
  const newest = heard.events.at(-1)?.number ?? 0;
  if (newest !== shown) {
    shown = newest;
    rows = [];
    const latest = heard.events.slice(-100).reverse();
    byId("events").replaceChildren(...latest.map(makeRow));
    if (!latest.length) byId("events").append(h("li", { class: "empty" }, "Nothing yet."));
  }
  for (const { event, when } of rows) say(when, ago(heard.now.at - event.at));
}

/** A server that was started again counts from 1 again. */
export const forgetEvents = () => (shown = -1);
