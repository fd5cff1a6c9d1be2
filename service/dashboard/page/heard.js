// What the server has told of the pipeline, and what can be read off it.

export const keptSeconds = 900;

export const heard = { hello: null, samples: [], now: null, events: [] };

/** Takes what came with an event of the stream. */
export function take(kind, data) {
  if (kind === "history") {
    heard.hello = data;
    heard.samples = data.samples;
    heard.events = data.events;
  } else {
    heard.samples.push(...data.samples);
    heard.events.push(...data.events);
  }
  heard.now = data.now;
  const begin = heard.now.at - keptSeconds;
  const first = heard.samples.findIndex((sample) => sample.at > begin);
  if (first > 0) heard.samples.splice(0, first);
  if (heard.events.length > 200) heard.events.splice(0, heard.events.length - 200);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => (values.length ? sum(values) / values.length : 0);
export const since = (seconds) => heard.samples.filter((sample) => sample.at > heard.now.at - seconds);

/** Returns the mean of the last three seconds: it can be read while it changes. */
export const recently = (pick) => mean(heard.samples.slice(-3).map(pick));

export const answersOf = (sample) => sample.ok + sample.refused + sample.failed;
export const runsOf = (sample) => sum(sample.runs);

/** Returns a percentile (0: p50, 1: p90, 2: p99) of the last few seconds, over all operations. */
export function recentLatency(which) {
  const values = heard.samples.slice(-5).map((sample) => sample.latency.at(-1)[which]).filter((value) => value != null);
  return values.length ? mean(values) : null;
}

/** Returns how many items the batches of `samples` held on average: the middles of their buckets. */
export function itemsPerBatch(samples) {
  const bounds = heard.hello.item_bounds;
  let items = 0;
  let batches = 0;
  for (const sample of samples)
    for (const [bucket, count] of sample.sizes) {
      const high = bounds[Math.min(bucket, bounds.length - 1)];
      const low = bucket === 0 ? 0 : bounds[bucket - 1];
      items += count * Math.ceil((low + 1 + high) / 2);
      batches += count;
    }
  return batches ? items / batches : null;
}

/** Returns the share of the batches of `samples` that `isWanted(device)` ones were sent. */
export function shareOf(samples, isWanted) {
  let all = 0;
  let wanted = 0;
  for (const sample of samples)
    for (const [device, , count] of sample.routes) {
      all += count;
      if (isWanted(device)) wanted += count;
    }
  return all ? wanted / all : null;
}
