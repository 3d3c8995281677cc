"""The test suite. `needs` marks what needs a program to be installed, `soak` says how much an ordinary run does."""
