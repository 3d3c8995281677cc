"""OpenAI Responses as a spoke: wire bytes, frames, requests, prompts in both directions, items."""
