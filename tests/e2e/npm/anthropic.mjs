// The @anthropic-ai/sdk package as a client: Messages.

import Anthropic from "@anthropic-ai/sdk";
import { each, remembered, serve } from "./jobs.mjs";

const client = remembered(
  (job) => new Anthropic({ baseURL: job.url, apiKey: job.key, maxRetries: 0, timeout: 60_000 }),
);

serve({ create, pending, models, count });

async function create(job, seen) {
  const params = { ...job.params, model: job.model };
  const { messages } = client(job);
  if (!job.stream) return message(await messages.create(params), seen);
  const stream = messages.stream(params);
  let text = "";
  await each(stream, job, seen, (event) => {
    if (event.type === "message_start") seen.id = event.message.id;
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
  });
  if (!job.leave) message(await stream.finalMessage(), seen);
  else seen.text = text;
}

function message(answer, seen) {
  seen.id = answer.id;
  seen.finish = answer.stop_reason ?? "";
  seen.usage = [answer.usage.input_tokens, answer.usage.output_tokens];
  seen.turn = [{ role: "assistant", content: answer.content }];
  for (const block of answer.content) {
    if (block.type === "text") seen.text += block.text;
    if (block.type === "thinking") seen.reasoning += block.thinking;
    if (block.type === "tool_use") {
      seen.calls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) });
    }
  }
}

// As in openai.mjs.
async function pending(job, seen) {
  const { data, response: http } = await client(job)
    .messages.create({ ...job.params, model: job.model })
    .withResponse();
  seen.id = http.headers.get("headgate-response-id") ?? "";
  seen.finish = data.stop_reason ?? "";
  seen.value = [http.status, http.headers.get("location"), data.content.length];
}

async function models(job, seen) {
  const names = [];
  for await (const model of client(job).models.list()) names.push(model.id);
  seen.value = names;
}

async function count(job, seen) {
  const { max_tokens: _, ...params } = job.params;
  const counted = await client(job).messages.countTokens({ ...params, model: job.model });
  seen.value = counted.input_tokens;
}
