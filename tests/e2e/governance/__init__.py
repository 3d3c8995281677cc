"""What a masked, blocked, held or rewritten answer is to the clients that get it, and what is kept of it."""
