// The dashboard: hears /dashboard/events and shows it. It asks no other host for anything.

import { buildCharts, restyleCharts, showCharts } from "./charts.js";
import { buildDevices, showDevices } from "./devices.js";
import { byId, say } from "./elements.js";
import { forgetEvents, showEvents } from "./events.js";
import { heard, take } from "./heard.js";
import { follow } from "./server.js";
import { loadDatasets } from "./tries.js";
import { buildTiles, buildWay, showTiles, showWay } from "./way.js";

// -- the theme --------------------------------------------------------------------------------------

const themes = ["auto", "light", "dark"];

function storedTheme() {
  const theme = localStorage.getItem("engram-theme");
  return themes.includes(theme) ? theme : "auto";
}

function showTheme() {
  const theme = storedTheme();
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(byId("theme"), `Theme: ${theme}`);
  restyleCharts();
}

byId("theme").addEventListener("click", () => {
  localStorage.setItem("engram-theme", themes[(themes.indexOf(storedTheme()) + 1) % themes.length]);
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyleCharts);
showTheme();

// -- the top ----------------------------------------------------------------------------------------

function setChip(id, kind, words) {
  const chip = byId(id);
  const name = `chip ${kind}`;
  if (chip.className !== name) chip.className = name;
  say(byId(`${id}-text`), words);
}

function uptime(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function showTop() {
  const { now, hello } = heard;
  const open = now.devices.filter((device) => device.breaker !== "closed").map((device) => device.name);
  if (!now.ready) setChip("state", "bad", now.state);
  else if (open.length) setChip("state", "warn", `ready without ${open.join(", ")}`);
  else setChip("state", "good", now.state);
  say(byId("about"), `version ${hello.version} · watched for ${uptime(now.at)}`);
}

function tell(state, words) {
  if (state === "live") setChip("live", "good", "live");
  else if (state === "token") setChip("live", "bad", "no token");
  else setChip("live", "warn", "reconnecting");
  byId("trouble").hidden = state === "live";
  if (state !== "live") say(byId("trouble"), `Not live: ${words}.${state === "lost" ? " Trying again." : ""}`);
}

// -- all of it --------------------------------------------------------------------------------------

function build() {
  buildTiles();
  buildWay();
  buildDevices();
  buildCharts();
  forgetEvents();
}

function show() {
  showTop();
  showTiles();
  showWay();
  showDevices();
  showEvents();
  showCharts();
}

function hear(name, data) {
  const hasDatasets = data.events.some((event) => event.kind === "publish" || event.kind === "drop");
  take(name, data);
  if (name === "history") build();
  if (name === "history" || hasDatasets) loadDatasets();
  show();
  document.documentElement.dataset.samples = heard.samples.length;
}

follow("/dashboard/events", hear, tell);
