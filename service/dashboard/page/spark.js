// Small lines without axes.

import { svg } from "./elements.js";
import { heard, since } from "./heard.js";

const shownSeconds = 120;

/** Makes the small line of the last two minutes. */
export function makeSpark(kind = "") {
  const spark = svg("svg", { class: `spark ${kind}`, viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  spark.append(svg("path", { class: "area" }), svg("path", { class: "stroke" }));
  return spark;
}

export function drawSpark(spark, pick) {
  const samples = since(shownSeconds);
  const values = samples.map(pick);
  const top = Math.max(...values.filter((value) => value != null), 1e-9);
  const points = [];
  samples.forEach((sample, i) => {
    if (values[i] == null) return;
    const x = 100 - ((heard.now.at - sample.at) / shownSeconds) * 100;
    points.push(`${x.toFixed(1)} ${(97 - (values[i] / top) * 92).toFixed(1)}`);
  });
  const [area, stroke] = spark.children;
  stroke.setAttribute("d", points.length > 1 ? `M${points.join("L")}` : "");
  const left = points.length ? points[0].split(" ")[0] : 0;
  const right = points.length ? points[points.length - 1].split(" ")[0] : 0;
  area.setAttribute("d", points.length > 1 ? `M${left} 100L${points.join("L")}L${right} 100Z` : "");
}
