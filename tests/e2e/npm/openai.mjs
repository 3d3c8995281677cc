// The openai package as a client: Chat Completions, Responses, and Responses over a WebSocket.

import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { each, remembered, serve } from "./jobs.mjs";

const client = remembered(
  (job) => new OpenAI({ baseURL: `${job.url}/v1`, apiKey: job.key, maxRetries: 0, timeout: 60_000 }),
);

serve({ create, pending, models, count, lifecycle, socket });

async function create(job, seen) {
  const api = job.dialect === "openai-chat" ? client(job).chat.completions : client(job).responses;
  const [whole, streamed] = job.dialect === "openai-chat" ? [chat, chatStream] : [response, responseStream];
  const { data, response: http } = await api
    .create({ ...job.params, model: job.model, stream: job.stream })
    .withResponse();
  seen.id = http.headers.get("headgate-response-id") ?? "";
  await (job.stream ? streamed(data, job, seen) : whole(data, seen));
}

function chat(answer, seen) {
  const { message, finish_reason } = answer.choices[0];
  seen.text = message.content ?? "";
  seen.refusal = message.refusal ?? "";
  seen.reasoning = message.reasoning_content ?? "";
  seen.finish = finish_reason ?? "";
  for (const call of message.tool_calls ?? []) {
    seen.calls.push({ id: call.id, name: call.function.name, arguments: call.function.arguments });
  }
  seen.turn = [message];
  chatUsage(answer.usage, seen);
}

async function chatStream(stream, job, seen) {
  await each(stream, job, seen, (chunk) => {
    chatUsage(chunk.usage, seen);
    for (const { delta, finish_reason } of chunk.choices) {
      seen.text += delta.content ?? "";
      seen.refusal += delta.refusal ?? "";
      seen.reasoning += delta.reasoning_content ?? "";
      seen.finish = finish_reason ?? seen.finish;
      for (const call of delta.tool_calls ?? []) {
        const known = (seen.calls[call.index] ??= { id: "", name: "", arguments: "" });
        known.id += call.id ?? "";
        known.name += call.function?.name ?? "";
        known.arguments += call.function?.arguments ?? "";
      }
    }
  });
  const message = { role: "assistant", content: seen.text || null };
  if (seen.calls.length) {
    message.tool_calls = seen.calls.map(({ id, ...called }) => ({ id, type: "function", function: called }));
  }
  seen.turn = [message];
}

function chatUsage(usage, seen) {
  if (usage) seen.usage = [usage.prompt_tokens, usage.completion_tokens];
}

function response(answer, seen) {
  seen.text = answer.output_text ?? "";
  seen.finish = [answer.status, answer.incomplete_details?.reason ?? answer.error?.code].filter(Boolean).join(":");
  if (answer.usage) seen.usage = [answer.usage.input_tokens, answer.usage.output_tokens];
  seen.turn = answer.output;
  for (const item of answer.output) {
    if (item.type === "function_call") {
      seen.calls.push({ id: item.call_id, name: item.name, arguments: item.arguments });
    }
    for (const part of item.content ?? []) {
      if (part.type === "refusal") seen.refusal += part.refusal;
      if (part.type === "reasoning_text") seen.reasoning += part.text;
    }
    for (const summary of item.summary ?? []) seen.reasoning += summary.text;
  }
}

async function responseStream(stream, job, seen) {
  let final = null;
  let text = "";
  await each(stream, job, seen, (event) => {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (/^response\.(completed|incomplete|failed)$/.test(event.type)) final = event.response;
  });
  if (final === null) {
    seen.text = text;
    return;
  }
  response(final, seen);
  const said = final.output.flatMap((item) => (item.type === "message" ? item.content : []));
  const whole = said.map((part) => (part.type === "output_text" ? part.text : "")).join("");
  if (whole !== text) throw new Error(`deltas ${JSON.stringify(text)} are not the text ${JSON.stringify(whole)}`);
  seen.text = text;
}

// A whole answer that is not there yet: its status, where it will be, and all that a user could take for it.
async function pending(job, seen) {
  const chat = job.dialect === "openai-chat";
  const api = chat ? client(job).chat.completions : client(job).responses;
  const { data, response: http } = await api.create({ ...job.params, model: job.model }).withResponse();
  seen.id = http.headers.get("headgate-response-id") ?? "";
  seen.text = data.output_text ?? "";
  seen.finish = data.status ?? "";
  seen.value = [http.status, http.headers.get("location"), (chat ? data.choices : data.output).length];
}

async function models(job, seen) {
  const names = [];
  for await (const model of client(job).models.list()) names.push(model.id);
  seen.value = names;
}

async function count(job, seen) {
  const counted = await client(job).responses.inputTokens.count({ ...job.params, model: job.model });
  seen.value = counted.input_tokens;
}

// A response in the background: polled, streamed from a cursor, its input listed, deleted.
async function lifecycle(job, seen) {
  const { responses } = client(job);
  const started = await responses.create({ ...job.params, model: job.model, background: true });
  let polled = await responses.retrieve(started.id);
  for (let polls = 0; polled.status === "in_progress" || polled.status === "queued"; polls += 1) {
    if (polls > 500) throw new Error("it never ended");
    await new Promise((resolve) => setTimeout(resolve, 20));
    polled = await responses.retrieve(started.id);
  }
  const numbers = [];
  for await (const event of await responses.retrieve(started.id, { stream: true, starting_after: 3 })) {
    numbers.push(event.sequence_number);
  }
  const items = [];
  for await (const item of responses.inputItems.list(started.id)) items.push(item.type);
  await responses.delete(started.id);
  const after = await responses.retrieve(started.id).catch((error) => error);
  seen.id = started.id;
  seen.value = { first: started.status, last: polled.status, text: polled.output_text, numbers, items, after: after.status };
}

// One response over a WebSocket.
async function socket(job, seen) {
  const connection = new ResponsesWS(client(job));
  try {
    await new Promise((resolve, reject) => {
      connection.on("error", reject);
      connection.on("event", (event) => {
        if (event.type === "response.output_text.delta") seen.text += event.delta;
        if (/^response\.(completed|incomplete|failed)$/.test(event.type)) {
          seen.finish = event.response.status;
          seen.id = event.response.id;
          resolve();
        }
      });
      connection.send({ type: "response.create", ...job.params, model: job.model });
    });
  } finally {
    connection.close();
  }
}
