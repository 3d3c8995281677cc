"""Chat Completions as a spoke: prompts in both directions, words of compatible servers, several attempts."""
