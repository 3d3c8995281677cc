"""A real browser against a real gateway."""
