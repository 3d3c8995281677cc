// One long-lived process for many jobs: a JSON job per line on standard input, a JSON result per line on standard output.
//
//     {"number", "url", "key", "act", "dialect", "model", "stream", "params", "leave", "cancel"}  ->  {"number", ...seen}
//
// Jobs run side by side. What a client made of an answer is `seen`, in the words of tests/e2e/matrix/seen.py.

import { createInterface } from "node:readline";

export function nothingSeen() {
  return { id: "", text: "", reasoning: "", refusal: "", calls: [], finish: "", usage: null, turn: [], error: null, value: null };
}

export function serve(acts) {
  createInterface({ input: process.stdin, terminal: false }).on("line", async (line) => {
    const job = JSON.parse(line);
    const seen = nothingSeen();
    try {
      await acts[job.act](job, seen);
    } catch (error) {
      seen.error = told(error);
      seen.id ||= error?.headers?.get?.("headgate-response-id") ?? "";
    }
    process.stdout.write(JSON.stringify({ number: job.number, ...seen }) + "\n");
  });
}

// Clients are made once for each gateway and key.
export function remembered(make) {
  const made = new Map();
  return (job) => {
    const name = `${job.url} ${job.key}`;
    if (!made.has(name)) made.set(name, make(job));
    return made.get(name);
  };
}

// Every item, or the first `leave` of them: a `break` is how a user of these SDKs leaves a stream. After `cancel` items
// somebody else stops the response.
export async function each(stream, job, seen, take) {
  let taken = 0;
  for await (const item of stream) {
    take(item);
    taken += 1;
    if (taken === job.cancel) await cancelled(job, seen);
    if (taken === job.leave) break;
  }
}

async function cancelled(job, seen) {
  const headers = { authorization: `Bearer ${job.key}` };
  const answer = await fetch(`${job.url}/v1/responses/resp_${seen.id.slice(-32)}/cancel`, { method: "POST", headers });
  if (!answer.ok) throw new Error(`cancelling is answered with ${answer.status}`);
}

function told(error) {
  return {
    kind: error?.constructor?.name ?? "none",
    status: typeof error?.status === "number" ? error.status : 0,
    code: String(error?.code ?? error?.error?.error?.type ?? error?.type ?? ""),
    message: String(error?.message ?? error),
    retry_after: error?.headers?.get?.("retry-after") ?? "",
  };
}
