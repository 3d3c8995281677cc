"""What goes wrong: crashes at every point, torn files, stores that fail."""
