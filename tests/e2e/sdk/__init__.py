"""What users of the official `openai` SDK, of plain HTTP, and of nothing better than a socket meet."""
