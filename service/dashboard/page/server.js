// Talking to the server: with a token where it wants one, and again when it was gone.

import { byId } from "./elements.js";

const storedToken = "engram-token";
let asking = null;

/** Returns the server's own sentence about what was wrong. */
async function sentence(response) {
  try {
    const body = await response.json();
    return body.detail ?? body.error?.message ?? body.title ?? response.statusText;
  } catch {
    return response.statusText || `status ${response.status}`;
  }
}

/** Asks for a token; several who need one ask once. Resolves to false if none was given. */
export function askForToken(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    if (why) byId("token-why").textContent = why;
    byId("token").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      asking = null;
      const token = byId("token").value.trim();
      byId("token").value = "";
      byId("token-button").hidden = false;
      if (dialog.returnValue !== "use" || !token) return resolve(false);
      sessionStorage.setItem(storedToken, token);
      resolve(true);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

export class Refusal extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Fetches from this server; throws a Refusal with its sentence for anything but a success. */
export async function ask(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(storedToken);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options, headers });
    if (response.ok) return response;
    const why = await sentence(response);
    if (response.status === 401 || (response.status === 403 && token)) {
      sessionStorage.removeItem(storedToken);
      if (await askForToken(token ? `That token will not do: ${why}` : why)) continue;
    }
    throw new Refusal(response.status, why, Number(response.headers.get("Retry-After")) || 0);
  }
}

export async function post(path, body) {
  const response = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return response.json();
}

/** Reads the server-sent events of a response until it ends, calling `hear(name, data)` for each. */
async function readEvents(response, hear) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      const fields = rest.slice(0, end).split("\n").map((line) => line.split(/: ?(.*)/s));
      const name = fields.find(([field]) => field === "event")?.[1];
      const data = fields.filter(([field]) => field === "data").map((field) => field[1]).join("\n");
      if (data) hear(name, JSON.parse(data));
    }
  }
}

const silence = 8_000; // ms without an event: the connection is dead

/** Follows the stream at `path` for good: hear(name, data) for each event, tell(state, words) of the connection. */
export async function follow(path, hear, tell) {
  let wait = 500;
  for (;;) {
    const gone = new AbortController();
    let watchdog;
    const rearm = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => (asking ? rearm() : gone.abort()), silence);
    };
    rearm();
    const leave = () => document.hidden && gone.abort();
    const hidden = setInterval(leave, 60_000); // a page that nobody sees takes no thread of the server
    let words = "the server is not there";
    try {
      const response = await ask(path, { signal: gone.signal, headers: { Accept: "text/event-stream" } });
      await readEvents(response, (name, data) => {
        rearm();
        wait = 500;
        hear(name, data);
        tell("live");
      });
      words = "the server closed the stream";
    } catch (why) {
      if (why instanceof Refusal) {
        words = why.message;
        wait = Math.max(wait, why.retryAfter * 1000);
        if (why.status === 401 || why.status === 403) await tokenWanted(tell, words);
      }
    } finally {
      clearTimeout(watchdog);
      clearInterval(hidden);
    }
    if (document.hidden) await becomesVisible();
    tell("lost", words);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 5_000);
  }
}

function becomesVisible() {
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });
}

/** Waits until somebody presses the button and gives a token. */
async function tokenWanted(tell, words) {
  tell("token", words);
  const button = byId("token-button");
  button.hidden = false;
  do {
    await new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
  } while (!(await askForToken(words)));
}
