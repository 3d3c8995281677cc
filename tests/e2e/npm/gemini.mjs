// The @google/genai package as a client.

import { GoogleGenAI } from "@google/genai";
import { each, remembered, serve } from "./jobs.mjs";

const client = remembered(
  (job) => new GoogleGenAI({ apiKey: job.key, httpOptions: { baseUrl: job.url, timeout: 60_000 } }),
);

serve({ create, pending, chat, models, count });

async function create(job, seen) {
  const params = { ...job.params, model: job.model };
  const { models } = client(job);
  if (!job.stream) return take(await models.generateContent(params), seen);
  // The SDK does not hang up on a stream that is left with `break`: only its signal does.
  const leaving = new AbortController();
  params.config = { ...params.config, abortSignal: leaving.signal };
  await each(await models.generateContentStream(params), job, seen, (chunk) => take(chunk, seen));
  if (job.leave) leaving.abort();
}

function take(answer, seen) {
  seen.id = answer.responseId ?? seen.id;
  const { usageMetadata: usage, promptFeedback } = answer;
  if (usage) seen.usage = [usage.promptTokenCount, (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0)];
  seen.finish = promptFeedback?.blockReason ?? seen.finish;
  const candidate = answer.candidates?.[0];
  seen.finish = candidate?.finishReason ?? seen.finish;
  for (const part of candidate?.content?.parts ?? []) {
    if (part.functionCall) {
      const { id, name, args } = part.functionCall;
      seen.calls.push({ id: id ?? "", name, arguments: JSON.stringify(args ?? {}) });
    } else if (part.thought) seen.reasoning += part.text ?? "";
    else seen.text += part.text ?? "";
    seen.turn[0] ??= { role: "model", parts: [] };
    seen.turn[0].parts.push(part);
  }
}

// Two turns of the SDK's own chat, which drops a turn that it finds incomplete.
async function chat(job, seen) {
  const talk = client(job).chats.create({ model: job.model });
  for (const message of job.params.messages) {
    if (!job.stream) take(await talk.sendMessage({ message }), seen);
    else await each(await talk.sendMessageStream({ message }), job, seen, (chunk) => take(chunk, seen));
  }
  seen.value = talk.getHistory(true).map((content) => content.role);
}

// As in openai.mjs; the SDK does not show the status.
async function pending(job, seen) {
  const answer = await client(job).models.generateContent({ ...job.params, model: job.model });
  take(answer, seen);
  seen.text = answer.text ?? "";
  seen.value = [202, answer.sdkHttpResponse?.headers?.location ?? null, (answer.candidates ?? []).length];
}

async function models(job, seen) {
  const names = [];
  for await (const model of await client(job).models.list()) names.push(model.name);
  seen.value = names;
}

async function count(job, seen) {
  const counted = await client(job).models.countTokens({ ...job.params, model: job.model });
  seen.value = counted.totalTokens;
}
