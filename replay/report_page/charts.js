(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("replay-data").textContent);
  const end = data.measured_seconds;
  const start = -data.scenario.warm_up_seconds;
  const slices = data.slices
    .filter(s => s.start_seconds < end - 1e-9)
    .map(s => {
      const width = Math.min(data.slice_seconds, end - s.start_seconds);
      return { ...s, width, middle: s.start_seconds + width / 2 };
    });
  const palette = ["--blue", "--orange", "--green", "--purple", "--sky", "--red"];
  const color = name => `var(${name})`;
  const margin = { left: 58, right: 14, top: 20, bottom: 24 };

  // -- words -----------------------------------------------------------------------------------

  const number = value => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
  const digits = value => (value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2));
  const latency = s =>
    s <= 0 ? "–" : s < 0.9995e-3 ? digits(s * 1e6) + " µs" : s < 0.9995 ? digits(s * 1e3) + " ms" : digits(s) + " s";
  const tickLatency = s => (s < 0.9995e-3 ? s * 1e6 : s < 0.9995 ? s * 1e3 : s).toPrecision(1) * 1 +
    (s < 0.9995e-3 ? " µs" : s < 0.9995 ? " ms" : " s");
  const percent = share => (share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0) + " %";

  // -- drawing ---------------------------------------------------------------------------------

  const svgNode = (name, attributes = {}, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const niceStep = (span, count) => {
    const rough = span / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map(f => f * power).find(step => step >= rough * 0.999);
  };

  const linearTicks = (top, count) => {
    const step = niceStep(top, count);
    const ticks = [];
    for (let at = 0; at <= top * 1.0001; at += step) ticks.push(at);
    return ticks;
  };

  const logTicks = (low, high) => {
    const ticks = [];
    const few = Math.log10(high / low) > 3.2;
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power)
      for (const factor of few ? [1] : [1, 2, 5]) {
        const at = factor * 10 ** power;
        if (at >= low * 0.999 && at <= high * 1.001) ticks.push(at);
      }
    return ticks;
  };

  /** A drawing area with the common time axis, the warm-up and the fault marks. */
  class Panel {
    constructor(id, height) {
      this.box = document.getElementById(id);
      this.width = Math.max(260, this.box.clientWidth);
      this.height = height;
      this.svg = svgNode("svg", {
        viewBox: `0 0 ${this.width} ${height}`, height, role: "img",
        "aria-label": this.box.parentElement.querySelector("figcaption").textContent,
      });
      this.box.replaceChildren(this.svg);
      this.timeAxis();
    }
    x(seconds) {
      return margin.left + ((seconds - start) / (end - start)) * (this.width - margin.left - margin.right);
    }
    add(name, attributes, text) {
      return this.svg.appendChild(svgNode(name, attributes, text));
    }
    timeAxis() {
      const bottom = this.height - margin.bottom;
      if (start < 0) {
        const width = Math.max(0, this.x(Math.min(0, end)) - this.x(start));
        this.add("rect", { class: "warm", x: this.x(start), y: margin.top, width, height: bottom - margin.top });
      }
      const step = niceStep(end - start, this.width < 500 ? 5 : 10);
      for (let at = Math.ceil(start / step) * step; at <= end + 1e-9; at += step) {
        const last = at + step > end + 1e-9;
        this.add("text", { x: this.x(at), y: this.height - 6, "text-anchor": last && this.x(at) > this.width - 30 ? "end" : "middle" },
          number(Math.abs(at) < 1e-9 ? 0 : at) + (last ? " s" : ""));
      }
      this.add("line", { class: "axis", x1: margin.left, x2: this.width - margin.right, y1: bottom, y2: bottom });
    }
    yAxis(ticks, y, label) {
      for (const at of ticks) {
        this.add("line", { class: "grid", x1: margin.left, x2: this.width - margin.right, y1: y(at), y2: y(at) });
        this.add("text", { x: margin.left - 8, y: y(at) + 4, "text-anchor": "end" }, label(at));
      }
    }
    curve(points, y, stroke, style = "") {
      let path = "";
      let open = false;
      for (const [seconds, value] of points) {
        if (value === null) { open = false; continue; }
        path += `${open ? "L" : "M"}${this.x(seconds).toFixed(1)} ${y(value).toFixed(1)}`;
        open = true;
      }
      if (path) this.add("path", { class: `curve ${style}`, d: path, stroke });
    }
    marks() {
      data.faults.forEach((fault, i) => {
        const x = this.x(fault.at_seconds);
        this.add("line", { class: "mark", x1: x, x2: x, y1: margin.top - 2, y2: this.height - margin.bottom });
        this.add("circle", { class: "mark-badge", cx: x, cy: margin.top - 10, r: 8 });
        this.add("text", { class: "on-mark", x, y: margin.top - 6, "text-anchor": "middle" }, i + 1);
      });
      this.cursor = this.add("line", { class: "cursor", y1: margin.top, y2: this.height - margin.bottom, visibility: "hidden" });
    }
  }

  const legend = (id, entries) => {
    document.getElementById(id).replaceChildren(...entries.map(([name, stroke, style]) => {
      const item = document.createElement("span");
      const key = document.createElement("i");
      if (style === "box") { key.className = "box"; key.style.background = stroke; }
      else { key.className = style === "dash" ? "dash" : ""; key.style.borderTopColor = stroke; }
      item.append(key, name);
      return item;
    }));
  };

  // -- the panels ------------------------------------------------------------------------------

  const hasErrors = slices.some(s => s.errors > 0);
  const rate = key => slices.map(s => [s.middle, s[key] / s.width]);
  const some = value => (value > 0 ? value : null);

  function drawThroughput() {
    const panel = new Panel("throughput", 200);
    const top = 1.08 * Math.max(1, ...slices.map(s => Math.max(s.sent, s.answered) / s.width));
    const y = value => panel.height - margin.bottom - (value / top) * (panel.height - margin.top - margin.bottom);
    panel.yAxis(linearTicks(top, 4), y, number);
    panel.curve(rate("sent"), y, color("--muted"), "dash");
    panel.curve(rate("answered"), y, color("--blue"));
    if (hasErrors) panel.curve(rate("errors"), y, color("--red"));
    panel.marks();
    legend("throughput-legend", [["sent", color("--muted"), "dash"], ["answered", color("--blue")]]
      .concat(hasErrors ? [["errors", color("--red")]] : [])
      .concat(start < 0 ? [["warm-up", color("--warm"), "box"]] : []));
    return panel;
  }

  function latencyPanel(id, values, goal) {
    const panel = new Panel(id, 230);
    const all = values.filter(v => v > 0).concat(goal ? [goal] : []);
    const low = Math.min(1e-3, ...all) / 1.15;
    const high = Math.max(2e-3, ...all) * 1.25;
    const scale = (panel.height - margin.top - margin.bottom) / Math.log(high / low);
    const y = value => panel.height - margin.bottom - Math.log(value / low) * scale;
    panel.yAxis(logTicks(low, high), y, tickLatency);
    if (goal) {
      panel.add("line", { class: "goal", x1: margin.left, x2: panel.width - margin.right, y1: y(goal), y2: y(goal) });
      panel.add("text", { x: panel.width - margin.right, y: y(goal) - 5, "text-anchor": "end" }, "objective p99 " + latency(goal));
    }
    return [panel, y];
  }

  function drawLatency() {
    const keys = [["max", "max_seconds", "--red"], ["p99", "p99_seconds", "--orange"], ["p50", "p50_seconds", "--blue"]];
    const [panel, y] = latencyPanel("latency", slices.flatMap(s => keys.map(k => s[k[1]])), data.scenario.objective.p99_seconds);
    for (const [, key, stroke] of keys)
      panel.curve(slices.map(s => [s.middle, some(s[key])]), y, color(stroke), key === "max_seconds" ? "thin" : "");
    panel.marks();
    legend("latency-legend", keys.map(([name, , stroke]) => [name, color(stroke)]));
    return panel;
  }

  function drawLoads() {
    if (data.loads.length < 2) {
      document.getElementById("loads-figure").hidden = true;
      return null;
    }
    const [panel, y] = latencyPanel("loads", slices.flatMap(s => s.p99_seconds_by_load), undefined);
    data.loads.forEach((load, i) => panel.curve(slices.map(s => [s.middle, some(s.p99_seconds_by_load[i])]), y, color(palette[i % palette.length])));
    panel.marks();
    legend("loads-legend", data.loads.map((load, i) => [load.name, color(palette[i % palette.length])]));
    return panel;
  }

  const deviceNames = [...new Set(slices.flatMap(s => Object.keys(s.by_device)))].sort();
  const deviceLabel = name => (data.answers.by_device.find(row => row.device === name) || { label: name }).label;

  function drawDevices() {
    const panel = new Panel("devices", 170);
    const y = share => panel.height - margin.bottom - share * (panel.height - margin.top - margin.bottom);
    panel.yAxis([0, 0.25, 0.5, 0.75, 1], y, percent);
    const floor = slices.map(() => 0);
    deviceNames.forEach((name, d) => {
      // One step a slice: a share has no value between two slices.
      const upper = [], lower = [];
      slices.forEach((s, i) => {
        const share = s.answered ? (s.by_device[name] || 0) / s.answered : 0;
        const [left, right] = [panel.x(s.start_seconds), panel.x(s.start_seconds + s.width)];
        upper.push(`${left.toFixed(1)} ${y(floor[i] + share).toFixed(1)}`, `${right.toFixed(1)} ${y(floor[i] + share).toFixed(1)}`);
        lower.push(`${left.toFixed(1)} ${y(floor[i]).toFixed(1)}`, `${right.toFixed(1)} ${y(floor[i]).toFixed(1)}`);
        floor[i] += share;
      });
      panel.add("path", { d: `M${upper.concat(lower.reverse()).join("L")}Z`, fill: color(palette[d % palette.length]), "fill-opacity": 0.85 });
    });
    panel.marks();
    legend("devices-legend", deviceNames.map((name, d) => [deviceLabel(name), color(palette[d % palette.length]), "box"]));
    return panel;
  }

  const stateColor = { closed: "--green", half_open: "--orange", open: "--red" };
  const stateHeight = { closed: 0.45, half_open: 0.72, open: 1 };

  /** Returns the stretches of one state of a device over the run. */
  function stretches(device) {
    const found = [{ from: start, state: data.breaker.at_start[device] }];
    for (const change of data.breaker.changes.filter(c => c.device === device))
      found.push({ from: Math.max(start, change.at_seconds), state: change.to });
    return found.map((s, i) => ({ ...s, to: Math.min(end, i + 1 < found.length ? found[i + 1].from : end) })).filter(s => s.to > s.from);
  }

  const gpus = data.devices.filter(d => d.kind !== "cpu").map(d => d.name);

  function drawBreaker() {
    if (gpus.length === 0) {
      document.getElementById("breaker-figure").hidden = true;
      return null;
    }
    const row = 34;
    const panel = new Panel("breaker", margin.top + margin.bottom + gpus.length * row);
    gpus.forEach((device, g) => {
      const bottom = margin.top + (g + 1) * row - 4;
      panel.add("text", { x: margin.left - 8, y: bottom - 9, "text-anchor": "end" }, device);
      for (const s of stretches(device)) {
        const height = stateHeight[s.state] * (row - 6);
        const width = Math.max(2.5, panel.x(s.to) - panel.x(s.from)); // probing takes milliseconds
        panel.add("rect", { x: panel.x(s.from), y: bottom - height, width, height, fill: color(stateColor[s.state]) });
        if (width > 8 * s.state.length && s.state === "open")
          panel.add("text", { class: "on-band", x: panel.x(s.from) + width / 2, y: bottom - height / 2 + 4, "text-anchor": "middle" }, s.state);
      }
    });
    panel.marks();
    legend("breaker-legend", Object.entries(stateColor).map(([state, stroke]) => [state + (state === "open" ? " (GPU not used)" : state === "half_open" ? " (only probed)" : ""), color(stroke), "box"]));
    return panel;
  }

  // -- hovering --------------------------------------------------------------------------------

  const tip = document.getElementById("tip");
  let panels = [];

  function tipRows(slice) {
    const rows = [["sent", number(slice.sent / slice.width) + "/s"], ["answered", number(slice.answered / slice.width) + "/s"]];
    if (slice.errors) rows.push(["errors", number(slice.errors)]);
    rows.push(["p50", latency(slice.p50_seconds)], ["p99", latency(slice.p99_seconds)], ["max", latency(slice.max_seconds)]);
    for (const name of deviceNames)
      if (slice.by_device[name]) rows.push([deviceLabel(name), percent(slice.by_device[name] / slice.answered)]);
    for (const device of gpus) {
      const state = stretches(device).findLast(s => s.from <= slice.start_seconds + slice.width);
      if (state) rows.push([device + " breaker", state.state]);
    }
    return rows;
  }

  function showTip(event) {
    const panel = panels.find(p => p.box === event.currentTarget);
    const at = event.clientX - panel.box.getBoundingClientRect().left;
    const seconds = start + ((at - margin.left) / (panel.width - margin.left - margin.right)) * (end - start);
    const slice = slices.findLast(s => s.start_seconds <= seconds) || slices[0];
    if (!slice || seconds < start - 0.5 || seconds > end + 0.5) return hideTip();
    for (const each of panels) {
      each.cursor.setAttribute("x1", each.x(slice.middle));
      each.cursor.setAttribute("x2", each.x(slice.middle));
      each.cursor.setAttribute("visibility", "visible");
    }
    const title = document.createElement("b");
    title.textContent = `${slice.start_seconds.toFixed(2)} s to ${(slice.start_seconds + slice.width).toFixed(2)} s`;
    tip.replaceChildren(title, ...tipRows(slice).map(([name, value]) => {
      const line = document.createElement("span");
      const label = document.createElement("i");
      label.textContent = name;
      line.append(label, value);
      return line;
    }));
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(event.clientX + (event.clientX + width + 24 > innerWidth ? -width - 14 : 14), innerWidth - width - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4)) + "px";
  }

  function hideTip() {
    tip.hidden = true;
    for (const each of panels) each.cursor.setAttribute("visibility", "hidden");
  }

  function draw() {
    panels = [drawThroughput(), drawLatency(), drawLoads(), drawDevices(), drawBreaker()].filter(Boolean);
    for (const panel of panels) {
      panel.box.onpointermove = showTip;
      panel.box.onpointerdown = showTip;
      panel.box.onpointerleave = hideTip;
    }
  }

  let drawnWidth = 0;
  function drawIfResized() {
    if (innerWidth === drawnWidth) return;
    drawnWidth = innerWidth;
    draw();
  }
  addEventListener("resize", drawIfResized);
  if (slices.length > 0 && end > start) drawIfResized();
})();
