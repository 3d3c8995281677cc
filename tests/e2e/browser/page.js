// What a page of a configured origin does with the gateways; the test reads `window.results` when it is there.

const TYPES = ["response.started", "attempt.started", "attempt.described", "attempt.ended", "part.started", "delta",
               "part.done", "choice.done", "opaque", "usage", "terminal"];

function request(model, fields) {
  return {
    method: "POST",
    headers: {"content-type": "application/json", "headgate-resume": "1"},
    body: JSON.stringify({model, messages: [{role: "user", content: "How is a gate opened?"}], ...fields}),
  };
}

// A streamed answer by fetch: its id, which only an exposed header tells, and its text.
async function streamed(base, model) {
  const answer = await fetch(base + "/v1/chat/completions", request(model, {stream: true}));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let pieces = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    pieces += 1;
  }
  return {id: answer.headers.get("headgate-response-id"), text, pieces};
}

// The whole log by a plain EventSource, which nobody helps: it ends when the browser itself gives up.
function log(base, id) {
  return read(`${base}/v1/responses/${id}/events`);
}

function read(url) {
  return new Promise((resolve) => {
    const source = new EventSource(url);
    const seen = {events: [], opened: 0, errors: 0};
    source.onopen = () => { seen.opened += 1; };
    source.onerror = () => {
      seen.errors += 1;
      if (source.readyState === EventSource.CLOSED) resolve(seen);
    };
    for (const type of TYPES) {
      source.addEventListener(type, (event) => seen.events.push([event.lastEventId, type, event.data]));
    }
    source.onmessage = (event) => seen.events.push([event.lastEventId, "message", event.data]);
  });
}

// Start a slow answer, learn its id, go away from the answer itself, and follow its log.
async function followed(base, model) {
  const leaving = new AbortController();
  const answer = await fetch(base + "/v1/chat/completions", {...request(model, {stream: true}), signal: leaving.signal});
  const id = answer.headers.get("headgate-response-id");
  leaving.abort();
  return {id, ...await log(base, id)};
}

// Nothing more, and nothing more to come.
async function atTheEnd(base, id, last) {
  const answer = await fetch(`${base}/v1/responses/${id}/events`, {headers: {"last-event-id": last}});
  return {status: answer.status, text: await answer.text()};
}

async function refusal(base) {
  const answer = await fetch(base + "/v1/chat/completions", request("sim-fast+429", {}));
  return {status: answer.status, retryAfter: answer.headers.get("retry-after"), code: (await answer.json()).error.code};
}

// The same request from a page of an origin that is not configured: a frame, which reports by message.
function foreign(page, base) {
  return new Promise((resolve) => {
    window.addEventListener("message", (event) => { if (event.data.base === base) resolve(event.data); });
    const frame = document.createElement("iframe");
    frame.src = `${page}#${base}`;
    document.body.append(frame);
  });
}

async function everything({direct, cutting, foreignPage}) {
  const answer = await streamed(direct, "sim-fast-unicode-t60");
  const [whole, live, other, refused] = await Promise.all([
    log(cutting, answer.id), followed(direct, "sim-t60-r60-f0"), foreign(foreignPage, direct), refusal(direct),
  ]);
  const end = await atTheEnd(direct, answer.id, whole.events.at(-1)[0]);
  return {answer, whole, live, other, refused, end};
}

async function main(gateways) {
  window.results = await Promise.all(gateways.map(everything)).catch((error) => ({failed: String(error)}));
}
